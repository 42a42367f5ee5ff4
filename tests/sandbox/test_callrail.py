"""The CallRail sandbox, asked as its API sheet says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from crm_sandbox.client import Control, Sandbox

NOW = "2026-11-20T10:00:00.000Z"
KEY = "callrail-sandbox"
A = "/v3/a/ACC0001"
SPAN = {"start_date": "2024-11-01", "end_date": "2026-11-20", "time_zone": "Etc/UTC"}


@pytest.fixture
def crm(sandbox: Sandbox) -> Control:
    sandbox.reset(seed=1, now=NOW, sizes={"callrail.calls": 30})
    crm = sandbox.of("callrail")
    crm.no_limits()
    return crm


def ask(crm: Control, path: str, key: str = f'token="{KEY}"', **query: Any) -> requests.Response:
    address = path if path.startswith("http") else f"{crm.base_url()}{path}"
    headers = {"Authorization": f"Token {key}"}
    return requests.get(address, params=query, headers=headers, timeout=10)


def ids(answer: requests.Response, key: str) -> list[str]:
    return [row["id"] for row in answer.json()[key]]


def test_keys(crm: Control) -> None:
    assert ask(crm, "/v3/a.json").status_code == 200
    assert ask(crm, "/v3/a.json", f"token={KEY}").status_code == 200
    for wrong in ('token="other"', KEY, f'bearer="{KEY}"'):
        answer = ask(crm, "/v3/a.json", wrong)
        assert (answer.status_code, answer.json()) == (401, {"error": "Unauthorized"})
    crm.token("narrow", ["ACC0009"])
    assert ask(crm, "/v3/a.json", "token=narrow").json()["accounts"] == []
    assert ask(crm, f"{A}/users.json", "token=narrow").status_code == 403


def test_an_account_goes_by_id_or_number(crm: Control) -> None:
    first = ask(crm, f"{A}/users.json").json()
    assert ask(crm, "/v3/a/700000001/users.json").json() == first
    assert ask(crm, "/v3/a/ACC0404/users.json").status_code == 404


def test_numbered_pages(crm: Control) -> None:
    answer = ask(crm, f"{A}/calls.json", **SPAN, page=2, per_page=20).json()
    assert {name: answer[name] for name in answer if name != "calls"} == {
        "page": 2,
        "per_page": 20,
        "total_pages": 2,
        "total_records": 30,
    }
    assert len(answer["calls"]) == 10
    assert ask(crm, f"{A}/calls.json", **SPAN, page=3).json()["calls"] == []
    assert ask(crm, f"{A}/calls.json", **SPAN).json()["per_page"] == 100
    assert ask(crm, f"{A}/calls.json", **SPAN, per_page=900).json()["per_page"] == 250
    crm.switches(totals="zero")
    assert ask(crm, f"{A}/calls.json", **SPAN).json()["total_pages"] == 0
    crm.switches(totals="missing")
    assert ask(crm, f"{A}/calls.json", **SPAN).json().keys() == {"page", "per_page", "calls"}


@pytest.mark.parametrize("overlap", [0, 3])
def test_relative_pages(crm: Control, overlap: int) -> None:
    crm.switches(relative_overlap=overlap)
    query = {**SPAN, "relative_pagination": "true", "sort": "start_time", "order": "asc"}
    answer = ask(crm, f"{A}/calls.json", **query, per_page=12)
    assert answer.json().keys() == {"calls", "next_page", "has_next_page"}
    assert f"{A}/calls?" in answer.json()["next_page"]
    seen = ids(answer, "calls")
    while answer.json()["has_next_page"]:
        answer = ask(crm, answer.json()["next_page"])
        assert seen[len(seen) - overlap :] == ids(answer, "calls")[:overlap]
        seen += ids(answer, "calls")[overlap:]
    assert seen == ids(ask(crm, f"{A}/calls.json", **SPAN, sort="start_time", order="asc"), "calls")
    assert answer.json()["next_page"] is None


def test_relative_pages_in_other_truths(crm: Control) -> None:
    query = {**SPAN, "relative_pagination": "true", "fields": "tags,note", "per_page": 20}
    tags = [row["tags"] for row in ask(crm, f"{A}/calls.json", **query).json()["calls"]]
    assert any(tags)
    crm.switches(relative_lists=False, next_page_host="vendor")
    answer = ask(crm, f"{A}/calls.json", **query).json()
    assert not any(row["tags"] for row in answer["calls"])
    assert answer["next_page"].startswith("https://api.callrail.com/v3/a/ACC0001/calls?")
    crm.switches(next_page_host="foreign")
    answer = ask(crm, f"{A}/calls.json", **query).json()
    assert answer["next_page"].startswith("https://calls.example.net/")
    crm.switches(relative_pagination=False)
    assert "total_pages" in ask(crm, f"{A}/calls.json", **query).json()


def test_fields_are_added_to_those_that_always_come(crm: Control) -> None:
    default = ask(crm, f"{A}/calls.json", **SPAN).json()["calls"][0]
    assert len(default) == 16
    more = ask(crm, f"{A}/calls.json", **SPAN, fields="note,tags,utma").json()["calls"][0]
    assert more.keys() - default.keys() == {"note", "tags"}
    crm.switches(unknown_fields="refused", withdrawn_fields=["value"])
    for name in ("utma", "value"):
        answer = ask(crm, f"{A}/calls.json", **SPAN, fields=f"note,{name}")
        assert (answer.status_code, answer.json()) == (400, {"error": f"Invalid fields: {name}"})
    numeric = ask(crm, "/v3/a.json", fields="numeric_id").json()["accounts"][0]
    assert numeric["numeric_id"] == 700000001
    assert "company_id" not in ask(crm, f"{A}/trackers.json").json()["trackers"][0]


def test_days_belong_to_the_range_as_a_whole(crm: Control) -> None:
    moments = {
        crm.create("calls", {"start_time": f"2026-03-{at}"}): at  # type: ignore[dict-item]
        for at in (
            "01T23:59:59.999+00:00",
            "02T00:00:00.000+00:00",
            "03T23:59:59.000+00:00",
            "03T23:59:59.500+00:00",
            "04T05:00:00.000+00:00",
        )
    }
    query = {"start_date": "2026-03-02", "end_date": "2026-03-03"}

    def found(**more: str) -> list[str]:
        answer = ask(crm, f"{A}/calls.json", **query, **more, sort="start_time", order="asc")
        return [moments[one] for one in ids(answer, "calls") if one in moments]

    utc = {"time_zone": "Etc/UTC"}
    every = [*moments.values()]
    assert found(**utc) == every[1:3]
    crm.switches(day_ends="midnight")
    assert found(**utc) == every[1:4]
    assert found(time_zone="Etc/GMT+5") == every[2:4]
    assert found() == every[2:4]  # the zone of the key's user
    crm.switches(user_time_zone="Etc/UTC")
    assert found(time_zone="No/Where") == every[1:4]
    query["end_date"] = "2026-03-04T05:00"
    assert found(**utc) == every[1:]


def test_what_no_dates_and_too_old_ones_give(crm: Control) -> None:
    starts = sorted(row["start_time"] for row in crm.records("calls"))
    week = [start for start in starts if start > "2026-11-13"]
    assert len(ask(crm, f"{A}/calls.json").json()["calls"]) == len(week) < 30
    crm.switches(default_range="all_time")
    assert len(ask(crm, f"{A}/calls.json").json()["calls"]) == 30
    early = {**SPAN, "start_date": "2024-10-19"}
    for query in (early, {"date_range": "all_time"}):
        for name in ("calls", "form_submissions", "text-messages"):
            assert ask(crm, f"{A}/{name}.json", **query).status_code == 400
    assert ask(crm, f"{A}/calls.json", **{**early, "start_date": "2024-10-21"}).status_code == 200
    # What is not a date is ignored.
    crm.switches(default_range="recent")
    assert len(ask(crm, f"{A}/calls.json", start_date="soon").json()["calls"]) == len(week)


def test_sort_and_filters(crm: Control) -> None:
    newest_first = ids(ask(crm, f"{A}/calls.json", **SPAN), "calls")
    assert ids(ask(crm, f"{A}/calls.json", **SPAN, sorting="start_time"), "calls") == newest_first
    oldest_first = ids(ask(crm, f"{A}/calls.json", **SPAN, sort="start_time", order="asc"), "calls")
    assert oldest_first == newest_first[::-1]
    some = ask(crm, f"{A}/calls.json", **SPAN, company_id="COM0001", fields="company_id").json()
    assert {row["company_id"] for row in some["calls"]} == {"COM0001"}
    assert ask(crm, f"{A}/integrations.json").status_code == 400
    assert ask(crm, f"{A}/integrations.json", company_id="COM0001").status_code == 200


def test_conversations(crm: Control) -> None:
    answer = ask(crm, f"{A}/text-messages.json", **SPAN).json()
    assert "conversations" in answer
    (first, *_) = answer["conversations"]
    assert not {"messages", "created_at", "source"} & first.keys()
    assert len(first["recent_messages"]) <= 2
    assert "id" not in first["recent_messages"][0]
    assert ask(crm, f"{A}/text_messages.json").status_code == 404
    text = crm.command("text", conversation_id=first["id"], content="Hello")
    whole = ask(crm, f"{A}/text-messages/{first['id']}.json", per_page=250).json()
    assert whole["per_page"] == 100
    assert (whole["messages"][-1]["id"], whole["last_message_at"][:16]) == (text, NOW[:16])

    today = {**SPAN, "start_date": "2026-11-20"}
    assert ids(ask(crm, f"{A}/text-messages.json", **today), "conversations") == [first["id"]]
    crm.switches(conversation_dates="created")
    assert ids(ask(crm, f"{A}/text-messages.json", **today), "conversations") == []


def test_what_removing_does(crm: Control) -> None:
    company, tag, call = (crm.records(name)[0] for name in ("companies", "tags", "calls"))
    crm.update("calls", call["id"], {"tags": [tag["name"], "Other"]})  # type: ignore[dict-item]
    crm.remove("companies", company["id"])
    crm.remove("tags", str(tag["id"]))
    disabled = ask(crm, f"{A}/companies.json").json()["companies"][0]
    assert (disabled["status"], disabled["disabled_at"][:16]) == ("disabled", NOW[:16])
    assert crm.records("calls")[0]["tags"] == ["Other"]
    assert company["id"] not in ids(ask(crm, f"{A}/companies.json", status="active"), "companies")
    crm.remove("calls", call["id"])
    assert call["id"] not in ids(ask(crm, f"{A}/calls.json", **SPAN), "calls")


def test_limits_are_each_accounts_own(sandbox: Sandbox, crm: Control) -> None:
    sandbox.reset(seed=1, now=NOW, sizes={"callrail.accounts": 2})
    crm.command("limits", values={"per_hour": 2})
    statuses = [ask(crm, f"{A}/users.json").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert ask(crm, "/v3/a/ACC0002/users.json").status_code == 200
    refusal = ask(crm, "/v3/a.json")  # counts against both
    assert (refusal.status_code, "Retry-After" in refusal.headers) == (429, False)
    crm.switches(retry_after=True)
    assert int(ask(crm, f"{A}/users.json").headers["Retry-After"]) > 3000
    crm.command("limits", values={"per_hour": None, "per_day": 1})
    assert [ask(crm, f"{A}/users.json").status_code for _ in range(2)] == [200, 429]


def test_values_as_clients_have_seen_them(crm: Control) -> None:
    call = crm.records("calls")[0]["id"]
    change: Any = {"value": 1250, "tags": ["Hot"], "call_summary": "Hi"}
    crm.update("calls", call, change)
    crm.switches(shapes="seen")
    names = "value,tags,call_summary,keypad_entries,speaker_percent"
    rows = ask(crm, f"{A}/calls.json", **SPAN, fields=names).json()["calls"]
    (row,) = (row for row in rows if row["id"] == call)
    assert {name: row[name] for name in names.split(",")} == {
        "value": "$1,250.00",
        "tags": [{"name": "Hot", "color": "red1"}],
        "call_summary": ["Hi"],
        "keypad_entries": "1,2",
        "speaker_percent": [40, 60],
    }


def test_page_views_and_a_repeated_page(crm: Control) -> None:
    call = next(row for row in crm.records("calls") if row["page_views"])
    answer = ask(crm, f"{A}/calls/{call['id']}/page_views.json").json()
    assert answer["page_views"] == call["page_views"]
    crm.faults({"kind": "repeat_cursor", "path": "calls"})
    first = ask(crm, f"{A}/calls.json", **SPAN, relative_pagination="true", per_page=5).json()
    assert ask(crm, first["next_page"]).json() == first
    numbered = [ask(crm, f"{A}/calls.json", **SPAN, per_page=5, page=n).json() for n in (1, 2)]
    assert numbered[0] == numbered[1]
    assert numbered[0]["total_pages"] > 2
