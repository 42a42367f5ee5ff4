"""Records in, COPY text out: a chunk at a time for all that is ordinary, one by one for the rest.

A chunk with anything unusual in it (a NUL, a date that is none) is halved until the unusual record
stands alone and goes through `convert`.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from warehouse.rejects import Reject

from target_warehouse.column_text import UnusualError, column_check, nested
from target_warehouse.convert import ISSUES, Converter, RefusedError
from target_warehouse.csvtext import csv_rows
from target_warehouse.jsontext import dumps, loads
from target_warehouse.names import EXTRA, FINGERPRINT
from target_warehouse.typed import (
    ISSUES_FIELD,
    PLACE,
    RAW_NULL,
    UnsupportedError,
    attribute,
    record_type,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from target_warehouse.column_text import Check
    from target_warehouse.columns import Column

__all__ = ["EncodedBatch", "Encoder", "Extras", "Item", "as_text"]

Item = msgspec.Raw | bytes | dict[str, Any]
"""A record: as its part of the message, or parsed where a stream map has been at work."""

Extras = Mapping[str, Sequence[Any]]
"""Column → its values, one for each record of a batch."""

_CHUNK: Final = 256
_raw_text: Final = partial(str, encoding="utf-8")
_UNKNOWN: Final = re.compile(r"unknown field `(.*)`$", re.DOTALL)


@dataclass
class EncodedBatch:
    """A batch ready to be staged.

    Attributes:
        extras: Values of more columns, one for each record of the batch.
        placed: Whether each row begins with the record's place in the batch.
        blobs: Rows of CSV in UTF-8, of which the last has no line feed.
        rows: Number of rows.
        keys: The distinct keys among them; empty for a stream without a key.
        rejects: Records refused before Postgres saw them: place → reject.
        known_keys: What could be read of their keys: column → text.
        found: What had to be changed: (place, field, reason).
        overflowed: Whole-number columns that have met a number they cannot hold.
    """

    extras: Extras = field(default_factory=dict)
    placed: bool = True
    blobs: list[bytes] = field(default_factory=list)
    rows: int = 0
    keys: set[Any] = field(default_factory=set)
    rejects: dict[int, Reject] = field(default_factory=dict)
    known_keys: list[dict[str, str]] = field(default_factory=list)
    found: list[tuple[int, str, str]] = field(default_factory=list)
    overflowed: frozenset[Column] = frozenset()


def as_text(item: Item) -> str:
    """Return a record as received."""
    return dumps(item, exact=True) if isinstance(item, dict) else str(item, "utf-8", "replace")


class Encoder:
    """Encodes the records of one schema for the columns of one table."""

    def __init__(
        self,
        schema: dict[str, Any],
        columns: Sequence[Column],
        keys: Sequence[str],
        *,
        validate: bool,
        strict: bool,
        on_undeclared: Callable[[str], None],
        invalid_dates: str = "null",
        extras: Sequence[str] = (),
    ) -> None:
        """Prepare for one schema.

        Args:
            schema: The stream's JSON schema.
            columns: Columns of the data.
            keys: Fields that make up the key.
            validate: Refuse records that break the schema.
            strict: Refuse records that would have issues.
            on_undeclared: Told once of each field the schema does not declare, unless it has a
                property for them (`EXTRA`).
            invalid_dates: See `Converter`.
            extras: Columns behind those of the data and ``sync_issues``.
        """
        self._extras = {name: f"x{number}" for number, name in enumerate(extras)}
        self.schema, self.columns, self.keys, self.strict = schema, columns, keys, strict
        self.converter = Converter(
            schema, columns, keys, validate=validate, strict=strict, invalid_dates=invalid_dates
        )
        self._keeps_undeclared = EXTRA in schema["properties"]
        self._on_undeclared = on_undeclared
        self._undeclared: set[str] = set()
        self._key_places = [i for i, column in enumerate(columns) if column.field in keys]
        self._decode: Callable[[Any], Any] | None = None
        self._checks: list[tuple[str, Check]] = []
        try:
            for number, column in enumerate(columns):
                if check := column_check(column, schema["properties"][column.field]):
                    self._checks.append((attribute(number), check))
            self._compile()
        except UnsupportedError:
            self._decode = None
        checked = [name for name, _ in self._checks]
        keyed = [attribute(place) for place in self._key_places]
        # Of one attribute alone there would be no tuples.
        self._columns_of = attrgetter(ISSUES_FIELD, *checked, *keyed, PLACE)
        self._width = 2 + len(columns) + len(extras)  # place, columns, issues, extras

    def _compile(self) -> None:
        record = record_type(
            self.schema,
            self.columns,
            self.keys,
            issues=ISSUES,
            extras=self._extras.values(),
            ignored=sorted(self._undeclared),
        )
        self._decode = msgspec.json.Decoder(record).decode

    def encode(
        self,
        items: Sequence[Item],
        extras: Extras | None = None,
        places: Sequence[int] | None = None,
        *,
        placed: bool = True,
    ) -> EncodedBatch:
        """Return a batch ready to be staged.

        Args:
            items: The records.
            extras: Values of the columns that were announced.
            places: Which records to take; without them, all.
            placed: See `EncodedBatch`.

        Raises:
            MissingKeyPropertiesError: A record lacks a key property altogether.
        """
        batch = EncodedBatch(extras or {}, placed)
        places = range(len(items)) if places is None else places
        for start in range(0, len(places), _CHUNK):
            chunk = places[start : start + _CHUNK]
            if self._decode is None:
                for place in chunk:
                    self._encode_one(place, items[place], batch)
            else:
                self._encode_chunk(chunk, items, batch)
        batch.overflowed = frozenset(self.converter.overflowed)
        return batch

    def _encode_chunk(
        self, places: Sequence[int], items: Sequence[Item], batch: EncodedBatch
    ) -> None:
        try:
            rows = list(map(self._decode, map(items.__getitem__, places)))  # type: ignore[arg-type]
        except (msgspec.MsgspecError, UnicodeDecodeError, TypeError):
            self._encode_each(places, items, batch)
        else:
            self._encode_rows(places, rows, items, batch)

    def _encode_each(
        self, places: Sequence[int], items: Sequence[Item], batch: EncodedBatch
    ) -> None:
        rows: list[Any] = []
        good: list[int] = []
        for place in places:
            try:
                rows.append(self._decode(items[place]))  # type: ignore[misc]
                good.append(place)
            except (msgspec.MsgspecError, UnicodeDecodeError, TypeError) as error:  # noqa: PERF203
                self._encode_one(place, items[place], batch)
                if match := _UNKNOWN.search(str(error)):
                    self._learn(match[1])
        if rows:
            self._encode_rows(good, rows, items, batch)

    def _learn(self, undeclared: str) -> None:
        """Let the decoder pass over a field it has tripped on."""
        if self._keeps_undeclared and not _is_ours(undeclared):
            return
        self._note_undeclared([undeclared])
        try:
            self._compile()
        except UnsupportedError:
            self._decode = None

    def _note_undeclared(self, fields: Iterable[str]) -> None:
        for name in fields:
            if name not in self._undeclared:
                self._undeclared.add(name)
                if not _is_ours(name):
                    self._on_undeclared(name)

    def _encode_rows(
        self,
        places: Sequence[int],
        rows: list[msgspec.Struct],
        items: Sequence[Item],
        batch: EncodedBatch,
    ) -> None:
        try:
            blob, keys = self._encode_checked(places, rows, batch)
        except (UnusualError, msgspec.MsgspecError, UnicodeDecodeError):
            if len(places) == 1:
                self._encode_one(places[0], items[places[0]], batch)
                return
            middle = len(places) // 2
            self._encode_chunk(places[:middle], items, batch)
            self._encode_chunk(places[middle:], items, batch)
            return
        batch.blobs.append(blob)
        batch.rows += len(places)
        if self.keys:
            batch.keys.update(keys)

    def _encode_checked(
        self, places: Sequence[int], rows: list[Any], batch: EncodedBatch
    ) -> tuple[bytes, Iterable[Any]]:
        issues, *columns = zip(*map(self._columns_of, rows), strict=True)
        for (name, check), values in zip(self._checks, columns, strict=False):
            if (others := check(values)) is not None:
                _set_all(rows, name, others)
        if issues.count(RAW_NULL) < len(issues):
            if self.strict:
                raise UnusualError
            _set_all(rows, ISSUES_FIELD, nested(None, "{", issues, null=True))
        _set_all(rows, PLACE, places)
        for name, attribute_name in self._extras.items():
            _set_all(rows, attribute_name, map(batch.extras[name].__getitem__, places))
        tuples: Iterable[tuple[Any, ...]] = map(msgspec.structs.astuple, rows)
        if self._undeclared:
            tuples = (row[: self._width] for row in tuples)
        return csv_rows(tuples, placed=batch.placed), _keys(columns[len(self._checks) : -1])

    def _encode_one(self, place: int, item: Item, batch: EncodedBatch) -> None:
        record: dict[str, Any] = {}
        try:
            record = self._parse(item)
            encoded = self.converter.encode(record)
        except RefusedError as error:
            key = dumps({name: record.get(name) for name in self.keys})
            batch.rejects[place] = Reject(key, as_text(item), error.error_class, str(error))
            batch.known_keys.append(self.converter.known_key(record))
            return
        extras = {name: values[place] for name, values in batch.extras.items()}
        if encoded.found:
            extras[FINGERPRINT] = None  # to be looked at, and told of, when it comes again
        added = [extras[name] for name in self._extras]
        row = [place, *encoded.values, encoded.issues, *added]
        batch.blobs.append(csv_rows([row], placed=batch.placed))
        batch.rows += 1
        batch.found.extend((place, name, reason) for name, reason in encoded.found.items())
        if self.keys:
            batch.keys.update(_keys([[encoded.values[i] or ""] for i in self._key_places]))

    def _parse(self, item: Item) -> dict[str, Any]:
        try:
            record = item if isinstance(item, dict) else loads(bytes(item))
        except ValueError as error:
            raise RefusedError("validation", f"{type(error).__name__} in the record") from error
        if not isinstance(record, dict):
            raise RefusedError("validation", "The record is not an object")
        if len(record) > len(self.columns) or not record.keys() <= self.schema["properties"].keys():
            undeclared = record.keys() - self.schema["properties"].keys()
            if not self._keeps_undeclared:
                self._note_undeclared(undeclared)
            elif extra := {k: v for k, v in record.items() if k in undeclared and not _is_ours(k)}:
                record = record | {EXTRA: extra}
        return record


def _keys(columns: Sequence[Sequence[Any]]) -> Iterable[Any]:
    """Return the keys of rows as texts, from their columns."""
    texts = [
        map(_raw_text if isinstance(column[0], msgspec.Raw) else str, column) for column in columns
    ]
    return texts[0] if len(texts) == 1 else zip(*texts, strict=True)


def _set_all(rows: list[Any], name: str, values: Iterable[Any]) -> None:
    deque(map(setattr, rows, repeat(name), values), maxlen=0)


def _is_ours(field: str) -> bool:
    """Tell whether the target knows what an undeclared field is."""
    return field.startswith("_sdc_") or field == ISSUES
