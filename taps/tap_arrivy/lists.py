"""How every list of Arrivy is read: whole, each row once, and now and then compared.

Arrivy has no filter for what changed and tells of no deletion. So lists are read whole, and the
target leaves alone what is the same. Numbered pages shift while they are read: where a row before
them is deleted, a row moves to the page before, and is missed; where one is added, a row comes
twice. A row that comes again is passed on only if it is newer. A row that was missed comes in the
next run - but a comparison would take it for deleted. So a run that compares reads again, until
nothing that one reading saw is gone in the next: then no row was missed by both.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from tapkit import dates
from tapkit.fields import Field
from tapkit.stream import Stream
from tapkit.writer import encode

from tap_arrivy.client import listed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from datetime import datetime

    from tap_arrivy.client import ArrivyClient, Row
    from tap_arrivy.tap import TapArrivy

__all__ = ["OTHER", "Listing", "columns", "id_list"]

READINGS = 4
"""How often a list is read at most until two readings agree."""

OTHER = Field("other_fields", "object", description="What Arrivy sends beside these columns")


def columns(kind: str, *names: str) -> tuple[Field, ...]:
    """Several columns of one type that are called as Arrivy calls them."""
    return tuple(Field(name, kind) for name in names)


class Listing(Stream):
    """A list; a subclass says where it is and what is in it.

    Attributes:
        endpoint: Its path.
        query: What is always asked for.
        id_lists: Fields with ids that are an array, or text with commas.
        has_pages: Whether it comes in pages rather than at once.
        tolerated: Refusals that mean that an account has no such list, rather than a failure.
    """

    primary_keys: ClassVar[tuple[str, ...]] = ("id",)
    query: ClassVar[dict[str, str]] = {}
    id_lists: ClassVar[tuple[str, ...]] = ()
    has_pages: ClassVar[bool] = True
    tolerated: ClassVar[tuple[type[Exception], ...]] = ()
    endpoint: str
    tap: TapArrivy
    client: ArrivyClient

    def __init__(self, tap: TapArrivy) -> None:
        self.client = tap.client
        super().__init__(tap)
        sources = (*type(self).fields, *self.table)
        self._known = {field.source.partition(".")[0] for field in sources}
        self._stamps: dict[Any, str | int] = {}
        self._compared_at: datetime | None = None

    # When all is compared

    @property
    def reads_everything(self) -> bool:
        return self.compares

    @cached_property
    def compares(self) -> bool:
        """Whether this run compares all that Arrivy has with what the target has."""
        days = self.config.get("comparison_days")
        if days is None or self.is_filtered:
            return False
        last = self.stream_state.get("compared_at")
        due = dates.parse_datetime(last) + timedelta(days=days) if last else None
        return due is None or self.client.server_now() >= due

    @property
    def is_filtered(self) -> bool:
        """Whether a setting leaves out rows, so that one that does not come may well exist."""
        return False

    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        if self._compared_at and self.status.status == "success" and not self.is_cut:
            self.stream_state["compared_at"] = dates.text(self._compared_at)
        super().finalize_state_progress_markers(state)

    # Reading

    def pages(self) -> Iterator[list[Row]]:
        began = self.client.server_now()
        before = yield from self._reading()
        if not self.compares or self.status.status != "running":
            return
        for _ in range(READINGS - 1 if self.has_pages else 0):
            now = yield from self._reading()
            if before <= now:
                break
            before = now
        else:
            if self.has_pages:
                self._stream_version = None  # so no row is marked as deleted
                self.logger.warning(
                    "%s kept changing while they were compared; deleted ones are looked for again "
                    "in the next run",
                    self.name,
                )
                return
        self._compared_at = began

    def _reading(self) -> Generator[list[Row], None, set[Any]]:
        """Read the list once, yield what is new in it, and give the ids of all that is in it."""
        ids: set[Any] = set()
        for page in self.read():
            ids.update(row["id"] for row in page)
            yield self._normal(row for row in page if self._is_new(row))
        return ids

    def read(self) -> Iterator[list[Row]]:
        """Read the list once."""
        try:
            if self.has_pages:
                yield from self.client.pages(self.endpoint, self.query)
            else:
                yield listed(self.client.one(self.endpoint))
        except self.tolerated as error:
            self.status.skip(f"{self.endpoint}, which not every account has ({error})")

    def _is_new(self, row: Row) -> bool:
        """Whether a row did not come yet in this run, or came older than it is."""
        stamp = row.get("updated") or hash(encode(row))
        known = self._stamps.get(row["id"])
        if known == stamp or (isinstance(known, str) and isinstance(stamp, str) and stamp < known):
            return False
        self._stamps[row["id"]] = stamp
        return True

    def _normal(self, rows: Iterable[Row]) -> list[Row]:
        """Rows with lists of ids as such, and with what no column takes in one place."""
        normal = []
        for row in rows:
            other = {name: value for name, value in row.items() if name not in self._known}
            lists = {name: id_list(row[name]) for name in self.id_lists if name in row}
            normal.append({**row, **lists, OTHER.source: other or None})
        return normal


def id_list(value: Any) -> Any:
    """Ids from an array, or from text with commas, as whole numbers where they are such."""
    if isinstance(value, str) and not value.lstrip().startswith("["):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list):
        return value
    return [int(it) if isinstance(it, str) and it.isdecimal() else it for it in value]
