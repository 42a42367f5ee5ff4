"""The records of one object type, as the list, batch and search endpoints see them."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from crm_sandbox.clock import DAY_MS, iso

if TYPE_CHECKING:
    from collections.abc import Callable

    from crm_sandbox.clock import Clock
    from crm_sandbox.hubspot.model import ObjectType, Record
    from crm_sandbox.hubspot.switches import Switches

RECOVERABLE_MS = 90 * DAY_MS
_NEVER = 1 << 62


class View:
    """Records in a stable order, with the keys of that order."""

    def __init__(self, records: list[Record], key: Callable[[int], int]) -> None:
        pairs = [(key(record.id), record) for record in records]
        pairs.sort(key=_first)
        self.keys = [one for one, _ in pairs]
        self.records = [record for _, record in pairs]

    def page(self, start: int, limit: int) -> tuple[list[Record], int | None]:
        """Return the records from a key on, and the key of the next page."""
        at = bisect_left(self.keys, start)
        following = self.keys[at + limit] if at + limit < len(self.keys) else None
        return self.records[at : at + limit], following


class Store:
    """The records of one object type.

    Attributes:
        kind: The object type.
        records: All of them by id, archived ones too.
        merged: Absorbed ids with the id that took their place.
        next_id: Id of the next new record.
        version: Rises with every change of what search can find.
        switches: The switches in force.
    """

    def __init__(self, kind: ObjectType, clock: Clock, switches: Switches) -> None:
        self.kind = kind
        self.records: dict[int, Record] = {}
        self.merged: dict[int, int] = {}
        self.next_id = kind.first_id
        self.version = 0
        self.switches = switches
        self._clock = clock
        self._oldest_archived = _NEVER
        self._views: dict[tuple[bool, str], tuple[int, View]] = {}
        self._indexed: tuple[int, list[Record]] = (-1, [])
        # Per id what the search index still shows, and until when.
        self._stale: dict[int, list[tuple[int, Record | None]]] = {}

    def get(self, record_id: int, *, archived: bool = False) -> Record | None:
        """Return a live or an archived record."""
        self._expire()
        record = self.records.get(record_id)
        if record is None or (record.archived is not None) != archived:
            return None
        return record

    def live(self) -> list[Record]:
        """Return the live records by id."""
        return self.view(archived=False).records

    def view(self, *, archived: bool, order: str = "id") -> View:
        """Return live or archived records in an order named as in the switches."""
        self._expire()
        version, view = self._views.get((archived, order), (-1, None))
        if view is None or version != self.version:
            bin_ = archived
            chosen = [one for one in self.records.values() if (one.archived is not None) == bin_]
            view = View(chosen, _scatter if order == "scattered" else _same)
            self._views[archived, order] = self.version, view
        return view

    def add(self, record: Record) -> None:
        """Add a new record."""
        self._before_change(record.id)
        self.records[record.id] = record
        self.next_id = max(self.next_id, record.id + 1)

    def change(self, record: Record, values: dict[str, str | None], modified: int | None) -> None:
        """Set values of a record and, unless it is None, its modified date."""
        self._before_change(record.id)
        record.values.update(values)
        if modified is not None:
            record.modified = modified
            record.values[self.kind.modified] = iso(modified)

    def archive(self, record: Record, at: int | None) -> None:
        """Put a record into the bin at a time, or with None take it out."""
        self._before_change(record.id)
        record.archived = at
        self._oldest_archived = min(self._oldest_archived, _NEVER if at is None else at)

    def remove(self, record_id: int) -> None:
        """Delete a record for good."""
        self._before_change(record_id)
        del self.records[record_id]

    def indexed(self) -> list[Record]:
        """Return the live records by id as the search index shows them.

        As long as `version` stays the same, so does the answer.
        """
        self._expire()
        if self._stale:
            self._settle()
        version, records = self._indexed
        if version != self.version:
            records = self._overlaid() if self._stale else self.live()
            self._indexed = self.version, records
        return records

    def _before_change(self, record_id: int) -> None:
        self.version += 1
        lag_ms = self.switches.search_lag_seconds * 1000
        if lag_ms:
            record = self.records.get(record_id)
            former = None if record is None or record.archived is not None else record.copy()
            until = self._clock.now_ms() + lag_ms
            self._stale.setdefault(record_id, []).append((until, former))

    def _settle(self) -> None:
        """Forget former states the index has caught up with."""
        now = self._clock.now_ms()
        for record_id, states in list(self._stale.items()):
            waiting = [state for state in states if state[0] > now]
            if len(waiting) != len(states):
                self.version += 1
            if waiting:
                self._stale[record_id] = waiting
            else:
                del self._stale[record_id]

    def _overlaid(self) -> list[Record]:
        shown = {one.id: one for one in self.live() if one.id not in self._stale}
        former = (states[0][1] for states in self._stale.values())
        shown.update({one.id: one for one in former if one is not None})
        return [shown[record_id] for record_id in sorted(shown)]

    def _expire(self) -> None:
        """Drop what was archived more than 90 days ago."""
        horizon = self._clock.now_ms() - RECOVERABLE_MS
        if self._oldest_archived > horizon:
            return
        times = {one.id: one.archived for one in self.records.values() if one.archived is not None}
        for record_id in [one for one, at in times.items() if at <= horizon]:
            del self.records[record_id], times[record_id]
        self._oldest_archived = min(times.values(), default=_NEVER)
        self.version += 1


def _first(pair: tuple[int, Record]) -> int:
    return pair[0]


def _same(record_id: int) -> int:
    return record_id


def _scatter(record_id: int) -> int:
    """Map ids to an order that looks like none; an odd factor keeps ids below 2**32 apart."""
    return record_id * 2_654_435_761 % (1 << 32)
