"""Tokens, the account's own endpoints, and who may ask how often (sections 2 and 3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from crm_sandbox.auth import OAuthError
from crm_sandbox.clock import DAY_MS, iso
from crm_sandbox.crm import ApiError, json_response
from crm_sandbox.hubspot.endpoint import Endpoints, bearer, token_of
from crm_sandbox.hubspot.errors import (
    expired,
    front_end,
    rate_limited,
    unauthenticated,
    uri_too_long,
)
from crm_sandbox.hubspot.model import PORTAL
from crm_sandbox.limits import RollingWindow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from crm_sandbox.auth import Token, Tokens
    from crm_sandbox.hubspot.switches import Limits, Switches

FORM = "application/x-www-form-urlencoded"
LONGEST_ADDRESS = 16_000
UTC_OFFSET_MS = -5 * 3_600_000
_TOKEN_FORM = re.compile(r"[\w.-]{8,}")
_OAUTH_FAILURES = {
    "invalid_client": "missing or invalid client credentials",
    "invalid_grant": "missing or invalid refresh token",
    "unsupported_grant_type": "unsupported grant_type",
}


class Meter:
    """Counts an account's calls against its limits."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._search = RollingWindow(limits.search_per_second, 1.0)
        self._static = RollingWindow(limits.per_ten_seconds, 10.0)
        self._oauth = RollingWindow(limits.oauth_per_ten_seconds, 10.0)
        self._day = -1
        self.today = 0

    def take(self, token: Token, kind: str, now_ms: int, *, retry_after: bool) -> dict[str, str]:
        """Count one call and return the rate-limit headers of its answer.

        Raises:
            ApiError: a limit is reached.
        """
        self._roll(now_ms)
        search = kind == "objects.search"
        window = self._search if search else self._oauth if token.kind == "oauth" else self._static
        daily = self.limits.daily if token.kind == "static" else None
        policy = None
        if daily is not None and self.today >= daily:
            policy = "DAILY"
        elif not window.take():
            policy = "SECONDLY" if search else "TEN_SECONDLY_ROLLING"
        else:
            self.today += 1
        headers = {} if search else _headers(window, daily, self.today)
        if policy is None:
            return headers
        if retry_after:
            headers["Retry-After"] = str(int(window.wait_seconds()) + 1)
        raise rate_limited(policy, headers)

    def _roll(self, now_ms: int) -> None:
        """Start the count afresh at midnight in the account's time zone."""
        day = (now_ms + UTC_OFFSET_MS) // DAY_MS
        if day != self._day:
            self._day, self.today = day, 0


def _headers(window: RollingWindow, daily: int | None, used: int) -> dict[str, str]:
    headers: dict[str, str] = {}
    if window.limit is not None:
        headers["X-HubSpot-RateLimit-Interval-Milliseconds"] = str(int(window.seconds * 1000))
        headers["X-HubSpot-RateLimit-Max"] = str(window.limit)
        headers["X-HubSpot-RateLimit-Remaining"] = str(window.remaining())
    if daily is not None:
        headers["X-HubSpot-RateLimit-Daily"] = str(daily)
        headers["X-HubSpot-RateLimit-Daily-Remaining"] = str(max(daily - used, 0))
    return headers


def check_address(request: Request) -> None:
    """Refuse an address that is too long.

    Raises:
        ApiError: it is.
    """
    scope = request.scope
    if len(scope["path"]) + len(scope["query_string"]) > LONGEST_ADDRESS:
        raise uri_too_long()


def check_token(request: Request, tokens: Tokens, switches: Switches) -> Token:
    """Return the valid token of a request.

    Raises:
        ApiError: there is none.
    """
    given = bearer(request)
    if switches.malformed_token_status != 401 and not _TOKEN_FORM.fullmatch(given):  # noqa: PLR2004
        raise front_end(switches.malformed_token_status)
    state, token = tokens.find(given)
    if state == "expired":
        raise expired(switches.expired_category)
    if state != "valid":
        raise unauthenticated()
    return token


class AccountEndpoints(Endpoints):
    """OAuth, account information and the object library."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        route = self.hubspot.dated_route
        usage = "/account-info/{version}/api-usage/daily/private-apps"
        enabled = "/crm/object-library/{version}/enablement"
        return [
            route("POST", "/oauth/{version}/token", "oauth.token", self.token),
            route("GET", "/account-info/{version}/details", "account.details", self.details),
            route("GET", usage, "account.usage", self.usage),
            route("GET", enabled, "object_library.list", self.enablement),
            route("GET", enabled + "/{type}", "object_library.get", self.enablement_of),
        ]

    async def token(self, request: Request) -> Response:
        """Answer a refresh with a new access token."""
        tokens = self.hubspot.tokens
        form = dict(parse_qsl((await request.body()).decode(errors="replace")))
        kind = request.headers.get("content-type", "").partition(";")[0]
        try:
            access_token = tokens.grant(form if kind == FORM else {})
        except OAuthError as problem:
            raise _oauth_failure(str(problem)) from problem
        return json_response(
            {
                "access_token": access_token,
                "refresh_token": tokens.refresh_token,
                "expires_in": tokens.lifetime_seconds,
                "token_type": "bearer",
                "token_use": "access_token",
                "hub_id": PORTAL,
                "user_id": 5501,
                "scopes": sorted(tokens.oauth_scopes or ("oauth",)),
            }
        )

    async def details(self, _request: Request) -> Response:
        """Answer what the account is."""
        return json_response(
            {
                "portalId": PORTAL,
                "accountType": "DEVELOPER_TEST",
                "timeZone": "US/Eastern",
                "companyCurrency": "USD",
                "additionalCurrencies": ["CAD"],
                "utcOffset": "-05:00",
                "utcOffsetMilliseconds": UTC_OFFSET_MS,
                "uiDomain": "app.hubspot.com",
                "dataHostingLocation": "na1",
            }
        )

    async def usage(self, request: Request) -> Response:
        """Answer how much of the daily limit is used."""
        now = self.hubspot.world.clock.now_ms()
        midnight = ((now + UTC_OFFSET_MS) // DAY_MS + 1) * DAY_MS - UTC_OFFSET_MS
        name = "private-apps-api-calls-daily"
        if token_of(request).kind == "oauth":
            return json_response({"results": []})
        result: dict[str, Any] = {
            "name": name,
            "usageLimit": self.hubspot.meter.limits.daily,
            "currentUsage": self.hubspot.meter.today,
            "collectedAt": iso(now),
            "fetchStatus": "SUCCESS",
            "resetsAt": iso(midnight),
        }
        return json_response({"results": [result]})

    async def enablement(self, _request: Request) -> Response:
        """Answer which types of the object library are switched on."""
        return json_response({"enablementByObjectTypeId": self.hubspot.enabled})

    async def enablement_of(self, request: Request) -> Response:
        """Answer whether one type of the object library is switched on."""
        enabled: Mapping[str, bool] = self.hubspot.enabled
        return json_response({"enablement": enabled.get(request.path_params["type"], False)})


def _oauth_failure(code: str) -> ApiError:
    body = {
        "status": "error",
        "error": code,
        "error_description": _OAUTH_FAILURES[code],
        "message": _OAUTH_FAILURES[code],
    }
    return ApiError(400, body)
