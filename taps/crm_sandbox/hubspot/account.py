"""One HubSpot account: its object types, records, associations, owners and lists."""

from __future__ import annotations

import gc
from random import Random
from typing import TYPE_CHECKING, Any

from crm_sandbox.clock import DAY_MS
from crm_sandbox.hubspot import generate
from crm_sandbox.hubspot.catalog import SIZES, object_types
from crm_sandbox.hubspot.links import Links, Pair, link_types
from crm_sandbox.hubspot.model import PORTAL, ObjectType
from crm_sandbox.hubspot.search import Searcher
from crm_sandbox.hubspot.store import Store
from crm_sandbox.hubspot.switches import Switches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crm_sandbox.clock import Clock
    from crm_sandbox.hubspot.links import LinkTypes


class Account:
    """The data of one account, made from a seed.

    Attributes:
        clock: The sandbox's clock.
        switches: The switches in force.
        types: Object types by key: the name, or the id of a custom one.
        stores: Their records by the same key.
        links: The associations.
        owners: Owners in the form of the Owners API.
        lists: Lists in the form of the Lists API.
        members: Record ids of each list by list id.
        searcher: Answers searches in the stores.
        anchor_ms: Newest time in the data made: the start of the day, UTC.
    """

    def __init__(self, clock: Clock, seed: int, sizes: Mapping[str, int]) -> None:
        self.clock = clock
        self.switches = Switches()
        self.types = object_types()
        self.stores = {key: Store(one, clock, self.switches) for key, one in self.types.items()}
        self.links = Links(self.types, self.switches)
        self.anchor_ms = clock.now_ms() // DAY_MS * DAY_MS
        gc.disable()
        for key, store in self.stores.items():
            random = Random(f"{seed} {key}")  # noqa: S311 - made-up data
            generate.fill(store, random, sizes.get(key, SIZES[key]), self.anchor_ms)
        for pair in generate.LINKED:
            random = Random(f"{seed} {pair}")  # noqa: S311
            generate.link(self.links, self.stores, pair, random)
        # Nothing of it is garbage, and looking through it would stop the server for a while.
        gc.freeze()
        gc.enable()
        self.owners = generate.owners(self.anchor_ms)
        self.lists, self.members = generate.lists(self.stores, self.anchor_ms)
        self.searcher = Searcher()
        self._names = self._path_names()

    def find_type(self, name: str) -> ObjectType | None:
        """Return the type a path names: by name, singular, id or fully qualified name."""
        return self._names.get(name) or self._names.get(name.lower())

    def use(self, switches: Switches) -> None:
        """Put other switches in force."""
        self.switches = self.links.switches = switches
        for store in self.stores.values():
            store.switches = switches

    def linked(self, pair: Pair, from_id: int) -> list[tuple[int, LinkTypes]]:
        """Return the live records a live record is associated with, and how."""
        if self.stores[pair[0]].get(from_id) is None:
            return []
        targets = self.stores[pair[1]]
        found = self.links.targets(pair, from_id)
        return [(one, how) for one, how in sorted(found.items()) if targets.get(one) is not None]

    def _path_names(self) -> dict[str, ObjectType]:
        names: dict[str, ObjectType] = {}
        for one in self.types.values():
            shared = () if one.custom else (one.name, one.singular)
            for name in (one.type_id, one.full_name, *shared):
                names.setdefault(name, one)
                names.setdefault(name.lower(), one)
        return names


def schema(kind: ObjectType, types: Mapping[str, ObjectType], linked: list[Pair]) -> dict[str, Any]:
    """Return a custom object type in the form of the Schemas API."""
    group = f"{kind.name}_information"
    shown = next((one for one in kind.properties.values() if one.custom), None)
    answer: dict[str, Any] = {
        "id": kind.type_id.removeprefix("2-"),
        "objectTypeId": kind.type_id,
        "name": kind.name,
        "fullyQualifiedName": kind.full_name,
        "labels": {"singular": kind.name.capitalize(), "plural": f"{kind.name.capitalize()}s"},
        "primaryDisplayProperty": shown.name if shown else None,
        "secondaryDisplayProperties": [],
        "requiredProperties": [shown.name] if shown else [],
        "searchableProperties": list(kind.searched),
        "allowsSensitiveProperties": False,
        "archived": kind.archived_at is not None,
        "properties": [one.definition(group) for one in kind.live_properties()],
        "associations": [
            {
                "id": str(link_types(types[source], types[target])[0].type_id),
                "name": f"{types[source].singular}_to_{types[target].singular}",
                "fromObjectTypeId": types[source].type_id,
                "toObjectTypeId": types[target].type_id,
                "createdAt": "2025-01-01T00:00:00Z",
                "updatedAt": "2025-01-01T00:00:00Z",
            }
            for source, target in linked
            if kind.key in (source, target)
        ],
        "createdAt": "2025-01-01T00:00:00Z",
        "updatedAt": "2026-01-01T00:00:00Z",
        "portalId": PORTAL,
    }
    return answer
