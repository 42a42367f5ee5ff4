"""Rounds of random changes, the same for the same seed on the same data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crm_sandbox.hubspot.generate import LINKED
from crm_sandbox.hubspot.links import link_types

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from crm_sandbox.hubspot.edits import Edits, Values
    from crm_sandbox.hubspot.links import Pair
    from crm_sandbox.hubspot.model import ObjectType, Record
    from crm_sandbox.hubspot.store import Store

CHANGED_PROPERTIES = 3
MERGEABLE = ("contacts", "companies", "deals", "tickets")


class Mutation:
    """One round; each method makes so many changes of a kind and notes them in `done`.

    Attributes:
        done: Kind of change → object type → ids, or the list of associations.
    """

    def __init__(self, edits: Edits, random: Random, keys: Sequence[str]) -> None:
        self.done: dict[str, Any] = {}
        self._edits = edits
        self._random = random
        self._stores = [edits.account.stores[key] for key in keys]

    def change(self, count: int) -> None:
        """Give a few properties of records new values."""
        for store, records in self._pick(count):
            filled = self._rows(store, len(records))
            for record, values in zip(records, filled, strict=True):
                names = self._random.sample(_editable(store.kind), CHANGED_PROPERTIES)
                chosen: Values = {name: values.get(name) for name in names}
                self._edits.change(store, record, chosen, self._edits.now())
                self._note("changed", store, str(record.id))

    def add(self, count: int) -> None:
        """Add records."""
        for store, number in self._shares(count):
            for values in self._rows(store, number):
                self._note("added", store, self._edits.add(store, values))

    def archive(self, count: int) -> None:
        """Archive live records."""
        for store, records in self._pick(count):
            for record in records:
                self._edits.bin(store, record)
                self._note("archived", store, str(record.id))

    def restore(self, count: int) -> None:
        """Restore archived records."""
        for store, records in self._pick(count, archived=True):
            for record in records:
                self._edits.unbin(store, record)
                self._note("restored", store, str(record.id))

    def purge(self, count: int) -> None:
        """Delete live records for good."""
        for store, records in self._pick(count):
            for record in records:
                self._edits.wipe(store, record)
                self._note("purged", store, str(record.id))

    def merge(self, count: int) -> None:
        """Merge pairs of records of one type."""
        for _ in range(count):
            able = [
                one for one in self._stores if one.kind.key in MERGEABLE and len(one.live()) > 1
            ]
            if not able:
                return
            store = self._random.choice(able)
            kept, absorbed = self._random.sample(store.live(), 2)
            survivor = self._edits.absorb(store, kept, absorbed)
            merged = {"survivor": survivor, "from": [str(kept.id), str(absorbed.id)]}
            self.done.setdefault("merged", {}).setdefault(store.kind.key, []).append(merged)

    def associate(self, count: int) -> None:
        """Associate random records of pairs that have associations."""
        account = self._edits.account
        for _ in range(count):
            pairs = [one for one in self._pairs() if all(account.stores[key].live() for key in one)]
            if not pairs:
                return
            pair = self._random.choice(pairs)
            one, other = (self._random.choice(account.stores[key].live()).id for key in pair)
            types = link_types(account.types[pair[0]], account.types[pair[1]])
            label = self._random.choice(types).label
            if pair[0] != pair[1] or one != other:
                account.links.connect(pair, one, other, label)
                self._note_link("associated", pair, one, other)

    def dissociate(self, count: int) -> None:
        """Remove random associations."""
        links = self._edits.account.links
        for _ in range(count):
            pairs = [pair for pair in self._pairs() if links.of_pair(pair)]
            if not pairs:
                return
            pair = self._random.choice(pairs)
            one = self._random.choice(sorted(links.of_pair(pair)))
            other = self._random.choice(sorted(links.of_pair(pair)[one]))
            links.disconnect(pair, one, other)
            self._note_link("dissociated", pair, one, other)

    def _pairs(self) -> list[Pair]:
        keys = {store.kind.key for store in self._stores}
        return [pair for pair in LINKED if keys.issuperset(pair)]

    def _shares(self, count: int, *, archived: bool = False) -> list[tuple[Store, int]]:
        """Divide a count among the types by their number of records."""
        sizes = [len(store.view(archived=archived).records) for store in self._stores]
        if not count or not any(sizes):
            return []
        chosen = self._random.choices(range(len(sizes)), weights=sizes, k=count)
        return [(store, chosen.count(at)) for at, store in enumerate(self._stores)]

    def _pick(self, count: int, *, archived: bool = False) -> list[tuple[Store, list[Record]]]:
        picked = []
        for store, number in self._shares(count, archived=archived):
            records = store.view(archived=archived).records
            picked.append((store, self._random.sample(records, min(number, len(records)))))
        return picked

    def _rows(self, store: Store, number: int) -> list[Values]:
        return self._edits.made_up(store, self._random, number)

    def _note(self, what: str, store: Store, record_id: str) -> None:
        self.done.setdefault(what, {}).setdefault(store.kind.key, []).append(record_id)

    def _note_link(self, what: str, pair: Pair, one: int, other: int) -> None:
        entry = dict(zip(("from_type", "to_type"), pair, strict=True))
        entry |= {"from_id": str(one), "to_id": str(other)}
        self.done.setdefault(what, []).append(entry)


def _editable(kind: ObjectType) -> list[str]:
    """Return properties users can set; those without a filler stay as they are."""
    chosen = [one for one in kind.live_properties() if one.make is not None and not one.calculated]
    names = [one.name for one in chosen]
    return names if len(names) >= CHANGED_PROPERTIES else names * CHANGED_PROPERTIES
