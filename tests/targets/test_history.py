"""What SyncHistory says is what happened."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from warehouse.history import History

PROPERTIES: dict[str, Any] = {"id": {"type": "integer"}, "v": {"type": ["string", "null"]}}

METRICS = {
    "duration_seconds", "records_per_second", "api_calls", "api_calls_per_record",
    "peak_memory_mb", "batches", "records_unchanged", "records_deduplicated", "records_deleted",
    "validation_warnings", "success_rate",
}  # fmt: skip


def test_the_table_is_as_agreed(wh, messages):
    wh.load(messages.schema("s", PROPERTIES))
    columns = wh.query(
        "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
        " WHERE attrelid = 'sync_history'::regclass AND attnum > 0 ORDER BY attnum"
    )
    assert {c["attname"]: c["type"] for c in columns} == {
        "id": "bigint",
        "crm_source": "character varying(50)",
        "sync_type": "character varying(100)",
        "endpoint": "character varying(200)",
        "status": "character varying(20)",
        "start_time": "timestamp with time zone",
        "end_time": "timestamp with time zone",
        "records_processed": "bigint",
        "records_created": "bigint",
        "records_updated": "bigint",
        "records_failed": "bigint",
        "error_message": "text",
        "performance_metrics": "jsonb",
        "configuration": "jsonb",
        "created_at": "timestamp with time zone",
    }
    indexes = wh.query("SELECT indexdef FROM pg_indexes WHERE tablename = 'sync_history'")
    definitions = " ".join(row["indexdef"] for row in indexes)
    for columns_of_index in ("(crm_source, sync_type)", "(start_time)", "(status)"):
        assert columns_of_index in definitions
    with pytest.raises(psycopg2.errors.CheckViolation):
        wh.query("UPDATE sync_history SET status = 'done'")


def test_a_run_says_all_there_is_to_say(wh, messages, monkeypatch):
    monkeypatch.setenv("MELTANO_RUN_ID", "r-1")
    report = {"endpoint": "/crm/v3/contacts", "api_calls": 4, "warnings": 3, "expected": 2}
    wh.load(
        messages.state({"contacts": messages.report("running", **report)}, contacts={"at": 1}),
        messages.schema("contacts", PROPERTIES),
        messages.record("contacts", id=1),
        messages.record("contacts", id=2, v="a\u0000"),
        messages.state({"contacts": messages.report("success", extracted=2, **report)},
                       contacts={"at": 2}),
    )  # fmt: skip
    (run,) = wh.history()
    metrics, configuration = run["performance_metrics"], run["configuration"]
    assert metrics.keys() >= METRICS
    assert (metrics["api_calls"], metrics["api_calls_per_record"]) == (4, 2.0)
    assert metrics["validation_warnings"] == 4
    assert metrics["success_rate"] == 1
    assert metrics["duration_seconds"] > 0
    assert metrics["peak_memory_mb"] > 10
    assert (metrics["records_extracted"], metrics["records_expected"]) == (2, 2)
    assert run["endpoint"] == "/crm/v3/contacts"
    assert run["status"] == "success"
    assert run["error_message"] is None
    assert run["start_time"] <= run["end_time"]
    assert run["start_time"].utcoffset().total_seconds() == 0
    assert configuration["bookmarks"] == {"before": {"at": 1}, "after": {"at": 2}}
    assert configuration["mode"] == "incremental"
    assert configuration["settings"]["load_method"] == "upsert"
    assert configuration["meltano"]["run_id"] == "r-1"
    assert configuration["versions"].keys() == {"crm-warehouse", "singer-sdk", "python", "postgres"}
    assert "postgresql://" not in json.dumps(configuration)


@pytest.mark.parametrize(
    ("last", "status", "error"),
    [
        ({"status": "success"}, "success", None),
        ({"status": "partial", "error": "2 warnings"}, "partial", "2 warnings"),
        ({"status": "failed", "error": "quota gone"}, "failed", "quota gone"),
        ({"status": "running"}, "failed", "extractor stopped before the stream was complete"),
    ],
)
def test_the_extractor_says_how_its_stream_ended(wh, messages, last, status, error):
    states = wh.load(
        messages.state({"s": messages.report("running")}),
        messages.schema("s", PROPERTIES),
        messages.record("s", id=1),
        messages.state({"s": messages.report(**last)}, s=1),
    )
    (run,) = wh.history()
    assert (run["status"], run["error_message"]) == (status, error)
    assert run["records_created"] == 1
    assert states == [{"bookmarks": {"s": 1}}]


def test_a_stream_that_failed_before_its_schema_has_its_row(wh, messages):
    forbidden = messages.report("failed", error="scope crm.objects.deals.read is missing")
    wh.load(
        messages.schema("contacts", PROPERTIES),
        messages.record("contacts", id=1),
        messages.state({"deals": messages.report("running")}),
        messages.state({"deals": forbidden}),
    )
    assert [(r["sync_type"], r["status"], r["error_message"]) for r in wh.history()] == [
        ("contacts", "success", None),
        ("deals", "failed", "scope crm.objects.deals.read is missing"),
    ]


def test_streams_are_closed_as_they_end(wh, messages):
    reports = {"a": messages.report("running")}
    wh.load(
        messages.state(reports),
        messages.schema("a", PROPERTIES),
        *(messages.record("a", id=i) for i in range(3)),
        messages.state({"a": messages.report("success")}, a=3),
        messages.state({"a": messages.report("success"), "b": messages.report("running")}, a=3),
        messages.schema("b", PROPERTIES),
        messages.record("b", id=1),
        messages.state({"a": messages.report("success"), "b": messages.report("success")}, a=3),
    )
    first, second = wh.history()
    assert (first["sync_type"], first["status"]) == ("a", "success")
    assert first["end_time"] <= second["start_time"]


def test_a_run_is_open_while_it_lasts_and_counts_what_is_committed(wh, messages):
    process = wh.process(batch_size_rows=2)
    process.stdin.write(
        wh.lines(
            messages.schema("s", PROPERTIES),
            *(messages.record("s", id=i) for i in range(3)),
            messages.state(s=3),
        )
    )
    process.stdin.flush()
    wh.wait_for(lambda: wh.query("SELECT to_regclass('crm.s') AS s")[0]["s"])
    run = wh.query("SELECT * FROM sync_history")
    assert (run[0]["status"], run[0]["end_time"], run[0]["records_created"]) == ("running", None, 2)
    assert run[0]["performance_metrics"].keys() >= METRICS

    # Another run leaves it alone, for its process lives.
    wh.load(messages.schema("other", PROPERTIES))
    assert [row["status"] for row in wh.query("SELECT status FROM sync_history ORDER BY id")] == [
        "running",
        "success",
    ]
    process.communicate(timeout=60)
    assert wh.counts()[0] == ("s", "success", 3, 0, 0, 0, 0, 0)


def test_a_row_whose_process_is_gone_is_closed_by_the_next_run(wh, messages, caplog):
    wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=1))
    wh.query("UPDATE sync_history SET status = 'running', end_time = NULL")
    wh.load(messages.schema("other", PROPERTIES))
    first, second = wh.history()
    assert (first["status"], first["sync_type"]) == ("failed", "s")
    assert first["error_message"].startswith("The process ended before the stream was complete")
    assert first["end_time"] is not None
    assert second["status"] == "success"
    assert "Closed an abandoned run of crm s as failed" in caplog.text


def test_an_error_of_the_loader_closes_every_open_stream(wh, messages):
    with pytest.raises(Exception, match="came before its schema"):
        wh.load(
            messages.schema("a", PROPERTIES),
            messages.schema("b", PROPERTIES),
            messages.record("a", id=1),
            messages.record("c", id=1),
        )
    assert [(r["sync_type"], r["status"], r["records_created"]) for r in wh.history()] == [
        ("a", "failed", 0),
        ("b", "failed", 0),
    ]
    assert wh.query("SELECT to_regclass('crm.a') AS a") == [{"a": None}]


def test_the_end_is_logged_in_the_agreed_form(wh, messages, caplog):
    caplog.set_level("INFO")
    head = messages.schema("contacts", PROPERTIES)
    wh.load(head, *(messages.record("contacts", id=i, v="a") for i in range(5)))
    wh.load(head, *(messages.record("contacts", id=i, v="b" if i < 2 else "a") for i in range(15)))
    assert "Completed crm contacts sync: 5 created, 0 updated, 0 failed" in caplog.text
    assert "Completed crm contacts sync: 10 created, 2 updated, 0 failed" in caplog.text


def test_only_the_first_warnings_of_a_field_are_logged(wh, messages, caplog):
    properties = PROPERTIES | {"at": {"type": "string", "format": "date-time"}}
    wh.load(
        messages.schema("s", properties), *(messages.record("s", id=i, at="x") for i in range(50))
    )
    assert "Failed to parse datetime value: 'x' in field 'at' for crm 7" in caplog.text
    assert caplog.text.count("Failed to parse datetime value") == 20
    assert "30 more warnings for field 'at' of s" in caplog.text
    assert wh.history()[0]["performance_metrics"]["validation_warnings"] == 50


def test_first_runs_at_the_same_time(wh, messages):
    processes = [wh.process(crm_source=f"crm{i}") for i in range(3)]
    lines = wh.lines(messages.schema("s", PROPERTIES), messages.record("s", id=1))
    for process in processes:
        process.stdin.write(lines)
    ends = [(process.communicate(timeout=60)[1], process.returncode) for process in processes]
    assert [code for _, code in ends] == [0, 0, 0], ends
    assert sorted(row["crm_source"] for row in wh.history()) == ["crm0", "crm1", "crm2"]
    assert {row["status"] for row in wh.history()} == {"success"}


@pytest.mark.parametrize(
    ("settings", "deletes"),
    [
        ({}, "soft"),
        ({"hard_delete": True}, "hard"),
        ({"load_method": "overwrite"}, "hard"),
        ({"default_target_schema": "elsewhere"}, "soft"),
    ],
)
def test_a_run_says_which_table_it_wrote(wh, messages, settings, deletes):
    wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=1), **settings)
    wh.load(messages.schema("s", PROPERTIES), **settings)
    place = settings.get("default_target_schema", "crm")
    oid = wh.query("SELECT %s::regclass::oid::bigint AS oid", f"{place}.s")[0]["oid"]
    table = {"schema": place, "name": "s", "oid": oid, "is_new": True, "deletes": deletes}
    assert [run["configuration"]["table"] for run in wh.history()] == [
        table,
        table | {"is_new": False},
    ]


def test_a_run_that_just_ends_is_not_taken_for_an_abandoned_one(wh):
    history = History()
    with closing(psycopg2.connect(wh.url)) as run, closing(psycopg2.connect(wh.url)) as other:
        history.ensure(run.cursor())
        history_id = history.open(run.cursor(), "crm", "s", {})
        run.commit()
        history.close(run.cursor(), history_id, "success", metrics={}, configuration={})
        # Not committed yet: the other run sees a running row.
        assert history.close_abandoned(other.cursor()) == []
        run.commit()
        other.commit()
        assert history.close_abandoned(other.cursor()) == []
    assert wh.query("SELECT status FROM sync_history") == [{"status": "success"}]
