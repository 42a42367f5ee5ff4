"""Search filters: from the request's form to a test on a record."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from crm_sandbox.clock import from_iso
from crm_sandbox.hubspot.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from crm_sandbox.hubspot.model import ObjectType, Property, Record

    Test = Callable[[Record], bool]
    Read = Callable[[Record], Any]

Operator = Literal[
    "EQ",
    "NEQ",
    "LT",
    "LTE",
    "GT",
    "GTE",
    "BETWEEN",
    "IN",
    "NOT_IN",
    "HAS_PROPERTY",
    "NOT_HAS_PROPERTY",
    "CONTAINS_TOKEN",
    "NOT_CONTAINS_TOKEN",
]
_ORDERED = ("LT", "LTE", "GT", "GTE", "BETWEEN")
_LISTS = ("IN", "NOT_IN")
_EXISTENCE = ("HAS_PROPERTY", "NOT_HAS_PROPERTY")


class Filter(msgspec.Struct, rename="camel", frozen=True):
    """One condition of a search."""

    property_name: str
    operator: Operator
    value: str | None = None
    values: tuple[str, ...] | None = None
    high_value: str | None = None


def compile_filter(one: Filter, kind: ObjectType, *, iso_dates: bool) -> Test:
    """Return the test a filter stands for.

    Raises:
        ApiError: the property is unknown, or the operator lacks its value or has a bad one.
    """
    if one.property_name == "hs_lastmodifieddate" and kind.modified != one.property_name:
        # Section 5.5: on contacts this finds nothing and is no error.
        return lambda _: False
    known = kind.properties.get(one.property_name)
    if known is None or known.archived_at is not None:
        raise invalid(
            f"There was a problem with the request: unknown property {one.property_name}",
            "INVALID_PROPERTY",
            propertyName=one.property_name,
        )
    _check_operands(one)
    read = comparable(known, kind)
    if one.operator in _EXISTENCE:
        wanted = one.operator == "HAS_PROPERTY"
        return lambda record: (read(record) is not None) == wanted
    convert = _operand(known, iso_dates=iso_dates)
    if one.operator in _ORDERED:
        return _ordered(one, read, convert)
    positive = one.operator in ("EQ", "IN", "CONTAINS_TOKEN")
    test = (
        _tokens(one, read) if one.operator.endswith("TOKEN") else _equal(one, known, read, convert)
    )
    if positive:
        return test
    # A record without a value is not in the result of a negative operator either.
    return lambda record: read(record) is not None and not test(record)


def _check_operands(one: Filter) -> None:
    name = one.property_name
    if one.operator in _LISTS:
        if not one.values:
            raise invalid(
                f"operator {one.operator} requires values", "MISSING_VALUES", propertyName=name
            )
    elif one.operator not in _EXISTENCE and one.value is None:
        raise invalid(
            f"operator {one.operator} requires a value", "MISSING_VALUE", propertyName=name
        )
    if one.operator == "BETWEEN" and one.high_value is None:
        raise invalid(
            "operator BETWEEN requires highValue", "MISSING_HIGH_VALUE", propertyName=name
        )


def comparable(known: Property, kind: ObjectType) -> Read:
    """Return a function giving a record's value in comparable form, None where it has none."""
    name = known.name
    if name == "hs_object_id":
        return lambda record: record.id
    if name == kind.modified:
        return lambda record: record.modified
    if name == kind.created:
        return lambda record: record.created
    convert: Callable[[str], Any] = str.lower
    if known.type == "number":
        convert = _number
    elif known.type in ("date", "datetime"):
        convert = _moment
    elif known.type == "enumeration":
        convert = str

    def read(record: Record) -> Any:
        value = record.values.get(name)
        return convert(value) if value else None

    return read


def _operand(known: Property, *, iso_dates: bool) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        value: Any = text
        if known.type == "number":
            value = _number(text)
        elif known.type in ("date", "datetime"):
            digits = text.lstrip("-").isdecimal()
            value = int(text) if digits else _moment(text) if iso_dates else None
        elif known.type != "enumeration":
            value = text.lower()
        if value is None:
            raise invalid(
                f"{text} is not a valid value for {known.name}",
                "INVALID_FILTER_VALUE",
                propertyName=known.name,
            )
        return value

    return convert


def _ordered(one: Filter, read: Read, convert: Callable[[str], Any]) -> Test:
    low = convert(one.value or "")
    tests: dict[str, Test] = {
        "LT": lambda record: (value := read(record)) is not None and value < low,
        "LTE": lambda record: (value := read(record)) is not None and value <= low,
        "GT": lambda record: (value := read(record)) is not None and value > low,
        "GTE": lambda record: (value := read(record)) is not None and value >= low,
    }
    if one.operator != "BETWEEN":
        return tests[one.operator]
    high = convert(one.high_value or "")
    return lambda record: (value := read(record)) is not None and low <= value <= high


def _equal(one: Filter, known: Property, read: Read, convert: Callable[[str], Any]) -> Test:
    if one.operator in _LISTS:
        # `IN` on strings wants lower-case values (section 5.2): others never match.
        keep = known.type in ("string", "phone_number")
        wanted = {value if keep else convert(value) for value in one.values or ()}
    else:
        wanted = {convert(one.value or "")}
    if known.field_type == "checkbox":
        return lambda record: not wanted.isdisjoint((read(record) or "").split(";"))
    return lambda record: read(record) in wanted


def _tokens(one: Filter, read: Read) -> Test:
    words = re.findall(r"[\w*]+", (one.value or "").lower())
    patterns = [re.compile(re.escape(word).replace(r"\*", ".*")) for word in words]

    def test(record: Record) -> bool:
        found = re.findall(r"\w+", str(read(record) or "").lower())
        return all(any(pattern.fullmatch(word) for word in found) for pattern in patterns)

    return test


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _moment(text: str) -> int | None:
    try:
        return from_iso(text)
    except ValueError:
        return None
