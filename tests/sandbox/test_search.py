"""The search endpoint: operators, rules, the 10,000 cap and the index that lags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from crm_sandbox.client import Sandbox
    from sandbox.conftest import Api

BY_ID = [{"propertyName": "hs_object_id", "direction": "ASCENDING"}]


def rule(name: str, operator: str, value: str | None = None, **more: Any) -> dict[str, Any]:
    given = {"propertyName": name, "operator": operator, "value": value, **more}
    return {key: one for key, one in given.items() if one is not None}


@pytest.fixture
def deals(sandbox: Sandbox) -> list[int]:
    """Return four deals of an account that has no others."""
    sandbox.reset(sizes={"deals": 0})
    sandbox.no_limits()
    values: list[dict[str, str | None]] = [
        {"dealname": "Roof Byron", "amount": "10.50", "dealstage": "closedwon", "division": "NW"},
        {"dealname": "Bath", "amount": "9", "dealstage": "closedlost", "division": "nw"},
        {"dealname": "roof", "amount": "100", "dealstage": "closedwon", "division": ""},
        {"closedate": "2026-11-30T18:00:00Z"},
    ]
    return [int(sandbox.create("deals", one)) for one in values]


@pytest.mark.parametrize(
    ("condition", "places"),
    [
        (rule("amount", "EQ", "10.5"), [0]),
        (rule("amount", "NEQ", "9"), [0, 2]),
        (rule("amount", "LT", "10.50"), [1]),
        (rule("amount", "LTE", "10.50"), [0, 1]),
        (rule("amount", "GT", "10.50"), [2]),
        (rule("amount", "GTE", "10.50"), [0, 2]),
        (rule("amount", "BETWEEN", "9", highValue="10.5"), [0, 1]),
        (rule("dealname", "EQ", "ROOF"), [2]),
        (rule("division", "IN", values=["nw"]), [0, 1]),
        (rule("division", "IN", values=["NW"]), []),
        (rule("division", "NOT_IN", values=["nw"]), []),
        (rule("dealstage", "EQ", "closedwon"), [0, 2]),
        (rule("dealstage", "EQ", "ClosedWon"), []),
        (rule("dealname", "HAS_PROPERTY"), [0, 1, 2]),
        (rule("division", "NOT_HAS_PROPERTY"), [2, 3]),
        (rule("dealname", "CONTAINS_TOKEN", "roof"), [0, 2]),
        (rule("dealname", "CONTAINS_TOKEN", "by*"), [0]),
        (rule("dealname", "NOT_CONTAINS_TOKEN", "roof"), [1]),
        (rule("closedate", "EQ", "1796061600000"), [3]),
        (rule("closedate", "GT", "1796061600000"), []),
    ],
    ids=lambda one: f"{one['propertyName']}-{one['operator']}" if isinstance(one, dict) else "",
)
def test_operators(
    api: Api, deals: list[int], condition: dict[str, Any], places: list[int]
) -> None:
    assert api.ids_found("deals", condition) == [deals[place] for place in places]


def test_filters_are_joined_by_and_groups_by_or(api: Api, deals: list[int]) -> None:
    won = rule("dealstage", "EQ", "closedwon")
    groups = [
        {"filters": [won, rule("amount", "GT", "50")]},
        {"filters": [rule("dealname", "EQ", "bath")]},
    ]

    answer = api.search("deals", filterGroups=groups).json()

    assert answer["total"] == 2
    assert [int(one["id"]) for one in answer["results"]] == [deals[1], deals[2]]
    assert "paging" not in answer


def test_results_are_sorted_and_paged_by_offset(api: Api, deals: list[int]) -> None:
    sorts = [{"propertyName": "amount", "direction": "DESCENDING"}]

    first = api.search("deals", sorts=sorts, limit=3).json()
    second = api.search("deals", sorts=sorts, limit=3, after="3").json()

    assert [int(one["id"]) for one in first["results"]] == [deals[2], deals[0], deals[1]]
    assert (first["total"], first["paging"]) == (4, {"next": {"after": "3"}})
    assert [int(one["id"]) for one in second["results"]] == [deals[3]]
    assert "paging" not in second


def test_a_lost_list_value_is_found_in_a_checkbox_property(api: Api, sandbox: Sandbox) -> None:
    made = sandbox.create("contacts", {"service_of_interest": "roof;solar", "email": "x@y.example"})
    found = api.ids_found(
        "contacts", rule("service_of_interest", "EQ", "solar"), rule("email", "EQ", "X@Y.example")
    )
    assert found == [int(made)]


def test_contacts_are_not_found_by_the_modified_property_of_others(api: Api) -> None:
    assert len(api.ids_found("contacts", rule("lastmodifieddate", "GTE", "0"))) > 50
    assert api.ids_found("contacts", rule("hs_lastmodifieddate", "GTE", "0")) == []
    assert len(api.ids_found("companies", rule("hs_lastmodifieddate", "GTE", "0"))) == 6


def test_an_id_window_gives_the_count_and_page_of_the_plain_filter(
    api: Api, sandbox: Sandbox
) -> None:
    contacts = sandbox.records("contacts")
    middle = contacts[20]["id"]
    moment = rule("lastmodifieddate", "GTE", "0")
    window = [moment, rule("hs_object_id", "GT", middle)]

    answer = api.search(
        "contacts", filterGroups=[{"filters": window}], sorts=BY_ID, limit=5, after="5"
    ).json()

    assert answer["total"] == len(contacts) - 21
    assert [one["id"] for one in answer["results"]] == [one["id"] for one in contacts[26:31]]
    assert answer["paging"]["next"]["after"] == "10"


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 201},
        {"after": "9990", "limit": 20},
        {"after": "10000", "limit": 1},
        {"after": "abc"},
        {"sorts": BY_ID * 2},
        {"sorts": [{"propertyName": "nothing"}]},
        {"filterGroups": [{"filters": [rule("nothing", "EQ", "1")]}]},
        {"filterGroups": [{"filters": [rule("amount", "LIKE", "1")]}]},
        {"filterGroups": [{"filters": [rule("amount", "EQ")]}]},
        {"filterGroups": [{"filters": [rule("amount", "IN", "1")]}]},
        {"filterGroups": [{"filters": [rule("amount", "BETWEEN", "1")]}]},
        {"filterGroups": [{"filters": [rule("amount", "GT", "much")]}]},
        {"filterGroups": [{"filters": [rule("hs_lastmodifieddate", "GT", "2026-01-01")]}]},
        {"filterGroups": [{"filters": [rule("amount", "GT", "1")] * 7}]},
        {"filterGroups": [{"filters": []}] * 6},
        {"filterGroups": [{"filters": [rule("amount", "GT", "1")] * 5}] * 4},
    ],
    ids=str,
)
def test_broken_rules_are_answered_by_400(api: Api, body: dict[str, Any]) -> None:
    answer = api.search("deals", **body)

    assert answer.status_code == 400
    assert answer.json()["status"] == "error"
    assert answer.json()["category"] == "VALIDATION_ERROR"


def test_paging_stops_at_10000_results(server: Sandbox, api: Api) -> None:
    server.reset(sizes={"contacts": 10_400})
    server.no_limits()

    last = api.search("contacts", limit=200, after="9800")
    beyond = api.search("contacts", limit=200, after=last.json()["paging"]["next"]["after"])

    assert last.json()["total"] > 10_000
    assert len(last.json()["results"]) == 200
    assert (beyond.status_code, beyond.json()["category"]) == (400, "VALIDATION_ERROR")


def test_iso_dates_and_long_bodies_depend_on_switches(api: Api, sandbox: Sandbox) -> None:
    body = {"filterGroups": [{"filters": [rule("createdate", "GT", "2020-01-01T00:00:00Z")]}]}
    sandbox.switches(iso_dates_in_filters=True)
    assert api.search("deals", **body).json()["total"] == 6

    body["properties"] = ["x" * 3000]
    assert api.search("deals", **body).status_code == 200
    sandbox.switches(search_body_limit=3000)
    assert api.search("deals", **body).status_code == 400


def test_the_index_shows_writes_only_after_its_lag(api: Api, sandbox: Sandbox) -> None:
    old, doomed = (sandbox.create("deals", {"dealname": name}) for name in ("old", "doomed"))
    sandbox.switches(search_lag_seconds=60)
    sandbox.update("deals", old, {"dealname": "new"})
    sandbox.archive("deals", doomed)
    added = sandbox.create("deals", {"dealname": "added"})

    def names() -> list[str]:
        since = rule("hs_object_id", "GTE", old)
        answer = api.search(
            "deals", filterGroups=[{"filters": [since]}], sorts=BY_ID, properties=["dealname"]
        )
        return [one["properties"]["dealname"] for one in answer.json()["results"]]

    assert names() == ["old", "doomed"]
    sandbox.advance(30)
    sandbox.update("deals", added, {"dealname": "twice"})
    assert names() == ["old", "doomed"]
    sandbox.advance(31)
    assert names() == ["new", "added"]
    sandbox.advance(30)
    assert names() == ["new", "twice"]
    listed = api.get("/crm/objects/2026-09/deals", limit=100).json()["results"]
    assert [one["id"] for one in listed][-2:] == [old, added]


def test_query_looks_into_the_searchable_properties(api: Api, deals: list[int]) -> None:
    answer = api.search("deals", query="ROOF").json()
    assert [int(one["id"]) for one in answer["results"]] == [deals[0], deals[2]]
