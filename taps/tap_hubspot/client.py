"""HubSpot's API: paths by date version, its two kinds of limits, its errors.

Sources: "Usage guidelines" (limits, headers), "Error handling", and the OpenAPI specs of HubSpot.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import requests
from pyrate_limiter import Limiter, Rate
from tapkit.auth import Auth, BearerAuth, OAuthRefreshAuth
from tapkit.client import Client, retry_after
from tapkit.errors import (
    AccessDenied,
    ConfigValidationError,
    FatalAPIError,
    QuotaExhausted,
    RateLimited,
    Unauthorized,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SEARCH", "HubSpotClient", "listed", "next_after"]

SEARCH = "search"
"""Search calls: 5 a second for the whole account, and no headers that tell what is left."""
BURST = ""
"""All other calls: so many in ten seconds, as the headers tell."""

SEARCH_SPACING = 250
"""Milliseconds between two search calls: 4 a second, as others may search the account too."""
SHARE = 0.95
"""How much of the burst limit is used: the rest is for what the server counts otherwise."""

TOO_MANY = 429
LONGEST_WINDOW = 10.0
"""Seconds after which any limit but the daily one has passed, whatever unit Retry-After is in."""
LOCKED_WAIT = 2.0
"""Seconds; HubSpot asks for no less."""

CHECK_CREDENTIALS = "Check the setting access_token, or client_id, client_secret and refresh_token."


class HubSpotClient(Client):
    """Client for HubSpot.

    Args:
        config: The tap's settings.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.version: str = config["api_version"]
        super().__init__(
            config["base_url"],
            authentication(config),
            limits={SEARCH: Limiter(Rate(1, SEARCH_SPACING), buffer_ms=1)},
            max_tries=config["max_tries"],
            retry_delay=config["retry_delay"],
            connections=config["concurrency"] + 1,
        )
        self._burst = (0, 0)

    def path(self, service: str, *parts: str) -> str:
        """The path of a resource: service, version, parts."""
        return "/".join(("", service, self.version, *parts))

    def observe(self, response: requests.Response) -> None:
        with suppress(KeyError, ValueError):
            burst = (
                max(int(int(response.headers["X-HubSpot-RateLimit-Max"]) * SHARE), 1),
                int(response.headers["X-HubSpot-RateLimit-Interval-Milliseconds"]),
            )
            if burst != self._burst:
                self._burst = burst
                self._limits[BURST] = Limiter(Rate(*burst), buffer_ms=1)

    def classify(self, response: requests.Response) -> Exception | None:
        match response.status_code:
            case 423:
                error: Exception | None = RateLimited("Locked (423)", response, wait=LOCKED_WAIT)
            case 477:  # for up to a day
                wait = retry_after(response)
                error = RateLimited("HubSpot is moving the account (477)", response, wait=wait)
            case 530:  # Cloudflare's answer to a token that does not even look like one
                error = Unauthorized("HubSpot does not know this kind of token (530).")
            case _:
                error = super().classify(response)
        if isinstance(error, RateLimited) and response.status_code == TOO_MANY:
            policy = str(_body(response).get("policyName"))
            left = response.headers.get("X-HubSpot-RateLimit-Daily-Remaining")
            if policy == "DAILY" or left == "0":
                what = "HubSpot's daily limit is used up; run again after its midnight."
                return QuotaExhausted(what)
            if "SECONDLY" in policy:
                error.wait = min(error.wait, LONGEST_WINDOW) if error.wait else None
        if isinstance(error, AccessDenied):
            return AccessDenied(f"{error} {_missing_scopes(_body(response))}")
        if isinstance(error, Unauthorized):
            return Unauthorized(f"{error} {CHECK_CREDENTIALS}")
        return error


def authentication(config: Mapping[str, Any]) -> Auth:
    """A static token (private app, service key), or OAuth with a refresh token.

    Raises:
        ConfigValidationError: Neither is complete.
    """
    if token := config.get("access_token"):
        return BearerAuth(token)
    names = ("client_id", "client_secret", "refresh_token")
    missing = [name for name in names if not config.get(name)]
    if missing:
        what = (
            "Set access_token (a private app's token or a service key), or all of client_id, "
            f"client_secret and refresh_token (missing: {', '.join(missing)})."
        )
        raise ConfigValidationError(what, errors=[what])
    return OAuthRefreshAuth(
        f"{config['base_url'].rstrip('/')}/oauth/{config['api_version']}/token",
        **{name: config[name] for name in names},
    )


def listed(answer: Any, key: str = "results") -> list[dict[str, Any]]:
    """The list in an answer, which has no errors but those that mean that something is not there.

    Raises:
        FatalAPIError: There is no list, or another error.
    """
    rows = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise FatalAPIError(f"HubSpot's answer lacks the list '{key}'.")
    for error in answer.get("errors") or []:
        kind = f"{error.get('category')} {error.get('subCategory')}"
        if "OBJECT_NOT_FOUND" not in kind and "NO_ASSOCIATIONS_FOUND" not in kind:
            raise FatalAPIError(f"HubSpot could not read all that was asked for ({kind}).")
    return rows


def next_after(answer: Mapping[str, Any]) -> str | None:
    """The cursor in `paging.next.after`; None after the last page, which has no `paging`."""
    return ((answer.get("paging") or {}).get("next") or {}).get("after")


def _body(response: requests.Response) -> dict[str, Any]:
    """An error's body; {} where it is none, as every field of it is optional."""
    with suppress(requests.exceptions.JSONDecodeError):
        body = response.json()
        return body if isinstance(body, dict) else {}
    return {}


def _missing_scopes(body: Mapping[str, Any]) -> str:
    """Name what is missing, from `errors[].context`; all of it is optional."""
    errors = body.get("errors")
    for error in errors if isinstance(errors, list) else []:
        context = error.get("context") if isinstance(error, dict) else None
        for key in ("requiredGranularScopes", "requiredScopes"):
            scopes = context.get(key) if isinstance(context, dict) else None
            if isinstance(scopes, list) and scopes:
                return f"Grant the token the scope {' or '.join(map(str, scopes))}."
    return "Grant the token the missing scope, or deselect the stream."
