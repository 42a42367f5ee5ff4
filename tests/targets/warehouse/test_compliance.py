"""`warehouse check` is content with what the loader writes, and finds what is wrong."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from psycopg2 import sql

NO_MAKER = (
    "Table crm.s: whether all its rows come from runs, for the run that made it is not in"
    " sync_history."
)
PROPERTIES: dict[str, Any] = {"id": {"type": "integer"}, "v": {"type": ["string", "null"]}}


@pytest.fixture
def check(command):
    """Checks, and returns violations (rule, id, sentence) and what was not compared."""

    def run(*arguments: str) -> tuple[list[tuple[Any, ...]], list[str]]:
        result = command("check", "--json", *arguments)
        found = json.loads(result.output)
        assert result.exit_code == (0 if found["ok"] else 1)
        assert found["ok"] == (not found["violations"])
        return [tuple(one.values()) for one in found["violations"]], found["unknown"]

    return run


@pytest.fixture
def load(wh, messages):
    """Loads records of stream s; `version` makes it a complete read."""

    def run(*records: Any, version: int | None = None, keys: tuple[str, ...] = ("id",),
            **settings: Any) -> None:  # fmt: skip
        lines = [messages.record("s", **one) | ({"version": version} if version else {})
                 for one in records]  # fmt: skip
        if version:
            lines.append({"type": "ACTIVATE_VERSION", "stream": "s", "version": version})
        wh.load(messages.schema("s", PROPERTIES, keys=keys), *lines, **settings)

    return run


def numbered(*ids: int, v: str = "a") -> list[dict[str, Any]]:
    return [{"id": i, "v": v} for i in ids]


# What the loader does is well


def test_what_is_created_updated_and_deleted_softly_adds_up(load, check):
    load(*numbered(1, 2, 3), version=1)
    load(*numbered(2, 3, 4, v="b"), version=2)  # 1 is marked
    load(*numbered(1, 2), version=3)
    load({"id": "x"}, {"id": 9})
    assert check() == ([], [])


def test_hard_deletions_add_up(load, check):
    load(*numbered(1, 2, 3, 4), version=1)
    load(*numbered(3, 4, 5), version=2, hard_delete=True)
    load(*numbered(3), {"id": 4, "_sdc_deleted_at": "2026-11-21T00:00:00Z"}, hard_delete=True)
    load(*numbered(3, 6, 7), load_method="overwrite")
    assert check() == ([], [])


def test_replaced_sets_add_up(wh, messages, check):
    head = messages.schema("s", PROPERTIES | {"part": {"type": "integer"}}, keys=("id", "part"),
                           **{"x-replace-by": ["id"]})  # fmt: skip
    wh.load(head, *(messages.record("s", id=1, part=p) for p in range(3)))
    wh.load(head, *(messages.record("s", id=1, part=p) for p in (2, 3)))
    assert check() == ([], [])
    assert wh.history()[1]["performance_metrics"]["records_deleted"] == 2


def test_tables_without_keys_add_up(load, check):
    for _ in range(2):
        load(*numbered(1, 1), keys=())
    load(*numbered(1), keys=(), load_method="overwrite")
    assert check() == ([], [])


def test_a_run_under_way_and_one_that_waits_for_it_add_up(wh, messages, check):
    process = wh.process(batch_size_rows=2)
    process.stdin.write(wh.lines(messages.schema("s", PROPERTIES),
                                 *(messages.record("s", id=i) for i in range(3))))  # fmt: skip
    process.stdin.flush()
    wh.wait_for(lambda: wh.query("SELECT to_regclass('crm.s') AS s")[0]["s"])
    assert check() == ([], [])
    waiting = wh.process()
    waiting.stdin.write(wh.lines(messages.schema("s", PROPERTIES), messages.record("s", id=9)))
    waiting.stdin.close()
    wh.wait_for(lambda: len(wh.query("SELECT id FROM sync_history")) == 2)
    process.communicate(timeout=60)
    waiting.wait(60)
    assert [row["records_created"] for row in wh.history()] == [3, 1]
    assert check() == ([], [])
    for stream in (waiting.stdout, waiting.stderr):
        stream.close()


def test_a_killed_run_adds_up(wh, messages, check):
    process = wh.process(batch_size_rows=2)
    process.stdin.write(wh.lines(messages.schema("s", PROPERTIES),
                                 *(messages.record("s", id=i) for i in range(3))))  # fmt: skip
    process.stdin.flush()
    wh.wait_for(lambda: wh.query("SELECT to_regclass('crm.s') AS s")[0]["s"])
    process.kill()
    process.communicate()
    wh.load(messages.schema("s", PROPERTIES), *(messages.record("s", id=i) for i in range(3)))
    assert [row["records_created"] for row in wh.history()] == [2, 1]
    assert check() == ([], [])


def test_replayed_rejects_add_up(load, messages, check, wh):
    load({"id": "x"}, {"id": "y"}, {"id": 1})
    head = messages.schema("s", PROPERTIES, **{"x-rejects": [1, 2]})
    wh.load(head, messages.record("s", id=2), messages.record("s", id="y"))
    assert wh.counts() == [
        ("s", "partial", 1, 0, 0, 0, 2, 0),
        ("s", "partial", 1, 0, 0, 0, 1, 0),
    ]
    assert check() == (
        [],
        [("2 failed records of 1 runs: they are in sync_rejects no more, as after a replay or a"
         " purge.")],
    )  # fmt: skip


def test_tables_elsewhere_are_found(load, check, wh):
    load(*numbered(1), default_target_schema="Sales", history_schema="audit")
    load(*numbered(2), stream_schemas={"s": "x"}, naming="snake", history_schema="audit")
    assert check("--schema", "audit") == ([], [])
    wh.query('DELETE FROM "Sales".s')
    assert check("--schema", "audit")[0] == [
        ("created", 1, ("Run 1 (crm s): it counts 1 created records, but only 0 rows of Sales.s"
                       " were first stored meanwhile.")),
    ]  # fmt: skip


def test_an_empty_database_is_well(command):
    result = command("check")
    assert (result.exit_code, result.output) == (0, "0 runs and 0 tables: all is well.\n")


# One row


@pytest.mark.parametrize(
    ("change", "rule", "sentence"),
    [
        ("crm_source = 'Hub-Spot'", "crm_source",
         "its crm_source 'Hub-Spot' is not lower case without separators."),
        ("sync_type = 's_sync'", "sync_type",
         "its sync_type 's_sync' is not the plain name of a stream, without _sync."),
        ("records_processed = 5", "processed",
         ("its records_processed is 5, but created, updated, unchanged, deduplicated and failed"
         " are 2 together.")),
        ("performance_metrics = performance_metrics || '{\"records_unchanged\": 2}'", "processed",
         ("its records_processed is 2, but created, updated, unchanged, deduplicated and failed"
         " are 4 together.")),
        ("records_updated = -1, records_processed = 0", "negative",
         "one of its counters is negative."),
        ("end_time = NULL", "end_time", "it has status success but no end_time."),
        ("status = 'running'", "running", "it has status running but an end_time."),
        ("end_time = start_time - interval '1 s'", "order", "it ended before it started."),
        ("records_failed = 1, records_processed = 3", "failed",
         "it has status success but 1 failed records."),
        ("performance_metrics = performance_metrics - 'api_calls' - 'batches'", "metrics",
         "its performance_metrics have no api_calls, batches."),
    ],
)  # fmt: skip
def test_a_row_that_breaks_a_rule_is_named(load, check, wh, change, rule, sentence):
    load(*numbered(1))
    load(*numbered(1, 2, v="b"))
    wh.query(sql.SQL("UPDATE sync_history SET {} WHERE id = 2").format(sql.SQL(change)))
    crm = "Hub-Spot" if rule == "crm_source" else "crm"
    stream = "s_sync" if rule == "sync_type" else "s"
    violations, _ = check("--no-tables")
    assert violations == [(rule, 2, f"Run 2 ({crm} {stream}): {sentence}")]


def test_a_status_of_its_own_is_named(load, check, wh):
    load()
    wh.query("ALTER TABLE sync_history DROP CONSTRAINT sync_history_status_check")
    wh.query("UPDATE sync_history SET status = 'done'")
    assert check("--no-tables")[0] == [
        ("structure", None, ("Table public.sync_history has no constraint that allows only its four"
                            " statuses.")),
        ("status", 1, ("Run 1 (crm s): its status 'done' is none of running, success, partial and"
                      " failed.")),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("DROP INDEX sync_history_crm_source_sync_type_idx",
         "has no index on (crm_source, sync_type)"),
        ("DROP INDEX sync_history_start_time_idx", "has no index on (start_time)"),
        ("DROP INDEX sync_history_status_idx", "has no index on (status)"),
        ("ALTER TABLE sync_history DROP CONSTRAINT sync_history_pkey", "has no primary key id"),
        ("ALTER TABLE sync_history ALTER start_time TYPE timestamp",
         "has start_time as timestamp without time zone instead of timestamp with time zone"),
        ("ALTER TABLE sync_history ALTER records_created DROP NOT NULL",
         "allows null in records_created"),
        ("ALTER TABLE sync_history DROP endpoint", "has no column endpoint"),
    ],
)  # fmt: skip
def test_a_table_that_is_not_as_agreed_is_named(load, check, wh, change, sentence):
    load()
    wh.query(change)
    violations, _ = check("--no-tables")
    assert violations == [("structure", None, f"Table public.sync_history {sentence}.")]


def test_narrower_counters_are_as_good(load, check, wh):
    load(*numbered(1))
    wh.query("ALTER TABLE sync_history ALTER records_created TYPE integer")
    assert check() == ([], [])


# The tables


@pytest.mark.parametrize(
    ("change", "violation"),
    [
        ("UPDATE sync_history SET records_created = 2, records_updated = 1 WHERE id = 2",
         ("created", 2, ("Run 2 (crm s): it counts 2 created records, but only 1 rows of crm.s were"
                        " first stored meanwhile."))),
        ("UPDATE sync_history SET records_created = 1, records_updated = 2 WHERE id = 1",
         ("created", 1, ("Run 1 (crm s): it counts 1 created records, but 3 rows of crm.s were"
                        " first stored meanwhile."))),
        ("UPDATE sync_history SET records_updated = 0 WHERE id = 2",
         ("updated", 2, ("Run 2 (crm s): it counts 1 records created, updated and deleted, but 3"
                        " rows of crm.s were last changed meanwhile."))),
        ("DELETE FROM crm.s WHERE id = 3",
         ("created", 1, ("Run 1 (crm s): it counts 3 created records, but only 2 rows of crm.s were"
                        " first stored meanwhile."))),
        ("INSERT INTO crm.s (id) VALUES (9)",
         ("rows", None, ("Table crm.s has 1 rows that were stored when none of its runs was under"
                        " way; the last one is run 2."))),
        ("INSERT INTO crm.s (id, sync_created_at) VALUES (8, now()), (9, now())",
         ("rows", None, ("Table crm.s has 2 rows that were stored when none of its runs was under"
                        " way; the last one is run 2."))),
        (("INSERT INTO crm.s (id, sync_created_at) SELECT 9, sync_created_at FROM crm.s"
         " WHERE id = 4"),
         ("created", 2, ("Run 2 (crm s): it counts 1 created records, but 2 rows of crm.s were"
                        " first stored meanwhile."))),
        ("DROP TABLE crm.s",
         ("table", 2, "Run 2 (crm s): it has status success, but there is no table crm.s.")),
    ],
)  # fmt: skip
def test_counters_that_are_not_what_the_table_shows(load, check, wh, change, violation):
    load(*numbered(1, 2, 3))
    load(*numbered(1, 2, 4, v="b"))
    wh.query(change)
    processed = [v for v in check()[0] if v[0] != "processed"]
    assert processed == [violation]
    assert check("other") == ([], ["other: it has no runs."])


@pytest.mark.parametrize(
    ("change", "violation"),
    [
        ("DELETE FROM crm.s WHERE id = 1",
         ("created", 1, ("Run 1 (crm s): it counts 4 created records, but only 1 rows of crm.s were"
                        " first stored meanwhile, and 2 can have been deleted since."))),
        (("UPDATE sync_history SET performance_metrics = performance_metrics"
         " || '{\"records_deleted\": 5}' WHERE id = 2"),
         ("deleted", 2, ("The runs of crm.s up to 2 count 3 deleted records more than rows are"
                        " missing from those they created."))),
    ],
)  # fmt: skip
def test_deletions_that_are_not_what_the_table_shows(load, check, wh, change, violation):
    load(*numbered(1, 2, 3, 4))
    load(*numbered(1, 4), version=2, hard_delete=True)
    assert check() == ([], [])
    wh.query(change)
    assert check() == ([violation], [])


def test_a_run_of_somebody_else_is_compared_too(load, check, plant, wh):
    load(*numbered(1))
    plant(crm_source="crm", sync_type="s", records_created=3, records_processed=3)
    plant(crm_source="crm", sync_type="t")
    assert check()[0] == [
        ("created", 2, ("Run 2 (crm s): it counts 3 created records, but only 0 rows of crm.s were"
                       " first stored meanwhile.")),
        ("table", 3, "Run 3 (crm t): it has status success, but there is no table crm.t."),
    ]  # fmt: skip


# Rejects


def test_more_rejects_than_failed_records(load, check, wh):
    load({"id": "x"}, {"id": "y"}, {"id": 1})
    assert check() == ([], [])
    wh.query("UPDATE sync_history SET records_failed = 1, records_updated = 1")
    assert check("--no-tables")[0] == [
        ("rejects", 1, ("Run 1 (crm s): it counts 1 failed records, but 2 of them are in"
                       " sync_rejects.")),
    ]  # fmt: skip


# What cannot be known


def test_fewer_rejects_may_have_been_replayed(load, check, wh):
    load({"id": "x"}, {"id": "y"})
    wh.query("DELETE FROM sync_rejects WHERE id = 1")
    assert check() == (
        [],
        [("1 failed records of 1 runs: they are in sync_rejects no more, as after a replay or a"
         " purge.")],
    )  # fmt: skip


def test_a_shortened_history_is_compared_as_far_as_it_goes(load, check, wh):
    load(*numbered(1, 2))
    load(*numbered(3))
    load(*numbered(4))
    wh.query("DELETE FROM sync_history WHERE id = 1")
    assert check() == ([], [NO_MAKER])
    wh.query("DELETE FROM crm.s WHERE id = 3")
    violations, _ = check()
    assert [v[:2] for v in violations] == [("created", 2)]


def test_gaps_in_the_history_let_doubt_in(load, check, wh):
    load(*numbered(1, 2), version=1, hard_delete=True)
    load(*numbered(2, 3), version=2, hard_delete=True)
    load(*numbered(3), version=3, hard_delete=True)
    wh.query("DELETE FROM sync_history WHERE id = 2")
    assert check() == (
        [],
        ["Table crm.s: whether all its rows come from runs, for rows of sync_history may be gone.",
         ("Table crm.s: rows missing from runs up to 1, for rows of sync_history may be gone that"
         " counted their deletion.")],
    )  # fmt: skip


def test_a_table_made_anew_is_compared_with_its_own_runs(load, check, wh):
    load(*numbered(1, 2))
    wh.query("DROP TABLE crm.s")
    load(*numbered(2))
    gone = "Table crm.s: 1 runs wrote a table of this name that is gone."
    assert check() == ([], [gone])
    wh.query("DELETE FROM crm.s")
    assert [v[:2] for v in check()[0]] == [("created", 2)]


def test_a_table_that_was_there_before(load, check, wh):
    wh.query("CREATE SCHEMA crm; CREATE TABLE crm.s (id bigint PRIMARY KEY, v text);"
             " INSERT INTO crm.s VALUES (1, 'old')")  # fmt: skip
    load(*numbered(1, 2))
    assert check() == ([], [NO_MAKER])


def test_a_stream_that_never_brought_anything(plant, check):
    plant("failed", sync_type="t", configuration={"table": "t"})
    assert check() == (
        [], ["Table hubspot.t: it is not there, and no success says it should be."]
    )  # fmt: skip


# The command


def test_check_for_people(load, command, wh):
    load(*numbered(1, 2))
    assert command("check").output == "1 runs and 1 tables: all is well.\n"
    wh.query("UPDATE sync_history SET sync_type = 's_sync',"
             " performance_metrics = performance_metrics - 'batches';"
             " DELETE FROM crm.s; DROP TABLE sync_rejects")  # fmt: skip
    result = command("check")
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        (
            "Run 1 (crm s_sync): its sync_type 's_sync' is not the plain name of a stream, without"
            " _sync."
        ),
        "Run 1 (crm s_sync): its performance_metrics have no batches.",
        (
            "Run 1 (crm s_sync): it counts 2 created records, but only 0 rows of crm.s were first"
            " stored meanwhile."
        ),
        "1 runs and 1 tables: 3 things are wrong.",
    ]


def test_a_long_history_is_checked_soon(plant, command, wh):
    plant()
    wh.query(
        "INSERT INTO sync_history (crm_source, sync_type, status, start_time, end_time,"
        " performance_metrics) SELECT 'hubspot', 'contacts', 'success', at, at,"
        " performance_metrics FROM sync_history, LATERAL (SELECT now() - i * interval '30 s' AS at"
        " FROM generate_series(1, 100000) AS i) AS n WHERE id = 1"
    )
    wh.query("CREATE SCHEMA hubspot; CREATE TABLE hubspot.contacts AS"
             " SELECT now() AS sync_created_at, now() AS sync_updated_at LIMIT 0")  # fmt: skip
    started = time.monotonic()
    assert "100,001 runs and 1 tables: all is well." in command("check").output
    assert time.monotonic() - started < 10
