"""tap-salesrabbit against the sandbox: the account's records come, whatever is true of its API."""

from __future__ import annotations

import time
from collections import Counter
from copy import deepcopy
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from pipeline import Pipeline
from singer import Row, Run, Tables, run_tap, select
from tap_salesrabbit.client import read_list, records
from tap_salesrabbit.tap import TapSalesRabbit
from tapkit import dates
from tapkit.errors import PageLoop
from tapkit_fake_api import Answer, Request, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crm_sandbox.client import Control

    Read = Callable[..., Run]

TOKEN = "salesrabbit-sandbox"
FAST = 60_000
ALL = ("lead_statuses", "users", "leads", "lead_status_histories", "lead_status_activities")


@pytest.fixture
def account(sandbox: Control) -> Control:
    salesrabbit = sandbox.of("salesrabbit")
    salesrabbit.no_limits()
    return salesrabbit


@pytest.fixture
def config(account: Control) -> Row:
    url = account.base_url()
    return {"base_url": url, "access_token": TOKEN, "requests_per_minute": FAST}


@pytest.fixture
def read(config: Row) -> Read:
    def read(*streams: str, state: Row | None = None, **settings: Any) -> Run:
        catalog = select(TapSalesRabbit, config, *streams) if streams else None
        return run_tap(TapSalesRabbit, {**config, **settings}, deepcopy(state), catalog)

    return read


LEAD = {
    "id": 1,
    "userId": "911705181",
    "userName": "Sample Rep",
    "firstName": "Sample",
    "lastName": "Person",
    "businessName": "",
    "phonePrimary": "5555550123 ask for Sam",
    "phoneAlternate": "",
    "email": "p@example",
    "notes": "Back door\n",
    "status": "Somewhere Else",
    "customFields": [],
    "integrationData": {},
    "appointment": {"start": "2026-02-03"},
    "campaignId": "",
    "files": [],
    "dateOfBirth": "",
    "statusModified": "2026-02-01T18:00:05+00:00",
    "ownerModified": "2026-01-30T10:00:00-07:00",
    "dateCreated": "2026-01-30T17:00:00+00:00",
    "dateModified": "2026-02-01T18:00:16+00:00",
    "deletedAt": "2026-02-01T18:00:16+00:00",
}
ADDRESS = {
    "street1": "1 Example Way",
    "street2": "",
    "city": "Lehi",
    "state": "UT",
    "zip": "84043",
    "country": "US",
}
PLACE = {"latitude": 40.4210433, "longitude": -111.8827517}
LEAD_ROW = {
    "id": 1,
    "first_name": "Sample",
    "last_name": "Person",
    "business_name": "",
    "email": "p@example",
    "phone_primary": "5555550123 ask for Sam",
    "phone_alternate": "",
    **ADDRESS,
    **PLACE,
    "status": "Somewhere Else",
    "status_modified": "2026-02-01T18:00:05.000000Z",
    "notes": "Back door\n",
    "appointment": '{"start":"2026-02-03"}',
    "files": [],
    "campaign_id": None,
    "user_id": 911705181,
    "user_name": "Sample Rep",
    "date_created": "2026-01-30T17:00:00.000000Z",
    "date_modified": "2026-02-01T18:00:16.000000Z",
    "owner_modified": "2026-01-30T17:00:00.000000Z",
    "date_of_birth": None,
    "deleted_at": "2026-02-01T18:00:16.000000Z",
    "_sdc_deleted_at": "2026-02-01T18:00:16.000000Z",
    "custom_fields": {},
    "integration_data": {},
    "sync_issues": {
        "email": {"value": "p@example", "error": "not an e-mail address"},
        "phone_primary": {"value": "5555550123 ask for Sam", "error": "not a phone number"},
        "status": {"value": "Somewhere Else", "error": "not one of the account's statuses"},
    },
}


@pytest.mark.parametrize(
    "lead",
    [
        {**LEAD, **ADDRESS, **PLACE},
        {**LEAD, "address": ADDRESS, "coordinates": PLACE},
        {**LEAD, "address": ADDRESS, "coordinates": PLACE, "street1": "", "latitude": None},
        {**LEAD, **ADDRESS, **PLACE, "address": [], "coordinates": None},
    ],
    ids=["flat", "nested", "both", "empty parents"],
)
def test_one_lead_whole(lead: Row) -> None:
    def answer(request: Request) -> Answer:
        if request.path == "/leadStatuses":
            return Answer({"data": [{"id": 210, "name": "Closed", "abbreviation": "CL"}]})
        return Answer({"data": [lead], "meta": {"morePages": False}})

    with serving() as api:
        api.answer = answer
        settings = {"base_url": api.url, "access_token": "t", "requests_per_minute": FAST}
        catalog = select(TapSalesRabbit, settings, "leads")
        run = run_tap(TapSalesRabbit, settings, None, catalog)
        unchecked = run_tap(TapSalesRabbit, {**settings, "skip_validation": True}, None, catalog)
        sent = api.requests[-1].headers
    assert run.records("leads") == [{**LEAD_ROW, "data": lead}]
    assert unchecked.records("leads") == [{**LEAD_ROW, "data": lead, "sync_issues": None}]
    assert (sent["Authorization"], sent["Accept"]) == ("Bearer t", "application/json")
    assert (sent["Cache-Control"], "If-Modified-Since" in sent) == ("no-cache", False)


def test_one_row_of_each_other_list_whole(account: Control, read: Read) -> None:
    user = account.records("users")[0] | {"recruiterId": "x", "cmsId": "78", "hireDate": ""}
    account.update("users", str(user["id"]), user, touch=False)
    account.update("leads", "34570", {"status": "Drive By"}, modified="2026-11-01T10:00:00Z")
    activity = account.records("lead_status_activities")[0]
    account.switches(activities_show="then")
    run = read()
    (row,) = (one for one in run.records("users") if one["id"] == user["id"])
    assert row == {
        "id": user["id"],
        **{
            name: user[key]
            for name, key in {
                "first_name": "firstName",
                "last_name": "lastName",
                "business_unit": "businessUnit",
                "external_ids": "externalIds",
            }.items()
        },
        **{
            name: user[name]
            for name in ("email", "phone", "active", "department", "role", "office", "team")
        },
        "full_name": None,
        "hire_date": None,
        "region": "West",
        "org_id": user["orgId"] or None,
        "supervisor_id": user["supervisorId"] or None,
        "recruiter_id": None,
        "cms_id": 78,
        "lead_rep_cms_id": None,
        "photo_url": user["photo_url"],
        "date_created": moment(user["dateCreated"]),
        "date_modified": moment(user["dateModified"]),
        "data": user,
        "sync_issues": {"recruiter_id": {"value": "x", "error": "not a number"}},
    }

    lead = next(one for one in account.records("leads") if one["id"] == 34570)
    (visit,) = (
        one
        for one in run.records("lead_status_histories")
        if one["lead_id"] == 34570 and one["status_updated"] == "2026-11-01T10:00:00.000000Z"
    )
    assert visit == {
        "lead_id": 34570,
        "id": 213,
        "name": "Drive By",
        "abbreviation": "DB",
        "active": True,
        "changed_by_user_id": lead["userId"],
        "status_updated": "2026-11-01T10:00:00.000000Z",
        "lead_created": moment(lead["dateCreated"]),
        "lead_modified": "2026-11-01T10:00:00.000000Z",
        "data": {
            "leadId": "34570",
            "id": 213,
            "name": "Drive By",
            "abbreviation": "DB",
            "active": True,
            "changedByUserId": str(lead["userId"]),
            "statusUpdated": "2026-11-01T10:00:00+00:00",
            "leadCreated": lead["dateCreated"],
            "leadModified": "2026-11-01T10:00:00+00:00",
        },
        "sync_issues": None,
    }

    row = run.records("lead_status_activities")[0]
    names = dict(zip(row, activity_names(), strict=True))
    shown = {name: value for name, value in activity.items() if name != "number"}
    assert row == {
        **{name: shown.get(key) for name, key in names.items()},
        **{
            name: moment(shown[names[name]])
            for name in row
            if name.endswith(("_timestamp", "_created", "_modified"))
        },
        "dispositioner_id": int(shown["dispositionerID"]),
        "data": shown,
        "sync_issues": None,
    }
    assert names["dispositioner_proximity_in_feet"] == "dispositionerProximityInFeet"
    drive_by = {"id": 213, "name": "Drive By", "abbreviation": "DB", "active": True}
    assert run.records("lead_statuses")[3] == {
        **drive_by,
        "data": drive_by,
        "sync_issues": None,
    }


def moment(text: str) -> str:
    return dates.text(dates.parse_datetime(text))


def activity_names() -> list[str]:
    fields = TapSalesRabbit.field_tables["lead_status_activities"]
    return [*(field.source for field in fields), "sync_issues"]


TRUTHS: list[Row] = [
    {},
    {"meta": False, "max_per_page": 9, "order": "modified"},
    {"modified_since": "later", "unmodified": 200, "users_paging": "paged", "totals": True},
    {"sorting": "refused", "order": "newest", "users_paging": "claims_more"},
    {"sorting": "honoured", "order": "scattered", "users_paging": "from_0", "users_filtered": True},
    {"nested_address": True, "empty_object": "array", "appointment": "object"},
    {"activities_header": "If-Modified-Since", "disposition_id": "repeats", "rate_headers": True},
    {"statuses_path": "lead-statuses", "status": "abbreviation", "retry_after": True},
]


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: ",".join(truth) or "as assumed")
def test_incremental_runs_end_where_a_full_one_does(
    account: Control, read: Read, truth: Row
) -> None:
    """Whatever is true of what is uncertain about the API."""
    account.switches(**truth, activities_show="then")
    run = read(page_size=13)
    tables = Tables().load(run)
    assert {name: len(rows) for name, rows in tables.rows.items()} == {
        name: counts["live"] for name, counts in account.counts().items()
    }
    for seed in range(3):
        account.mutate(seed, change=12, add=5, remove=2)
        account.create_many("lead_status_activities", 2, seed)
        account.advance(7200)
        run = read(state=run.state, page_size=13)
        tables.load(run)
        assert run.error is None
        assert {*tables.changed} >= {"leads", "lead_status_histories"}
        assert run.statuses["leads"]["extracted"] < 60
    whole = Tables().load(read())
    assert {name: status["status"] for name, status in run.statuses.items()} == dict.fromkeys(
        ALL, "success"
    )
    assert tables.rows == whole.rows
    assert not tables.load(read(state=run.state)).changed


@pytest.mark.parametrize(
    "truth",
    [
        {"deletion": "gone"},
        {"deletion": "marked_silently", "activities_show": "now"},
        {"owner_moves_modified": False, "history_scope": "event"},
    ],
    ids=",".join,
)
def test_what_changes_silently_is_found_by_the_next_whole_read(
    account: Control, read: Read, truth: Row
) -> None:
    account.switches(**truth)
    first = read()
    tables = Tables().load(first)
    account.mutate(1, ["leads"], change=10, remove=4)
    account.update("leads", account.create("leads"), {"userId": 911705183})
    second = read(state=first.state)
    tables.load(second)
    assert tables.rows != Tables().load(read()).rows
    state = deepcopy(second.state)
    for name in ("leads", "lead_status_histories", "lead_status_activities"):
        assert (
            state["bookmarks"][name]["full_read_at"]
            == (first.state["bookmarks"][name]["full_read_at"])
        )
        state["bookmarks"][name]["full_read_at"] = "2026-01-01T00:00:00Z"
    third = read(state=state)
    tables.load(third)
    assert tables.rows == Tables().load(read()).rows
    mark, before = (run.state["bookmarks"]["leads"] for run in (third, second))
    assert mark["full_read_at"] > before["full_read_at"]
    assert mark["replication_key_value"] == before["replication_key_value"]


def test_a_state_without_whole_read_counts_from_now(account: Control, read: Read) -> None:
    mark = {"replication_key": "date_modified", "replication_key_value": "2026-11-01T00:00:00Z"}
    state = {"bookmarks": {"leads": mark}}
    run = read("leads", state=state)
    assert run.state["bookmarks"]["leads"]["full_read_at"] >= dates.text(dates.now())[:10]
    assert run.statuses["leads"]["extracted"] < 60
    assert read("leads", state=state, full_read_days=0).statuses["leads"]["extracted"] == 60
    dated = read("leads", state=state, full_read_days=0, start_date="2026-11-01")
    assert dated.statuses["leads"]["extracted"] < 60


def test_the_filter_is_sent_on_every_page_from_the_bookmark_minus_look_back() -> None:
    seen: list[tuple[str, str, str | None, str | None]] = []

    def answer(request: Request) -> Answer:
        headers = request.headers
        since = headers.get("If-Modified-Since"), headers.get("If-Status-Modified-Since")
        seen.append((request.path, request.query.get("page", "-"), *since))
        lead = {"id": int(request.query.get("page", 1)), "dateModified": "2026-02-01T10:00:00Z"}
        if request.path == "/leads":
            return Answer({"data": [lead], "meta": {"morePages": lead["id"] < 3}})
        return Answer(status=304)

    marks = {
        "leads": "2026-01-01T12:00:05.000000Z",
        "lead_status_histories": "2026-01-02T12:00:05.500000Z",
        "lead_status_activities": "2026-01-03T12:00:05.000000Z",
    }
    keys = {
        "leads": "date_modified",
        "lead_status_histories": "lead_modified",
        "lead_status_activities": "current_on_device_status_modified",
    }
    bookmarks = {
        name: {"replication_key": keys[name], "replication_key_value": mark}
        for name, mark in marks.items()
    }
    with serving() as api:
        api.answer = answer
        settings = {"base_url": api.url, "access_token": "t", "requests_per_minute": FAST}
        run = run_tap(TapSalesRabbit, settings, {"bookmarks": bookmarks})
        seen_first, seen[:] = [*seen], []
        run_tap(TapSalesRabbit, {**settings, "look_back": 0}, {"bookmarks": bookmarks})
    assert sorted(seen_first) == [
        ("/leadStatusActivities", "1", None, "2026-01-03T11:00:05Z"),
        ("/leadStatusHistories", "1", "2026-01-02T11:00:05+00:00", None),
        ("/leadStatuses", "1", None, None),
        *(("/leads", str(page), "2026-01-01T11:00:05+00:00", None) for page in (1, 2, 3)),
        ("/users", "-", None, None),
    ]
    # The second of the bookmark is always read again: others may share it.
    assert ("/leads", "1", "2026-01-01T12:00:04+00:00", None) in seen
    assert {name: status["status"] for name, status in run.statuses.items()} == dict.fromkeys(
        ALL, "success"
    )
    assert run.statuses["leads"]["extracted"] == 3
    left = {
        name: mark["replication_key_value"] for name, mark in run.state["bookmarks"].items() if mark
    }
    assert left == {**marks, "leads": "2026-02-01T10:00:00.000000Z"}


def test_304_says_nothing_of_what_is_there() -> None:
    """Where all was asked for, too: rows must not be taken for deleted."""
    with serving() as api:
        api.answer = lambda _: Answer(status=304)
        settings = {"base_url": api.url, "access_token": "t", "requests_per_minute": FAST}
        run = run_tap(TapSalesRabbit, settings)
        mark = {"replication_key": "date_modified", "replication_key_value": "2026-11-01T00:00:00Z"}
        state = {"bookmarks": {"leads": {**mark, "full_read_at": "2026-01-01T00:00:00Z"}}}
        due = run_tap(TapSalesRabbit, settings, deepcopy(state))
    assert run.error is None
    assert {message["type"] for message in run.messages} == {"SCHEMA", "STATE"}
    assert {status["status"] for status in run.statuses.values()} == {"success"}
    assert due.state["bookmarks"]["leads"] == state["bookmarks"]["leads"]


def test_changes_during_a_run_are_read_by_the_next(account: Control, read: Read) -> None:
    """The bookmark stays below the start of the run, by the API's clock."""
    account.advance(-86_400)
    later = account.create("leads")
    account.update("leads", later, {}, modified=f"{account.now()[:10]}T23:59:59Z")
    run = read("leads")
    mark = run.state["bookmarks"]["leads"]["replication_key_value"]
    assert mark < moment(account.now())
    assert int(later) in {row["id"] for row in run.records("leads")}
    again = read("leads", state=run.state)
    assert int(later) in {row["id"] for row in again.records("leads")}


def test_statuses_that_are_nowhere_leave_their_stream_out(account: Control, read: Read) -> None:
    account.switches(statuses_path="none")
    run = read()
    assert run.error is None
    assert {name: status["status"] for name, status in run.statuses.items()} == {
        **dict.fromkeys(ALL, "success"),
        "lead_statuses": "partial",
    }
    assert "404, GET /salesrabbit/lead-statuses" in run.statuses["lead_statuses"]["error"]
    assert not [row for row in run.records("leads") if "status" in (row["sync_issues"] or {})]
    assert len(run.records("leads")) == 60


def test_leads_come_where_statuses_fail(account: Control, read: Read) -> None:
    account.faults({"kind": "status", "status": 500, "path": "/leadStatuses$"})
    run = read("leads", "lead_statuses", max_tries=1)
    assert run.statuses["lead_statuses"]["status"] == "failed"
    assert run.statuses["leads"]["status"] == "success"
    assert len(run.records("leads")) == 60


def test_histories_that_repeat_their_first_page_fail(account: Control, read: Read) -> None:
    account.switches(history_pages="repeat")
    run = read(page_size=5)
    assert run.statuses["lead_status_histories"]["status"] == "failed"
    assert "Paging does not end" in run.statuses["lead_status_histories"]["error"]
    assert "replication_key_value" not in run.state["bookmarks"]["lead_status_histories"]
    assert run.statuses["leads"]["status"] == run.statuses["lead_status_activities"]["status"]


PAGES: dict[str, tuple[list[Any], list[list[int]], bool]] = {
    "the API says where it ends": ([([1, 2], True), ([3], False)], [[1, 2], [3]], False),
    "a short page that is not the last": ([([1], True), ([2, 3], False)], [[1], [2, 3]], False),
    "no meta: an empty page ends it": (
        [([1], None), ([2], None), ([], None)],
        [[1], [2], []],
        False,
    ),
    "no meta: the whole list on each page": ([([1], None), ([1], None)], [[1], []], False),
    "no meta: a full page twice": ([([1, 2], None), ([1, 2], None)], [[1, 2]], True),
    "more is promised, but the page comes again": ([([1], True), ([1], True)], [[1]], True),
    "the last page is the one before": ([([1], True), ([1], False)], [[1]], True),
    "an empty page between": ([([1], True), ([], True), ([2], False)], [[1], [], [2]], False),
    "empty pages without end": ([([1], True), ([], True), ([], True)], [[1], [], []], False),
    "nothing": ([([], False)], [[]], False),
    "304 on a later page": ([([1], True), None], [[1], []], False),
}


@pytest.mark.parametrize("case", PAGES)
def test_where_a_list_ends(case: str) -> None:
    answers, expected, loops = PAGES[case]
    asked: list[int | None] = []
    got: list[list[int]] = []

    def fetch(number: int | None) -> Any:
        asked.append(number)
        return as_answer(answers[len(asked) - 1])

    def run() -> None:
        pages = read_list(fetch, records, lambda row: row["id"], page_size=2)
        got.extend([row["id"] for row in page.rows] for page in pages)

    if loops:
        with pytest.raises(PageLoop):
            run()
    else:
        run()
    assert got == expected
    assert asked == list(range(1, len(answers) + 1))


@pytest.mark.parametrize(
    ("pages", "expected", "asked"),
    [
        ({None: ([1, 2], False)}, [1, 2], [None]),
        ({None: ([1, 2], True), 1: ([1, 2], True), 2: ([1, 2], True)}, [1, 2], [None, 1, 2]),
        ({None: ([1, 2], True), 1: ([1, 2], True), 2: ([3], False)}, [1, 2, 3], [None, 1, 2]),
        ({None: ([1, 2], True), 1: ([3, 4], True), 2: ([5], False)}, [1, 2, 3, 4, 5], [None, 1, 2]),
        ({None: ([1], None), 1: ([], None)}, [1], [None, 1]),
    ],
    ids=["whole", "whole, claiming more", "from 1", "from 0", "from 0 without meta"],
)
def test_users_come_once_however_they_are_paged(
    pages: dict[int | None, Any], expected: list[int], asked: list[int | None]
) -> None:
    numbers: list[int | None] = []

    def fetch(number: int | None) -> Any:
        numbers.append(number)
        return as_answer(pages[number])

    read = read_list(fetch, records, lambda row: row["id"], page_size=2, is_unpaged=True)
    assert [row["id"] for page in read for row in page.rows] == expected
    assert numbers == asked


def as_answer(page: tuple[list[int], bool | None] | None) -> Any:
    if page is None:
        return None
    meta = {} if page[1] is None else {"meta": {"morePages": page[1], "total": 9}}
    return {"data": [{"id": one} for one in page[0]], **meta}


@pytest.mark.parametrize(
    "answer",
    [
        {"meta": {"morePages": False}},
        {"data": None, "meta": {"morePages": False}},
        {"data": {"34570": {}}, "meta": {"morePages": False}},
        {"data": ["x"], "meta": {"morePages": False}},
        [],
    ],
    ids=["no data", "null", "an object", "no records", "no envelope"],
)
def test_an_answer_of_another_form_fails_and_removes_nothing(answer: Any) -> None:
    with serving() as api:
        api.answer = lambda request: Answer(
            answer if request.path == "/leads" else {"data": [], "meta": {"morePages": False}}
        )
        settings = {"base_url": api.url, "access_token": "t", "requests_per_minute": FAST}
        run = run_tap(TapSalesRabbit, settings)
    assert run.statuses["leads"]["status"] == "failed"
    assert "unexpected form" in run.statuses["leads"]["error"]
    done = {m["stream"] for m in run.messages if m["type"] == "ACTIVATE_VERSION"}
    assert done == {*ALL} - {"leads"}


def test_an_empty_body_is_no_empty_list() -> None:
    with serving() as api:
        api.answer = lambda request: Answer(
            None if request.path == "/users" else {"data": [], "meta": {"morePages": False}}
        )
        settings = {"base_url": api.url, "access_token": "t", "requests_per_minute": FAST}
        run = run_tap(TapSalesRabbit, {**settings, "max_tries": 2})
    assert run.statuses["users"]["status"] == "failed"
    assert "The answer is empty" in run.statuses["users"]["error"]


def test_a_list_that_moves_while_it_is_read_removes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A lead on two pages says that another one may have been on none."""
    pages = {"1": ([1, 2], True), "2": ([2, 3], False)}
    with serving() as api:
        api.answer = lambda request: Answer(
            as_answer(pages[request.query["page"]] if request.path == "/leads" else ([], False))
        )
        settings = {"base_url": api.url, "access_token": "t", "requests_per_minute": FAST}
        run = run_tap(TapSalesRabbit, settings)
    assert [row["id"] for row in run.records("leads")] == [1, 2, 2, 3]
    assert run.statuses["leads"] == {**run.statuses["leads"], "status": "success", "expected": 9}
    done = {m["stream"] for m in run.messages if m["type"] == "ACTIVATE_VERSION"}
    assert done == {*ALL} - {"leads"}
    assert "The list of leads moved while it was read" in caplog.text


def test_a_refused_token_says_where_tokens_are_made(read: Read) -> None:
    run = read(access_token="an SR+ key")
    assert "Integrations, API" in str(run.error)
    assert "SalesRabbit+ (SR+)" in str(run.error)


class TestPace:
    """The limit is used, and never exceeded."""

    @pytest.mark.parametrize("told_by", ["setting", "headers"])
    def test_the_limit_is_used_and_not_exceeded(
        self, account: Control, read: Read, told_by: str
    ) -> None:
        """20 calls in a second."""
        account.switches(rate_headers=told_by == "headers")
        account.command("limits", values={"per_minute": 20}, seconds={"per_minute": 1.0})
        settings = {"requests_per_minute": 20 * 60} if told_by == "setting" else {}
        account.stats(clear=True)
        began = time.monotonic()
        run = read("leads", "users", page_size=2, **settings)
        seconds = time.monotonic() - began
        stats = account.stats()
        assert run.error is None
        assert stats["rate_limited"] == 0
        assert stats["requests"] > 30
        if told_by == "setting":  # evenly spread; by headers it goes in whole windows
            assert stats["requests"] >= 0.9 * 20 * (seconds - 0.2)

    def test_a_429_is_waited_for_as_the_api_says(self, account: Control, read: Read) -> None:
        account.switches(retry_after=True)
        account.command("limits", values={"per_minute": 5}, seconds={"per_minute": 0.5})
        run = read("users", "lead_statuses", page_size=2)
        assert run.error is None
        assert len(run.records("users")) == 8

    def test_the_default_is_one_request_a_second(self, account: Control, config: Row) -> None:
        del config["requests_per_minute"]
        run_tap(TapSalesRabbit, config, None, select(TapSalesRabbit, config, "users", "leads"))
        moments = [call["at"] for call in account.log("/salesrabbit/")]
        gaps = [later - earlier for earlier, later in pairwise(moments)]
        assert len(gaps) == 2
        assert all(1.0 <= gap < 1.5 for gap in gaps)


def test_rounds_of_changes_through_the_target(
    account: Control,
    config: Row,
    database_url: str,
    other_database_url: str,
    tmp_path: Path,
) -> None:
    """Into a real Postgres: the tables of incremental runs are those of a full load."""
    account.switches(activities_show="then")
    pipeline = Pipeline("tap-salesrabbit", database_url, tmp_path, {**config, "page_size": 25})
    assert pipeline.run() == (0, 0)
    for seed in range(2):
        account.mutate(seed, change=15, add=5, remove=3)
        account.advance(3700)
        assert pipeline.run() == (0, 0)
    (tmp_path / "full").mkdir()
    full = Pipeline("tap-salesrabbit", other_database_url, tmp_path / "full", config)
    assert full.run() == (0, 0)
    tables = pipeline.tables("salesrabbit")
    assert sorted(tables) == sorted(ALL)
    assert tables == full.tables("salesrabbit")
    assert {row["id"]: row["custom_fields"] for row in tables["leads"]} == {
        lead["id"]: lead["customFields"] for lead in account.records("leads")
    }
    deleted = [row for row in tables["leads"] if row["_sdc_deleted_at"]]
    assert {row["id"] for row in deleted} == {
        lead["id"] for lead in account.records("leads") if lead["deletedAt"]
    }
    assert pipeline.run() == (0, 0)
    last = pipeline.history()[-5:]
    changes = Counter(row["records_created"] + row["records_updated"] for row in last)
    assert changes == {0: 5}
    assert {(row["crm_source"], row["status"]) for row in last} == {("salesrabbit", "success")}
    assert {row["sync_type"]: row["endpoint"] for row in last} == {
        "lead_statuses": "/leadStatuses",
        "users": "/users",
        "leads": "/leads",
        "lead_status_histories": "/leadStatusHistories",
        "lead_status_activities": "/leadStatusActivities",
    }
