"""How `warehouse health` judges what is in the history."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg2
import pytest
from psycopg2.extras import RealDictCursor
from warehouse.configuration import Configuration, Row
from warehouse.health import Rules, examine
from warehouse.history import History
from warehouse.rejects import Origin, Reject, Rejects


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch, tmp_path):
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(tmp_path))


@pytest.fixture
def problems(wh):
    """Examines, and returns the problems: kind, CRM, stream, sentence."""

    def look(**options: Any) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(wh.url)) as connection:
            health = examine(connection.cursor(), "public", **options)
        assert health.ok == (not health.problems)
        return [(p.kind, p.crm_source, p.sync_type, p.sentence) for p in health.problems]

    return look


@pytest.fixture
def refuse(wh):
    """Writes rejects of hubspot contacts that are some hours old."""

    def write(count: int, hours: float) -> None:
        with closing(psycopg2.connect(wh.url)) as connection, connection:
            cursor = connection.cursor()
            rejects = Rejects()
            rejects.ensure(cursor)
            rejects.store(
                cursor, [Reject("{}", "{}", "validation", "no")] * count, history_id=1,
                crm_source="hubspot", stream="contacts", origin=Origin("{}", "{}"),
            )  # fmt: skip
            cursor.execute(
                "UPDATE sync_rejects SET created_at = now() - %s * interval '1 hour'"
                " WHERE created_at = now()",
                (hours,),
            )

    return write


# Success share


@pytest.mark.parametrize(
    ("ends", "sentence"),
    [
        (["success"] * 4 + ["failed"], None),
        (["success"] * 3 + ["failed"], ("3 of 4 runs that ended in the last 24 hours succeeded"
                                       " (75%); at least 80% should.")),
        (["success"] * 3 + ["partial"], ("3 of 4 runs that ended in the last 24 hours succeeded"
                                        " (75%); at least 80% should.")),
        (["failed"], ("0 of 1 runs that ended in the last 24 hours succeeded"
                     " (0%); at least 80% should.")),
    ],
)  # fmt: skip
def test_four_runs_of_five_should_succeed(plant, problems, ends, sentence):
    plant("success", 2, sync_type="deals")
    plant("success", 25.9)  # not within the period
    for status in ends:
        plant(status, 3)
    found = [("success_share", "hubspot", "contacts", f"hubspot contacts: {sentence}")]
    assert problems() == (found if sentence else [])


def test_the_share_and_its_period_can_be_set(plant, problems):
    for hours, status in ((1, "success"), (2, "failed"), (30, "success"), (31, "success")):
        plant(status, hours)
    assert [p[0] for p in problems()] == ["success_share"]
    assert problems(rules=Rules(success_share=0.5)) == []
    assert [p[0] for p in problems(rules=Rules(period=timedelta(hours=48)))] == ["success_share"]
    assert problems(rules=Rules(success_share=0.75, period=timedelta(hours=48))) == []


def test_a_long_run_counts_when_it_ends(plant, problems):
    plant("failed", 1, start_time=datetime.now(timezone.utc) - timedelta(hours=40))
    assert [p[0] for p in problems()] == ["success_share"]


# Freshness


def test_a_crm_of_which_everything_is_late_is_said_once(plant, problems):
    plant("success", 27)
    plant("success", 30, sync_type="deals")
    plant("success", 1, crm_source="callrail", sync_type="calls")
    assert problems() == [
        ("overdue", "hubspot", None,
         "hubspot last succeeded 27.0 hours ago; a success is expected within 26.0 hours."),
    ]  # fmt: skip


def test_a_stream_that_is_late_alone_is_named(plant, problems):
    plant("success", 1)
    plant("success", 30, sync_type="deals")
    assert problems() == [
        ("overdue", "hubspot", "deals",
         "hubspot deals last succeeded 30.0 hours ago; a success is expected within 26.0 hours."),
    ]  # fmt: skip


def test_hours_are_expected_by_crm(plant, problems):
    plant("success", 3)
    plant("success", 3, crm_source="callrail", sync_type="calls")
    assert problems(expected_hours={"hubspot": 4, "callrail": 2}) == [
        ("overdue", "callrail", None,
         "callrail last succeeded 3.0 hours ago; a success is expected within 2.0 hours."),
    ]  # fmt: skip
    assert [p[:2] for p in problems(expected_hours={"hubspot": 4, "*": 2})] == [
        ("overdue", "callrail")
    ]


def test_a_partial_run_brought_data_and_a_failed_one_did_not(plant, problems):
    plant("success", 30)
    plant("failed", 28)
    assert [p[:3] for p in problems()] == [("overdue", "hubspot", None)]
    plant("partial", 25)
    assert problems() == []


def test_a_replay_of_rejects_is_no_sync(plant, problems):
    plant(hours=30)
    plant("partial", hours=2, configuration={"mode": "replay"})
    ((kind, crm, _, _),) = problems()
    assert (kind, crm) == ("overdue", "hubspot")


def test_a_stream_that_never_succeeded_is_late_since_it_was_last_tried(plant, problems):
    plant("failed", 40)
    assert problems() == [
        ("overdue", "hubspot", None, ("hubspot never succeeded and was last tried 40.0 hours ago;"
                                     " a success is expected within 26.0 hours.")),
    ]  # fmt: skip


def test_a_first_run_may_take_its_time(wh, plant, problems):
    number = plant("running", 0, performance_metrics={"duration_seconds": 3 * 3600})
    wh.query("UPDATE sync_history SET start_time = now() - interval '3 hours'")
    with closing(psycopg2.connect(wh.url)) as connection, connection.cursor() as cursor:
        History().lock(cursor, number)
        assert problems(expected_hours={"*": 1}) == []
    wh.wait_for(lambda: problems(expected_hours={"*": 1}))
    assert [p[0] for p in problems(expected_hours={"*": 1})] == ["overdue", "stuck"]


def test_a_stream_that_is_not_read_any_more_is_not_late(plant, problems):
    plant("success", 1)
    plant("success", 24 * 30, sync_type="deals")
    plant("success", 24 * 30, crm_source="callrail", sync_type="calls")
    assert [p[:3] for p in problems()] == [("overdue", "callrail", None)]


# Schedules


@pytest.fixture
def configure(wh):
    def write(crm: str, stream: str = "all", **columns: Any) -> None:
        with closing(psycopg2.connect(wh.url)) as connection, connection:
            configuration = Configuration(connection)
            configuration.put(Row(crm, stream, **columns))

    return write


def test_a_schedule_says_what_is_expected(plant, problems, configure, wh):
    now = datetime(2026, 11, 23, 6, 30, tzinfo=timezone.utc)  # a Monday
    for hour in (4, 5):
        plant(start_time=now, end_time=now.replace(hour=hour, minute=0), sync_type=f"at_{hour}")
    configure("hubspot", schedule_enabled=True, schedule_cron="0 * * * *")
    # At 06:30 the run of 06:00 may still be under way; the one of 05:00 is not.
    assert problems(now=now) == [
        ("overdue", "hubspot", "at_4", ("hubspot at_4 last succeeded 2.5 hours ago;"
" a success is expected within 1.5 hours (schedule 0 * * * *).")),
    ]  # fmt: skip
    configure("hubspot", "at_4", schedule_enabled=True, schedule_cron="0 5 * * 1-5")
    assert problems(now=now) == []  # since Friday
    configure("hubspot", "at_4", is_active=False)
    assert problems(now=now + timedelta(minutes=40), expected_hours={}) == [
        ("overdue", "hubspot", None, ("hubspot last succeeded 2.2 hours ago;"
" a success is expected within 1.2 hours (schedule 0 * * * *).")),
    ]  # fmt: skip
    assert problems(now=now + timedelta(minutes=40), expected_hours={"hubspot": 3}) == []
    configure("hubspot", schedule_enabled=False, schedule_cron="0 * * * *")
    assert problems(now=now + timedelta(hours=20)) == []
    configure("hubspot", is_active=False)
    assert problems(now=now + timedelta(hours=40)) == []


# Runs that hang


def test_a_row_whose_process_is_gone_is_stuck(plant, problems):
    plant("success", 1)
    number = plant("running", 0)
    assert problems() == [
        ("stuck", "hubspot", "contacts", (f"hubspot contacts: run {number} says it is running, but"
         " its process is gone.")),
    ]  # fmt: skip


def test_a_run_that_gets_on_is_not_stuck(wh, messages, problems):
    process = wh.process(crm_source="hubspot", batch_size_rows=2)
    lines = [messages.record("s", id=i) for i in range(3)]
    process.stdin.write(wh.lines(messages.schema("s", {"id": {"type": "integer"}}), *lines))
    process.stdin.flush()
    wh.wait_for(lambda: wh.query("SELECT to_regclass('hubspot.s') AS s")[0]["s"])
    assert problems() == []
    later = datetime.now(timezone.utc) + timedelta(minutes=61)
    (found,) = problems(now=later)
    assert found[:3] == ("stuck", "hubspot", "s")
    assert found[3] == "hubspot s: run 1 got no further for 60 minutes."
    assert problems(now=later, rules=Rules(patience=timedelta(hours=2))) == []
    process.kill()
    process.communicate()
    wh.wait_for(problems)
    assert problems()[0][3] == "hubspot s: run 1 says it is running, but its process is gone."


def test_a_stream_that_waits_for_another_one_is_not_stuck(wh, plant, problems):
    """Some taps say of all their streams that they run, and then read one after the other."""
    waits = plant("running", 0, performance_metrics={"duration_seconds": 1})
    works = plant("running", 0, sync_type="deals", performance_metrics={"duration_seconds": 7000})
    wh.query("UPDATE sync_history SET start_time = now() - interval '2 hours'")
    with closing(psycopg2.connect(wh.url)) as connection, connection.cursor() as cursor:
        for number in (waits, works):
            History().lock(cursor, number)
        assert problems() == []
        cursor.execute("SELECT pg_advisory_unlock_all()")
        assert [p[:3] for p in problems()] == [
            ("stuck", "hubspot", "contacts"),
            ("stuck", "hubspot", "deals"),
        ]


# Rejects, and CRMs that never ran


def test_growing_rejects_are_a_problem_and_steady_ones_are_not(plant, problems, refuse):
    plant()
    refuse(2, 30)
    assert problems() == []
    refuse(2, 3)
    assert problems() == []
    refuse(1200, 2)
    assert problems() == [
        ("rejects", "hubspot", "contacts", ("hubspot contacts: 1,202 records were refused in the"
         " last 24 hours, 2 in the 24 hours before; 1,204 wait in sync_rejects.")),
    ]  # fmt: skip


def test_configured_crms_that_never_ran(plant, problems, configure, command, monkeypatch, tmp_path):
    assert problems() == []
    assert problems(crms=["arrivy"]) == [("never_run", "arrivy", None, "arrivy has never run.")]
    plant()
    configure("five9")
    configure("salespro", is_active=False)
    (tmp_path / "meltano.yml").write_text(
        "plugins: {extractors: [{name: tap-callrail}, {name: tap-hubspot}, {name: tap-arrivy}]}"
    )
    (tmp_path / ".env").write_text("TAP_CALLRAIL_API_KEY=k\nTAP_ARRIVY_AUTH_KEY=\n")
    result = command("health", "--json")
    assert result.exit_code == 1
    assert [(p["kind"], p["crm_source"]) for p in json.loads(result.output)["problems"]] == [
        ("never_run", "callrail"),
        ("never_run", "five9"),
    ]
    assert command("health", "hubspot").exit_code == 0


# The command


def test_health_of_an_empty_database(command, problems):
    result = command("health")
    assert (result.exit_code, result.output) == (0, "No runs yet.\n")
    assert problems() == []


def test_health_at_a_glance(plant, command, refuse):
    plant("success", 1.5)
    plant("failed", 0.2, sync_type="deals", error_message="[b]The API refused")
    plant("success", 70, crm_source="callrail", sync_type="calls")
    refuse(3, 30)
    result = command("health", "--success-share", "0.9")
    assert result.exit_code == 1
    lines = [[cell.strip() for cell in line.strip("│").split("│")]
             for line in result.output.splitlines() if line.startswith("│")]  # fmt: skip
    assert lines == [
        ["callrail", "calls", "overdue", "3 d ago", "success", "3 d ago", "in 26.0 h",
         "0 of 0", "0", "0", "0", "0"],
        ["hubspot", "contacts", "ok", "1.5 h ago", "success", "1.5 h ago", "in 26.0 h",
         "1 of 1", "0", "3", "0", "3"],
        ["hubspot", "deals", "failing", "12 min ago", "failed", "never", "in 26.0 h",
         "0 of 1", "0", "0", "0", "0"],
    ]  # fmt: skip
    assert result.output.splitlines()[-3:] == [
        "callrail last succeeded 70.0 hours ago; a success is expected within 26.0 hours.",
        (
            "hubspot deals: 0 of 1 runs that ended in the last 24 hours succeeded (0%); at least"
            " 90% should."
        ),
        "  The last run said: [b]The API refused",
    ]
    assert command("health", "hubspot", "--success-share", "0").output.endswith("All is well.\n")


def test_health_for_programs(plant, command):
    number = plant("success", 3)
    result = command("health", "--json", "--expected-hours", "hubspot=2")
    assert result.exit_code == 1
    found = json.loads(result.output)
    (stream,) = found.pop("streams")
    at = datetime.fromisoformat(found.pop("at"))
    assert datetime.now(timezone.utc) - at < timedelta(minutes=1)
    problem = {
        "kind": "overdue",
        "crm_source": "hubspot",
        "sync_type": None,
        "sentence": "hubspot last succeeded 3.0 hours ago; a success is expected within 2.0 hours.",
    }
    assert found == {"ok": False, "problems": [problem]}
    last = stream.pop("last_run")
    assert (last["id"], last["status"], last["error_message"]) == (number, "success", None)
    assert at - datetime.fromisoformat(stream.pop("last_success")) > timedelta(hours=3)
    assert stream == {
        "crm_source": "hubspot", "sync_type": "contacts", "expected_hours": 2.0, "expected_by": "",
        "retired": False, "ended": 1, "succeeded": 1, "success_share": 1.0, "running": 0,
        "stuck": [], "gone": [], "rejects": 0, "rejects_new": 0, "rejects_before": 0, "ok": False,
        "problems": [problem],
    }  # fmt: skip


def test_hours_come_from_the_variable_too(plant, command, monkeypatch):
    plant("success", 3)
    monkeypatch.setenv("WAREHOUSE_EXPECTED_HOURS", "hubspot=2, 48")
    assert command("health").exit_code == 1
    assert command("health", "--expected-hours", "hubspot=4").exit_code == 0
    wrong = command("health", "--expected-hours", "hubspot=soon")
    assert wrong.exit_code == 2
    assert "'hubspot=soon' is not a CRM and its hours, as hubspot=2." in wrong.output
    monkeypatch.setenv("WAREHOUSE_EXPECTED_HOURS", "hubspot=-1")
    wrong = command("health")
    assert (wrong.exit_code, wrong.output) == (
        3, ("Error: WAREHOUSE_EXPECTED_HOURS: 'hubspot=-1' is not a CRM and its hours, as"
        " hubspot=2.\n"),
    )  # fmt: skip


def test_any_kind_of_cursor_and_any_schema_will_do(wh, messages):
    wh.load(messages.schema("s", {"id": {"type": "integer"}}), history_schema="audit")
    with closing(psycopg2.connect(wh.url, cursor_factory=RealDictCursor)) as connection:
        connection.set_session(readonly=True)
        (stream,) = examine(connection.cursor(), "audit").streams
    assert (stream.crm_source, stream.sync_type, stream.succeeded) == ("crm", "s", 1)
