"""What `warehouse history` finds and shows."""

from __future__ import annotations

import json
import time
from contextlib import closing
from datetime import datetime, timedelta, timezone

import psycopg2
import pytest
from warehouse.runs import runs

PROPERTIES = {"id": {"type": "integer"}}


def test_history_as_a_table(wh, messages, command):
    wh.load(messages.schema("contacts", PROPERTIES), *(messages.record("contacts", id=i)
                                                      for i in range(1200)))  # fmt: skip
    wh.load(messages.schema("deals", PROPERTIES), messages.record("deals", id=None))
    result = command("history")
    assert result.exit_code == 0, result.output
    deals, contacts = (
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in result.output.splitlines()
        if "crm" in line
    )
    assert (contacts[0], deals[0]) == ("1", "2")
    assert contacts[2:5] == ["crm", "contacts", "success"]
    assert contacts[6:] == ["1,200", "1,200", "0", "0", "0", ""]
    assert deals[2:5] == ["crm", "deals", "partial"]
    assert deals[6:10] == ["1", "0", "0", "1"]
    assert deals[11].startswith("1 records were refused")


def test_history_can_be_narrowed_and_read_by_programs(wh, messages, command):
    for crm in ("hubspot", "arrivy", "hubspot"):
        wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=1), crm_source=crm)
    result = command("history", "--crm", "hubspot", "--last", "1", "--json")
    (row,) = map(json.loads, result.output.splitlines())
    assert (row["id"], row["crm_source"], row["records_processed"]) == (3, "hubspot", 1)
    assert row["performance_metrics"]["records_unchanged"] == 1
    assert len(command("history", "--json").output.splitlines()) == 3


def test_history_of_an_empty_database(command):
    assert command("history").output == "No runs yet.\n"
    assert command("history", "--json").output == ""


@pytest.mark.parametrize("width", [60, 110, 200])
def test_long_errors_are_readable_at_any_width(wh, messages, command, width):
    error = f"[bold]{'word ' * 50}{'x' * 90}"
    wh.load(
        messages.schema("contacts", PROPERTIES),
        messages.state({"contacts": messages.report("failed", error=error)}),
    )
    output = command("history", "--width", str(width)).output
    row = next(line for line in output.splitlines() if "│" in line)
    cells = [cell.strip() for cell in row.split("│")[1:-1]]
    assert cells[2:5] == ["crm", "contacts", "failed"]
    assert cells[6:11] == ["0"] * 5
    if width == 200:
        folded = "".join(line.split("│")[-2].strip() + " " for line in output.splitlines()[4:-1])
        assert len(output.splitlines()) > 6
    else:
        folded = output.partition("crm contacts\n")[2]
        assert max(map(len, folded.splitlines())) <= width
    assert "".join(folded.split()) == "".join(error.split())


def ids(result):
    assert result.exit_code == 0, result.output
    return [json.loads(line)["id"] for line in result.output.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((), [1, 2, 3, 4, 5, 6]),
        (("--crm", "hubspot"), [1, 2, 3, 6]),
        (("--crm", "hubspot", "--stream", "contacts"), [1, 3, 6]),
        (("--stream", "deals", "--stream", "calls"), [2, 4, 5]),
        (("--status", "failed"), [2, 5]),
        (("--status", "failed", "--status", "partial"), [2, 4, 5]),
        (("--status", "running"), [1]),
        (("--since", "36h"), [1, 2, 3, 4]),
        (("--until", "36h"), [5, 6]),
        (("--since", "7d", "--until", "3h"), [3, 4, 5]),
        (("--since", "2w", "--last", "2"), [1, 2]),
        (("--run-id", "r-1"), [2, 3]),
        (("--crm", "arrivy"), []),
    ],
)
def test_history_is_narrowed(plant, command, arguments, found):
    plant("running", 0)
    plant("failed", 2, sync_type="deals", configuration={"run_id": "r-1"})
    plant("success", 4, configuration={"meltano": {"run_id": "r-1"}})
    plant("partial", 30, crm_source="callrail", sync_type="calls")
    plant("failed", 100, crm_source="callrail", sync_type="calls")
    plant("success", 200)
    assert ids(command("history", "--json", *arguments)) == found


def test_moments_are_utc_unless_they_say_otherwise(plant, command, wh):
    plant(start_time=datetime(2026, 11, 20, 23, 30, tzinfo=timezone.utc))
    plant(start_time=datetime(2026, 11, 21, 0, 30, tzinfo=timezone.utc))
    wh.query("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET TimeZone = %L',"
             " current_database(), 'Asia/Tokyo'); END $$")  # fmt: skip
    assert ids(command("history", "--json", "--since", "2026-11-21")) == [2]
    assert ids(command("history", "--json", "--since", "2026-11-21T00:00:00+02:00")) == [2, 1]
    assert ids(command("history", "--json", "--until", "2026-11-21T00:30Z")) == [1]
    assert "2026-11-20 23:30:00" in command("history").output
    refused = command("history", "--since", "yesterday")
    assert refused.exit_code == 2
    assert "'yesterday' is no moment; write 2026-11-21" in refused.output


def test_filters_that_fit_nothing_say_so(plant, command):
    plant()
    assert command("history", "--crm", "arrivy").output == "No such runs.\n"


def test_one_run_in_detail(wh, messages, command, monkeypatch):
    monkeypatch.setenv("MELTANO_RUN_ID", "r-7")
    report = {"endpoint": "/crm/v3/contacts", "api_calls": 1200, "expected": 1500}
    wh.load(
        messages.state({"contacts": messages.report("running", **report)}, contacts={"at": 1}),
        messages.schema("contacts", PROPERTIES),
        *(messages.record("contacts", id=i) for i in range(1200)),
        messages.record("contacts", id="x"),
        messages.state({"contacts": messages.report("success", **report)}, contacts={"at": 2}),
    )
    wh.query("UPDATE sync_history SET start_time = '2026-11-21 06:00Z',"
             " end_time = '2026-11-21 06:01Z'")  # fmt: skip
    output = command("history", "1").output
    lines = [" ".join(line.split()) for line in output.splitlines()]
    assert lines[:2] == [
        "crm contacts, run 1: partial",
        "1 records were refused; see sync_rejects",
    ]
    for line in (
        "Run started 2026-11-21 06:00:00",
        "ended 2026-11-21 06:01:00",
        "mode incremental",
        "endpoint /crm/v3/contacts",
        "Records processed 1,201",
        "created 1,200",
        "failed 1",
        "deduplicated 0",
        "expected 1,500",
        "Rejects that wait validation 1",
        "api_calls 1,200",
        'Bookmark before {"at": 1}',
        'after {"at": 2}',
        "load_method upsert",
        "run_id r-7",
    ):
        assert any(shown.endswith(line) for shown in lines), line
    found = json.loads(command("history", "1", "--json").output)
    (row,) = wh.history()
    assert found == json.loads(json.dumps(row, default=datetime.isoformat)) | {
        "rejects": {"validation": 1}
    }
    missing = command("history", "7")
    assert (missing.exit_code, missing.output) == (
        1, "Error: There is no run 7 in public.sync_history.\n"
    )  # fmt: skip


def test_a_running_run_and_one_of_another_program_can_be_shown(plant, command):
    running = plant("running", 0)
    foreign = plant("failed", performance_metrics={}, configuration={}, error_message="[b]gone")
    assert "not yet" in command("history", str(running)).output
    assert "[b]gone" in command("history", str(foreign)).output
    assert "[b]gone" in command("history").output


@pytest.fixture
def many(wh, plant):
    """Return a cursor where 100,000 runs of 70 streams are in the table."""
    plant()
    wh.query(
        "INSERT INTO sync_history (crm_source, sync_type, status, start_time, end_time,"
        " performance_metrics, configuration) SELECT 'crm' || i % 7, 'stream' || i % 70 / 7,"
        " (ARRAY['success', 'failed', 'partial', 'success'])[1 + i / 70 % 4], at, at,"
        " performance_metrics, jsonb_build_object('filler', repeat('0123456789', 80))"
        " FROM sync_history, LATERAL (SELECT i, now() - i * interval '30 s' AS at"
        " FROM generate_series(1, 100000) AS i) AS n WHERE id = 1",
    )
    wh.query("ANALYZE sync_history")


def test_a_long_history_is_read_by_its_indexes(wh, many):
    week = datetime.now(timezone.utc) - timedelta(days=7)
    with closing(psycopg2.connect(wh.url)) as connection:
        cursor = connection.cursor()
        for filters in ({}, {"crm": "crm3"}, {"crm": "crm3", "stream": "stream4"},
                        {"status": "failed"}, {"status": "running"}, {"until": week},
                        {"crm": "nobody"}, {"since": week, "offset": 100}):  # fmt: skip
            started = time.monotonic()
            found = runs(cursor, "public", **filters)
            assert time.monotonic() - started < 0.2, filters
            assert len(found) == (
                0 if filters in ({"crm": "nobody"}, {"status": "running"}) else 20
            )
