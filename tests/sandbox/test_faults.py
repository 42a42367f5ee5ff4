"""Faults, statistics and the clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from crm_sandbox.client import Sandbox
    from sandbox.conftest import Api

CONTACTS = "/crm/objects/2026-09/contacts"
DEALS = "/crm/objects/2026-09/deals"


def test_a_fault_hits_by_path_after_every_and_count(api: Api, sandbox: Sandbox) -> None:
    sandbox.faults({"kind": "status", "path": "/contacts$", "after": 1, "every": 2, "count": 2})

    hit = [api.get(CONTACTS).status_code for _ in range(7)]

    assert hit == [200, 200, 500, 200, 500, 200, 200]
    assert api.get(DEALS).status_code == 200
    assert sandbox.fault_hits() == [2]
    sandbox.faults()
    assert api.get(CONTACTS).status_code == 200


@pytest.mark.parametrize(
    ("status", "variant", "expected"),
    [
        (429, "SECONDLY", {"errorType": "RATE_LIMIT", "policyName": "SECONDLY"}),
        (429, "DAILY", {"policyName": "DAILY", "message": "You have reached your daily limit."}),
        (429, "TEN_SECONDLY_ROLLING", {"policyName": "TEN_SECONDLY_ROLLING"}),
        (401, "expired", {"category": "EXPIRED_AUTHENTICATION"}),
        (401, "revoked", {"category": "INVALID_AUTHENTICATION"}),
        (403, "crm.objects.deals.read", {"category": "MISSING_SCOPES"}),
        (404, None, {"category": "OBJECT_NOT_FOUND"}),
        (423, None, {"message": "The resource is locked."}),
        (477, None, {"status": "error"}),
        (503, None, {"category": "INTERNAL_ERROR"}),
    ],
)
def test_a_status_fault_has_the_documented_body(
    api: Api, sandbox: Sandbox, status: int, variant: str | None, expected: dict[str, str]
) -> None:
    fault = {"kind": "status", "status": status, "retry_after": "7"}
    sandbox.faults(fault | ({"variant": variant} if variant else {}))

    answer = api.get(CONTACTS)

    assert answer.status_code == status
    assert answer.headers["Retry-After"] == "7"
    assert expected.items() <= answer.json().items()


@pytest.mark.parametrize("status", [414, 521, 524])
def test_errors_of_the_front_end_are_html(api: Api, sandbox: Sandbox, status: int) -> None:
    sandbox.faults({"kind": "status", "status": status})
    answer = api.get(CONTACTS)
    assert (answer.status_code, answer.headers["Content-Type"][:9]) == (status, "text/html")


def test_a_cut_body_announces_more_than_it_sends(api: Api, sandbox: Sandbox) -> None:
    sandbox.faults({"kind": "cut", "count": 1})
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        api.get(CONTACTS)
    assert api.get(CONTACTS).status_code == 200


def test_a_malformed_body_is_no_json(api: Api, sandbox: Sandbox) -> None:
    sandbox.faults({"kind": "malformed", "count": 1})
    answer = api.get(CONTACTS)
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()


def test_a_reset_breaks_the_connection(api: Api, sandbox: Sandbox) -> None:
    sandbox.faults({"kind": "reset", "count": 1})
    with pytest.raises(requests.exceptions.ConnectionError, match="reset by peer"):
        api.get(CONTACTS)
    assert sandbox.stats()["statuses"] == {"0": 1}


def test_a_hang_gives_no_answer_and_slow_gives_one_late(api: Api, sandbox: Sandbox) -> None:
    sandbox.faults({"kind": "hang", "seconds": 60.0, "count": 1})
    url = f"{sandbox.base_url()}{CONTACTS}"
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(url, headers={"Authorization": f"Bearer {api.token}"}, timeout=0.2)

    sandbox.faults({"kind": "slow", "seconds": 0.3, "path": "contacts"}, latency_ms=100)
    started = time.monotonic()
    api.get(DEALS)
    middle = time.monotonic()
    api.get(CONTACTS)
    assert 0.1 <= middle - started < 0.3
    assert time.monotonic() - middle >= 0.4


@pytest.mark.parametrize("way", ["list", "search"])
def test_a_repeated_cursor_gives_back_the_one_asked_for(
    api: Api, sandbox: Sandbox, way: str
) -> None:
    def page(after: str | None) -> str:
        given = {"limit": 5} | ({"after": after} if after else {})
        answer = api.get(CONTACTS, **given) if way == "list" else api.search("contacts", **given)
        return str(answer.json()["paging"]["next"]["after"])

    sandbox.faults({"kind": "repeat_cursor", "path": "contacts"})
    first = page(None)

    assert page(first) == first
    assert page(first) == first


def test_statistics_count_kinds_paths_statuses_and_the_busiest_second(
    api: Api, sandbox: Sandbox
) -> None:
    sandbox.stats(clear=True)
    sandbox.limits(search_per_second=3)
    for _ in range(4):
        api.search("contacts")
    api.get(DEALS, limit=500)

    assert sandbox.stats() == {
        "requests": 5,
        "kinds": {"hubspot.objects.search": 4, "hubspot.objects.list": 1},
        "paths": {f"POST /hubspot{CONTACTS}/search": 4, f"GET /hubspot{DEALS}": 1},
        "statuses": {"200": 3, "429": 1, "400": 1},
        "rate_limited": 1,
        "busiest_second": {"hubspot.objects.search": 4, "hubspot.objects.list": 1},
    }


def test_the_log_tells_what_was_asked(api: Api, sandbox: Sandbox) -> None:
    api.get(DEALS, limit=1)
    api.search("contacts", limit=3)

    first, second = sandbox.log("/objects/")
    assert (first["kind"], first["query"], first["status"]) == ("objects.list", "limit=1", 200)
    assert (second["method"], second["body"]) == ("POST", '{"limit": 3}')
    assert sandbox.log("search", since=first["at"]) == [second]


def test_every_answer_carries_the_sandbox_date(api: Api, sandbox: Sandbox) -> None:
    answer = api.get(CONTACTS)
    later = sandbox.advance(90_000)

    assert answer.headers["Date"].startswith("Fri, 20 Nov 2026 10:00:0")
    assert api.get("/nothing").headers["Date"].startswith("Sat, 21 Nov 2026 11:00:0")
    assert later.startswith("2026-11-21T11:00:0")
    assert len(answer.raw.headers.getlist("Date")) == 1
