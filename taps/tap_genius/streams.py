"""A stream per table: pages of rows that the server wrote as JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from tapkit import dates
from tapkit.encoded import EncodedPage
from tapkit.errors import FatalAPIError, PageLoop
from tapkit.fields import ISSUES
from tapkit.stream import Stream
from tapkit.writer import encode

from tap_genius.columns import ODD
from tap_genius.database import ConnectionLost
from tap_genius.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from tap_genius.discovery import Table
    from tap_genius.entities import Entity
    from tap_genius.reading import Pass
    from tap_genius.tap import TapGenius

__all__ = ["Rows"]

_is_odd = re.compile(ODD.encode()).search  # which is faster than `in`
_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
NULL = msgspec.Raw(b"null")
ZERO = ODD.encode()
FLAG = f'"{ODD} '.encode()


class Rows(Stream):
    """The rows of a table.

    Without bookmark, or without a column that tells changes, the whole table is read along its key
    from one consistent view, and what is not in it any more is removed. Else what changed since the
    bookmark is read, in the order in which it changed where an index has it.
    """

    tap: TapGenius

    def __init__(self, tap: TapGenius, entity: Entity, table: Table) -> None:
        self._sorted = False
        self._keys = table.key_for(entity)
        change = table.moment(entity.change)
        fallback = table.moment(entity.fallback) if change else None
        self._change = change.name if change else None
        found = [
            it.as_number if it.is_flag and it.name in self._keys else it
            for it in table.columns.values()
            if tap.may_read(table, it, self._keys)
        ]
        self.fields = [it.field for it in found]
        self.endpoint = table.name
        super().__init__(tap, name=entity.name)
        keys = tuple(it for name in self._keys for it in found if it.name == name)
        self._whole = Reading(table, tuple(found), keys, change, fallback)
        self._bound = b""
        # Columns that a setting maps are converted one by one, as any API's are.
        self.is_encoded = {*self.table} <= {*self.fields}

    @property
    def primary_keys(self) -> Sequence[str]:
        return self._keys

    @primary_keys.setter
    def primary_keys(self, new_value: Sequence[str]) -> None:
        """Leave it as it is: pages go by the table's key, whatever an old catalog says."""

    @property
    def replication_key(self) -> str | None:
        return self._change

    @replication_key.setter
    def replication_key(self, new_value: str | None) -> None:
        """Let a catalog have the table read whole each time; no other column tells changes."""
        change = self._whole.change
        self._change = change.name if new_value and change else None

    @property
    def is_sorted(self) -> bool:
        return self._sorted

    def pages(self) -> Iterator[Any]:
        since = self.starting_point()
        self._sorted = since is not None and self.reading.goes_by_change
        place = Place(self.reading, self.reading.passes(since))
        while place.passes:
            yield from self._view(place)
        if place.held and self.is_encoded:
            yield EncodedPage([], place.held)

    def _view(self, place: Place) -> Iterator[Any]:
        """Read from a place on in one view of the database, as long as the connection lasts."""
        try:
            with self.tap.database.snapshot() as (connection, now):
                self._begin(connection, now)
                for texts in self._texts(connection, place):
                    page = self._page(texts)
                    if len(place.passes) > 1:  # rows that changed earlier are still to come
                        place.held, page.high = max(place.held, page.high or ""), None
                    yield page if self.is_encoded else list(page.records())
        except ConnectionLost as error:
            place.tries += 1
            is_lost = place.last is not None and not place.passes[0].order
            if is_lost or place.tries >= self.config["max_tries"]:
                raise
            self.logger.warning("Reading %s goes on after: %s", self.name, error)

    @cached_property
    def reading(self) -> Reading:
        """What is read of the table: the columns that are selected."""
        wanted = {field.source for field in self.selected_fields}
        columns = tuple(it for it in self._whole.columns if it.name in wanted)
        if not self.is_encoded:
            columns = tuple(it.as_number if it.is_flag else it for it in columns)
        return replace(self._whole, columns=columns)

    def _begin(self, connection: Connection, now: datetime) -> None:
        """The bookmark stays before the first view: later views do not show all that changed."""
        if self._bound:
            return
        self.read_below(now)
        self._bound = dates.text(now).encode()
        if self.starting_point() is None:
            self.expect(connection.execute(self.reading.count()).scalar_one())

    def _texts(self, connection: Connection, place: Place) -> Iterator[list[bytes]]:
        """The rows from a place on, some at a time, each as its mark and its JSON."""
        size = self.config["page_size"]
        while place.passes:
            part, read, is_wide = place.passes[0], 0, False
            before = place.position
            page = self.reading.page(part, before, size)
            for texts in self.tap.database.stream(connection, page):
                is_wide = None in texts
                narrow = texts[: texts.index(None)] if is_wide else texts
                if narrow:
                    yield narrow
                    place.last, place.tries = narrow[-1], 0
                    read += len(narrow)
                if is_wide:
                    break
            if is_wide:
                text = self._wide_row(connection, part, place.position)
                yield [text]
                place.last = text
            elif read < size or not part.order:
                place.go_on()
            elif place.position == before:
                raise PageLoop("Paging does not end: the database sorts otherwise than it compares")

    def _wide_row(self, connection: Connection, part: Pass, after: Sequence[Any] | None) -> bytes:
        """The next row, whose JSON is longer than the server's max_allowed_packet."""
        if not part.order:
            raise FatalAPIError("A row is longer than max_allowed_packet, in a table without key")
        mark, *pieces = connection.execute(self.reading.pieces(part, after)).one()
        said = []
        for it, piece in zip(self.reading.columns, pieces, strict=True):
            value = piece
            if value is None:
                value = connection.execute(self.reading.value(part, after, it)).scalar_one()
                value = it.encoded(value)
            said.append(encode(it.name) + b":" + value)
        return b"%b{%b,%b:null}" % (mark, b",".join(said), encode(ISSUES))

    def _page(self, texts: list[bytes]) -> EncodedPage:
        mark = self.reading.mark
        page = EncodedPage([*texts])
        if mark:
            page.high = self._highest([text[:mark] for text in texts])
            page.lines = [text[mark:] for text in texts]
        if self._has_json:  # which may be spread over lines
            page.lines = [line.replace(b"\n", b" ") for line in page.lines]
        for place in [place for place, line in enumerate(page.lines) if _is_odd(line)]:
            self._mend(page, place)
        return page

    def _highest(self, marks: list[bytes]) -> str | None:
        """The largest mark, without those of the future and those that are no moments."""
        high = max(marks)
        if high >= self._bound or ZERO in high:
            past = (mark for mark in marks if mark < self._bound and ZERO not in mark)
            high = max(past, default=b"")
        return high.decode().strip() or None

    def _mend(self, page: EncodedPage, place: int) -> None:
        """Make null what its column cannot hold, and say so in sync_issues."""
        record: dict[str, Any] = _raw(page.lines[place])
        issues: dict[str, Any] = {}
        for it in self.reading.columns:
            if it.name in self._keys:
                continue  # the target refuses the row with a reason, which is better than none
            text = bytes(record[it.name])
            if it.is_flag and text.startswith(FLAG):
                issues[it.name] = {"value": int(text[len(FLAG) : -1]), "error": "not true or false"}
            elif it.is_date and ZERO in text[: len('"2024-01-31')]:
                value = text.strip(b'"').decode().replace("T", " ").removesuffix("Z")
                issues[it.name] = {"value": value, "error": "its day or month is zero"}
        if issues and self.is_encoded:
            keys = {key: msgspec.json.decode(record[key]) for key in self.primary_keys}
            record |= dict.fromkeys(issues, NULL)
            page.lines[place] = encode(record | {ISSUES: issues})
            page.issues[place] = issues, keys

    @cached_property
    def _has_json(self) -> bool:
        return any(it.is_json for it in self.reading.columns)


@dataclass
class Place:
    """How far the reading of a table has come.

    Attributes:
        reading: What is read.
        passes: What is still to be read; the first one is under way.
        last: The last row of it that was passed on.
        tries: How often the connection broke since.
        held: The largest moment of passes that are not in the order of changes.
    """

    reading: Reading
    passes: list[Pass]
    last: bytes | None = None
    tries: int = 0
    held: str = ""

    @property
    def position(self) -> tuple[Any, ...] | None:
        """Where that row stands, or None at the beginning."""
        if self.last is None:
            return None
        return self.reading.position(self.passes[0], self.last[self.reading.mark :])

    def go_on(self) -> None:
        """Begin with the next pass."""
        del self.passes[0]
        self.last = None
