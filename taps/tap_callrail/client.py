"""CallRail's API: its key, its limits per account and hour, its pages.

Source: CallRail API v3 reference, "Authentication", "Rate limiting" and "Pagination".
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pyrate_limiter import Limiter, Rate
from tapkit.auth import Auth
from tapkit.client import Client
from tapkit.errors import AccessDenied, FatalAPIError, QuotaExhausted, RateLimited, Unauthorized
from tapkit.paging import numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import requests

__all__ = ["CallRailClient", "Page", "pages", "records", "whole"]

HOST = "api.callrail.com"
HOUR = 3600.0
"""Seconds of the window in which requests are counted; also what a refusal lasts at most."""
ON_THE_WAY = 10.0
"""Seconds by which that is longer here, as a request may take as long to arrive as another not."""
SHARE = 0.95
"""How much of a limit is used: dashboards and other connectors count against it as well."""

Page = tuple[list[dict[str, Any]], int | None, int | None]
"""The records, the number of pages, the number of records; None or 0 where CallRail is silent."""

logger = logging.getLogger(__name__)


class KeyAuth(Auth):
    """An API key, in CallRail's form of the Authorization header."""

    def __init__(self, key: str) -> None:
        self._header = f'Token token="{key}"'

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


class Budget(Limiter):
    """What one account may be asked: waits for the next hour, but not for the next day.

    Args:
        hourly: Requests in any hour, 0 for any number.
        daily: Requests of this run, likewise.
    """

    def __init__(self, hourly: int, daily: int) -> None:
        most = int(hourly * SHARE) or (1 if hourly else 1 << 30)
        super().__init__(Rate(most, int((HOUR + ON_THE_WAY) * 1000)), buffer_ms=1)
        self._left = (int(daily * SHARE) or 1) if daily else 1 << 60
        self._counting = threading.Lock()

    def try_acquire(self, name: str = "", *_: Any, **__: Any) -> bool:
        """Take one request; blocks.

        Raises:
            QuotaExhausted: There are no more today.
        """
        with self._counting:
            if not self._left:
                what = f"The daily limit of account {name} is used up (setting daily_limit)."
                raise QuotaExhausted(f"{what} What was read is kept; run again tomorrow.")
            self._left -= 1
        if not super().try_acquire(name, timeout=1):
            logger.info("The hourly limit of account %s is used up; waiting for the next", name)
            super().try_acquire(name)
        return True


class CallRailClient(Client):
    """Client for CallRail; a request names the account whose limits it falls under.

    Args:
        config: The tap's settings.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(
            config["base_url"].rstrip("/").removesuffix("/v3"),
            KeyAuth(config["api_key"]),
            max_tries=config["max_tries"],
            retry_delay=config["retry_delay"],
            rate_limit_patience=HOUR * 1.05,
            connections=max(config["concurrent_pages"], config["concurrency"]) + 1,
        )
        self._allowed = config["hourly_limit"], config["daily_limit"]

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        limit: str = "",
    ) -> Any:
        if limit and limit not in self._limits:
            with self._lock:
                self._limits.setdefault(limit, Budget(*self._allowed))
        try:
            return super().request(
                method, path, params=params, body=body, headers=headers, limit=limit
            )
        except RateLimited as error:
            what = "CallRail still refuses requests after an hour, so the daily limit is used up"
            raise QuotaExhausted(f"{what} (429). Run again tomorrow.") from error

    def classify(self, response: requests.Response) -> Exception | None:
        error = super().classify(response)
        if isinstance(error, Unauthorized):
            return Unauthorized(f"{error} Check the setting api_key.")
        if isinstance(error, AccessDenied):
            return AccessDenied(f"{error} The key's user needs access to it in CallRail.")
        return error

    def path(self, address: str) -> str:
        """The path of a `next_page` address, which stays as it is where it leads to `base_url`.

        CallRail gives its own host also where it is reached through another one.

        Raises:
            FatalAPIError: It leads to a foreign host, which must not get the key.
        """
        if address.startswith(f"{self.base_url}/"):
            return address[len(self.base_url) :]
        parts = urlsplit(address)
        if parts.hostname not in {None, HOST, urlsplit(self.base_url).hostname}:
            what = f"CallRail's next_page leads to {parts.hostname}, which must not get the key."
            raise FatalAPIError(what)
        version = parts.path.index("/v3/")
        return f"{parts.path[version:]}?{parts.query}"


def records(answer: Any, key: str) -> list[dict[str, Any]]:
    """The records in an answer.

    Raises:
        FatalAPIError: There is no such list.
    """
    rows = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise FatalAPIError(f"CallRail's answer lacks the list '{key}'.")
    return rows


def whole(count: Any) -> int | None:
    """A count in an answer, also as text; None where there is none."""
    try:
        return int(count)
    except (TypeError, ValueError):
        return None


def pages(get: Callable[[int], Any], key: str, *, size: int, workers: int) -> Iterator[Page]:
    """Read the numbered pages of a list.

    Where an answer does not say how many there are, the first empty page is the last; or the
    second, if it repeats the first and that was not full, as the list then has no pages.

    Args:
        get: Gives the answer for the page of a number.
        key: The list in the answer.
        size: Records of a full page.
        workers: Requests at once.
    """
    first: list[Page] = []

    def fetch(number: int) -> Page:
        answer = get(number)
        counts = whole(answer.get("total_pages")), whole(answer.get("total_records"))
        page = records(answer, key), *counts
        first[:] = first or [page]
        return page

    def is_last(number: int, page: Page) -> bool:
        rows, count, _ = page
        if count:
            return number >= count
        return not rows or (number > 1 and len(rows) < size and [page] == first)

    return numbered(fetch, is_last, workers=workers)
