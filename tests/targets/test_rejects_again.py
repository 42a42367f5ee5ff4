"""Refused records keep what they came with, and are settled where they are loaded again."""

from __future__ import annotations

import json

import pytest

PROPERTIES = {"id": {"type": "integer"}, "amount": {"type": ["number", "null"]}}
DATED = {**PROPERTIES, "at": {"type": ["string", "null"], "format": "date-time"}}


@pytest.fixture
def again(wh, messages, capsys):
    """Sends rejects again as `warehouse rejects replay` does; returns what became of them."""

    def run(*ids, stream="s", **settings):
        rows = wh.query(
            "SELECT kept.message, record FROM sync_rejects JOIN sync_reject_schemas AS kept"
            " ON hash = schema_hash WHERE id = ANY (%s) ORDER BY id",
            list(ids),
        )
        head = json.loads(rows[0]["message"]) if rows else messages.schema(stream, PROPERTIES)
        lines = [
            f'{{"type": "RECORD", "stream": "{stream}", "record": {r["record"]}}}' for r in rows
        ]
        return wh.load(head | {"x-rejects": [*ids]}, *lines, **settings)

    return run


def outcome(**ids):
    return [{"passed": [], "failed": [], "kept": [], "gone": [], **ids}]


def test_the_schema_message_is_kept_once(wh, messages):
    head = messages.schema("s", DATED, bookmark_properties=["at"], **{"x-replace-by": []})
    bad = [messages.record("s", id=i, amount="x") for i in (1, 2)]
    wh.load(head, bad[0], messages.record("s", id=3), bad[1])
    wh.load(head, bad[0])
    wh.load(head, bad[0], undeclared_fields="keep")
    first, second = wh.query("SELECT * FROM sync_reject_schemas ORDER BY created_at")
    assert json.loads(first["message"]) == {
        "type": "SCHEMA",
        "stream": "s",
        "schema": {"type": "object", "properties": DATED},
        "key_properties": ["id"],
        "bookmark_properties": ["at"],
    }
    assert first["message"] == second["message"]
    assert first["settings"] == {
        "add_record_metadata": False,
        "default_target_schema": "crm",
        "fingerprints": False,
        "hard_delete": False,
        "invalid_dates": "null",
        "load_method": "upsert",
        "missing_fields": "null",
        "naming": "preserve",
        "strict_validation": False,
        "undeclared_fields": "drop",
        "validate_records": True,
    }
    assert second["settings"] == first["settings"] | {"undeclared_fields": "keep"}
    rejects = wh.query("SELECT schema_hash FROM sync_rejects ORDER BY id")
    assert [r["schema_hash"] for r in rejects] == [first["hash"]] * 3 + [second["hash"]]


def test_nothing_is_kept_of_runs_without_rejects(wh, messages):
    wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=1))
    assert wh.query("SELECT * FROM sync_reject_schemas") == []


def test_mapped_records_are_kept_with_the_mapped_schema(wh, messages):
    maps = {"s": {"__alias__": "t", "id": "id", "twice": "amount + amount", "__else__": None}}
    wh.load(messages.schema("s", PROPERTIES), messages.record("s", id="x", amount=2),
            stream_maps=maps)  # fmt: skip
    assert wh.rejects() == [("t", {"id": "x"}, '{"id": "x", "twice": 4}', "validation")]
    (kept,) = wh.query("SELECT message::jsonb AS message FROM sync_reject_schemas")
    assert kept["message"]["stream"] == "t"
    assert kept["message"]["schema"]["properties"].keys() == {"id", "twice"}


def test_tables_of_the_first_versions_are_adapted(wh, messages):
    stream = [messages.schema("s", PROPERTIES), messages.record("s", id="x")]
    wh.load(*stream)
    wh.query("ALTER TABLE sync_rejects DROP schema_hash; DROP TABLE sync_reject_schemas")
    wh.load(*stream)
    assert [r["schema_hash"] is None for r in wh.query("SELECT * FROM sync_rejects")] == [
        True,
        False,
    ]
    assert len(wh.query("SELECT * FROM sync_reject_schemas")) == 1


def test_who_passes_leaves_and_who_fails_stays_once(wh, messages, again):
    wh.load(messages.schema("s", PROPERTIES))
    wh.query("ALTER TABLE crm.s ADD CHECK (amount >= 0)")
    wh.load(messages.schema("s", PROPERTIES),
            *(messages.record("s", id=i, amount=-i) for i in range(1, 5)),
            messages.record("s", id=5, amount="x"))  # fmt: skip
    (first,) = {r["created_at"] for r in wh.query("SELECT created_at FROM sync_rejects")}
    wh.query("ALTER TABLE crm.s DROP CONSTRAINT s_amount_check, ADD CHECK (amount > -3)")
    expected = outcome(passed=[2, 3], failed=[1, 4, 5])
    assert again(*range(1, 6), dry_run=True) == expected
    assert (wh.table("s"), len(wh.rejects()), len(wh.history())) == ([], 5, 2)
    assert again(*range(1, 6)) == expected
    assert [(row["id"], row["amount"]) for row in wh.table("s")] == [(1, -1), (2, -2)]
    invalid = "amount: 'x' is not of type 'number', 'null'"
    broken = 'new row for relation "s" violates check constraint "s_amount_check"'
    rows = wh.query("SELECT * FROM sync_rejects ORDER BY id")
    assert {(r["history_id"], r["created_at"]) for r in rows} == {(3, first)}
    assert [(r["key"], r["record"], r["error_class"], r["message"].partition(": Fail")[0])
            for r in rows] == [
        ({"id": 5}, '{"id": 5, "amount": "x"}', "validation", invalid),
        ({"id": 3}, '{"id": 3, "amount": -3}', "database", broken),
        ({"id": 4}, '{"id": 4, "amount": -4}', "database", broken),
    ]  # fmt: skip
    assert wh.history()[2]["configuration"]["mode"] == "replay"
    assert wh.counts()[2] == ("s", "partial", 2, 0, 0, 0, 3, 0)


def test_who_is_gone_is_not_stored_again(wh, messages, again):
    head = messages.schema("s", PROPERTIES, keys=())
    wh.load(head, *(messages.record("s", id=i, amount="x") for i in (1, 2)))
    wh.query("UPDATE sync_rejects SET record = replace(record, '\"x\"', '7')")
    assert again(1, 2) == outcome(passed=[1, 2])
    line = messages.record("s", id=1, amount=7)
    assert wh.load(head | {"x-rejects": [1, 2]}, line, line) == outcome(gone=[1, 2])
    assert wh.table("s") == [{"id": 1, "amount": 7}, {"id": 2, "amount": 7}]
    assert wh.counts()[1:] == [("s", "success", 2, 0, 0, 0, 0, 0), ("s", "success", *[0] * 6)]


def test_a_row_that_was_written_since_is_kept(wh, messages, again):
    head = messages.schema("s", PROPERTIES)
    wh.load(head, *(messages.record("s", id=i, amount=i) for i in (1, 2, 3)))
    wh.load(head, *(messages.record("s", id=i, amount="old") for i in (1, 2, 4, 4)))
    wh.load(head, messages.record("s", id=1, amount=100))
    wh.query("UPDATE sync_rejects SET record = replace(record, '\"old\"', (10 + id)::text)")
    assert again(1, 2, 3, 4, batch_size_rows=1) == [
        *outcome(kept=[1]), *outcome(passed=[2]), *outcome(passed=[3]), *outcome(passed=[4])
    ]  # fmt: skip
    amounts = {row["id"]: row["amount"] for row in wh.table("s")}
    assert amounts == {1: 100, 2: 12, 3: 3, 4: 14}
    assert again(1, force=True) == outcome(passed=[1])
    assert wh.table("s")[0] == {"id": 1, "amount": 11}


def test_a_row_of_the_same_replay_is_not_kept_though_the_schema_has_changed(wh, messages):
    heads = [messages.schema("s", PROPERTIES | more) for more in ({}, {"x": {"type": "integer"}})]
    for head in heads:
        wh.load(head, messages.record("s", id=1, amount="x"))
    wh.load(
        heads[0] | {"x-rejects": [1]}, messages.record("s", id=1, amount=1),
        heads[1] | {"x-rejects": [2]}, messages.record("s", id=1, amount=2),
    )  # fmt: skip
    assert wh.states == [*outcome(passed=[1]), *outcome(passed=[2])]
    assert wh.table("s") == [{"id": 1, "amount": 2, "x": None}]


def test_the_bookmark_says_what_is_newer(wh, messages, again):
    def row(number, day, amount):
        return messages.record("s", id=number, amount=amount, at=f"2026-01-{day:02}T00:00:00Z")

    head = messages.schema("s", DATED, bookmark_properties=["at"])
    wh.load(head, *(row(i, 1, i) for i in range(1, 5)))
    wh.load(head, *(row(i, 5, "old") for i in range(1, 5)))
    wh.query("UPDATE sync_rejects SET record = replace(record, '\"old\"', '-1')")
    # Meanwhile: an older version, one as old as the reject, a newer one, a deletion.
    wh.load(head, row(1, 4, 4), row(2, 5, 5), row(3, 6, 6))
    wh.query("ALTER TABLE crm.s ADD _sdc_deleted_at timestamptz")
    wh.query("UPDATE crm.s SET _sdc_deleted_at = now(), sync_updated_at = now() WHERE id = 4")
    assert again(1, 2, 3, 4) == outcome(passed=[1, 3], kept=[2, 4])
    assert [(r["id"], r["amount"]) for r in wh.table("s")] == [(1, -1), (2, 5), (3, 6), (4, 4)]
    assert wh.counts()[-1] == ("s", "success", 0, 1, 3, 0, 0, 0)


def test_the_siblings_of_a_replayed_child_stay(wh, messages, again):
    properties = {"deal": {"type": "integer"}, "line": {"type": "integer"},
                  "amount": {"type": "number"}}  # fmt: skip
    head = messages.schema("s", properties, keys=("deal", "line"), **{"x-replace-by": ["deal"]})
    wh.load(head, *(messages.record("s", deal=1, line=i, amount=i) for i in (1, 2)),
            messages.record("s", deal=1, line=3, amount="x"))  # fmt: skip
    wh.query("UPDATE sync_rejects SET record = replace(record, '\"x\"', '3')")
    assert again(1) == outcome(passed=[1])
    assert [row["line"] for row in wh.table("s")] == [1, 2, 3]


def test_the_key_of_a_table_is_not_changed_back(wh, messages, again):
    wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=1, amount="x"))
    wh.load(messages.schema("s", PROPERTIES, keys=("id", "amount")),
            messages.record("s", id=1, amount=1))  # fmt: skip
    wh.query("UPDATE sync_rejects SET record = replace(record, '\"x\"', '3')")
    with pytest.raises(Exception, match="The key of table"):
        again(1)
    assert len(wh.rejects()) == 1
    assert wh.table("s") == [{"id": 1, "amount": 1}]
