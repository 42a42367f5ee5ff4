"""Tokens, scopes, OAuth and rate limits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from crm_sandbox.client import Sandbox
    from sandbox.conftest import Api

CONTACTS = "/crm/objects/2026-09/contacts"


def error(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["category"]


@pytest.mark.parametrize("token", ["", "pat-unknown-token"])
def test_requests_need_a_known_token(api: Api, token: str) -> None:
    api.token = token
    answer = api.get(CONTACTS)

    body = answer.json()
    assert error(answer) == (401, "INVALID_AUTHENTICATION")
    assert body["status"] == "error"
    assert body["message"].startswith("Authentication credentials not found.")
    assert body["correlationId"]


def test_a_revoked_token_stops_working(api: Api, sandbox: Sandbox) -> None:
    sandbox.token("pat-second-token")
    sandbox.revoke(api.token)
    assert error(api.get(CONTACTS)) == (401, "INVALID_AUTHENTICATION")
    api.token = "pat-second-token"
    assert api.get(CONTACTS).status_code == 200
    sandbox.revoke()
    assert api.get(CONTACTS).status_code == 401


def test_a_malformed_token_can_be_answered_by_the_front_end(api: Api, sandbox: Sandbox) -> None:
    sandbox.switches(malformed_token_status=530)
    api.token = "not a token!"
    answer = api.get(CONTACTS)
    assert (answer.status_code, answer.headers["Content-Type"][:9]) == (530, "text/html")
    api.token = "pat-unknown-token"
    assert api.get(CONTACTS).status_code == 401


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/crm/objects/2026-09/contacts", "crm.objects.contacts.read"),
        ("/crm/objects/2026-09/notes", "crm.objects.contacts.read"),
        ("/crm/objects/2026-09/tickets", "tickets"),
        ("/crm/objects/2026-09/0-421", "crm.objects.appointments.read"),
        ("/crm/objects/2026-09/2-37000001", "crm.objects.custom.read"),
        ("/crm/properties/2026-09/deals", "crm.objects.deals.read"),
        ("/crm/pipelines/2026-09/deals", "crm.objects.deals.read"),
        ("/crm-object-schemas/2026-09/schemas", "crm.schemas.custom.read"),
        ("/crm/owners/2026-09", "crm.objects.owners.read"),
        ("/crm/lists/2026-09/1/memberships", "crm.lists.read"),
    ],
)
def test_a_missing_scope_is_named(api: Api, sandbox: Sandbox, path: str, scope: str) -> None:
    sandbox.token("pat-no-scopes", [])
    sandbox.token("pat-one-scope", [scope])

    api.token = "pat-no-scopes"
    refused = api.get(path)
    api.token = "pat-one-scope"
    allowed = api.get(path)

    assert error(refused) == (403, "MISSING_SCOPES")
    assert refused.json()["errors"][0]["context"] == {"requiredGranularScopes": [scope]}
    assert allowed.status_code == 200


def test_email_bodies_need_their_own_scope(api: Api, sandbox: Sandbox) -> None:
    sandbox.token("pat-without-mail", ["crm.objects.contacts.read"])
    api.token = "pat-without-mail"
    asked = "hs_email_html,hs_email_subject"

    record = api.get("/crm/objects/2026-09/emails", properties=asked).json()["results"][0]

    assert "hs_email_subject" in record["properties"]
    assert "hs_email_html" not in record["properties"]


def refresh(sandbox: Sandbox, version: str = "2026-03", **changes: str) -> requests.Response:
    form = {"grant_type": "refresh_token", **sandbox.oauth(), **changes}
    url = f"{sandbox.base_url()}/oauth/{version}/token"
    return requests.post(url, data=form, timeout=10)


def test_a_refresh_gives_a_token_that_expires(api: Api, sandbox: Sandbox) -> None:
    sandbox.oauth(lifetime_seconds=1800)
    grant = refresh(sandbox).json()
    api.token = grant["access_token"]

    assert (grant["expires_in"], grant["token_type"], grant["refresh_token"]) == (
        1800, "bearer", "sandbox-refresh",
    )  # fmt: skip
    assert len(grant["access_token"]) > 250
    assert api.get(CONTACTS).status_code == 200
    sandbox.advance(1801)
    assert error(api.get(CONTACTS)) == (401, "EXPIRED_AUTHENTICATION")
    sandbox.switches(expired_category="INVALID_AUTHENTICATION")
    assert error(api.get(CONTACTS)) == (401, "INVALID_AUTHENTICATION")


def test_a_rotated_refresh_token_ends_the_former(sandbox: Sandbox) -> None:
    sandbox.switches(rotate_refresh_token=True)
    first = refresh(sandbox).json()["refresh_token"]

    assert first != "sandbox-refresh"
    assert refresh(sandbox, refresh_token="sandbox-refresh").status_code == 400
    assert refresh(sandbox, refresh_token=first).status_code == 200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"refresh_token": "wrong"}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_wrong_credentials_give_no_token(
    sandbox: Sandbox, changes: dict[str, str], code: str
) -> None:
    answer = refresh(sandbox, **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, code)


def test_token_parameters_belong_into_the_body(sandbox: Sandbox) -> None:
    form = {"grant_type": "refresh_token", **sandbox.oauth()}
    answer = requests.post(f"{sandbox.base_url()}/oauth/2026-03/token", params=form, timeout=10)
    assert answer.status_code == 400


def test_oauth_scopes_bind_the_token(api: Api, sandbox: Sandbox) -> None:
    sandbox.oauth(scopes=["crm.objects.deals.read"])
    grant = requests.post(
        f"{sandbox.base_url()}/oauth/2026-09/token",
        data={
            "grant_type": "client_credentials",
            "client_id": "sandbox-client",
            "client_secret": "sandbox-secret",
        },
        timeout=10,
    ).json()
    api.token = grant["access_token"]

    assert grant["scopes"] == ["crm.objects.deals.read"]
    assert api.get("/crm/objects/2026-09/deals").status_code == 200
    assert api.get(CONTACTS).status_code == 403


def rate_headers(answer: requests.Response) -> dict[str, str]:
    prefix = "x-hubspot-ratelimit-"
    return {
        name.lower().removeprefix(prefix): value
        for name, value in answer.headers.items()
        if name.lower().startswith(prefix)
    }


def test_answers_say_what_is_left_of_the_limits(api: Api, sandbox: Sandbox) -> None:
    sandbox.limits(per_ten_seconds=3, daily=100)
    answers = [api.get(CONTACTS) for _ in range(4)]

    assert rate_headers(answers[0]) == {
        "interval-milliseconds": "10000",
        "max": "3",
        "remaining": "2",
        "daily": "100",
        "daily-remaining": "99",
    }
    assert rate_headers(answers[2])["remaining"] == "0"
    refused = answers[3].json()
    assert answers[3].status_code == 429
    assert refused.pop("correlationId")
    assert refused.pop("requestId")
    assert refused == {
        "status": "error",
        "message": "You have reached your ten_secondly_rolling limit.",
        "errorType": "RATE_LIMIT",
        "policyName": "TEN_SECONDLY_ROLLING",
    }
    assert "Retry-After" not in answers[3].headers


def test_searches_are_limited_by_the_second_and_carry_no_headers(
    api: Api, sandbox: Sandbox
) -> None:
    sandbox.limits(search_per_second=2, per_ten_seconds=1, daily=None)
    answers = [api.search(one) for one in ("contacts", "deals", "tickets")]

    assert [one.status_code for one in answers] == [200, 200, 429]
    assert [rate_headers(one) for one in answers] == [{}, {}, {}]
    assert answers[2].json()["policyName"] == "SECONDLY"
    assert api.get(CONTACTS).status_code == 200
    time.sleep(1.05)
    assert api.search("contacts").status_code == 200


def test_the_daily_limit_lasts_until_midnight(api: Api, sandbox: Sandbox) -> None:
    sandbox.limits(daily=2, per_ten_seconds=None)

    statuses = [api.get(CONTACTS).status_code, api.search("deals").status_code]
    refused = api.get(CONTACTS)
    sandbox.advance(24 * 3600)

    assert statuses == [200, 200]
    assert (refused.status_code, refused.json()["policyName"]) == (429, "DAILY")
    assert api.get(CONTACTS).status_code == 200


def test_oauth_tokens_have_their_own_window_and_no_daily_headers(
    api: Api, sandbox: Sandbox
) -> None:
    api.token = refresh(sandbox).json()["access_token"]
    sandbox.limits(oauth_per_ten_seconds=2, per_ten_seconds=1, daily=1)

    answers = [api.get(CONTACTS) for _ in range(3)]

    assert [one.status_code for one in answers] == [200, 200, 429]
    assert set(rate_headers(answers[0])) == {"interval-milliseconds", "max", "remaining"}


def test_retry_after_can_be_sent(api: Api, sandbox: Sandbox) -> None:
    sandbox.switches(retry_after=True)
    sandbox.limits(per_ten_seconds=1)
    api.get(CONTACTS)
    assert api.get(CONTACTS).headers["Retry-After"] == "10"


def test_limits_are_hubspots_unless_changed(server: Sandbox) -> None:
    server.reset(sizes={"contacts": 0})
    defaults: dict[str, Any] = {
        "search_per_second": 5,
        "per_ten_seconds": 190,
        "oauth_per_ten_seconds": 110,
        "daily": 625_000,
    }
    assert server.limits() == defaults
