"""The search endpoint: validation, matching, the 10,000 cap, and a cache for paging."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import msgspec

from crm_sandbox.hubspot.errors import invalid
from crm_sandbox.hubspot.filters import Filter, comparable, compile_filter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crm_sandbox.hubspot.model import ObjectType, Record
    from crm_sandbox.hubspot.store import Store

RESULT_CAP = 10_000
PAGE_CAP = 200
GROUP_CAP, FILTERS_IN_GROUP_CAP, FILTER_CAP = 5, 6, 18
CACHED_QUERIES = 16


class Group(msgspec.Struct, rename="camel", frozen=True):
    """Filters that have to hold together."""

    filters: tuple[Filter, ...] = ()


class Sort(msgspec.Struct, rename="camel", frozen=True):
    """The one rule results are ordered by."""

    property_name: str
    direction: str = "ASCENDING"


class Query(msgspec.Struct, rename="camel"):
    """The body of a search request."""

    filter_groups: tuple[Group, ...] = ()
    sorts: tuple[Sort | str, ...] = ()
    properties: tuple[str, ...] = ()
    query: str | None = None
    limit: int = 10
    after: str | int | None = None

    def offset(self) -> int:
        """Return where the page starts.

        Raises:
            ApiError: the cursor is no number, or the page goes past the cap.
        """
        text = str(self.after or 0)
        if not text.isdecimal():
            raise invalid(f"Invalid paging cursor: {text}", "INVALID_AFTER", after=text)
        if not 1 <= self.limit <= PAGE_CAP:
            raise invalid(f"Invalid limit {self.limit}: at most {PAGE_CAP}", "INVALID_LIMIT")
        if int(text) + self.limit > RESULT_CAP:
            raise invalid(f"Paging past {RESULT_CAP} results is not supported.", "PAGING_TOO_DEEP")
        return int(text)

    def order(self) -> Sort | None:
        """Return the sort rule.

        Raises:
            ApiError: there is more than one.
        """
        if len(self.sorts) > 1:
            raise invalid("Only one sort is supported.", "TOO_MANY_SORTS")
        if not self.sorts:
            return None
        first = self.sorts[0]
        if isinstance(first, Sort):
            return first
        return Sort(first.lstrip("-"), "DESCENDING" if first.startswith("-") else "ASCENDING")


class Matches:
    """All records a query found, in its order."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self._ids: list[int] | None = None

    def ids(self) -> list[int]:
        """Return the ids of records that are in the order of their ids."""
        if self._ids is None:
            self._ids = [record.id for record in self.records]
        return self._ids


class Searcher:
    """Answers searches; paging through one query by id costs one scan in all."""

    def __init__(self) -> None:
        self._cache: OrderedDict[Any, Matches] = OrderedDict()

    def find(self, store: Store, query: Query) -> tuple[int, Sequence[Record], int | None]:
        """Return the number of matches, one page of them and the offset of the next.

        Raises:
            ApiError: the query breaks a rule.
        """
        _check_size(query)
        offset, order = query.offset(), query.order()
        groups, low, high = query.filter_groups, 0, None
        by_id = order is not None and order.property_name == "hs_object_id"
        if by_id and order and order.direction != "DESCENDING" and len(groups) == 1:
            groups, low, high = _without_id_bounds(groups[0])
        matches = self._matches(store, query.query, groups, order)
        start, end = 0, len(matches.records)
        if low or high is not None:
            start = bisect_left(matches.ids(), low)
            end = end if high is None else bisect_right(matches.ids(), high)
        total = max(end - start, 0)
        page = matches.records[start + offset : min(start + offset + query.limit, end)]
        following = offset + query.limit
        return total, page, following if following < total else None

    def _matches(
        self, store: Store, text: str | None, groups: tuple[Group, ...], order: Sort | None
    ) -> Matches:
        records = store.indexed()
        iso_dates = store.switches.iso_dates_in_filters
        key = (store.kind.key, store.version, text, groups, order, iso_dates)
        cached = self._cache.get(key)
        if cached is not None:
            self._cache.move_to_end(key)
            return cached
        test = _any_group(groups, store.kind, iso_dates=iso_dates)
        found = [record for record in records if test(record)] if test else records
        if text:
            found = [record for record in found if _mentions(record, store.kind, text.lower())]
        matches = Matches(_sorted(found, store.kind, order))
        self._cache[key] = matches
        if len(self._cache) > CACHED_QUERIES:
            self._cache.popitem(last=False)
        return matches


def _check_size(query: Query) -> None:
    groups = query.filter_groups
    sizes = [len(group.filters) for group in groups]
    if len(groups) > GROUP_CAP or any(size > FILTERS_IN_GROUP_CAP for size in sizes):
        raise invalid(
            f"At most {GROUP_CAP} filter groups of {FILTERS_IN_GROUP_CAP} filters.",
            "TOO_MANY_FILTERS",
        )
    if sum(sizes) > FILTER_CAP:
        raise invalid(f"At most {FILTER_CAP} filters in all.", "TOO_MANY_FILTERS")


def _without_id_bounds(group: Group) -> tuple[tuple[Group, ...], int, int | None]:
    """Split a group into its other filters and the range of ids it allows."""
    rest: list[Filter] = []
    low, high = 0, None
    for one in group.filters:
        bound = int(one.value) if one.value is not None and one.value.isdecimal() else None
        if one.property_name != "hs_object_id" or bound is None:
            rest.append(one)
        elif one.operator in ("GT", "GTE"):
            low = max(low, bound + (one.operator == "GT"))
        elif one.operator in ("LT", "LTE"):
            bound -= one.operator == "LT"
            high = bound if high is None else min(high, bound)
        else:
            rest.append(one)
    return (Group(tuple(rest)),), low, high


def _any_group(
    groups: tuple[Group, ...], kind: ObjectType, *, iso_dates: bool
) -> Callable[[Record], bool] | None:
    compiled = [
        [compile_filter(one, kind, iso_dates=iso_dates) for one in group.filters]
        for group in groups
    ]
    if not any(compiled):
        return None
    if len(compiled) == 1:
        tests = compiled[0]
        if len(tests) == 1:
            return tests[0]
        return lambda record: all(test(record) for test in tests)
    return lambda record: any(all(test(record) for test in tests) for tests in compiled)


def _mentions(record: Record, kind: ObjectType, text: str) -> bool:
    values = (record.values.get(name) or "" for name in kind.searched)
    return any(text in value.lower() for value in values)


def _sorted(found: Sequence[Record], kind: ObjectType, order: Sort | None) -> Sequence[Record]:
    if order is None:
        return sorted(found, key=lambda record: (record.created, record.id))
    name = order.property_name
    if name not in kind.properties:
        raise invalid(f"unknown property {name} in sorts", "INVALID_SORT", propertyName=name)
    descending = order.direction == "DESCENDING"
    keys: dict[str, Callable[[Record], Any]] = {
        "hs_object_id": lambda record: record.id,
        kind.modified: lambda record: record.modified,
        kind.created: lambda record: record.created,
    }
    key = keys.get(name) or _value_key(kind, name)
    return sorted(found, key=key, reverse=descending)


def _value_key(kind: ObjectType, name: str) -> Callable[[Record], Any]:
    read = comparable(kind.properties[name], kind)

    def key(record: Record) -> tuple[bool, Any]:
        value = read(record)
        return (value is not None, value if value is not None else 0)

    return key
