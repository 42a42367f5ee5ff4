"""tap-callrail against the sandbox: what it reads is what accounts hold, however they change."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from pipeline import Pipeline
from singer import Row, Run, Tables, run_tap, select
from tap_callrail.client import pages
from tap_callrail.lists import AccountList
from tap_callrail.tap import TapCallRail
from target_warehouse.target import TargetWarehouse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crm_sandbox.client import Control, Sandbox

    Read = Callable[..., Run]

KEY = "callrail-sandbox"
DAY = 86_400
NAMES = {"companies": ["name"], "trackers": ["name"], "users": ["role"]}
"""What a round changes of records without dates."""


@pytest.fixture
def crm(sandbox: Sandbox) -> Control:
    crm = sandbox.of("callrail")
    crm.no_limits()
    return crm


@pytest.fixture
def config(crm: Control) -> Row:
    return {"base_url": crm.base_url(), "api_key": KEY}


@pytest.fixture
def read(config: Row) -> Read:
    def read(*streams: str, state: Row | None = None, **settings: Any) -> Run:
        catalog = select(TapCallRail, config, *streams) if streams else None
        return run_tap(TapCallRail, {**config, **settings}, state, catalog)

    return read


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapkit.client._backoff", lambda _: 0.02)


def utc(text: str | None) -> str | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def call_row(truth: Row, **other: Any) -> Row:
    """The row that a call of the sandbox has to become."""
    row = {name: value for name, value in truth.items() if name != "page_views"}
    for name in ("start_time", "created_at", "good_lead_call_time"):
        row[name] = utc(row[name])
    if row["good_lead_call_id"] is not None:
        row["good_lead_call_id"] = str(row["good_lead_call_id"])
    row["recording_player"] = row["recording_player"].partition("?")[0]
    return {**row, "sync_issues": None, **other}


def by_id(rows: list[Row]) -> dict[str, Row]:
    return {row["id"]: row for row in rows}


def a_round(crm: Control, seed: int) -> None:
    """Two days: calls, forms and texts come in, recent ones are edited, companies change."""
    crm.advance(DAY)
    crm.create_many("calls", 4, seed=seed)
    crm.create_many("form_submissions", 2, seed=seed)
    crm.create_many("text_messages", 1, seed=seed)
    conversation = crm.records("text_messages")[seed]["id"]
    crm.command("text", conversation_id=conversation, content=f"Round {seed}")
    crm.advance(DAY)
    for number, call in enumerate(crm.records("calls")[-4:]):
        edits = [
            {"tags": [f"Round {seed}"], "note": "Edited"},
            {"value": 100 + seed, "lead_status": "good_lead"},
            {"transcription": "Hello?", "call_summary": "Said hello"},
            {"customer_name": None},
        ]
        crm.update("calls", call["id"], edits[number])
    crm.update("form_submissions", crm.records("form_submissions")[-1]["id"], {"note": "Edited"})
    if seed:  # as spam leaves the list
        crm.remove("calls", crm.records("calls")[-6]["id"])
        crm.remove("form_submissions", crm.records("form_submissions")[-3]["id"])
    crm.remove("users", crm.records("users")[0]["id"])
    crm.remove("companies", crm.records("companies")[seed]["id"])
    crm.mutate(seed, types=["trackers", "companies"], change=2, add=1)


# What rows look like


def test_all_calls_whole(crm: Control, read: Read) -> None:
    run = read("calls")
    assert run.records("calls") == sorted(
        map(call_row, crm.records("calls")), key=lambda row: row["start_time"]
    )
    assert list(run.records("calls")[0])[:3] == ["id", "account_id", "answered"]
    assert run.statuses["calls"]["status"] == "success"
    assert run.statuses["calls"]["complete_since"] < ago(crm, 757)


def test_a_call_that_left_the_list_is_removed_by_a_full_refresh(crm: Control, read: Read) -> None:
    tables = Tables().load(read("calls"))
    gone = crm.records("calls")[3]["id"]
    crm.remove("calls", gone)
    tables.load(read("calls"))
    assert tables.changed["calls"] == 1
    assert (gone,) not in tables.rows["calls"]


def test_all_else_whole(crm: Control, read: Read) -> None:
    run = read()
    assert run.error is None
    for stream in ("companies", "tags", "users", "form_submissions"):
        moments = {"created_at", "disabled_at", "submitted_at"}
        truths = [
            {name: utc(it[name]) if name in moments else it[name] for name in it}
            for it in crm.records(stream)
        ]
        rows = by_id(run.records(stream))
        assert rows == by_id([{**truth, "sync_issues": None} for truth in truths])
    (account,) = crm.records("accounts")
    assert run.records("accounts") == [{**account, "sync_issues": None}]
    (tracker,) = crm.records("trackers")[:1]
    del tracker["company_id"]
    assert by_id(run.records("trackers"))[tracker["id"]] == {
        **tracker,
        "company_id": tracker["company"]["id"],
        "company_name": tracker["company"]["name"],
        "created_at": utc(tracker["created_at"]),
        "sync_issues": None,
    }


def test_conversations_and_their_texts_whole(crm: Control, read: Read) -> None:
    run = read("text_messages", "messages")
    truths = crm.records("text_messages")
    (first, *_) = sorted(truths, key=lambda it: it["last_message_at"])
    texts = first.pop("messages")
    del first["created_at"]
    shown = ("content", "created_at", "direction", "type", "media_urls")
    assert by_id(run.records("text_messages"))[first["id"]] == {
        **first,
        "last_message_at": utc(first["last_message_at"]),
        "recent_messages": [{name: text[name] for name in shown} for text in texts[-2:]],
        "sync_issues": None,
    }
    assert run.records("messages")[: len(texts)] == [
        {
            "conversation_id": first["id"],
            "id": text["id"],
            "account_id": "ACC0001",
            **{name: text[name] for name in ("content", "direction", "status", "type")},
            "media_urls": [],
            "created_at": utc(text["created_at"]),
            "user_id": text["user"] and text["user"]["id"],
            "user_name": text["user"] and text["user"]["name"],
            "sync_issues": None,
        }
        for text in texts
    ]
    assert len(run.records("messages")) == sum(
        len(it["messages"]) for it in truths if it != first
    ) + len(texts)


def test_what_is_off_by_default_can_be_selected(crm: Control, config: Row, read: Read) -> None:
    extras = {"leads", "notifications", "integrations", "caller_ids", "page_views"}
    entries = TapCallRail(config=config).catalog_dict["streams"]
    assert extras == {
        entry["tap_stream_id"]
        for entry in entries
        for metadata in entry["metadata"]
        if not metadata["breadcrumb"] and metadata["metadata"]["selected-by-default"] is False
    }
    assert not extras & read().statuses.keys()
    assert extras | {*TapCallRail.default_streams} == {it["tap_stream_id"] for it in entries}
    run = read(*extras)
    assert {status["status"] for status in run.statuses.values()} == {"success"}
    (lead, *_), (caller, *_) = crm.records("leads"), crm.records("caller_ids")
    assert by_id(run.records("leads"))[lead["id"]] == {
        **lead,
        "created_at": utc(lead["created_at"]),
        "sync_issues": None,
    }
    assert by_id(run.records("caller_ids"))[str(caller["id"])] == {
        **{name: caller[name] for name in caller if name != "validation_code"},
        "id": str(caller["id"]),
        "created_at": utc(caller["created_at"]),
        "sync_issues": None,
    }
    for stream, hidden in (("integrations", "config"), ("notifications", "")):
        assert by_id(run.records(stream)) == by_id(
            [
                {**{n: it[n] for n in it if n != hidden}, "id": str(it["id"]), "sync_issues": None}
                for it in crm.records(stream)
            ]
        )
    assert run.records("page_views") == [
        {
            "call_id": call["id"],
            "position": position,
            "account_id": call["account_id"],
            "call_start_time": utc(call["start_time"]),
            "page_url": view["page_url"],
            "referrer_url": None,
            "created_at": utc(view["created_at"]),
            "sync_issues": None,
        }
        for call in sorted(crm.records("calls"), key=lambda it: utc(it["start_time"]))
        for position, view in enumerate(call["page_views"], 1)
    ]


# Changes

TRUTHS: list[Row] = [
    {},
    {"totals": "missing", "relative_overlap": 2, "next_page_host": "vendor"},
    {"totals": "zero", "day_ends": "midnight", "relative_pagination": False},
    {"relative_lists": False, "shapes": "seen"},
    {"unknown_fields": "refused", "withdrawn_fields": ["sentiment", "lead_status"]},
    {"unknown_fields": "refused", "default_range": "all_time", "user_time_zone": "Asia/Tokyo"},
    {"default_range": "last_30_days", "user_time_zone": "America/Los_Angeles"},
]


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: ",".join(truth) or "as documented")
def test_incremental_runs_end_where_a_full_one_does(crm: Control, read: Read, truth: Row) -> None:
    """Whatever is true of what CallRail leaves open, for changes within the look-back."""
    crm.switches(**truth)
    run = read(page_size=8)
    tables = Tables().load(run)
    for seed in range(2):
        a_round(crm, seed)
        run = read(state=run.state, page_size=8)
        tables.load(run)
        assert run.error is None
        assert tables.changed["calls"] == 4 + seed
    whole = read()
    assert {status["status"] for status in whole.statuses.values()} == {"success"}
    assert tables.rows == Tables().load(whole).rows
    assert len(tables.rows["calls"]) == 60 + 2 * 4 - 1
    assert any(row["tags"] for row in tables.rows["calls"].values())
    again = read(state=run.state)
    assert not tables.load(again).changed
    assert len(again.records("calls")) < 30


def load(run: Run, url: str) -> Row:
    """Load what a run wrote, and give the state that the target emits."""
    out = io.StringIO()
    with redirect_stdout(out):
        target = TargetWarehouse(config={"sqlalchemy_url": url, "crm_source": "callrail"})
        target.listen(io.BytesIO("".join(run.lines).encode()))
    state: Row = json.loads(out.getvalue().splitlines()[-1])
    return state


def test_three_rounds_through_the_target(
    crm: Control, read: Read, database_url: str, other_database_url: str, tmp_path: Path
) -> None:
    """Into a real Postgres; a run without changes writes nothing."""
    warehouse = Pipeline("tap-callrail", database_url, tmp_path, {})
    full = Pipeline("tap-callrail", other_database_url, tmp_path, {})
    state = load(read(), database_url)
    for seed in range(3):
        a_round(crm, seed)
        state = load(read(state=state), database_url)
    load(read(state=state), database_url)
    load(read(), other_database_url)

    tables, truth = warehouse.tables("callrail"), full.tables("callrail")
    gone: Row = {}
    for name, rows in tables.items():
        gone[name] = len([row for row in rows if row.get("_sdc_deleted_at")])
        tables[name] = [row for row in rows if not row.get("_sdc_deleted_at")]
    assert {name: count for name, count in gone.items() if count} == {
        "users": 3, "calls": 2, "form_submissions": 2,
    }  # fmt: skip
    assert tables == truth
    assert len(tables["calls"]) == 60 + 3 * 4 - 2
    history = warehouse.history()
    assert {row["status"] for row in history} == {"success"}
    assert {row["sync_type"] for row in history[-9:]} == {*tables}
    assert all(not row["records_created"] + row["records_updated"] for row in history[-9:])
    of_calls = [row for row in history if row["sync_type"] == "calls"]
    assert [row["records_created"] for row in of_calls] == [60, 4, 4, 4, 0]


def test_a_deep_look_back_finds_later_changes(crm: Control, read: Read) -> None:
    run = read("calls")
    old = min(
        (it for it in crm.records("calls") if it["start_time"] > ago(crm, 80)),
        key=lambda it: it["start_time"],
    )
    crm.update("calls", old["id"], {"note": "Much later"})
    run = read("calls", state=run.state)
    assert old["id"] not in by_id(run.records("calls"))
    crm.advance(7 * DAY)
    run = read("calls", state=run.state)
    assert by_id(run.records("calls"))[old["id"]]["note"] == "Much later"
    run = read("calls", state=run.state)
    assert old["id"] not in by_id(run.records("calls"))
    run = read("calls", state=run.state, look_back=90 * DAY)
    assert old["id"] in by_id(run.records("calls"))


def ago(crm: Control, days: int) -> str:
    return (datetime.fromisoformat(crm.now()[:-1]) - timedelta(days=days)).isoformat()


@pytest.mark.parametrize("about", ["last_message", "created"])
def test_an_old_conversation_with_a_new_text_is_found(crm: Control, read: Read, about: str) -> None:
    """At once, or where dates are those of the beginning, with the next deep look-back."""
    crm.switches(conversation_dates=about)
    run = read("text_messages", "messages")
    tables = Tables().load(run)
    oldest = min(crm.records("text_messages"), key=lambda it: it["created_at"])
    crm.advance(8 * DAY)
    run = read("text_messages", "messages", state=run.state)
    crm.advance(3600)
    crm.command("text", conversation_id=oldest["id"], content="Still there?")
    run = read("text_messages", "messages", state=run.state)
    tables.load(run)
    assert bool(tables.changed) == (about == "last_message")
    crm.advance(8 * DAY)
    tables.load(read("text_messages", "messages", state=run.state))
    assert tables.rows == Tables().load(read("text_messages", "messages")).rows


def test_texts_are_asked_for_where_there_are_new_ones(crm: Control, read: Read) -> None:
    run = read("messages")
    crm.stats(clear=True)
    crm.advance(DAY)
    crm.command("text", conversation_id=crm.records("text_messages")[0]["id"], content="Hello")
    run = read("messages", state=run.state)
    # That one, and the newest of those before, beside which another may have shown late.
    assert crm.stats()["kinds"]["callrail.text_messages.get"] == 2
    assert run.records("messages")[-1]["content"] == "Hello"


def test_a_conversation_may_be_gone_but_not_all_of_them(crm: Control, read: Read) -> None:
    crm.faults({"kind": "status", "status": 404, "path": "text-messages/", "count": 1})
    run = read("messages")
    assert run.statuses["messages"]["status"] == "success"
    assert len({row["conversation_id"] for row in run.records("messages")}) == 7
    crm.faults({"kind": "status", "status": 404, "path": "text-messages/"})
    run = read("messages")
    assert run.statuses["messages"]["error"] == "CallRail knows none of 8 that it listed (404)."


# Accounts


def test_several_accounts(sandbox: Sandbox, crm: Control, read: Read) -> None:
    sandbox.reset(seed=3, sizes={"callrail.accounts": 3, "callrail.companies": 9})
    crm.no_limits()
    whole = read("accounts", "calls", "users")
    assert {row["account_id"] for row in whole.records("calls")} == {
        "ACC0001", "ACC0002", "ACC0003",
    }  # fmt: skip
    assert len(whole.records("calls")) == 60
    named = read("accounts", "calls", "users", account_ids=["700000003", "ACC0001"])
    assert [row["id"] for row in named.records("accounts")] == ["ACC0001", "ACC0003"]
    for stream in ("calls", "users"):
        assert by_id(named.records(stream)) == {
            key: row
            for key, row in by_id(whole.records(stream)).items()
            if row["account_id"] != "ACC0002"
        }
    wrong = read("calls", account_ids=["ACC0009", "ACC0001"])
    assert wrong.statuses["calls"]["status"] == "failed"
    assert "sees no account ACC0009" in wrong.statuses["calls"]["error"]


def test_an_account_that_is_no_longer_named_is_not_taken_for_deleted(
    sandbox: Sandbox, crm: Control, read: Read
) -> None:
    sandbox.reset(seed=3, sizes={"callrail.accounts": 2, "callrail.companies": 6})
    crm.no_limits()
    streams = ("accounts", "tags", "calls")
    run = read(*streams)
    tables = Tables().load(run)
    for _ in range(2):
        run = read(*streams, state=run.state, account_ids=["ACC0001"])
        assert not tables.load(run).changed
        assert "complete_since" not in run.statuses["calls"]
        assert run.error is None
    run = read(*streams, account_ids=["ACC0001", "700000001"])  # which are one
    assert run.error is None
    run = read(*streams, state=run.state, account_ids=["ACC0001"])  # no run knows of another
    assert "complete_since" in run.statuses["calls"]
    assert "ACTIVATE_VERSION" in {message["type"] for message in run.messages}


def test_a_new_account_is_read_from_its_beginning(
    sandbox: Sandbox, crm: Control, read: Read
) -> None:
    sandbox.reset(seed=3, sizes={"callrail.accounts": 2, "callrail.companies": 6})
    crm.no_limits()
    streams = ("accounts", "calls", "form_submissions", "text_messages", "messages")
    crm.command("token", token=KEY, scopes=["ACC0002"])
    run = read(*streams)
    tables = Tables().load(run)
    assert {row["account_id"] for row in tables.rows["calls"].values()} == {"ACC0002"}
    crm.command("token", token=KEY)
    run = read(*streams, state=run.state)
    tables.load(run)
    assert tables.rows == Tables().load(read(*streams)).rows
    assert not tables.load(read(*streams, state=run.state)).changed


def test_an_account_that_refuses_is_said_and_read_later(
    sandbox: Sandbox, crm: Control, read: Read
) -> None:
    sandbox.reset(seed=3, sizes={"callrail.accounts": 2, "callrail.companies": 6})
    crm.no_limits()
    refusal: Any = {"kind": "status", "status": 403, "path": "ACC0001/(calls|users)"}
    crm.faults(refusal)
    run = read("calls", "users", "tags")
    assert {name: status["status"] for name, status in run.statuses.items()} == {
        "calls": "partial", "users": "partial", "tags": "success",
    }  # fmt: skip
    assert "account ACC0001" in run.statuses["calls"]["error"]
    assert "ACTIVATE_VERSION" not in {m["type"] for m in run.messages if m.get("stream") == "users"}
    tables = Tables().load(run)
    crm.faults()
    tables.load(read("calls", "users", "tags", state=run.state))
    assert tables.rows == Tables().load(read("calls", "users", "tags")).rows
    crm.faults({**refusal, "path": "calls"})
    assert read("calls", "tags").statuses["calls"]["status"] == "failed"


# Requests


def test_dates_always_have_both_ends_and_a_zone(crm: Control, read: Read) -> None:
    read("calls", "form_submissions", "text_messages", "messages")
    asked = [
        request["query"]
        for name in ("calls", "form_submissions", "text-messages.json")
        for request in crm.log(name)
    ]
    assert len(asked) > 28
    for query in asked:
        assert "start_date=" in query
        assert "end_date=" in query
        assert "time_zone=Etc%2FUTC" in query


def test_nothing_older_than_25_months_is_asked_for(
    crm: Control, read: Read, caplog: pytest.LogCaptureFixture
) -> None:
    run = read("calls", start_date="2001-01-01")
    assert run.error is None
    assert len(run.records("calls")) == 60
    assert "CallRail keeps 25 months" in caplog.text
    state = {"bookmarks": {"calls": {"replication_key_value": "2001-01-01T00:00:00.000000Z"}}}
    assert len(read("calls", state=state).records("calls")) == 60


@pytest.mark.parametrize("count", [1, 10, 20, 21])
def test_pages_that_are_just_full(sandbox: Sandbox, crm: Control, read: Read, count: int) -> None:
    sandbox.reset(seed=5, sizes={"callrail.calls": count, "callrail.form_submissions": count})
    crm.no_limits()
    run = read("calls", "form_submissions", page_size=10, window_days=1000)
    assert len(run.records("calls")) == len(run.records("form_submissions")) == count
    kinds = crm.stats()["kinds"]
    assert kinds["callrail.form_submissions.list"] == kinds["callrail.calls.list"]
    assert kinds["callrail.calls.list"] == -(-count // 10)


def test_a_list_that_gives_less_than_it_says_removes_nothing(
    crm: Control, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tap_callrail.client.records", lambda answer, key: (answer.get(key) or [])[:2]
    )
    run = read("users", "form_submissions")
    assert {status["status"] for status in run.statuses.values()} == {"partial"}
    assert "2 of 4 records of account ACC0001" in run.statuses["users"]["error"]
    assert "ACTIVATE_VERSION" not in {message["type"] for message in run.messages}
    assert "replication_key_value" not in run.state["bookmarks"]["form_submissions"]


def test_a_record_that_leaves_between_pages_hides_no_other(
    crm: Control, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those behind it slide onto the page that was read already, and are not taken for deleted."""
    ask, asked = AccountList.ask, []

    def leaving(self: AccountList, account: str, query: Row, path: str = "") -> Any:
        answer = ask(self, account, query, path)
        if self.name == "users":
            asked.append(query["page"])
            if len(asked) == 1:
                crm.remove("users", answer["users"][0]["id"])
        return answer

    monkeypatch.setattr(AccountList, "ask", leaving)
    run = read("users", page_size=2, concurrent_pages=1)
    assert asked == [1, 2]
    assert len(run.records("users")) == 3
    assert "1 of 4 records" in run.statuses["users"]["error"]
    assert "ACTIVATE_VERSION" not in {message["type"] for message in run.messages}


@pytest.mark.parametrize("total", [2, "2", None, "", 0])
def test_counts_in_any_form(total: Any) -> None:
    lists: list[list[Row]] = [[{"id": 1}, {"id": 2}], [{"id": 3}], []]
    read = pages(
        lambda number: {"users": lists[number - 1], "total_pages": total, "total_records": total},
        "users",
        size=2,
        workers=1,
    )
    assert [row["id"] for rows, _, _ in read for row in rows] == [1, 2, 3]


def test_a_foreign_next_page_never_gets_the_key(crm: Control, read: Read) -> None:
    crm.switches(next_page_host="foreign")
    run = read("calls", "users", page_size=10, window_days=1000)
    assert run.statuses["calls"]["status"] == "failed"
    assert "calls.example.net, which must not get the key" in run.statuses["calls"]["error"]
    assert run.statuses["users"]["status"] == "success"


def test_a_base_url_may_end_in_the_version(crm: Control, config: Row) -> None:
    run = run_tap(TapCallRail, {**config, "base_url": f"{crm.base_url()}/v3/"})
    assert run.error is None
    assert len(run.records("calls")) == 60


# Fields


def test_only_fields_that_are_wanted_are_asked_for(
    crm: Control, config: Row, read: Read, caplog: pytest.LogCaptureFixture
) -> None:
    run = read("calls", call_fields=["note", "value", "utma"])
    assert list(run.records("calls")[0])[17:] == ["note", "value", "utma", "sync_issues"]
    assert "fields=note%2Cvalue%2Cutma&" in crm.log("calls")[-1]["query"] + "&"
    read("calls", call_fields=[])
    assert "fields=" not in crm.log("calls")[-1]["query"]

    catalog = select(TapCallRail, config, "calls")
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if entry["breadcrumb"]:
                entry["metadata"]["selected"] = entry["breadcrumb"][1] in {"tags", "note"}
    run = run_tap(TapCallRail, config, None, catalog)
    assert set(run.records("calls")[0]) == {"id", "start_time", "tags", "note"}
    assert "fields=note%2Ctags&" in crm.log("calls")[-1]["query"] + "&"

    crm.switches(unknown_fields="refused", withdrawn_fields=["note"])
    run = read("calls", call_fields=["note", "value", "utma"])
    assert run.error is None
    assert "refuses these fields of calls, which stay empty: note, utma" in caplog.text
    row = run.records("calls")[0]
    truth = by_id(crm.records("calls"))[row["id"]]
    assert (row["note"], row["utma"], row["value"]) == (None, None, truth["value"])


def test_recordings_keep_their_access_keys_only_if_asked(crm: Control, read: Read) -> None:
    truths = by_id(crm.records("calls"))
    for row in read("calls", recording_access_keys=True).records("calls"):
        assert row == call_row(
            truths[row["id"]], recording_player=truths[row["id"]]["recording_player"]
        )
        assert "access_key=" in row["recording_player"]


def test_values_in_the_forms_that_clients_have_seen(crm: Control, read: Read) -> None:
    call_id = crm.create("calls", {})
    change: Any = {"value": 1250, "tags": ["Estimate"], "call_summary": "Hi", "duration": -1}
    crm.update("calls", call_id, change)
    crm.switches(shapes="seen")
    truth = by_id(crm.records("calls"))[call_id]
    row = by_id(read("calls").records("calls"))[call_id]
    assert row == call_row(
        truth,
        value=1250.00,
        tags=[{"name": "Estimate", "color": "red1"}],
        call_summary='["Hi"]',
        keypad_entries=["1,2"],
        speaker_percent=[40, 60],
        sync_issues={"duration": {"value": -1, "error": "below 0"}},
    )


# Limits


def limit(crm: Control, seconds: float = 1.0, **values: int) -> None:
    crm.command("limits", values=values, seconds=dict.fromkeys(values, seconds))


def test_the_hourly_limit_is_used_and_never_exceeded(
    sandbox: Sandbox, crm: Control, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.reset(seed=5, sizes={"callrail.form_submissions": 64})
    limit(crm, 3.0, per_hour=60)
    monkeypatch.setattr("tap_callrail.client.HOUR", 3.0)
    monkeypatch.setattr("tap_callrail.client.ON_THE_WAY", 0.4)
    run = read("form_submissions", page_size=1, concurrent_pages=8, hourly_limit=60)
    assert run.error is None
    assert len(run.records("form_submissions")) == 64
    assert crm.stats()["rate_limited"] == 0
    times = [request["at"] for request in crm.log("form_submissions")]
    first = len([at for at in times if at < times[0] + 3.0])
    assert 0.9 * 60 <= first < 64


@pytest.mark.parametrize("header", [False, True])
def test_refusals_are_waited_out(crm: Control, read: Read, header: bool) -> None:  # noqa: FBT001
    crm.switches(retry_after=header)
    limit(crm, 0.5, per_hour=15)
    run = read("calls", "users")
    assert run.error is None
    assert len(run.records("calls")) == 60
    assert crm.stats()["rate_limited"] > 0


def test_refusals_without_end_end_the_run(
    crm: Control, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tap_callrail.client.HOUR", 0.1)
    limit(crm, 60.0, per_day=12)
    run = read("users", "calls", "tags", hourly_limit=0)
    assert "the daily limit is used up (429)" in str(run.error)
    assert run.statuses["calls"]["status"] == "failed"


def test_the_daily_limit_ends_a_run_and_the_next_goes_on(
    crm: Control, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Tables().load(read("calls", "messages")).rows
    monkeypatch.setattr("tap_callrail.children.KEPT_EVERY", 3)
    settings = {"daily_limit": 10, "window_days": 200, "page_size": 10}
    state, tables, runs = None, Tables(), 0
    while runs < 8:
        runs += 1
        crm.stats(clear=True)
        run = read("calls", "messages", state=state, **settings)
        tables.load(run)
        state = run.state
        assert crm.stats()["requests"] <= 10
        if run.error is None:
            break
        assert "daily limit of account ACC0001 is used up" in str(run.error)
    assert run.error is None
    assert tables.rows == whole
    assert 3 <= runs <= 5
