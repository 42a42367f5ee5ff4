"""The records of one object type, as the list, batch and search endpoints see them."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from crm_sandbox.clock import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from crm_sandbox.clock import Clock
    from crm_sandbox.hubspot.model import ObjectType, Record
    from crm_sandbox.hubspot.switches import Switches

RECOVERABLE_MS = 90 * DAY_MS


class View:
    """Records in a stable order, with the keys of that order."""

    def __init__(self, records: list[Record], key: Callable[[int], int]) -> None:
        pairs = sorted((key(record.id), record) for record in records)
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
        version: Rises with every change of what search can find.
    """

    def __init__(self, kind: ObjectType, clock: Clock, switches: Switches) -> None:
        self.kind = kind
        self.records: dict[int, Record] = {}
        self.merged: dict[int, int] = {}
        self.version = 0
        self.switches = switches
        self._clock = clock
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
        return self.view(archived=False, order="id").records

    def view(self, *, archived: bool, order: str) -> View:
        """Return live or archived records in an order named as in the switches."""
        self._expire()
        version, view = self._views.get((archived, order), (-1, None))
        if view is None or version != self.version:
            chosen = [
                one for one in self.records.values() if (one.archived is not None) == archived
            ]
            view = View(chosen, _scatter if order == "scattered" else _same)
            self._views[archived, order] = self.version, view
        return view

    def before_change(self, record_id: int) -> None:
        """Note that a record is about to change, appear or go."""
        self.version += 1
        lag_ms = self.switches.search_lag_seconds * 1000
        if lag_ms:
            record = self.records.get(record_id)
            former = None if record is None or record.archived is not None else record.copy()
            until = self._clock.now_ms() + lag_ms
            self._stale.setdefault(record_id, []).append((until, former))

    def indexed(self) -> list[Record]:
        """Return the live records by id as the search index shows them; same list, same content."""
        if self._stale:
            self._settle()
        version, records = self._indexed
        if version != self.version:
            records = self._overlaid() if self._stale else self.live()
            self._indexed = self.version, records
        return records

    def _settle(self) -> None:
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
        version, view = self._views.get((True, "expiry"), (-1, None))
        if view is None or version != self.version:
            bin_ = [one for one in self.records.values() if one.archived is not None]
            view = View(bin_, lambda record_id: self.records[record_id].archived or 0)
            self._views[True, "expiry"] = self.version, view
        if view.keys and view.keys[0] <= horizon:
            for record in view.records[: bisect_left(view.keys, horizon + 1)]:
                del self.records[record.id]
            self.version += 1


def _same(record_id: int) -> int:
    return record_id


def _scatter(record_id: int) -> int:
    """Map ids to an order that looks like none; an odd factor keeps them distinct."""
    return record_id * 2_654_435_761 % (1 << 40)
