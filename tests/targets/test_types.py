"""Every value arrives as it left, or says in sync_issues why not."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import Any

import pytest

STRING = {"type": ["string", "null"]}
INTEGER = {"type": ["integer", "null"]}
NUMBER = {"type": ["number", "null"]}
BOOLEAN = {"type": ["boolean", "null"]}
MOMENT = {"type": ["string", "null"], "format": "date-time"}
DATE = {"type": ["string", "null"], "format": "date"}
TIME = {"type": ["string", "null"], "format": "time"}
OBJECT = {"type": ["object", "null"]}
ARRAY = {"type": ["array", "null"]}
UTC = timezone.utc

# schema, JSON as sent, type of the column, value stored
EXACT: list[tuple[Any, str, str, Any]] = [
    (STRING, '""', "text", ""),
    (STRING, '"NULL"', "text", "NULL"),
    (STRING, r'"\\N"', "text", r"\N"),
    (STRING, r'"\\."', "text", r"\."),
    (STRING, r'"a\tb\nc\r\nd\\n"', "text", "a\tb\nc\r\nd\\n"),
    (STRING, r'"\u001c\u001d\u001e\u001f\u0001"', "text", "\x1c\x1d\x1e\x1f\x01"),
    (STRING, r'"\u001d"', "text", "\x1d"),
    (STRING, r'"\ud83d\ude00 é"', "text", "😀 é"),
    (STRING, r'"\\u0000"', "text", r"\u0000"),
    (INTEGER, "9223372036854775807", "bigint", 2**63 - 1),
    (INTEGER, "-9223372036854775808", "bigint", -(2**63)),
    (INTEGER, "9223372036854775808", "numeric", 2**63),
    (INTEGER, "123456789012345678901234567890", "numeric", 123456789012345678901234567890),
    (INTEGER, "5.0", "bigint", 5),
    (NUMBER, "12345678901234567890.12345678901234567890", "numeric",
     Decimal("12345678901234567890.12345678901234567890")),
    (NUMBER, "1.50", "numeric", Decimal("1.50")),
    (NUMBER, "1e400", "numeric", Decimal("1e400")),
    (NUMBER, "1E-30", "numeric", Decimal("1E-30")),
    (NUMBER, "0.1", "numeric", Decimal("0.1")),
    (NUMBER, "-7", "numeric", Decimal(-7)),
    ({"type": ["string", "null"], "format": "x-singer.decimal"}, '"19.990"', "numeric",
     Decimal("19.990")),
    ({"type": ["integer", "number"]}, "3", "numeric", Decimal(3)),
    (BOOLEAN, "true", "boolean", True),
    (BOOLEAN, "0", "boolean", False),
    (MOMENT, '"2024-01-01T12:00:00+05:00"', "timestamp with time zone",
     datetime(2024, 1, 1, 7, tzinfo=UTC)),
    (MOMENT, '"2024-01-01T12:00:00.123456Z"', "timestamp with time zone",
     datetime(2024, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)),
    (MOMENT, '"2024-01-01 12:00"', "timestamp with time zone",
     datetime(2024, 1, 1, 12, tzinfo=UTC)),
    (MOMENT, '"20240101T120000Z"', "timestamp with time zone",
     datetime(2024, 1, 1, 12, tzinfo=UTC)),
    ({"anyOf": [MOMENT, STRING]}, '"2024-01-01T00:00:00Z"', "timestamp with time zone",
     datetime(2024, 1, 1, tzinfo=UTC)),
    (DATE, '"2024-02-29"', "date", date(2024, 2, 29)),
    (DATE, '"2024-02-29T00:00:00Z"', "date", date(2024, 2, 29)),
    (TIME, '"08:30:15.25"', "time without time zone", time(8, 30, 15, 250000)),
    (TIME, '"08:30:00Z"', "time without time zone", time(8, 30)),
    (OBJECT, '{"a": [1, 2.50, "x\\n", null, true]}', "jsonb", {"a": [1, 2.5, "x\n", None, True]}),
    (OBJECT, r'{"e": "\ud83d\ude00"}', "jsonb", {"e": "😀"}),
    (ARRAY, "[]", "jsonb", []),
    ({}, '"anything"', "jsonb", "anything"),
    ({"type": ["object", "string"]}, '"text"', "jsonb", "text"),
    ({"type": ["string", "integer"]}, "17", "text", "17"),
    ({"type": ["string", "number"]}, "1.50", "text", "1.50"),
    ({"enum": ["a", "b", None]}, '"a"', "text", "a"),
    ({"type": ["string", "null"], "maxLength": 3, "pattern": "^a"}, '"abc"', "text", "abc"),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "sent", "stored_type", "stored"), EXACT)
def test_exact(wh, messages, declared, sent, stored_type, stored):
    # With and without the compiled decoder: a union as second column switches it off.
    for stream, more in (("fast", STRING), ("slow", {"type": ["string", "integer", "null"]})):
        wh.load(
            messages.schema(stream, {"id": {"type": "integer"}, "v": declared, "more": more}),
            f'{{"type": "RECORD", "stream": "{stream}", "record": {{"id": 1, "v": {sent}}}}}',
            f'{{"type": "RECORD", "stream": "{stream}", "record": {{"id": 2}}}}',
        )
        assert wh.types(stream)["v"] == stored_type
        assert [row["v"] for row in wh.table(stream)] == [stored, None]
        assert wh.issues(stream) == {}
        assert wh.rejects() == []


def test_decimals_keep_their_digits_in_json(wh, messages):
    wh.load(
        messages.schema("s", {"id": {"type": "integer"}, "v": OBJECT}),
        '{"type":"RECORD","stream":"s","record":{"id":1,"v":{"n":12345678901234567890.123456789}}}',
    )
    assert wh.query("SELECT v::text FROM crm.s") == [{"v": '{"n": 12345678901234567890.123456789}'}]


def test_json_null_is_sql_null(wh, messages):
    wh.load(
        messages.schema("s", {"id": {"type": "integer"}, "o": OBJECT, "e": {}}),
        messages.record("s", id=1, o=None, e=None),
    )
    assert wh.query("SELECT o IS NULL AS o, e IS NULL AS e FROM crm.s") == [{"o": True, "e": True}]


def test_nan_is_kept_and_infinity_noted(wh, messages):
    wh.load(
        messages.schema("s", {"id": {"type": "integer"}, "n": NUMBER, "o": OBJECT}),
        '{"type": "RECORD", "stream": "s", "record": {"id": 1, "n": NaN}}',
        '{"type": "RECORD", "stream": "s", "record": {"id": 2, "n": -Infinity}}',
        '{"type": "RECORD", "stream": "s", "record": {"id": 3, "o": {"x": [NaN]}}}',
    )
    nan, infinite, nested = wh.table("s")
    assert nan["n"].is_nan()
    assert infinite["n"] is None
    assert nested["o"] == {"x": [None]}
    assert wh.issues("s").keys() == {2, 3}


# schema, JSON as sent, value stored, original kept
CLEANED: list[tuple[Any, str, Any, Any]] = [
    (STRING, r'"a\u0000b"', "a\ufffdb", r"a\u0000b"),
    (STRING, r'"x\ud83d"', "x\ufffd", r"x\ud83d"),
    (OBJECT, r'{"k": "\u0000"}', {"k": "\ufffd"}, r'{"k": "\u0000"}'),
    (OBJECT, r'{"k\udc00": 1}', {"k\ufffd": 1}, r'{"k\udc00": 1}'),
    (MOMENT, '"0000-00-00"', None, "0000-00-00"),
    (MOMENT, '"20190-01-01T00:00:00Z"', None, "20190-01-01T00:00:00Z"),
    (MOMENT, '"2024-02-30T00:00:00Z"', None, "2024-02-30T00:00:00Z"),
    (MOMENT, '""', None, ""),
    (MOMENT, '"now"', None, "now"),
    (MOMENT, '"infinity"', None, "infinity"),
    (DATE, '"2023-02-29"', None, "2023-02-29"),
    (DATE, '"2024-01-01T10:00:00Z"', None, "2024-01-01T10:00:00Z"),
    (TIME, '"25:00"', None, "25:00"),
    (TIME, '"08:00+02:00"', None, "08:00+02:00"),
]


@pytest.mark.parametrize(("declared", "sent", "stored", "original"), CLEANED)
def test_what_cannot_be_stored_is_noted(wh, messages, declared, sent, stored, original):
    wh.load(
        messages.schema("s", {"id": {"type": "integer"}, "v": declared, "t": STRING}),
        f'{{"type": "RECORD", "stream": "s", "record": {{"id": 1, "v": {sent}, "t": "x"}}}}',
        messages.record("s", id=2, t="y"),
    )
    assert wh.table("s") == [{"id": 1, "v": stored, "t": "x"}, {"id": 2, "v": None, "t": "y"}]
    assert wh.issues("s")[1]["v"]["value"] == original
    assert wh.history()[0]["performance_metrics"]["validation_warnings"] == 1
    assert wh.counts() == [("s", "success", 2, 0, 0, 0, 0, 0)]


def test_issues_of_tap_and_target_are_merged(wh, messages):
    properties = {
        "id": {"type": "integer"}, "at": MOMENT, "email": STRING, "sync_issues": OBJECT,
    }  # fmt: skip
    found = {"email": {"value": "x@", "error": "no domain"}}
    wh.load(
        messages.schema("s", properties),
        messages.record("s", id=1, at="never", email=None, sync_issues=found),
        messages.record("s", id=2, email="a@b.c", sync_issues=None),
        messages.record("s", id=3, sync_issues=found),
    )
    unparsed = {"at": {"value": "never", "error": "Failed to parse datetime value"}}
    assert wh.issues("s") == {1: found | unparsed, 3: found}
    assert wh.table("s")[0] == {"id": 1, "at": None, "email": None}


def test_undeclared_fields_are_dropped_with_one_warning(wh, messages, caplog):
    wh.load(
        messages.schema("s", {"id": {"type": "integer"}}),
        *(messages.record("s", id=i, extra=i, **{'q"': 1}) for i in range(5)),
    )
    assert wh.table("s") == [{"id": i} for i in range(5)]
    assert caplog.text.count("the field 'extra'") == 1


# type before, value before, type now, value now, type of the column, both values as stored
WIDENED: list[tuple[Any, ...]] = [
    (INTEGER, 1, NUMBER, 1.5, "numeric", [Decimal(1), Decimal("1.5")]),
    (NUMBER, 1.5, INTEGER, 2, "numeric", [Decimal("1.5"), Decimal(2)]),
    (INTEGER, 1, STRING, "x", "text", ["1", "x"]),
    (STRING, "x", INTEGER, 2, "text", ["x", "2"]),
    (STRING, "x", OBJECT, {"a": 1}, "text", ["x", '{"a": 1}']),
    (BOOLEAN, True, INTEGER, 2, "text", ["true", "2"]),
    (DATE, "2024-01-01", MOMENT, "2024-01-02T03:00:00Z", "timestamp with time zone",
     [datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, 3, tzinfo=UTC)]),
    (MOMENT, "2024-01-02T03:00:00Z", DATE, "2024-01-01", "timestamp with time zone",
     [datetime(2024, 1, 2, 3, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)]),
    (MOMENT, "2024-01-02T03:00:00Z", STRING, "x", "text", ["2024-01-02 03:00:00+00", "x"]),
    (INTEGER, 1, OBJECT, {"a": 1}, "jsonb", [1, {"a": 1}]),
    (OBJECT, {"a": 1}, STRING, "x", "jsonb", [{"a": 1}, "x"]),
]  # fmt: skip


@pytest.mark.parametrize(("was", "first", "becomes", "second", "column", "stored"), WIDENED)
def test_columns_widen(wh, messages, was, first, becomes, second, column, stored):
    wh.load(
        messages.schema("s", {"id": {"type": "integer"}, "v": was}),
        messages.record("s", id=1, v=first),
        messages.schema("s", {"id": {"type": "integer"}, "v": becomes}),
        messages.record("s", id=2, v=second),
    )
    assert wh.types("s")["v"] == column
    assert [row["v"] for row in wh.table("s")] == stored
    assert wh.rejects() == []


@pytest.mark.parametrize(
    ("made", "declared", "value", "becomes"),
    [
        ("smallint", INTEGER, 70000, "bigint"),
        ("double precision", NUMBER, 0.1, "numeric"),
        ("numeric(6,2)", NUMBER, 1.23456, "numeric"),
        ("varchar(2)", STRING, "long", "text"),
        ("uuid", STRING, "6f1f1c2e-0000-4000-8000-000000000001", "uuid"),
        ("timestamp", MOMENT, "2024-01-01T00:00:00+01:00", "timestamp without time zone"),
    ],
)
def test_tables_made_by_others_are_taken_over(wh, messages, made, declared, value, becomes):
    wh.query(f"CREATE SCHEMA crm; CREATE TABLE crm.s (id bigint PRIMARY KEY, v {made})")
    stream = [
        messages.schema("s", {"id": {"type": "integer"}, "v": declared}),
        messages.record("s", id=1, v=value),
    ]
    wh.load(*stream)
    wh.load(*stream)
    assert wh.types("s")["v"] == becomes
    (row,) = wh.table("s")
    assert str(row["v"]) == ("2023-12-31 23:00:00" if made == "timestamp" else str(value))
    assert wh.counts()[1] == ("s", "success", 0, 0, 1, 0, 0, 0)


def test_doubles_keep_all_their_digits_when_widened(wh, messages):
    wh.query("CREATE SCHEMA crm; CREATE TABLE crm.s (id bigint PRIMARY KEY, v double precision);"
             " INSERT INTO crm.s VALUES (1, 0.12345678901234566)")  # fmt: skip
    wh.load(messages.schema("s", {"id": {"type": "integer"}, "v": NUMBER}))
    assert wh.table("s") == [{"id": 1, "v": Decimal("0.12345678901234566")}]


def test_keys_outgrow_bigint(wh, messages):
    head = messages.schema("s", {"id": {"type": "integer"}, "v": STRING})
    wh.load(head, messages.record("s", id=1, v="a"), messages.record("s", id=2**64, v="b"),
            messages.record("s", id=2, v="c"), batch_size_rows=1)  # fmt: skip
    assert wh.table("s") == [
        {"id": 1, "v": "a"}, {"id": 2, "v": "c"}, {"id": 2**64, "v": "b"},
    ]  # fmt: skip


def test_new_columns_are_added(wh, messages):
    wh.load(messages.schema("s", {"id": {"type": "integer"}}), messages.record("s", id=1))
    wh.load(
        messages.schema("s", {"id": {"type": "integer"}, "new": STRING}),
        messages.record("s", id=2, new="x"),
    )
    assert wh.table("s") == [{"id": 1, "new": None}, {"id": 2, "new": "x"}]


def test_a_view_in_the_way_is_named(wh, messages):
    wh.load(messages.schema("s", {"id": {"type": "integer"}, "v": INTEGER}))
    wh.query("CREATE VIEW report AS SELECT v FROM crm.s")
    with pytest.raises(Exception, match=r"needs wider columns.*view report depends on column"):
        wh.load(messages.schema("s", {"id": {"type": "integer"}, "v": STRING}))
    assert wh.counts()[1][:2] == ("s", "failed")


def test_records_of_the_old_schema_are_written_before_the_new(wh, messages):
    old = messages.schema("s", {"id": {"type": "integer"}, "v": STRING})
    new = messages.schema("s", {"id": {"type": "integer"}, "v": STRING, "w": STRING})
    wh.load(
        old,
        messages.record("s", id=1, v="OLD"),
        messages.record("s", id=2, v="kept"),
        new,
        *(messages.record("s", id=i, v="NEW") for i in (1, 3, 4)),
        batch_size_rows=3,
    )
    assert [(row["id"], row["v"]) for row in wh.table("s")] == [
        (1, "NEW"), (2, "kept"), (3, "NEW"), (4, "NEW"),
    ]  # fmt: skip


def test_the_key_follows_the_stream(wh, messages):
    properties = {"id": {"type": "integer"}, "part": {"type": "integer"}, "v": STRING}
    wh.load(messages.schema("s", properties), messages.record("s", id=1, part=1, v="a"))
    wh.load(
        messages.schema("s", properties, keys=("id", "part")),
        messages.record("s", id=1, part=1, v="b"),
        messages.record("s", id=1, part=2, v="c"),
    )
    assert [row["v"] for row in wh.table("s")] == ["b", "c"]
    with pytest.raises(Exception, match="are not unique by id"):
        wh.load(messages.schema("s", properties), messages.record("s", id=1, part=1))


def test_nested_schemas_are_validated(wh, messages):
    address = {
        "type": ["object", "null"],
        "properties": {"city": {"type": "string"}, "zip": {"type": ["integer", "null"]}},
        "required": ["city"],
    }
    wh.load(
        messages.schema("s", {"id": {"type": "integer"}, "address": address}),
        messages.record("s", id=1, address={"city": "Rome", "zip": None, "more": [1]}),
        messages.record("s", id=2, address={"zip": 1}),
        messages.record("s", id=3, address=None),
        messages.record("s", id=4, address={"city": "Oslo", "zip": 1.5}),
    )
    assert [row["id"] for row in wh.table("s")] == [1, 3]
    assert [(key["id"], error) for _, key, _, error in wh.rejects()] == [
        (2, "validation"), (4, "validation"),
    ]  # fmt: skip


def test_the_record_kept_in_sync_rejects_can_be_replayed(wh, messages):
    sent = r'{"id": "x", "t": "\u0000 \ud83d é", "n": 1.50, "big": 12345678901234567890123}'
    wh.load(
        messages.schema("s", {"id": {"type": "integer"}, "t": STRING, "n": NUMBER, "big": {}}),
        f'{{"type": "RECORD", "stream": "s", "record": {sent}}}',
    )
    ((_, key, kept, _),) = wh.rejects()
    assert key == {"id": "x"}
    assert json.loads(kept, parse_float=Decimal) == json.loads(sent, parse_float=Decimal)
