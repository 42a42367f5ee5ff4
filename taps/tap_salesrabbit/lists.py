"""How every list of SalesRabbit is read: by changes, and as a whole from time to time."""

from __future__ import annotations

from array import array
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from tapkit import dates
from tapkit.fields import Field
from tapkit.stream import Stream

from tap_salesrabbit.client import read_list, records

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping
    from datetime import datetime

    from tap_salesrabbit.client import Page
    from tap_salesrabbit.tap import TapSalesRabbit

__all__ = ["DATA", "PAGE_LIMIT", "List", "page_size"]

PAGE_LIMIT = 2000
RESOLUTION = timedelta(seconds=1)
"""Moments are whole seconds, and whether the filter includes its own is not known."""

PARTS = 16

DATA = Field("data", "object", description="The whole record, as the API gives it")


def page_size(config: Mapping[str, Any]) -> int:
    """Records to ask for at once."""
    return min(int(config["page_size"]), PAGE_LIMIT)


def has_repetitions(hashes: array[int]) -> bool:
    """Whether a number is there twice; looks at a part at a time, as sets take much memory."""
    parts = ([one for one in hashes if one % PARTS == part] for part in range(PARTS))
    return any(len(set(part)) < len(part) for part in parts)


class List(Stream):
    """A list that is filtered by modification, in a header, where a stream has a replication key.

    Every `full_read_days` all of it is read, as deleted records may vanish without a trace. State
    beside the bookmark: `full_read_at`, when that was done, or the count of days began.

    Attributes:
        path: Where the list is.
        since_header: The header that filters it.
        since_zone: How UTC is written there, by clients that it works for.
        identity: Fields that identify a record, in the API's names.
        objects: Fields that hold an object; an empty one may come as an empty array.
    """

    path: ClassVar[str]
    since_header: ClassVar[str] = "If-Modified-Since"
    since_zone: ClassVar[str] = "+00:00"
    identity: ClassVar[tuple[str, ...]] = ("id",)
    objects: ClassVar[tuple[str, ...]] = ()
    is_unpaged: ClassVar[bool] = False
    tap: TapSalesRabbit

    def __init__(self, tap: TapSalesRabbit) -> None:
        self.endpoint = self.path
        self.params: dict[str, Any] = {}
        self._is_answered = False
        super().__init__(tap)

    # What to read

    @cached_property
    def is_due(self) -> bool:
        """Whether the last whole read is too long ago."""
        last = self.stream_state.get("full_read_at")
        days = timedelta(days=self.config["full_read_days"])
        return not days or bool(last and dates.now() - dates.parse_datetime(last) >= days)

    @property
    def look_back(self) -> timedelta:
        return max(super().look_back, RESOLUTION)

    def starting_point(self) -> datetime | None:
        if self.tap.start_date is None and self.is_due:
            return None
        return super().starting_point()

    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        done = self.status.status == "success" and not self.is_cut
        is_first = not self.stream_state.get("full_read_at")
        is_whole = self.reads_everything and self._is_answered
        if self.replication_key and done and (is_first or is_whole):
            self.stream_state["full_read_at"] = dates.text(dates.now())
        super().finalize_state_progress_markers(state)

    # Reading

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        began = dates.now()
        since = self.starting_point()
        headers = {self.since_header: self.header_of(since)} if since else {}
        seen = array("q")
        for index, page in enumerate(self.read(headers)):
            if not index:
                # What changes from now on may be missed on the pages to come.
                self.read_below(self.tap.client.server_time(began))
                if page.total is not None:
                    self.expect(page.total)
            if page.is_unmodified:
                self.keep_unread()
            else:
                self._is_answered = True
            if self._stream_version and page.rows:
                seen.extend(set(map(hash, page.keys)))
            yield [self.row(record) for record in page.rows]
        if has_repetitions(seen):
            self.keep_unread()
            self.logger.warning(
                "The list of %s moved while it was read: what is gone is noticed by a later run",
                self.name,
            )

    def header_of(self, since: datetime) -> str:
        """A moment as the filtering header has it, in whole seconds."""
        return f"{since:%Y-%m-%dT%H:%M:%S}{self.since_zone}"

    def read(self, headers: Mapping[str, str]) -> Iterator[Page]:
        """Read the list as far as the headers filter it."""
        return read_list(
            lambda number: self.fetch(number, headers),
            self.unpack,
            self.key,
            page_size=page_size(self.config),
            is_unpaged=self.is_unpaged,
        )

    def fetch(self, number: int | None, headers: Mapping[str, str]) -> Any:
        """Get a page, by its number."""
        params = {"page": number, "perPage": page_size(self.config), **self.params}
        return self.tap.client.get(self.path, params, headers=headers)

    def unpack(self, data: Any) -> list[dict[str, Any]]:
        """The records of an answer's `data`."""
        return records(data)

    @classmethod
    def key(cls, record: dict[str, Any]) -> Hashable:
        """What identifies a record."""
        return tuple(str(record.get(name)) for name in cls.identity)

    def row(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record beside its fields, and objects as objects."""
        empty: dict[str, Any] = {name: {} for name in self.objects if record.get(name) == []}
        return {**record, **empty, DATA.source: record}
