"""The account's data, made from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crm_sandbox.clock import DAY_MS, iso
from crm_sandbox.columns import Columns, iso_all
from crm_sandbox.hubspot.model import Record
from crm_sandbox.hubspot.properties import OWNERS
from crm_sandbox.words import FIRST_NAMES, LAST_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from crm_sandbox.hubspot.links import Links, Pair
    from crm_sandbox.hubspot.model import ObjectType
    from crm_sandbox.hubspot.store import Store

# Pairs of types, the share of records of the first that have such an association, labels in use.
LINKED: dict[Pair, tuple[float, tuple[str | None, ...]]] = {
    ("contacts", "companies"): (0.6, ("Primary", "Primary", None, "Decision maker")),
    ("contacts", "2-37000001"): (0.8, (None,)),
    ("deals", "contacts"): (0.9, (None,)),
    ("deals", "companies"): (0.5, ("Primary", None)),
    ("tickets", "contacts"): (0.8, (None,)),
    ("leads", "contacts"): (1.0, (None,)),
    ("leads", "deals"): (0.4, (None,)),
    ("line_items", "deals"): (0.9, (None,)),
    ("quotes", "deals"): (0.9, (None,)),
    ("appointments", "contacts"): (0.9, (None, None, "Homeowner")),
    ("appointments", "2-42000001"): (0.3, (None,)),
    ("calls", "contacts"): (0.9, (None,)),
    ("emails", "contacts"): (0.9, (None,)),
    ("meetings", "contacts"): (0.9, (None,)),
    ("notes", "contacts"): (0.7, (None,)),
    ("notes", "deals"): (0.3, (None,)),
    ("tasks", "contacts"): (0.9, (None,)),
    ("companies", "companies"): (0.05, (None,)),
}


def rows(kind: ObjectType, random: Random, size: int, newest: int) -> list[dict[str, str | None]]:
    """Return values of new records, without their id and dates; unset ones are left out."""
    columns = Columns(random, size, newest)
    for one in kind.properties.values():
        if one.make is not None:
            columns.values[one.name] = one.make(columns)
    names = tuple(columns.values)
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in zip(*columns.values.values(), strict=True)
    ]


def fill(store: Store, random: Random, size: int, newest: int) -> None:
    """Make the records of a type; one in 50 was archived within the last 80 days."""
    kind = store.kind
    made = sorted(random.choices(range(newest - 730 * DAY_MS, newest - 90 * DAY_MS), k=size))
    changed = random.choices(range(newest - 90 * DAY_MS, newest), k=size)
    steps = random.choices((1, 1, 2, 5), k=size)
    record_id = kind.first_id
    filled = zip(
        rows(kind, random, size, newest),
        steps,
        made,
        iso_all(made),
        changed,
        iso_all(changed),
        strict=True,
    )
    for values, step, made_ms, made_text, changed_ms, changed_text in filled:
        values["hs_object_id"] = str(record_id)
        values[kind.created] = made_text
        values[kind.modified] = changed_text
        store.add(Record(record_id, values, made_ms, changed_ms))
        record_id += step
    for one in random.sample(list(store.records.values()), size // 50):
        at = newest - random.randrange(80 * DAY_MS)
        store.change(one, {}, at)
        store.archive(one, at)


def link(links: Links, stores: Mapping[str, Store], pair: Pair, random: Random) -> None:
    """Associate the records of a pair of types; two in ten have a second target."""
    share, labels = LINKED[pair]
    sources, targets = (list(stores[key].records) for key in pair)
    if not targets:
        return
    for copy, part in enumerate((share, share * 0.2)):
        for source, target in zip(sources, random.choices(targets, k=len(sources)), strict=True):
            if random.random() < part and (pair[0] != pair[1] or source != target):
                label = None if copy else labels[int(random.random() * len(labels))]
                links.connect(pair, source, target, label)


def owners(newest: int) -> list[dict[str, Any]]:
    """Return the owners in the form of the Owners API; the last three are archived."""
    made = []
    for number, owner_id in enumerate(OWNERS):
        archived = number >= len(OWNERS) - 3
        owner: dict[str, Any] = {
            "id": owner_id,
            "email": f"rep{number}@example.com",
            "type": "QUEUE" if number == 1 else "PERSON",
            "firstName": FIRST_NAMES[number * 2],
            "lastName": LAST_NAMES[number * 2],
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
        made.append(owner)
    return made


def lists(
    stores: Mapping[str, Store], newest: int
) -> tuple[list[dict[str, Any]], dict[str, list[int]]]:
    """Return lists in the form of the Lists API, and the ids on each by list id."""
    made, members = [], {}
    plan = (
        ("contacts", "MANUAL", 7),
        ("contacts", "DYNAMIC", 3),
        ("contacts", "SNAPSHOT", 11),
        ("companies", "DYNAMIC", 2),
        ("deals", "MANUAL", 4),
    )
    for number, (key, processing, every) in enumerate(plan):
        list_id = str(number + 1)
        members[list_id] = [one.id for one in stores[key].live()][::every]
        day = iso(newest - (400 - number) * DAY_MS)
        made.append(
            {
                "listId": list_id,
                "listVersion": 1,
                "name": f'{key.capitalize()}, every {every}. "{processing.lower()}"',
                "objectTypeId": stores[key].kind.type_id,
                "processingType": processing,
                "processingStatus": "COMPLETE",
                "createdAt": day,
                "updatedAt": day,
                "filtersUpdatedAt": day,
                "createdById": "5501",
                "updatedById": "5501",
                "size": len(members[list_id]),
            }
        )
    return made, members
