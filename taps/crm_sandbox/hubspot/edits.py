"""What can be done to single records, in the way HubSpot does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crm_sandbox.clock import DAY_MS, iso
from crm_sandbox.crm import ControlError
from crm_sandbox.hubspot.generate import rows
from crm_sandbox.hubspot.model import Record
from crm_sandbox.hubspot.render import history_entry

if TYPE_CHECKING:
    from random import Random

    from crm_sandbox.hubspot import HubSpot
    from crm_sandbox.hubspot.account import Account
    from crm_sandbox.hubspot.links import Pair
    from crm_sandbox.hubspot.store import Store

Values = dict[str, str | None]


class Edits:
    """Changes to the records of the account."""

    def __init__(self, hubspot: HubSpot) -> None:
        self._hubspot = hubspot

    @property
    def account(self) -> Account:
        """The account as it is now."""
        return self._hubspot.account

    def now(self) -> int:
        """Return the sandbox time in milliseconds."""
        return self._hubspot.world.clock.now_ms()

    def store(self, name: str) -> Store:
        """Return the records of a type.

        Raises:
            ControlError: there is no such type.
        """
        kind = self.account.find_type(name)
        if kind is None:
            raise ControlError(f"no object type {name!r}")
        return self.account.stores[kind.key]

    def record(self, name: str, given: str, *, archived: bool = False) -> tuple[Store, Record]:
        """Return a record with its store.

        Raises:
            ControlError: there is no such record.
        """
        store = self.store(name)
        record = store.get(int(given), archived=archived) if given.isdecimal() else None
        if record is None:
            raise ControlError(f"no {'archived' if archived else 'live'} {name} with id {given}")
        return store, record

    def made_up(self, store: Store, random: Random, count: int) -> list[Values]:
        """Return values of new records; all day the same for the same randomness."""
        return rows(store.kind, random, count, self.now() // DAY_MS * DAY_MS)

    def add(self, store: Store, values: Values) -> str:
        """Add one record made now and return its id."""
        now, record_id = self.now(), store.next_id
        moment = iso(now)
        system = {"hs_object_id": str(record_id), store.kind.created: moment}
        values = values | system | {store.kind.modified: moment}
        store.add(Record(record_id, values, now, now))
        return str(record_id)

    def change(self, store: Store, record: Record, values: Values, modified: int | None) -> None:
        """Change one record and keep the former values as history."""
        history = {} if record.history is None else dict(record.history)
        for name, value in values.items():
            before = record.values.get(name)
            if value != before:
                entries = history.get(name)
                if entries is None:
                    entries = [] if before is None else [history_entry(before, record.created)]
                history[name] = [history_entry(value, modified or self.now()), *entries]
        store.change(record, values, modified)
        record.history = history

    def bin(self, store: Store, record: Record) -> None:
        """Archive one record."""
        now = self.now()
        if self.account.switches.archive_moves_modified:
            store.change(record, {}, now)
        store.archive(record, now)

    def unbin(self, store: Store, record: Record) -> None:
        """Restore one record."""
        if self.account.switches.restore_moves_modified:
            store.change(record, {}, self.now())
        store.archive(record, None)

    def wipe(self, store: Store, record: Record) -> None:
        """Delete one record and its associations for good."""
        store.remove(record.id)
        self.account.links.drop(store.kind.key, record.id)

    def absorb(self, store: Store, kept: Record, absorbed: Record) -> str:
        """Merge the second record into the first, or both into a new one."""
        now, lost = self.now(), [absorbed]
        if self.account.switches.merge_new_id:
            lost = [kept, absorbed]
            heir = store.records[int(self.add(store, dict(kept.values)))]
        else:
            heir = kept
        ids = [str(one.id) for one in lost]
        values: Values = {}
        formats = {"hs_merged_object_ids": "{}", "hs_calculated_merged_vids": f"{{}}:{now}"}
        for name, form in formats.items():
            if name in store.kind.properties:
                former = heir.values.get(name)
                values[name] = ";".join([*([former] if former else []), *map(form.format, ids)])
        self.change(store, heir, values, now)
        for one in lost:
            store.merged[one.id] = heir.id
            store.remove(one.id)
            self.account.links.drop(store.kind.key, one.id, heir.id)
        return str(heir.id)

    def pair(self, from_type: str, from_id: str, to_type: str, to_id: str) -> tuple[Pair, int, int]:
        """Return two records of different or the same type as an association has them.

        Raises:
            ControlError: one of them does not exist.
        """
        source, one = self.record(from_type, from_id)
        target, other = self.record(to_type, to_id)
        return (source.kind.key, target.kind.key), one.id, other.id

    def known(self, store: Store, values: Values) -> Values:
        """Return values that may be set.

        Raises:
            ControlError: a property is unknown or set by the CRM alone.
        """
        unknown = values.keys() - store.kind.properties.keys()
        if unknown:
            raise ControlError(f"{store.kind.key} have no property {', '.join(sorted(unknown))}")
        system = {"hs_object_id", store.kind.created, store.kind.modified} & values.keys()
        if system:
            raise ControlError(f"{', '.join(sorted(system))} cannot be set")
        return values
