"""One HubSpot account: its object types, records, associations, owners and lists."""

from __future__ import annotations

import gc
from random import Random
from typing import TYPE_CHECKING, Any

from crm_sandbox.clock import DAY_MS, iso
from crm_sandbox.columns import Columns, iso_all
from crm_sandbox.hubspot.catalog import SIZES, object_types
from crm_sandbox.hubspot.links import Links, Pair, link_types
from crm_sandbox.hubspot.model import PORTAL, ObjectType, Record
from crm_sandbox.hubspot.properties import OWNERS
from crm_sandbox.hubspot.store import Store
from crm_sandbox.hubspot.switches import Switches
from crm_sandbox.words import FIRST_NAMES, LAST_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crm_sandbox.clock import Clock

# From, to, share of the records that have such an association, labels in use.
_LINKED: tuple[tuple[str, str, float, tuple[str | None, ...]], ...] = (
    ("contacts", "companies", 0.6, ("Primary", "Primary", None, "Decision maker")),
    ("contacts", "2-37000001", 0.8, (None,)),
    ("deals", "contacts", 0.9, (None,)),
    ("deals", "companies", 0.5, ("Primary", None)),
    ("tickets", "contacts", 0.8, (None,)),
    ("leads", "contacts", 1.0, (None,)),
    ("leads", "deals", 0.4, (None,)),
    ("line_items", "deals", 0.9, (None,)),
    ("quotes", "deals", 0.9, (None,)),
    ("appointments", "contacts", 0.9, (None, None, "Homeowner")),
    ("appointments", "2-42000001", 0.3, (None,)),
    ("calls", "contacts", 0.9, (None,)),
    ("emails", "contacts", 0.9, (None,)),
    ("meetings", "contacts", 0.9, (None,)),
    ("notes", "contacts", 0.7, (None,)),
    ("notes", "deals", 0.3, (None,)),
    ("tasks", "contacts", 0.9, (None,)),
    ("companies", "companies", 0.05, (None,)),
)


class Account:
    """The data of one account, made from a seed.

    Attributes:
        types: Object types by key: the name, or the id of a custom one.
        stores: Their records by the same key.
        links: The associations.
        owners: Owners in the form of the Owners API.
        lists: Lists in the form of the Lists API.
        members: Record ids of each list by list id.
        anchor_ms: Newest time of the data made.
    """

    def __init__(self, clock: Clock, seed: int, sizes: Mapping[str, int]) -> None:
        self.clock = clock
        self.switches = Switches()
        self.types = object_types()
        self.stores = {key: Store(one, clock, self.switches) for key, one in self.types.items()}
        self.links = Links(self.types, self.switches)
        # The day's start, so that a seed gives the same data all day.
        newest = self.anchor_ms = clock.now_ms() // DAY_MS * DAY_MS
        gc.disable()
        try:
            for key, store in self.stores.items():
                _fill(store, Random(f"{seed} {key}"), sizes.get(key, SIZES[key]), newest)  # noqa: S311
            for from_key, to_key, share, labels in _LINKED:
                self._link((from_key, to_key), Random(f"{seed} {from_key} {to_key}"), share, labels)  # noqa: S311
        finally:
            gc.enable()
        self.owners = _owners(newest)
        self.lists, self.members = self._lists(newest)
        self._names = self._path_names()

    def find_type(self, name: str) -> ObjectType | None:
        """Return the type a path names: by name, singular, id or fully qualified name."""
        return self._names.get(name.lower())

    def use(self, switches: Switches) -> None:
        """Put other switches in force."""
        self.switches = self.links.switches = switches
        for store in self.stores.values():
            store.switches = switches

    def linked(self, pair: Pair, from_id: int) -> list[tuple[int, Any]]:
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
                names.setdefault(name.lower(), one)
        return names

    def _link(self, pair: Pair, random: Random, share: float, labels: tuple[Any, ...]) -> None:
        sources, targets = (list(self.stores[key].records) for key in pair)
        if not sources or not targets:
            return
        # Two in ten have a second target.
        for copy, part in enumerate((share, share * 0.2)):
            for source, target in zip(
                sources, random.choices(targets, k=len(sources)), strict=True
            ):
                if random.random() < part and (pair[0] != pair[1] or source != target):
                    label = None if copy else random.choice(labels)
                    self.links.connect(pair, source, target, label)

    def _lists(self, newest: int) -> tuple[list[dict[str, Any]], dict[str, list[int]]]:
        lists, members = [], {}
        plan = (("contacts", "MANUAL", 7), ("contacts", "DYNAMIC", 3), ("contacts", "SNAPSHOT", 11))
        plan += (("companies", "DYNAMIC", 2), ("deals", "MANUAL", 4))
        for number, (key, processing, every) in enumerate(plan):
            list_id = str(number + 1)
            members[list_id] = [one.id for one in self.stores[key].live()][::every]
            made = iso(newest - (400 - number) * DAY_MS)
            lists.append(
                {
                    "listId": list_id,
                    "listVersion": 1,
                    "name": f"{key.capitalize()}, every {every}. \"{processing.lower()}\"",
                    "objectTypeId": self.types[key].type_id,
                    "processingType": processing,
                    "processingStatus": "COMPLETE",
                    "createdAt": made,
                    "updatedAt": made,
                    "filtersUpdatedAt": made,
                    "createdById": "5501",
                    "updatedById": "5501",
                    "size": len(members[list_id]),
                }
            )  # fmt: skip
        return lists, members


def _fill(store: Store, random: Random, size: int, newest: int) -> None:
    """Make the records of a type; about 2 % of them archived within the last 80 days."""
    kind = store.kind
    columns = Columns(random, size, newest)
    for one in kind.properties.values():
        if one.make is not None:
            columns.values[one.name] = one.make(columns)
    steps = random.choices((1, 1, 2, 5), k=size)
    ids, last = [], kind.first_id
    for step in steps:
        ids.append(last)
        last += step
    oldest = newest - 730 * DAY_MS
    created = sorted(random.choices(range(oldest, newest - 90 * DAY_MS), k=size))
    ages = random.choices(range(0, 90 * DAY_MS), k=size)
    modified = [newest - age for age in ages]
    columns.values["hs_object_id"] = list(map(str, ids))
    columns.values[kind.created] = list(iso_all(created))
    columns.values[kind.modified] = list(iso_all(modified))
    names = tuple(columns.values)
    rows = zip(*columns.values.values(), strict=True)
    for record_id, row, made, changed in zip(ids, rows, created, modified, strict=True):
        store.records[record_id] = Record(
            record_id, dict(zip(names, row, strict=True)), made, changed
        )
    for record_id in random.sample(ids, size // 50):
        record = store.records[record_id]
        record.archived = record.modified = newest - random.randrange(80 * DAY_MS)
        record.values[kind.modified] = iso(record.modified)


def _owners(newest: int) -> list[dict[str, Any]]:
    owners = []
    for number, owner_id in enumerate(OWNERS):
        first, last = FIRST_NAMES[number * 2], LAST_NAMES[number * 2]
        archived = number >= len(OWNERS) - 3
        owner: dict[str, Any] = {
            "id": owner_id,
            "email": f"rep{number}@example.com",
            "type": "QUEUE" if number == 1 else "PERSON",
            "firstName": first,
            "lastName": last,
            "userId": None if archived else 5501 + number,
            "userIdIncludingInactive": 5501 + number,
            "createdAt": iso(newest - (700 - number) * DAY_MS),
            "updatedAt": iso(newest - (90 - number) * DAY_MS),
            "archived": archived,
        }
        if number % 3 == 0:
            owner["teams"] = [
                {"id": "12", "name": "West", "primary": True},
                {"id": "13", "name": "Ünited", "primary": False},
            ]
        owners.append(owner)
    return owners


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
