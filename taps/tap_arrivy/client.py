"""Arrivy's API: two keys in headers, bare lists in numbered pages, errors with a code.

Sources: Arrivy's developer portal (edition of 2018-2020), its web app, and two public clients.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext, suppress
from itertools import chain
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias

import requests
from tapkit.auth import Auth
from tapkit.client import Client
from tapkit.errors import (
    AccessDenied,
    BadRequest,
    FatalAPIError,
    NotFound,
    PageLoop,
    RateLimited,
    Unauthorized,
)
from tapkit.paging import numbered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ArrivyClient", "Row", "listed"]

Row: TypeAlias = "dict[str, Any]"

PAGE_LIMIT = 500
"""The most that is known to be given at once: where nothing is asked for, it is the default."""
MINUTE = 60.0
FAST = 8
"""Requests at once with `high_performance`."""

CHECK_KEYS = (
    "Check the settings auth_key (header X-Auth-Key) and auth_token (X-Auth-Token); both are shown "
    "on the API page of the account's settings in Arrivy, and easily swapped."
)


class KeyPair(Auth):
    """The two headers that every request has."""

    def __init__(self, key: str, token: str) -> None:
        self._headers = {"X-Auth-Key": key, "X-Auth-Token": token}

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self._headers)
        return request


class Budget:
    """So many requests in any span of time.

    Somewhere between being sent and being answered a request is counted by Arrivy; so its share is
    free again a span after the answer.

    Args:
        requests: How many.
        seconds: The span.
    """

    def __init__(self, requests: int, seconds: float) -> None:
        self._seconds = seconds
        self._free_at: SimpleQueue[float] = SimpleQueue()
        for _ in range(requests):
            self._free_at.put(0.0)

    @contextmanager
    def spent(self) -> Iterator[None]:
        """Wait until one more request may be sent, and count it."""
        time.sleep(max(self._free_at.get() - time.monotonic(), 0.0))
        try:
            yield
        finally:
            self._free_at.put(time.monotonic() + self._seconds)


class ArrivyClient(Client):
    """Client for Arrivy.

    Args:
        config: The tap's settings.

    Attributes:
        workers: Child requests at once.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        fast = FAST if config["high_performance"] else 1
        budget = Budget(config["requests_per_minute"], MINUTE)
        self._spending = nullcontext if config["high_performance"] else budget.spent
        self.workers: int = max(config["concurrency"], fast)
        self._pages_at_once: int = max(config["concurrent_pages"], fast)
        self._page_size = min(config["page_size"], PAGE_LIMIT)
        self._company = {"company_id": config.get("company_id") or None}
        super().__init__(
            config["base_url"],
            KeyPair(config["auth_key"], config["auth_token"]),
            max_tries=config["max_tries"],
            retry_delay=config["retry_delay"],
            connections=self.workers + self._pages_at_once,
        )

    def one(self, path: str) -> Any:
        """The answer of an address without pages."""
        return self.get(path, self._company)

    def pages(
        self, path: str, params: Mapping[str, str] | None = None, *, workers: int | None = None
    ) -> Iterator[list[Row]]:
        """Read a list to its first empty page, as nobody knows how many rows a full one has.

        Where the second page is like the first, and that is not as long as was asked for, the list
        has no pages, and that was all of it.

        Args:
            path: Its address.
            params: Its filters.
            workers: Pages at once; by default what the settings say.

        Raises:
            PageLoop: A page came again.
        """
        size = self._page_size
        query = {**self._company, **(params or {}), "items_per_page": size}

        def fetch(number: int) -> list[Row]:
            return listed(self.get(path, {**query, "page": number}))

        def is_last(number: int, page: list[Row]) -> bool:
            has_no_pages = number == 2 and len(first) != size and _ids(page) == _ids(first)  # noqa: PLR2004
            return not page or has_no_pages

        first = fetch(1)
        several = self._pages_at_once if workers is None else workers
        if len(first) >= size:
            pages: Iterator[list[Row]] = numbered(
                lambda n: first if n == 1 else fetch(n), is_last, workers=several
            )
        else:  # most likely that was all: one more request tells
            pages = chain([first], numbered(fetch, is_last, workers=several, first=2))
        seen: set[int] = set()
        for number, page in enumerate(pages, 1):
            if is_last(number, page):
                return
            if hash(_ids(page)) in seen:
                msg = (
                    f"Paging does not end: page {number} of {path} has the rows of an earlier one. "
                    "Nothing was skipped; run again, or report it to the vendor."
                )
                raise PageLoop(msg)
            seen.add(hash(_ids(page)))
            yield page

    def _once(
        self, request: requests.Request, limit: str, *, stream: bool = False
    ) -> requests.Response:
        with self._spending():
            return super()._once(request, limit, stream=stream)

    def classify(self, response: requests.Response) -> Exception | None:
        error = super().classify(response)
        if response.status_code == requests.codes.method_not_allowed:
            return NotFound(f"Arrivy has no such list ({error})")
        if isinstance(error, RateLimited) and error.wait:
            self.hold(error.wait)  # for all that is under way at once
        if isinstance(error, BadRequest) and "NOT AUTHORIZED" in _description(response):
            return AccessDenied(f"The keys may not read this ({error})")
        if isinstance(error, Unauthorized):
            return Unauthorized(f"{error} {CHECK_KEYS}")
        return error


def listed(answer: Any) -> list[Row]:
    """The rows of an answer, which is a bare list; older clients saw an object holding one.

    Raises:
        FatalAPIError: There is no list.
    """
    if isinstance(answer, dict) and "id" not in answer:
        lists = [value for value in answer.values() if isinstance(value, list)]
        answer = answer.get("results", lists[0] if len(lists) == 1 else None)
    if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
        raise FatalAPIError("Arrivy's answer is not a list of records.")
    return answer


def _ids(page: list[Row]) -> tuple[Any, ...]:
    return tuple(row.get("id", row.get("time")) for row in page)


def _description(response: requests.Response) -> str:
    """The description of an error, in capitals; empty where there is none."""
    with suppress(requests.exceptions.JSONDecodeError):
        body = response.json()
        return str(body.get("description")).upper() if isinstance(body, dict) else ""
    return ""
