from __future__ import annotations

import re
from decimal import Decimal

import email_validator
import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapkit.errors import ConfigValidationError
from tapkit.field_types import PLAIN_EMAIL, PLAIN_PHONE, TYPES
from tapkit.fields import Field, FieldTable, at_least

TABLE = FieldTable(
    [
        Field("id", "object_id"),
        Field("properties.email", "email", name="email"),
        Field("properties.amount", "number", name="amount", check=at_least(0)),
        Field("properties.closed", "datetime", name="closed"),
        Field("properties.won", "boolean", name="won"),
        Field("address.city"),
        Field("tags", "json"),
    ]
)


def test_a_whole_record() -> None:
    source = {
        "id": 17,
        "properties": {
            "email": "ada@example.com",
            "amount": "12345678901234567890.50",
            "closed": "2026-11-30T18:00:00Z",
            "won": "true",
            "unknown": "x",
        },
        "address": {"city": "Zürich"},
        "tags": '["a", 1]',
    }
    assert TABLE.convert(source) == (
        {
            "id": "17",
            "email": "ada@example.com",
            "amount": Decimal("12345678901234567890.50"),
            "closed": "2026-11-30T18:00:00.000000Z",
            "won": True,
            "address_city": "Zürich",
            "tags": ["a", 1],
            "sync_issues": None,
        },
        None,
    )


def test_bad_values_stay_where_the_column_can_hold_them_and_are_noted() -> None:
    record, issues = TABLE.convert(
        {
            "id": "1",
            "properties": {
                "email": "ada at home",
                "amount": "-1",
                "closed": "soon",
                "won": "perhaps",
            },
        }
    )
    expected = {
        "email": {"value": "ada at home", "error": "not an e-mail address"},
        "amount": {"value": "-1", "error": "below 0"},
        "closed": {"value": "soon", "error": "not a date and time"},
        "won": {"value": "perhaps", "error": "not true or false"},
    }
    assert issues == expected
    assert record == {
        "id": "1",
        "email": "ada at home",
        "amount": Decimal(-1),
        "closed": None,
        "won": None,
        "address_city": None,
        "tags": None,
        "sync_issues": expected,
    }


def test_empty_text_stays_and_is_null_in_typed_columns() -> None:
    record, issues = TABLE.convert(
        {"id": "1", "properties": {"email": "", "amount": "", "won": ""}}
    )
    assert issues is None
    assert (record["email"], record["amount"], record["won"]) == ("", None, None)


def test_skipping_validation_still_converts() -> None:
    table = FieldTable(TABLE, validate=False)
    record, issues = table.convert({"properties": {"email": "nope", "amount": "-1", "closed": "x"}})
    assert (record["email"], record["amount"], record["closed"]) == ("nope", Decimal(-1), None)
    assert list(issues or {}) == ["closed"]


def test_mappings_extend_override_and_leave_out() -> None:
    table = TABLE.extend(
        {
            "nickname": "properties.nick",
            "amount": {"type": "string"},
            "won": None,
            "score": {"source": "properties.score", "type": "integer"},
        },
        validate=True,
    )
    record, _ = table.convert({"properties": {"nick": "A", "amount": "1.50", "score": "7"}})
    assert (record["nickname"], record["amount"], record["score"]) == ("A", "1.50", 7)
    assert "won" not in record


@pytest.mark.parametrize("mapping", [7, {"type": "money"}, {"from": "x"}])
def test_wrong_mappings_are_refused(mapping: object) -> None:
    with pytest.raises(ConfigValidationError, match=r"field_mappings|unknown type"):
        TABLE.extend({"x": mapping}, validate=True)


def test_the_schema_is_derived() -> None:
    table = FieldTable([Field("id", "object_id"), Field("at", "datetime", description="When")])
    assert table.schema["properties"]["id"] == {"type": ["string", "null"]}
    assert table.schema["properties"]["at"] == {
        "type": ["string", "null"],
        "format": "date-time",
        "description": "When",
    }
    assert table.schema["properties"]["sync_issues"]["type"] == ["object", "null"]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", 5, "5"),
        ("string", {"a": Decimal("1.10")}, '{"a":1.10}'),
        ("integer", "12.0", 12),
        ("number", 7, 7),
        ("number", "1e3", Decimal("1e3")),
        ("decimal", "$1,234.50", Decimal("1234.50")),
        ("decimal", "-€2", Decimal(-2)),
        ("boolean", 0, False),
        ("boolean", "YES", True),
        ("date", "2026-11-30T10:00:00Z", "2026-11-30"),
        ("time", "7:30 am", "07:30:00"),
        ("json", {"a": 1}, {"a": 1}),
        ("object_id", 9007199254740993, "9007199254740993"),
        ("phone", "(415) 555-2671", "(415) 555-2671"),
        ("url", "example.com/a", "example.com/a"),
        ("zip_code", "94105-1234", "94105-1234"),
        ("state", "ca", "ca"),
    ],
)
def test_types_convert(kind: str, value: object, expected: object) -> None:
    converted = TYPES[kind].convert(value)
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", "1.5"),
        ("number", "NaN"),
        ("number", "1_000"),
        ("number", "12 apples"),
        ("number", True),
        ("decimal", "twelve"),
        ("boolean", "2"),
        ("date", "31.31.2026"),
        ("json", "{"),
        ("json", "5"),
        ("object", "[]"),
        ("array", {"a": 1}),
        ("object_id", ["1"]),
        ("email", "a@b@c"),
        ("phone", "12"),
        ("url", "N"),
        ("zip_code", "1234"),
        ("state", "Calif"),
    ],
)
def test_types_refuse(kind: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"not a|not J|not true"):
        TYPES[kind].convert(value)


@given(st.from_regex(re.compile(PLAIN_EMAIL.__self__.pattern, re.ASCII), fullmatch=True))
def test_plain_addresses_are_what_the_library_accepts(address: str) -> None:
    email_validator.validate_email(address, check_deliverability=False)


@given(st.from_regex(re.compile(PLAIN_PHONE.__self__.pattern, re.ASCII), fullmatch=True))
def test_plain_numbers_are_what_the_library_accepts(number: str) -> None:
    assert phonenumbers.is_possible_number(phonenumbers.parse(number, "US"))
