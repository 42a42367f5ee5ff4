"""Associations between records, with their types and labels."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crm_sandbox.hubspot.model import ObjectType
    from crm_sandbox.hubspot.switches import Switches

Category = Literal["HUBSPOT_DEFINED", "USER_DEFINED"]


class LinkType(msgspec.Struct, frozen=True, rename="camel"):
    """One way two types of records can be associated."""

    category: Category
    type_id: int
    label: str | None = None


Pair = tuple[str, str]
LinkTypes = tuple[LinkType, ...]

# HubSpot's own numbers where they are known; pairs not named here get one made of their names.
_PLAIN: dict[Pair, int] = {
    ("contacts", "companies"): 279, ("companies", "contacts"): 280,
    ("deals", "contacts"): 3, ("contacts", "deals"): 4,
    ("deals", "companies"): 341, ("companies", "deals"): 342,
    ("tickets", "contacts"): 16, ("contacts", "tickets"): 15,
    ("line_items", "deals"): 20, ("deals", "line_items"): 19,
    ("quotes", "deals"): 64, ("deals", "quotes"): 63,
    ("leads", "contacts"): 608, ("contacts", "leads"): 609, ("leads", "deals"): 583,
    ("appointments", "contacts"): 906, ("contacts", "appointments"): 907,
    ("calls", "contacts"): 194, ("contacts", "calls"): 193,
    ("emails", "contacts"): 198, ("contacts", "emails"): 197,
    ("meetings", "contacts"): 200, ("contacts", "meetings"): 199,
    ("notes", "contacts"): 202, ("contacts", "notes"): 201,
    ("tasks", "contacts"): 204, ("contacts", "tasks"): 203,
}  # fmt: skip
_PRIMARY: dict[Pair, int] = {
    ("contacts", "companies"): 1, ("companies", "contacts"): 2,
    ("deals", "companies"): 5, ("companies", "deals"): 6,
}  # fmt: skip
_LABELS: dict[Pair, tuple[tuple[int, str], ...]] = {
    ("contacts", "companies"): ((101, "Decision maker"), (103, 'Bills "to"; accounts')),
    ("companies", "contacts"): ((102, "Decision maker"), (104, 'Bills "to"; accounts')),
    ("appointments", "contacts"): ((105, "Homeowner"),),
    ("contacts", "appointments"): ((106, "Homeowner"),),
}  # fmt: skip
SINGLE_DIRECTION: frozenset[Pair] = frozenset({("leads", "deals")})


def link_types(from_type: ObjectType, to_type: ObjectType) -> LinkTypes:
    """Return the association types of a pair, the one without label first."""
    pair = (from_type.key, to_type.key)
    category: Category = "USER_DEFINED" if from_type.custom or to_type.custom else "HUBSPOT_DEFINED"
    number = _PLAIN.get(pair) or 5000 + zlib.crc32("→".join(pair).encode()) % 90_000
    types = [LinkType(category, number)]
    if pair in _PRIMARY:
        types.append(LinkType("HUBSPOT_DEFINED", _PRIMARY[pair], "Primary"))
    types += [LinkType("USER_DEFINED", one, label) for one, label in _LABELS.get(pair, ())]
    return tuple(types)


class Links:
    """All associations of an account; both directions are kept, unless a pair has only one."""

    def __init__(self, types: Mapping[str, ObjectType], switches: Switches) -> None:
        self.types = types
        self.switches = switches
        self._links: dict[Pair, dict[int, dict[int, LinkTypes]]] = {}
        self._known: dict[Pair, LinkTypes] = {}

    def targets(self, pair: Pair, from_id: int) -> dict[int, LinkTypes]:
        """Return the records a record is associated with, by id, and how."""
        if self.switches.single_direction_pairs and pair[::-1] in SINGLE_DIRECTION:
            return {}
        return self._links.get(pair, {}).get(from_id, {})

    def of_pair(self, pair: Pair) -> dict[int, dict[int, LinkTypes]]:
        """Return all associations of a pair by the id they come from."""
        return self._links.get(pair, {})

    def pairs(self) -> list[Pair]:
        """Return the pairs of types that have associations."""
        return [pair for pair, links in self._links.items() if links]

    def connect(self, pair: Pair, from_id: int, to_id: int, label: str | None = None) -> None:
        """Associate two records, in place of a former association of the two.

        Raises:
            KeyError: the pair has no such label.
        """
        for (source, target), one, other in _directions(pair, from_id, to_id):
            types = self._types(source, target)
            chosen = types[:1]
            if label is not None:
                labelled = {known.label: known for known in types}
                chosen = (types[0], labelled[label])
            self._links.setdefault((source, target), {}).setdefault(one, {})[other] = chosen

    def disconnect(self, pair: Pair, from_id: int, to_id: int) -> bool:
        """Remove the association of two records and say whether there was one."""
        found = False
        for link_pair, one, other in _directions(pair, from_id, to_id):
            targets = self._links.get(link_pair, {}).get(one, {})
            found = targets.pop(other, None) is not None or found
            if not targets:
                self._links.get(link_pair, {}).pop(one, None)
        return found

    def _types(self, source: str, target: str) -> LinkTypes:
        known = self._known.get((source, target))
        if known is None:
            known = link_types(self.types[source], self.types[target])
            self._known[source, target] = known
        return known

    def drop(self, key: str, record_id: int, heir: int | None = None) -> None:
        """Remove all associations of a record, handing them to its heir where there is one."""
        for pair in [pair for pair in self._links if pair[0] == key]:
            for target, types in list(self._links[pair].get(record_id, {}).items()):
                self.disconnect(pair, record_id, target)
                if heir is not None and not (pair[1] == key and target == heir):
                    self.connect(pair, heir, target, types[-1].label)


def _directions(pair: Pair, from_id: int, to_id: int) -> Iterator[tuple[Pair, int, int]]:
    yield pair, from_id, to_id
    yield (pair[1], pair[0]), to_id, from_id
