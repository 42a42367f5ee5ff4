"""The SalesRabbit sandbox keeps to the API sheet, and each switch shows its other truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from crm_sandbox.salesrabbit import STATIC_TOKEN
from sandbox.conftest import NOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from crm_sandbox.client import Control, Sandbox

    Get = Callable[..., requests.Response]

LATER = "2026-11-20T09:59:00+00:00"


@pytest.fixture
def account(server: Sandbox) -> Control:
    sizes = {"leads": 7, "users": 3, "lead_status_histories": 12, "lead_status_activities": 5}
    server.reset(seed=1, sizes={f"salesrabbit.{key}": size for key, size in sizes.items()}, now=NOW)
    salesrabbit = server.of("salesrabbit")
    salesrabbit.no_limits()
    return salesrabbit


@pytest.fixture
def get(account: Control) -> Get:
    def get(path: str, *, token: str = STATIC_TOKEN, **query: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"}
        headers |= {name.replace("_", "-"): query.pop(name) for name in [*query] if name[0] == "I"}
        return requests.get(account.base_url() + path, headers=headers, params=query, timeout=10)

    return get


def test_leads_are_flat_and_come_in_pages(account: Control, get: Get) -> None:
    first, last = (get("/leads", page=page, perPage=4).json() for page in (1, 2))
    assert [len(one["data"]) for one in (first, last)] == [4, 3]
    assert (first["meta"], last["meta"]) == ({"morePages": True}, {"morePages": False})
    assert first["data"] + last["data"] == account.records("leads")
    assert [*first["data"][0]] == [
        *("id", "userId", "userName", "firstName", "lastName", "businessName", "phonePrimary"),
        *("phoneAlternate", "email", "street1", "street2", "city", "state", "zip", "country"),
        *("latitude", "longitude", "status", "notes", "customFields", "integrationData"),
        *("appointment", "campaignId", "files", "dateOfBirth", "statusModified", "ownerModified"),
        *("dateCreated", "dateModified", "deletedAt"),
    ]
    assert get("/leads", page=3, perPage=4).json() == {"data": [], "meta": {"morePages": False}}
    assert get("/leads", limit=1).json()["meta"] == {"morePages": False}
    one = first["data"][0]
    assert get(f"/leads/{one['id']}").json() == {"data": one}
    for path in ("/leads/search", "/leads/count", "/users/search", "/nonsense"):
        assert get(path).status_code == 404
    assert get("/leads", page=0).status_code == 400
    assert get("/leads", token="wrong").status_code == 401


def test_a_change_moves_its_dates_and_makes_an_event(account: Control, get: Get) -> None:
    since = {"If_Modified_Since": LATER}
    unchanged = get("/leads", **since)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert get("/leadStatusHistories", **since).status_code == 304
    lead = account.records("leads")[0]
    status = next(one for one in account.records("lead_statuses") if one["name"] != lead["status"])
    account.update("leads", str(lead["id"]), {"status": status["name"]}, modified=NOW)
    at = "2026-11-20T10:00:00+00:00"
    moved = {"status": status["name"], "statusModified": at, "dateModified": at}
    assert get("/leads", **since).json()["data"] == [{**lead, **moved}]
    ((changed, events),) = get("/leadStatusHistories", **since).json()["data"].items()
    assert changed == str(lead["id"])
    assert events[-1] == {
        **status,
        "changedByUserId": str(lead["userId"]),
        "statusUpdated": at,
        "leadCreated": lead["dateCreated"],
        "leadModified": at,
    }
    account.update("leads", str(lead["id"]), {"userId": 911705183}, modified=LATER)
    assert get("/leads", **since).json()["data"][0]["ownerModified"] == LATER
    http_date = {"If_Modified_Since": "Fri, 20 Nov 2026 09:59:00 GMT"}
    assert len(get("/leads", **http_date).json()["data"]) == 1
    assert len(get("/leads", If_Modified_Since="yesterday").json()["data"]) == 7


def test_the_other_lists(account: Control, get: Get) -> None:
    assert get("/users", page=9, perPage=1).json() == {
        "data": account.records("users"),
        "meta": {"morePages": False},
    }
    role = account.records("users")[0]["role"]
    assert {one["role"] for one in get("/users", role=role).json()["data"]} == {role}
    assert get("/users/911705181").json()["data"]["id"] == 911705181
    assert get("/leadStatuses").json()["data"] == account.records("lead_statuses")
    assert get("/lead-statuses").status_code == 404
    activities = get("/leadStatusActivities").json()["data"]
    assert len(activities) == 5
    assert isinstance(activities[0]["dispositionerID"], str)
    assert len(activities[0]["currentOnDeviceStatusModified"]) == 19
    since = {"If_Status_Modified_Since": LATER}
    assert get("/leadStatusActivities", **since).status_code == 304
    assert get("/leadStatusActivities", If_Modified_Since=LATER).status_code == 200
    account.create("lead_status_activities")
    assert len(get("/leadStatusActivities", **since).json()["data"]) == 1


def ids(answer: requests.Response) -> list[int]:
    return [one["id"] for one in answer.json()["data"]]


def test_switches_of_paging(account: Control, get: Get) -> None:
    account.switches(meta=False, max_per_page=3)
    assert [*get("/leads", perPage=5).json()] == ["data"]
    assert len(get("/leads", perPage=5).json()["data"]) == 3
    account.switches(meta=True, totals=True, max_per_page=2000)
    assert get("/leads", perPage=5).json()["meta"] == {"morePages": True, "total": 7}
    account.switches(users_paging="claims_more")
    assert get("/users", page=5).json()["meta"]["morePages"] is True
    account.switches(users_paging="paged")
    assert len(get("/users", page=2, perPage=2).json()["data"]) == 1
    account.switches(users_paging="from_0")
    assert ids(get("/users", perPage=2)) == ids(get("/users", page=0, perPage=2))
    assert len(get("/users", page=1, perPage=2).json()["data"]) == 1
    account.switches(history_pages="repeat")
    first, second = (get("/leadStatusHistories", page=page, perPage=1).json() for page in (1, 2))
    assert first == second
    assert first["meta"]["morePages"] is True


def test_switches_of_filter_and_order(account: Control, get: Get) -> None:
    account.update("leads", "34572", {"notes": "x"}, modified=LATER)
    assert ids(get("/leads", If_Modified_Since=LATER)) == [34572]
    account.switches(modified_since="later", unmodified=200)
    assert get("/leads", If_Modified_Since=LATER).json() == {
        "data": [],
        "meta": {"morePages": False},
    }
    account.switches(order="modified")
    assert ids(get("/leads"))[-1] == 34572
    account.switches(order="newest")
    assert ids(get("/leads"))[0] == 34572
    sort = {"sortBy": "id", "order": "desc"}
    assert ids(get("/leads", **sort))[0] == 34572
    account.switches(sorting="honoured")
    assert ids(get("/leads", **sort)) == list(range(34576, 34569, -1))
    account.switches(sorting="refused")
    assert get("/leads", **sort).status_code == 400
    account.switches(order="scattered")
    assert sorted(ids(get("/leads"))) != ids(get("/leads"))
    account.switches(users_filtered=True, unmodified=304)
    assert get("/users", If_Modified_Since=LATER).status_code == 304
    account.switches(history_scope="event", activities_header="If-Modified-Since")
    assert get("/leadStatusHistories", If_Modified_Since=LATER).status_code == 304
    assert get("/leadStatusActivities", If_Modified_Since=LATER).status_code == 304


def test_switches_of_deletion(account: Control, get: Get) -> None:
    account.remove("leads", "34570")
    (deleted,) = get("/leads", If_Modified_Since=LATER).json()["data"]
    assert deleted["deletedAt"] == deleted["dateModified"]
    account.switches(deletion="marked_silently")
    account.remove("leads", "34571")
    assert ids(get("/leads", If_Modified_Since=LATER)) == [34570]
    assert get("/leads/34571").json()["data"]["deletedAt"] is not None
    account.switches(deletion="gone", owner_moves_modified=False)
    account.remove("leads", "34572")
    assert get("/leads/34572").status_code == 404
    assert account.counts()["leads"] == {"live": 6, "archived": 1}
    before = get("/leads/34573").json()["data"]
    owner = next(one["id"] for one in account.records("users") if one["id"] != before["userId"])
    account.update("leads", "34573", {"userId": owner})
    after = get("/leads/34573").json()["data"]
    assert (after["userId"], after["dateModified"]) == (owner, before["dateModified"])


def test_switches_of_form(account: Control, get: Get) -> None:
    account.update(
        "leads", "34570", {"customFields": {}, "appointment": "2026-12-01"}, modified=NOW
    )
    account.switches(
        nested_address=True, empty_object="array", appointment="object", status="abbreviation"
    )
    lead = get("/leads/34570").json()["data"]
    assert (lead["customFields"], lead["appointment"]) == ([], {"start": "2026-12-01"})
    assert [*lead["address"]] == ["street1", "street2", "city", "state", "zip", "country"]
    assert [*lead["coordinates"]] == ["latitude", "longitude"]
    assert lead["status"] in {one["abbreviation"] for one in account.records("lead_statuses")}
    assert get("/leadStatusHistories", page=9).json()["data"] == []
    activity = get("/leadStatusActivities").json()["data"][0]
    account.update("leads", str(activity["dispositionLeadID"]), {"firstName": "Renamed"})
    assert get("/leadStatusActivities").json()["data"][0]["currentLeadFirstName"] == "Renamed"
    account.switches(activities_show="then", disposition_id="repeats", statuses_path="none")
    shown = get("/leadStatusActivities").json()["data"]
    assert shown[0]["currentLeadFirstName"] == activity["currentLeadFirstName"]
    assert len({one["dispositionID"] for one in shown}) == 3
    assert get("/leadStatuses").status_code == get("/lead-statuses").status_code == 404


def test_the_limit_is_told_as_switched(account: Control, get: Get) -> None:
    account.limits(per_minute=2)
    account.switches(rate_headers=True)
    left = [get("/users").headers["X-RateLimit-Remaining"] for _ in range(2)]
    assert left == ["1", "0"]
    refused = get("/users")
    assert (refused.status_code, refused.headers["X-RateLimit-Limit"]) == (429, "2")
    assert 55 <= int(refused.headers["X-RateLimit-Reset"]) <= 60
    assert "Retry-After" not in refused.headers
    account.switches(rate_headers=False, retry_after=True)
    assert 55 <= int(get("/users").headers["Retry-After"]) <= 60
    assert account.stats()["rate_limited"] == 2
