"""What settings decide about values: dates, undeclared fields, and the schema of a table."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal

import pytest

MOMENT = {"type": ["string", "null"], "format": "date-time"}
PROPERTIES = {
    "id": {"type": "integer"},
    "at": MOMENT,
    "day": {"type": ["string", "null"], "format": "date"},
}
FIRST, LAST = date(1, 1, 1), date(9999, 12, 31)
FIRST_MOMENT = datetime(1, 1, 1, tzinfo=timezone.utc)
LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc)
DATES = [
    (1, "2024-01-01T00:00:00Z", "2024-01-01"),
    (2, "20190-01-01T00:00:00Z", "+20190-01-01"),
    (3, "0000-00-00 00:00:00", "0000-00-00"),
    (4, "soon", "2024-02-30"),
]
GOOD = {
    "id": 1,
    "at": datetime(2024, 1, 1, tzinfo=timezone.utc),
    "day": date(2024, 1, 1),
}


def load(wh, messages, **settings):
    records = [messages.record("s", id=i, at=at, day=day) for i, at, day in DATES]
    wh.load(messages.schema("s", PROPERTIES), *records, **settings)


@pytest.mark.parametrize(
    ("policy", "stored"),
    [
        ("null", [(None, None)] * 3),
        ("clamp", [(LAST_MOMENT, LAST), (FIRST_MOMENT, FIRST), (None, None)]),
    ],
)
def test_invalid_dates_are_noted(wh, messages, policy, stored):
    load(wh, messages, invalid_dates=policy)
    assert wh.table("s") == [
        GOOD,
        *({"id": i, "at": at, "day": day} for i, (at, day) in enumerate(stored, 2)),
    ]
    originals = {
        i: {name: issue["value"] for name, issue in issues.items()}
        for i, issues in wh.issues("s").items()
    }
    assert originals == {i: {"at": at, "day": day} for i, at, day in DATES[1:]}


def test_invalid_dates_can_refuse_the_record(wh, messages):
    load(wh, messages, invalid_dates="reject")
    assert wh.table("s") == [GOOD]
    assert [(key, error) for _, key, _, error in wh.rejects()] == [
        ({"id": i}, "conversion") for i in (2, 3, 4)
    ]


def test_undeclared_fields_can_be_kept(wh, messages, caplog):
    wh.load(
        messages.schema("s", {"id": {"type": "integer"}}),
        messages.record("s", id=1),
        '{"type": "RECORD", "stream": "s", "record":'
        ' {"id": 2, "n": 1.2345678901234567890123, "_sdc_batched_at": "x", "o": {"a": [null]}}}',
        messages.record("s", id=3, n=None, text="\0"),
        undeclared_fields="keep",
    )
    assert wh.types("s") == {"id": "bigint", "sync_extra": "jsonb"}
    rows = wh.query("SELECT id, sync_extra::text AS extra FROM crm.s ORDER BY id")
    assert rows == [
        {"id": 1, "extra": None},
        {"id": 2, "extra": '{"n": 1.2345678901234567890123, "o": {"a": [null]}}'},
        {"id": 3, "extra": '{"n": null, "text": "\ufffd"}'},
    ]
    assert wh.issues("s").keys() == {3}
    assert "does not declare" not in caplog.text


def test_a_missing_field_becomes_null(wh, messages):
    wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=1, day="2024-01-01"))
    wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=1))
    assert wh.table("s") == [{"id": 1, "at": None, "day": None}]


PARTS = {
    "id": {"type": "integer"},
    "%s": {"type": ["string", "null"]},
    "n": {"type": ["number", "null"]},
    "at": MOMENT,
    "o": {"type": ["object", "null"]},
    "_sdc_deleted_at": MOMENT,
}


def parts(messages, *records, bookmark=()):
    head = messages.schema("s", PARTS, bookmark_properties=[*bookmark])
    return [head, *(messages.record("s", **record) for record in records)]


def keep(wh, *lines, **settings):
    wh.load(*lines, missing_fields="keep", **settings)
    return [{k: v for k, v in row.items() if v is not None} for row in wh.table("s")]


def test_a_missing_field_can_keep_what_is_stored(wh, messages):
    first = {"id": 1, "%s": "a", "n": 1, "at": "soon", "o": {"a": 1}}
    gone = {"_sdc_deleted_at": "2024-01-01T00:00:00Z"}
    assert keep(wh, *parts(messages, first | gone, {"id": 2, "%s": "b"}))[1] == {"id": 2, "%s": "b"}
    assert keep(
        wh, *parts(messages, {"id": 1, "n": 2}, {"id": 2, "%s": None}, {"id": 3, "n": 3})
    ) == [
        {"id": 1, "%s": "a", "n": 2, "o": {"a": 1}},
        {"id": 2},
        {"id": 3, "n": 3},
    ]
    assert wh.issues("s") == {
        1: {"at": {"value": "soon", "error": "Failed to parse datetime value"}}
    }
    keep(wh, *parts(messages, {"id": 1, "n": 2}, {"id": 3}))
    keep(wh, *parts(messages, {"id": 1, "at": "2024-01-01T00:00:00Z"}))
    assert wh.issues("s") == {}
    assert [run[2:5] for run in wh.counts()] == [(2, 0, 0), (1, 2, 0), (0, 0, 2), (0, 1, 0)]


@pytest.mark.parametrize("batch_size_rows", [1, 100])
@pytest.mark.parametrize("force", [False, True])
def test_kept_values_do_not_depend_on_the_batches(wh, messages, batch_size_rows, force):
    def load(*records):
        lines = parts(messages, *records, bookmark=["n"])
        return keep(wh, *lines, batch_size_rows=batch_size_rows, force=force)

    load({"id": 1, "%s": "stored", "n": 5, "o": {"stored": 1}})
    rows = load(
        {"id": 1, "n": 4, "%s": "older", "o": {"older": 1}},
        {"id": 1, "n": 6, "at": "2024-01-01T00:00:00Z"},
        {"id": 1, "n": 7, "%s": "newer"},
        {"id": 1, "n": 6, "at": None},
        {"id": 2, "n": 2, "o": {"a": [1]}, "at": "never"},
        {"id": 2, "n": 3, "%s": "b"},
        {"id": 2, "n": 1, "%s": "old", "o": None, "at": None},
    )
    if force:
        assert rows == [
            {"id": 1, "n": 6, "%s": "newer", "o": {"older": 1}},
            {"id": 2, "n": 1, "%s": "old"},
        ]
        assert wh.issues("s") == {}
    else:
        assert rows == [
            {"id": 1, "n": 7, "%s": "newer", "o": {"stored": 1}, "at": GOOD["at"]},
            {"id": 2, "n": 3, "%s": "b", "o": {"a": [1]}},
        ]
        assert wh.issues("s").keys() == {2}


def test_duplicates_that_only_postgres_can_tell_keep_their_fields(wh, messages):
    head = messages.schema("s", PARTS | {"id": {"type": "number"}})
    rows = keep(
        wh,
        head,
        '{"type": "RECORD", "stream": "s", "record": {"id": 1, "%s": "a"}}',
        '{"type": "RECORD", "stream": "s", "record": {"id": 1.0, "n": 2}}',
    )
    assert rows == [{"id": 1, "%s": "a", "n": 2}]


def test_encoded_bytes(wh, messages):
    def binary(encoding):
        return {"type": ["string", "null"], "contentEncoding": encoding}

    wh.load(
        messages.schema("s", {"id": {"type": "integer"}, "x": binary("base16"),
                              "b": binary("base64")}),
        messages.record("s", id=1, x="00fF", b="AP8="),
        messages.record("s", id=2, x="", b="AP\n8="),
        messages.record("s", id=3, x="0", b="?"),
        messages.record("s", id=4),
    )  # fmt: skip
    assert wh.types("s") == {"id": "bigint", "x": "bytea", "b": "bytea"}
    rows = [(r["x"] and bytes(r["x"]), r["b"] and bytes(r["b"])) for r in wh.table("s")]
    assert [rows[0], rows[2], rows[3]] == [(b"\0\xff", b"\0\xff"), (None, None), (None, None)]
    assert (bytes(wh.table("s")[1]["x"]), rows[1][1]) == (b"", b"\0\xff")
    assert wh.issues("s") == {
        3: {
            "x": {"value": "0", "error": "Not base16"},
            "b": {"value": "?", "error": "Not base64"},
        }
    }


def test_streams_can_have_schemas_of_their_own(wh, messages):
    for stream in ("deals", "deal_lines", "contacts"):
        wh.load(
            messages.schema(stream, {"id": {"type": "integer"}, "n": {"type": "number"}}),
            messages.record(stream, id=1, n=0.5),
            stream_schemas={"deal_lines": "detail", "deal*": "sales"},
        )
    row = [{"id": 1, "n": Decimal("0.5")}]
    assert wh.table("deals", schema="sales") == row
    assert wh.table("deal_lines", schema="detail") == row
    assert wh.table("contacts") == row
