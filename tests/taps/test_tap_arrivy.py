"""tap-arrivy against the sandbox: what it reads is what the account holds, whatever is true."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from pipeline import Pipeline
from singer import Row, Run, Tables, run_tap, select
from tap_arrivy.client import ArrivyClient, listed
from tap_arrivy.lists import id_list
from tap_arrivy.tap import TapArrivy
from tapkit.errors import FatalAPIError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crm_sandbox.client import Control

    Read = Callable[..., Run]

YEARS = 5 * 365 * 86_400
"""A look-back that has all tasks of the sandbox in the window."""


@pytest.fixture
def arrivy(sandbox: Control) -> Control:
    crm = sandbox.of("arrivy")
    crm.no_limits()
    return crm


@pytest.fixture
def config(arrivy: Control) -> Row:
    return {
        "base_url": arrivy.base_url(),
        "auth_key": "arrivy-sandbox-key",
        "auth_token": "arrivy-sandbox-token",
        "high_performance": True,
        "comparison_days": 7,
    }


@pytest.fixture
def read(config: Row, monkeypatch: pytest.MonkeyPatch) -> Read:
    monkeypatch.setattr("tapkit.client._backoff", lambda _: 0.01)

    def read(*streams: str, state: Row | None = None, **settings: Any) -> Run:
        catalog = select(TapArrivy, {**config, **settings}, *streams) if streams else None
        return run_tap(TapArrivy, {**config, **settings}, state, catalog)

    return read


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Do something once, when the answer to so many requests of a path is there."""

    def after(path: str, requests: int, action: Callable[[], Any]) -> None:
        get, seen = ArrivyClient.get, []

        def acting(self: ArrivyClient, at: str, params: Any = None, **options: Any) -> Any:
            answer = get(self, at, params, **options)
            if at == path:
                seen.append(params)
                if len(seen) == requests:
                    action()
            return answer

        monkeypatch.setattr(ArrivyClient, "get", acting)

    return after


def ids(arrivy: Control, record_type: str) -> list[str]:
    return [str(record["id"]) for record in arrivy.records(record_type)]


def of(run: Run, stream: str, record_id: str) -> Row:
    (row,) = (row for row in run.records(stream) if row["id"] == record_id)
    return row


def test_one_task_whole(arrivy: Control, read: Read) -> None:
    """The sheet's own example, with what is special about it: ids, offsets, unknown fields."""
    task = {
        **{name: None for name in arrivy.records("tasks")[0] if name != "id"},
        "url_safe_id": "ag9zfmV4YW1wbGU",
        "owner": 5629499534210000,
        "title": "Window estimate",
        "details": "Back entrance",
        "start_datetime": "2026-03-02T16:00:00",
        "end_datetime": "2026-03-02T18:00:00",
        "start_datetime_original_iso_str": "2026-03-02T09:00:00-07:00",
        "end_datetime_original_iso_str": "2026-03-02T11:00:00-07:00",
        "unscheduled": False,
        "duration": 120,
        "status": "CONFIRMED",
        "status_title": "Confirmed",
        "template": 4785074604080000,
        "customer_id": 9007199254740993,
        "customer_first_name": "Sample",
        "customer_last_name": "Person",
        "customer_email": "p@example.com",
        "customer_mobile_number": "+15555550123",
        "customer_city": "Denver",
        "customer_state": "CO",
        "customer_zipcode": 80202,
        "customer_exact_location": {"lat": 39.75, "lng": -104.99},
        "entity_ids": "6473924464340000, 6473924464340001",
        "resource_ids": [],
        "group_id": 2098744557450000,
        "mileage": [1.25],
        "travel_time": 10,
        "extra_fields": {"lead_source": "web"},
        "notifications": {"email": False, "sms": True},
        "external_id": "A-1001",
        "brand_new": [1],
        "created": "2026-02-20T17:02:03",
    }
    task_id = arrivy.create("tasks", task)
    arrivy.update("tasks", task_id, {"updated": "2026-03-01T08:10:00"}, touch=False)
    row = of(read("tasks"), "tasks", task_id)
    assert {name: value for name, value in row.items() if value is not None} == {
        "id": task_id,
        "url_safe_id": "ag9zfmV4YW1wbGU",
        "owner": "5629499534210000",
        "title": "Window estimate",
        "details": "Back entrance",
        "start_datetime": "2026-03-02T16:00:00.000000Z",
        "end_datetime": "2026-03-02T18:00:00.000000Z",
        "start_datetime_original_iso_str": "2026-03-02T09:00:00-07:00",
        "end_datetime_original_iso_str": "2026-03-02T11:00:00-07:00",
        "unscheduled": False,
        "duration": 120,
        "status": "CONFIRMED",
        "status_title": "Confirmed",
        "template": "4785074604080000",
        "customer_id": "9007199254740993",
        "customer_first_name": "Sample",
        "customer_last_name": "Person",
        "customer_email": "p@example.com",
        "customer_mobile_number": "+15555550123",
        "customer_city": "Denver",
        "customer_state": "CO",
        "customer_zipcode": "80202",
        "customer_exact_location": {"lat": 39.75, "lng": -104.99},
        "latitude": 39.75,
        "longitude": -104.99,
        "entity_ids": [6473924464340000, 6473924464340001],
        "resource_ids": [],
        "group_id": "2098744557450000",
        "mileage_data": [1.25],
        "travel_time": "10",
        "extra_fields": {"lead_source": "web"},
        "notifications": {"email": False, "sms": True},
        "external_id": "A-1001",
        "other_fields": {"brand_new": [1]},
        "created": "2026-02-20T17:02:03.000000Z",
        "updated": "2026-03-01T08:10:00.000000Z",
    }
    assert row.keys() == {field.name for field in TapArrivy.field_tables["tasks"]} | {"sync_issues"}


def test_one_customer_with_next_to_nothing(arrivy: Control, read: Read) -> None:
    record = next(row for row in arrivy.records("customers") if "email" not in row)
    row = of(read("customers"), "customers", str(record["id"]))
    filled = {name: value for name, value in row.items() if value is not None}
    assert filled == {"id": str(record["id"]), "owner": str(record["owner"])}


def test_one_event_whole(arrivy: Control, read: Read) -> None:
    (event, *_) = arrivy.records("task_statuses")
    row = of(read("task_statuses"), "task_statuses", str(event["id"]))
    assert row == {
        "id": str(event["id"]),
        "task_id": str(event["_task_id"]),
        "type": event["type"],
        "title": event["title"],
        "type_title": None,
        "time": f"{event['time']}.000000Z",
        "time_original_iso_str": event["time_original_iso_str"],
        "reporter_name": event["reporter_name"],
        "reporter_id": str(event["reporter_id"]),
        "source": event["source"],
        "extra_fields": event["extra_fields"],
        "color": None,
        "url_safe_id": None,
        "other_fields": None,
        "sync_issues": None,
    }


def test_a_first_load_has_every_row_of_every_stream(arrivy: Control, read: Read) -> None:
    arrivy.create("groups", {"is_disabled": True})
    run = read(ratings_and_estimates=True, positions=True)
    assert run.error is None
    tables = Tables().load(run).rows
    for record_type, count in arrivy.counts().items():
        assert len(tables[record_type]) == count["live"]
    assert {row["is_disabled"] for row in run.records("groups")} == {True, False}
    rated = [task for task in arrivy.records("tasks") if task["rating"] is not None]
    assert len(tables["task_ratings"]) == len(rated)
    assert {row["text"] for row in run.records("task_ratings")} == {"Way to go"}
    assert {row["estimate"] for row in run.records("task_estimates")} == {
        f"{minutes} minutes" for minutes in (30, 60, 120)
    }
    assert len(tables["entity_readings"]) == 3 * arrivy.counts()["entities"]["live"]
    assert all(row["last_reading"]["lat"] for row in run.records("entities"))


def test_positions_are_nowhere_unless_wanted(read: Read) -> None:
    run = read()
    assert "entity_readings" not in run.statuses
    assert {row["other_fields"] for row in run.records("entities")} == {None}
    assert "last_reading" not in run.records("entities")[0]
    assert not [line for line in run.lines if "Main St" in line and '"entities"' in line]


WINDOWS: Row = {"look_back": YEARS}
COMPARISONS: Row = {"comparison_days": 0}
TRUTHS: list[tuple[Row, Row]] = [
    ({}, WINDOWS),
    ({}, COMPARISONS),
    ({"content_type": "text/plain", "retry_after": True}, COMPARISONS),
    ({"envelope": True, "order": "newest"}, COMPARISONS),
    ({"largest_page": 12, "order": "scattered"}, COMPARISONS),
    ({"ignores_size": True}, COMPARISONS),
    ({"window": "updated"}, WINDOWS),
    ({"window": "created", "dateless_are_unscheduled": True}, WINDOWS),
    ({"window": "ignored", "details": ""}, WINDOWS),
    ({"id_lists": "text", "numbers": True, "details": "recent"}, WINDOWS),
    ({"moments": False, "customer_moments": True}, WINDOWS),
    ({"bookings": "whole"}, COMPARISONS),
    ({"bookings": "missing", "statuses": False, "disabled_groups": False}, WINDOWS),
]


@pytest.mark.parametrize(
    ("truth", "settings"), TRUTHS, ids=[f"{','.join([*t, *s])}" for t, s in TRUTHS]
)
def test_rounds_of_changes_end_where_a_full_read_does(
    arrivy: Control, read: Read, truth: Row, settings: Row
) -> None:
    """Whatever is true of what Arrivy leaves open."""
    arrivy.switches(**truth)
    settings = {"page_size": 50, **settings}
    run = read(**settings)
    tables = Tables().load(run)
    for seed in range(2):
        removed = 8 if settings.get("comparison_days") == 0 else 0
        arrivy.mutate(seed, change=30, add=7, remove=removed)
        arrivy.advance(60)
        run = read(state=run.state, **settings)
        tables.load(run)
        assert tables.changed
    assert run.error is None
    assert tables.rows == Tables().load(read(**settings)).rows
    assert len(tables.rows["tasks"]) == arrivy.counts()["tasks"]["live"]
    assert len(tables.rows["task_statuses"]) == arrivy.counts()["task_statuses"]["live"]
    assert not tables.load(read(state=run.state, **settings)).changed


@pytest.mark.parametrize("truth", [{"id_lists": "text"}, {"envelope": True}, {"numbers": True}])
def test_other_ways_to_write_give_the_same_rows(arrivy: Control, read: Read, truth: Row) -> None:
    plain = Tables().load(read()).rows
    arrivy.switches(**truth)
    other = Tables().load(read()).rows
    if "numbers" in truth:  # as a number a phone has no plus sign, nor a zip code its first zero
        assert other["tasks"].keys() == plain["tasks"].keys()
        assert all(
            row["customer_mobile_number"] == plain["tasks"][key]["customer_mobile_number"][1:]
            for key, row in other["tasks"].items()
        )
    else:
        assert other == plain


def test_changes_and_deletions_by_real_processes(
    arrivy: Control, config: Row, database_url: str, other_database_url: str, tmp_path: Path
) -> None:
    """Into Postgres: the rounds end where one load does, and a last run writes nothing."""
    settings = {**config, "comparison_days": 0, "page_size": 50}
    hard = {"hard_delete": True}
    pipeline = Pipeline("tap-arrivy", database_url, tmp_path, settings, hard)
    assert pipeline.run() == (0, 0)
    for seed in range(2):
        arrivy.mutate(seed, change=30, add=8, remove=8)
        assert pipeline.run() == (0, 0)
    (tmp_path / "full").mkdir()
    full = Pipeline("tap-arrivy", other_database_url, tmp_path / "full", settings, hard)
    assert full.run() == (0, 0)
    assert pipeline.tables("arrivy") == full.tables("arrivy")
    assert pipeline.run() == (0, 0)
    last = pipeline.history()[-9:]
    assert {row["status"] for row in last} == {"success"}
    assert [(row["records_created"], row["records_updated"]) for row in last] == [(0, 0)] * 9
    assert [row["performance_metrics"]["records_deleted"] for row in last] == [0] * 9


class TestTasks:
    def test_a_window_is_asked_for_and_encoded_once(self, arrivy: Control, read: Read) -> None:
        state = read("tasks").state
        arrivy.stats(clear=True)
        run = read("tasks", state=state)
        queries = [call["query"] for call in arrivy.log("/tasks")]
        (windows, unscheduled, dateless) = (
            [query for query in queries if text in query]
            for text in ("from=", "unscheduled=true", "tasks_with_no_datetime=true")
        )
        assert windows
        assert unscheduled
        assert dateless
        mark = state["bookmarks"]["tasks"]["replication_key_value"]
        assert 0 < len(run.records("tasks")) < arrivy.counts()["tasks"]["live"]
        assert all("T" in query and "%2B00%3A00" in query for query in windows)
        assert not [query for query in queries if "%252B" in query]
        assert f"from={int(mark[:4]) - (mark[5:7] <= '03')}" in windows[0]

    def test_each_comes_once_and_as_it_is_last(
        self, arrivy: Control, read: Read, after: Callable[..., None]
    ) -> None:
        """Also where it moves from one set into another between two passes."""
        arrivy.switches(dateless_are_unscheduled=True)
        task_id = arrivy.create(
            "tasks",
            {
                "unscheduled": True,
                "start_datetime": None,
                "end_datetime": None,
                "title": "to be planned",
            },
        )
        rows = read("tasks").records("tasks")
        assert len({row["id"] for row in rows}) == len(rows) == len(ids(arrivy, "tasks"))
        arrivy.advance(60)
        planned = {
            "unscheduled": False,
            "start_datetime": "2026-12-01T10:00:00",
            "end_datetime": "2026-12-01T11:00:00",
            "title": "planned",
        }
        after("/tasks", 3, lambda: arrivy.update("tasks", task_id, planned))
        tables = Tables().load(read("tasks", comparison_days=None))
        assert tables.rows["tasks"][(task_id,)]["title"] == "planned"

    def test_what_is_moved_out_of_the_window_waits_for_a_comparison(
        self, arrivy: Control, read: Read
    ) -> None:
        run = read("tasks")
        tables = Tables().load(run)
        task_id = ids(arrivy, "tasks")[0]
        old = {"start_datetime": "2019-05-01T10:00:00", "end_datetime": "2019-05-01T11:00:00"}
        plain = {"unscheduled": False}
        arrivy.update("tasks", task_id, {**old, **plain})
        run = read("tasks", state=run.state)
        tables.load(run)
        assert tables.rows["tasks"][(task_id,)]["start_datetime"] != "2019-05-01T10:00:00.000000Z"
        arrivy.advance(8 * 86_400)
        read("groups", state=run.state)  # the clock of the API is known after a request
        tables.load(read("groups", "tasks", state=run.state))
        assert tables.rows["tasks"][(task_id,)]["start_datetime"] == "2019-05-01T10:00:00.000000Z"

    def test_a_hidden_limit_of_a_query_is_noticed(
        self, arrivy: Control, read: Read, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = Tables().load(read("tasks")).rows
        monkeypatch.setattr("tap_arrivy.tasks.SUSPECTED_CAP", 30)
        arrivy.switches(task_cap=30)
        run = read("tasks", page_size=15)
        assert run.statuses["tasks"]["status"] == "success"
        assert Tables().load(run).rows == whole

    @pytest.mark.parametrize("truth", [{"window": "ignored"}, {"dateless_are_unscheduled": True}])
    def test_where_a_hidden_limit_cannot_be_got_round_the_stream_says_so(
        self, arrivy: Control, read: Read, truth: Row, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unscheduled = [
            row
            for row in arrivy.records("tasks")
            if row["unscheduled"] or row["start_datetime"] is None
        ]
        cap = len(unscheduled) - 2 if "window" not in truth else 30
        monkeypatch.setattr("tap_arrivy.tasks.SUSPECTED_CAP", cap)
        arrivy.switches(task_cap=cap, **truth)
        run = read("tasks")
        assert run.statuses["tasks"]["status"] == "partial"
        assert f"beyond {cap}" in run.statuses["tasks"]["error"]
        assert not [m for m in run.messages if m["type"] == "ACTIVATE_VERSION"]

    def test_start_date_is_about_the_schedule_and_deletes_nothing(self, read: Read) -> None:
        run = read("tasks", start_date="2026-11-01", comparison_days=0)
        assert not [m for m in run.messages if m["type"] == "ACTIVATE_VERSION"]
        assert {
            row["end_datetime"] >= "2026-11-01"
            for row in run.records("tasks")
            if row["end_datetime"] and not row["unscheduled"]
        } == {True}


class TestFilters:
    @pytest.mark.parametrize("honoured", ["honoured", ""])
    def test_task_status(self, arrivy: Control, read: Read, honoured: str) -> None:
        """Whether Arrivy filters or not; the others are not taken for deleted."""
        arrivy.switches(status_filter=bool(honoured))
        run = read("tasks")
        tables = Tables().load(run)
        before = dict(tables.rows["tasks"])
        filtered = read(
            "tasks", state=run.state, task_status="confirmed, COMPLETE", comparison_days=0
        )
        assert {row["status"] for row in filtered.records("tasks")} == {"CONFIRMED", "COMPLETE"}
        assert "statuses=COMPLETE%2CCONFIRMED" in arrivy.log("/tasks")[-1]["query"]
        assert tables.load(filtered).rows["tasks"] == before

    def test_task_status_that_arrivy_refuses(self, arrivy: Control, read: Read) -> None:
        plain = read("tasks").records("tasks")
        arrivy.faults({"kind": "status", "status": 400, "path": "/tasks$", "count": 1})
        before = len(arrivy.log("/tasks"))
        run = read("tasks", task_status="CONFIRMED")
        assert run.statuses["tasks"]["status"] == "success"
        assert {row["id"]: row for row in run.records("tasks")} == {
            row["id"]: row for row in plain if row["status"] == "CONFIRMED"
        }
        queries = [request["query"] for request in arrivy.log("/tasks")[before:]]
        assert ["statuses=" in query for query in queries[:2]] == [True, False]
        assert not any("statuses=" in query for query in queries[2:])

    def test_disabled_groups_that_arrivy_refuses(self, arrivy: Control, read: Read) -> None:
        arrivy.update("groups", ids(arrivy, "groups")[0], {"is_disabled": True})
        tables = Tables().load(read("groups"))
        arrivy.faults({"kind": "status", "status": 400, "path": "/groups$", "count": 1})
        run = read("groups")
        assert run.statuses["groups"]["status"] == "success"
        assert not any(row["is_disabled"] for row in run.records("groups"))
        assert run.records("groups")
        assert not tables.load(run).changed

    def test_an_unknown_task_status_is_refused_with_the_known_ones(self, read: Read) -> None:
        run = read(task_status="pending")
        assert "Setting task_status has PENDING; Arrivy knows ARRIVED" in str(run.error)
        assert run.lines == []

    def test_booking_status(self, arrivy: Control, read: Read) -> None:
        (first, *_) = ids(arrivy, "bookings")
        arrivy.update("bookings", first, {"status": "Closed"})
        run = read("bookings", booking_status="closed")
        assert [row["id"] for row in run.records("bookings")] == [first]
        assert not [m for m in run.messages if m["type"] == "ACTIVATE_VERSION"]


class TestDeletions:
    def test_they_are_found_after_so_many_days(self, arrivy: Control, read: Read) -> None:
        run = read("customers", "entities")
        tables = Tables().load(run)
        gone = ids(arrivy, "customers")[3]
        arrivy.remove("customers", gone)
        for days in (7, None):
            tables.load(read("customers", state=run.state, comparison_days=days))
            assert (gone,) in tables.rows["customers"]
        tables.load(read("customers", state=run.state, comparison_days=0))
        assert (gone,) not in tables.rows["customers"]

    def test_a_row_that_a_deletion_hides_is_not_taken_for_deleted(
        self, arrivy: Control, read: Read, after: Callable[..., None]
    ) -> None:
        """A row before is deleted while pages are read: the next page begins one row too late."""
        run = read("customers", page_size=10)
        tables = Tables().load(run)
        gone, hidden = ids(arrivy, "customers")[2], ids(arrivy, "customers")[10]
        after("/customers", 1, lambda: arrivy.remove("customers", gone))
        settings = {"page_size": 10, "high_performance": False, "concurrent_pages": 1}
        run = read("customers", state=run.state, comparison_days=0, **settings)
        assert (hidden,) in tables.load(run).rows["customers"]
        assert (gone,) in tables.rows["customers"]  # it was there when the run began
        run = read("customers", state=run.state, comparison_days=0, **settings)
        assert set(tables.load(run).rows["customers"]) == {(it,) for it in ids(arrivy, "customers")}

    def test_a_list_that_never_rests_deletes_nothing(
        self, arrivy: Control, read: Read, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        get = ArrivyClient.get

        def restless(self: ArrivyClient, path: str, *args: Any, **options: Any) -> Any:
            answer = get(self, path, *args, **options)
            if path == "/customers" and not answer:
                arrivy.remove("customers", ids(arrivy, "customers")[0])
            return answer

        monkeypatch.setattr(ArrivyClient, "get", restless)
        run = read("customers")
        assert run.statuses["customers"]["status"] == "success"
        assert "compared_at" not in run.state["bookmarks"]["customers"]
        assert not [m for m in run.messages if m["type"] == "ACTIVATE_VERSION"]

    def test_without_the_setting_each_page_is_read_once_and_nothing_is_deleted(
        self, arrivy: Control, config: Row
    ) -> None:
        del config["comparison_days"]
        run = run_tap(TapArrivy, config, None, select(TapArrivy, config, "groups", "templates"))
        assert not [m for m in run.messages if m["type"] == "ACTIVATE_VERSION"]
        assert arrivy.stats()["kinds"] == {"arrivy.groups": 2, "arrivy.templates": 1}

    def test_a_cut_run_compares_nothing(self, read: Read) -> None:
        run = read("customers", "tasks", max_records=5)
        assert not [m for m in run.messages if m["type"] == "ACTIVATE_VERSION"]
        assert "compared_at" not in str(run.state)


class TestPages:
    @pytest.mark.parametrize("workers", [1, 8])
    def test_a_last_page_that_is_full(self, arrivy: Control, read: Read, workers: int) -> None:
        more = -arrivy.counts()["customers"]["live"] % 12
        arrivy.create_many("customers", more)
        settings = {"page_size": 12, "high_performance": False, "concurrent_pages": workers}
        run = read("customers", comparison_days=None, **settings)
        assert [row["id"] for row in run.records("customers")] == ids(arrivy, "customers")
        pages = [call["query"] for call in arrivy.log("/customers")]
        full = len(ids(arrivy, "customers")) // 12
        assert [q for q in pages if f"page={full + 1}" in q.split("&")]

    @pytest.mark.parametrize("largest", [0, 2])
    def test_a_short_page_is_not_taken_for_the_last(
        self, arrivy: Control, read: Read, largest: int
    ) -> None:
        arrivy.switches(largest_page=largest)
        run = read("groups", comparison_days=None, high_performance=False, concurrent_pages=1)
        assert {row["id"] for row in run.records("groups")} == set(ids(arrivy, "groups"))
        assert arrivy.stats()["kinds"] == {"arrivy.groups": 3 if largest else 2}

    def test_a_list_without_pages_comes_once(self, arrivy: Control, read: Read) -> None:
        arrivy.switches(bookings="whole")
        run = read("bookings", comparison_days=None)
        assert [row["id"] for row in run.records("bookings")] == ids(arrivy, "bookings")
        assert read("bookings", page_size=2).error is None

    def test_a_failed_page_fails_the_stream(self, arrivy: Control, read: Read) -> None:
        arrivy.faults({"kind": "status", "status": 500, "path": "/customers$", "after": 2})
        run = read("customers", "groups", page_size=10, max_tries=2)
        assert run.statuses["customers"]["status"] == "failed"
        assert run.statuses["groups"]["status"] == "success"
        assert "compared_at" not in run.state["bookmarks"]["customers"]

    @pytest.mark.parametrize("kind", ["cut", "malformed", "reset"])
    def test_broken_pages_are_asked_for_again(self, arrivy: Control, read: Read, kind: str) -> None:
        arrivy.faults({"kind": kind, "path": "/customers$", "every": 2})
        run = read("customers", page_size=10)
        assert run.error is None
        assert {row["id"] for row in run.records("customers")} == set(ids(arrivy, "customers"))


class TestLimits:
    @pytest.mark.parametrize("retry_after", ["0.3", None])
    def test_429_is_waited_out(self, arrivy: Control, read: Read, retry_after: str | None) -> None:
        fault = {"kind": "status", "status": 429, "path": "/customers$", "count": 2}
        arrivy.faults({**fault, "retry_after": retry_after} if retry_after else fault)
        began = time.monotonic()
        run = read("customers")
        assert run.error is None
        assert len(run.records("customers")) == len(ids(arrivy, "customers"))
        assert (time.monotonic() - began >= 0.6) == bool(retry_after)

    def test_the_budget_is_kept_and_used(
        self, arrivy: Control, read: Read, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """40 in 1.5 seconds, for a minute: no refusal, and nine tenths of what is allowed."""
        monkeypatch.setattr("tap_arrivy.client.MINUTE", 1.5)
        arrivy.command("limits", values={"per_minute": 40}, seconds={"per_minute": 1.5})
        arrivy.stats(clear=True)
        run = read(
            *("customers", "task_ratings"),
            ratings_and_estimates=True,
            comparison_days=None,
            high_performance=False,
            concurrent_pages=8,
            requests_per_minute=40,
            page_size=5,
        )
        assert run.error is None
        assert arrivy.stats()["rate_limited"] == 0
        sent = [call["at"] for call in arrivy.log()]
        every_40th = sent[::40]
        rounds = len(every_40th) - 1
        assert rounds >= 2
        assert every_40th[-1] - every_40th[0] <= rounds * 1.5 / 0.9

    def test_without_a_budget_refusals_are_waited_out(self, arrivy: Control, read: Read) -> None:
        arrivy.switches(retry_after=True)
        arrivy.command("limits", values={"per_minute": 30}, seconds={"per_minute": 0.4})
        run = read("customers", page_size=4, comparison_days=None)
        assert run.error is None
        assert len(run.records("customers")) == len(ids(arrivy, "customers"))


class TestRefusals:
    def test_wrong_keys_are_explained(self, read: Read) -> None:
        run = read(auth_token="wrong")
        assert "auth_key (header X-Auth-Key) and auth_token (X-Auth-Token)" in str(run.error)

    @pytest.mark.parametrize("status", [400, 403])
    def test_a_missing_right_fails_its_stream_only(
        self, arrivy: Control, read: Read, status: int
    ) -> None:
        arrivy.switches(denied_status=status)
        arrivy.faults({"kind": "status", "status": 403, "path": "/customers$"})
        run = read("customers", "groups")
        assert run.statuses["customers"]["status"] == "failed"
        assert "may not read this (" in run.statuses["customers"]["error"]
        assert run.statuses["groups"]["status"] == "success"

    @pytest.mark.parametrize("status", [400, 403, 404, 405])
    def test_what_is_not_documented_may_be_missing(
        self, arrivy: Control, read: Read, status: int
    ) -> None:
        arrivy.faults({"kind": "status", "status": status, "path": "/(bookings|statuses)$"})
        run = read("bookings", "statuses", "groups")
        assert run.error is None
        for stream in ("bookings", "statuses"):
            assert run.statuses[stream]["status"] == "partial"
            assert f"/{stream}, which not every account has" in run.statuses[stream]["error"]
        assert run.statuses["groups"]["status"] == "success"

    def test_an_error_that_looks_like_success_fails_the_stream(self) -> None:
        with pytest.raises(FatalAPIError, match="not a list"):
            listed({"message": "INVALID_INPUT", "description": "Invalid page"})


class TestHistory:
    @pytest.mark.parametrize("page_size", [500, 2])
    def test_details_spare_requests(self, arrivy: Control, read: Read, page_size: int) -> None:
        """A request only for a task that has as many events as come along."""
        events = [event["_task_id"] for event in arrivy.records("task_statuses")]
        many = {task for task in events if events.count(task) >= 10}
        assert many
        run = read("task_statuses", page_size=page_size)
        assert len(run.records("task_statuses")) == len(events)
        asked = {call["path"] for call in arrivy.log("/status")}
        assert asked == {f"/arrivy/tasks/{task}/status" for task in many}

    def test_a_task_that_is_deleted_meanwhile_has_none(self, arrivy: Control, read: Read) -> None:
        arrivy.switches(details="")
        arrivy.faults({"kind": "status", "status": 404, "path": "/status$", "count": 1})
        run = read("task_statuses")
        assert run.statuses["task_statuses"]["status"] == "success"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("5348024557502464, 033534889455750984", [5348024557502464, 33534889455750984]),
        ([9007199254740993, "17"], [9007199254740993, 17]),
        ("", []),
        ("[1]", "[1]"),
        (["a"], ["a"]),
        (None, None),
    ],
)
def test_lists_of_ids(value: Any, expected: Any) -> None:
    assert id_list(value) == expected


def test_pages_at_once_keep_their_order(arrivy: Control, read: Read) -> None:
    arrivy.faults(latency_ms=10)
    runs: Iterator[Run] = (
        read(
            *("customers", "tasks"),
            page_size=4,
            comparison_days=None,
            high_performance=False,
            requests_per_minute=1000,
            concurrent_pages=pages,
        )
        for pages in (1, 8)
    )
    one, several = ([run.records("customers"), run.records("tasks")] for run in runs)
    assert one == several
