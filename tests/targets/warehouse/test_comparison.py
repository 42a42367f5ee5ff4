"""Two tables of one stream, compared by value."""

# ruff: noqa: S608 - the names are the tests' own

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timezone
from decimal import Decimal

import psycopg2
import pytest
from warehouse.comparison import Difference, Known, compare, shape_of

LONG_AGO = datetime(2000, 1, 1, tzinfo=timezone.utc)
FAR = Known(datetime(2100, 1, 1, tzinfo=timezone.utc))
COLUMNS = {"id": {"type": "integer"}, "name": {"type": ["string", "null"]},
           "at": {"type": ["string", "null"], "format": "date-time"}}  # fmt: skip


@pytest.fixture
def differences(wh):
    def run(known=FAR, stream="s", **options):
        with closing(psycopg2.connect(wh.url)) as connection, connection.cursor() as cursor:
            old, new = (shape_of(cursor, name, stream) for name in ("crm", "scratch"))
            return compare(cursor, old, new, known, **options)

    return run


@pytest.fixture
def both(wh, messages):
    """Loads records into the table, and others into what a fresh read has brought."""

    def load(old, new=None, columns=None, new_columns=None, keys=("id",), **settings):
        columns = columns or COLUMNS
        for rows, its, schema in (
            (old, columns, "crm"),
            (new or old, new_columns or columns, "scratch"),
        ):
            wh.load(messages.schema("s", its, keys=keys),
                    *(messages.record("s", **row) for row in rows),
                    default_target_schema=schema, **settings)  # fmt: skip

    return load


def test_each_kind_is_found_with_its_key(wh, both, differences):
    rows = [{"id": i, "name": f"n{i}", "at": "2026-01-01T00:00:00Z"} for i in range(1, 8)]
    both(rows)
    assert (differences().rows, differences().counts) == (7, {})
    wh.query("DELETE FROM crm.s WHERE id = 1")
    wh.query("INSERT INTO crm.s (id, name) VALUES (9, 'extra')")
    wh.query("UPDATE crm.s SET name = 'other' WHERE id = 2")
    wh.query("UPDATE crm.s SET name = NULL, at = '2026-02-01' WHERE id = 3")
    wh.query("ALTER TABLE crm.s ADD _sdc_deleted_at timestamptz")
    wh.query("UPDATE crm.s SET _sdc_deleted_at = now() WHERE id = 4")
    wh.query("UPDATE crm.s SET sync_updated_at = now(), sync_issues = '{}' WHERE id = 5")
    found = differences()
    assert found.counts == {"missing": 2, "extra": 1, "different": 2}
    assert found.differences == [
        Difference("different", {"id": 2}, ["name"], changed=False),
        Difference("different", {"id": 3}, ["name", "at"], changed=False),
        Difference("extra", {"id": 9}, [], changed=False),
        Difference("missing", {"id": 1}, [], changed=False),
        Difference("missing", {"id": 4}, [], changed=False),
    ]
    assert [one.key for one in differences(most=1).differences] == [{"id": 2}, {"id": 9}, {"id": 1}]
    two = differences(values=True).differences[0]
    assert two.values == {"name": {"table": "other", "source": "n2"}}


def test_rows_marked_on_both_sides_are_no_difference(wh, both, differences):
    both([{"id": 1}, {"id": 2}])
    for schema in ("crm", "scratch"):
        wh.query(f"ALTER TABLE {schema}.s ADD _sdc_deleted_at timestamptz")
        wh.query(f"UPDATE {schema}.s SET _sdc_deleted_at = now(), name = '{schema}' WHERE id = 1")
    assert differences().counts == {}
    wh.query("UPDATE crm.s SET _sdc_deleted_at = NULL")
    assert differences().differences == [Difference("extra", {"id": 1}, [], changed=False)]


def test_what_changed_since_the_last_sync_is_apart(wh, both, differences):
    at = [f"2026-01-0{day}T00:00:00Z" for day in range(1, 7)]
    both([{"id": i, "name": "old", "at": at[i]} for i in range(3)],
         [{"id": i, "name": "new", "at": at[i]} for i in range(1, 6)])  # fmt: skip
    known = Known(FAR.started, "at", at[2])
    assert differences(known).counts == {"different": 2, "extra": 1, "changed": 3}
    assert [d.key["id"] for d in differences(known).differences if d.changed] == [3, 4, 5]
    # Whatever was written while the source was read.
    assert differences(Known(LONG_AGO)).counts == {"changed": 3, "missing": 3}


def test_rows_older_than_what_the_source_gives_are_not_extra(both, differences):
    days = [f"2026-01-0{day}T00:00:00Z" for day in range(1, 6)]
    rows = [{"id": number, "at": day} for number, day in enumerate(days)]
    both(rows, [rows[0], rows[4]])
    complete = Known(FAR.started, complete=("at", days[2]))
    assert [(d.kind, d.key["id"]) for d in differences(complete).differences] == [
        ("extra", 2), ("extra", 3)
    ]  # fmt: skip


TYPES = [
    ("bigint", "smallint", ["5", "7"]),
    ("numeric", "bigint", ["5", "12345678901234567"]),
    ("numeric", "double precision", ["0.1", "1e300"]),
    ("text", "bigint", ["5", "-7"]),
    ("text", "numeric", ["5.50", "-7"]),
    ("text", "boolean", ["true", "f"]),
    ("text", "timestamptz", ["2026-01-01T10:00:00+02:00", "2026-01-01 00:00:00+00"]),
    ("text", "varchar(20)", ["a", ""]),
    ("timestamptz", "date", ["2026-01-01", "1999-12-31"]),
    ("timestamptz", "timestamp", ["2026-01-01 10:00", "1999-12-31"]),
    ("jsonb", "bigint", ["5", "6"]),
    ("jsonb", "json", ['{"a": 1, "b": [2]}', "null"]),
    ("text", "jsonb", ['{"b": [2],  "a": 1}', '"plain"']),
    ("uuid", "text", [f"{n}F1F1C2E-0000-4000-8000-000000000001" for n in (1, 2)]),
    ("int[]", "text", ["{1,2}", "{}"]),
]


@pytest.mark.parametrize("keyed", [True, False])
def test_types_that_differ_are_compared_by_value(wh, differences, keyed):
    names = [f"c{number}" for number in range(len(TYPES))]
    for schema, side in (("crm", 0), ("scratch", 1)):
        columns = ", ".join(f"{n} {t[side]}" for n, t in zip(names, TYPES, strict=True))
        key = "PRIMARY KEY" if keyed else ""
        wh.query(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.s (id int {key}, {columns},"
                 " sync_updated_at timestamptz)")  # fmt: skip
        rows = [[t[2][0] for t in TYPES], [t[2][1] for t in TYPES], [None for _ in TYPES]]
        for number, row in enumerate(rows):
            wh.query(f"INSERT INTO {schema}.s VALUES (%s{', %s' * len(row)})", number, *row)
    assert differences().counts == {}
    for name, (kind, _, (first, second)) in zip(names, TYPES, strict=True):
        wh.query(f"UPDATE crm.s SET {name} = %s::{kind} WHERE id = 0", second)
        wh.query(f"UPDATE crm.s SET {name} = %s::{kind} WHERE id = 2", first)
    found = differences()
    assert found.counts == ({"different": 2} if keyed else {"missing": 2, "extra": 2})
    assert all(one.columns == (names if keyed else []) for one in found.differences)


def test_a_text_that_is_no_value_is_no_null(wh, differences):
    for schema, kind, value in (("crm", "text", "much"), ("scratch", "bigint", None)):
        wh.query(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.s"
                 f" (id int, v {kind}, sync_updated_at timestamptz)")  # fmt: skip
        wh.query(f"INSERT INTO {schema}.s VALUES (1, %s)", value)
    assert differences().counts == {"missing": 1, "extra": 1}


def test_keys_of_different_types_meet(wh, both, differences):
    both([{"id": "7"}, {"id": "8"}], [{"id": 7}, {"id": 9}], columns={"id": {"type": "string"}},
         new_columns={"id": {"type": "integer"}})  # fmt: skip
    assert differences().differences == [
        Difference("extra", {"id": "8"}, [], changed=False),
        Difference("missing", {"id": 9}, [], changed=False),
    ]


def test_a_table_without_a_key_is_compared_as_a_multiset(wh, both, differences):
    rows = [{"id": 1, "name": "a"}] * 3 + [{"id": 2, "name": None}]
    both(rows, keys=())
    assert differences().counts == {}
    wh.query("DELETE FROM crm.s WHERE ctid IN (SELECT ctid FROM crm.s WHERE id = 1 LIMIT 2)")
    wh.query("INSERT INTO crm.s (id, name, sync_updated_at) VALUES (2, 'x', now())")
    found = differences(values=True)
    assert found.counts == {"missing": 2, "extra": 1}
    assert [(d.kind, d.count, d.values) for d in found.differences] == [
        ("extra", 1, {"id": 2, "name": "x", "at": None}),
        ("missing", 2, {"id": 1, "name": "a", "at": None}),
    ]
    assert all(len(d.key["row"]) == 32 for d in found.differences)


def test_columns_follow_their_properties(wh, both, differences, messages):
    """Other names in the table, columns that one of the two lacks, and names that SQL dislikes."""
    columns = {"id": {"type": "integer"}, 'fir"st %s': {"type": "string"},
               "there": {"type": "string"},
               "its sign": {"type": "integer"}, "gone": {"type": "string"}}  # fmt: skip
    rows = [{"id": 1, 'fir"st %s': "a", "there": "b", "its sign": 3, "gone": "c"}]
    new = {k: v for k, v in columns.items() if k != "gone"} | {
        "added": {"type": ["string", "null"]}
    }
    both(rows, [{**rows[0], "added": None}], columns, new, naming="snake")
    found = differences()
    assert (found.counts, found.unknown) == ({}, ["gone"])
    wh.query("UPDATE scratch.s SET added = 'x', fir_st_s = 'y'")
    assert differences().differences == [
        Difference("different", {"id": 1}, ["fir_st_s", "added"], changed=False)
    ]


def test_values_are_told_with_all_their_digits(wh, differences):
    for schema, value in (("crm", "0.10000000000000000001"), ("scratch", "0.1")):
        wh.query(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.s"
                 " (id int PRIMARY KEY, v numeric, sync_updated_at timestamptz)")  # fmt: skip
        wh.query(f"INSERT INTO {schema}.s VALUES (1, {value})")
    (one,) = differences(values=True).differences
    assert one.values == {
        "v": {"table": Decimal("0.10000000000000000001"), "source": Decimal("0.1")}
    }  # fmt: skip


def test_many_columns(wh, both, differences):
    columns = {"id": {"type": "integer"}} | {f"c{i}": {"type": "integer"} for i in range(300)}
    both([{"id": 1, "c299": 1}], [{"id": 1, "c299": 2}], columns)
    assert differences(values=True).differences == [
        Difference("different", {"id": 1}, ["c299"], changed=False,
                   values={"c299": {"table": 1, "source": 2}})
    ]  # fmt: skip
