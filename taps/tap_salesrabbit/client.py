"""SalesRabbit's API: its pace, its errors, its lists.

Nothing of it is documented in public; what is known comes from working clients, and their evidence
is in README.md. Whatever is uncertain is read so that either truth gives the same records.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import TYPE_CHECKING, Any

from pyrate_limiter import Limiter, Rate
from tapkit import dates
from tapkit.auth import BearerAuth
from tapkit.client import Client
from tapkit.errors import (
    AccessDenied,
    PageLoop,
    RateLimited,
    RetriableAPIError,
    Unauthorized,
)
from tapkit.paging import follow

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    import requests

__all__ = ["Page", "SalesRabbitClient", "read_list", "records"]

MINUTE = 60_000
"""Milliseconds."""
SHARE = 0.95
"""How much of the pace is used: requests do not arrive as evenly as they are sent."""
MOMENTS_FROM = 1_000_000_000
"""From here on X-RateLimit-Reset is a moment (seconds or milliseconds since 1970)."""
LONGEST_HOLD = 300.0
"""Seconds that a rate-limit header can hold requests; beyond it the 429 itself has to say so."""

CREATE_TOKEN = (
    "Make a token in SalesRabbit under Integrations, API (Pro and Enterprise plans have it), and "  # noqa: S105
    "give it as access_token. Keys of SalesRabbit+ (SR+) are for another API and do not work here."
)


class SalesRabbitClient(Client):
    """Client for SalesRabbit.

    Args:
        config: The tap's settings.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        spacing = ceil(MINUTE / config["requests_per_minute"] / SHARE)
        super().__init__(
            config["base_url"],
            BearerAuth(config["access_token"]),
            limits={"": Limiter(Rate(1, spacing), buffer_ms=1)},
            max_tries=config["max_tries"],
            retry_delay=config["retry_delay"],
        )
        # A cache on the way must not answer what If-Modified-Since asks the API.
        self._session.headers["Cache-Control"] = "no-cache"

    def classify(self, response: requests.Response) -> Exception | None:
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            return None
        error = super().classify(response)
        if error is None and not response.content:
            return RetriableAPIError("The answer is empty", response)
        if isinstance(error, RateLimited) and error.wait is None:
            error.wait = self._until_reset(response)
        if isinstance(error, (AccessDenied, Unauthorized)):
            return type(error)(f"{error} {CREATE_TOKEN}")
        return error

    def observe(self, response: requests.Response) -> None:
        with suppress(KeyError, ValueError):
            wait = self._until_reset(response)
            if int(response.headers["X-RateLimit-Remaining"]) <= 0 and wait:
                self.hold(min(wait, LONGEST_HOLD))

    def _until_reset(self, response: requests.Response) -> float | None:
        """Seconds until the limit is lifted: X-RateLimit-Reset, which may be a moment as well."""
        try:
            value = float(response.headers["X-RateLimit-Reset"])
        except (KeyError, ValueError):
            return None
        if value > MOMENTS_FROM:
            value = (dates.parse_datetime(value) - self.server_now()).total_seconds()
        return max(value, 0.0)


@dataclass
class Page:
    """A page of a list.

    Attributes:
        number: The page asked for; None is the first one, asked for without a number.
        rows: Its records.
        keys: What identifies each record.
        more: Whether another page follows; None where the API does not say.
        total: Records on all pages, where the API says it.
        is_unmodified: Whether the answer was 304: nothing new, and nothing said of what is there.
    """

    number: int | None
    rows: list[dict[str, Any]]
    keys: list[Hashable]
    more: bool | None
    total: int | None = None
    is_unmodified: bool = False


def records(data: Any) -> list[dict[str, Any]]:
    """The records of an answer's `data`; an empty array may come as an empty object.

    Raises:
        TypeError: It is neither.
    """
    if data == {}:
        return []
    if not isinstance(data, list):
        raise TypeError("data is no array")
    return data


def read_list(
    fetch: Callable[[int | None], Any],
    unpack: Callable[[Any], list[dict[str, Any]]],
    key: Callable[[dict[str, Any]], Hashable],
    *,
    page_size: int,
    is_unpaged: bool = False,
) -> Iterator[Page]:
    """Read a list to its end, the next page being fetched while the caller works on one.

    `meta.morePages` ends it. Where that is missing, an empty page does, or one that came before if
    it is not a full one: the server may give fewer rows than asked for, so that a short page says
    nothing. An empty page that promises more is believed once.

    Args:
        fetch: Gets the answer for a page number, None for a 304.
        unpack: Takes the records out of the answer's `data`.
        key: What identifies a record, to notice that a page comes twice.
        page_size: Records asked for at once.
        is_unpaged: Whether the list may come whole on every page, and pages may count from 0: the
            first page then is asked for without a number, and a repeated one is the end.

    Raises:
        PageLoop: A page came twice and there should be more.
    """
    earlier: list[Page] = []

    def page(number: int | None) -> Page:
        wanted = number or (None if is_unpaged else 1)
        answer = fetch(wanted)
        if answer is None:
            return Page(wanted, [], [], more=False, is_unmodified=True)
        rows = unpack(answer["data"])
        meta = answer.get("meta") or {}
        total = meta.get("total")
        return Page(
            wanted,
            rows,
            [key(row) for row in rows],
            more=meta.get("morePages"),
            total=total if type(total) is int else None,
        )

    def advance(page: Page) -> int | None:
        before = earlier.pop() if earlier else None
        earlier.append(page)
        following = (page.number or 0) + 1
        if before is not None and page.keys and page.keys == before.keys:
            page.rows = []
            if is_unpaged:
                return following if before.number is None else None
            if page.more is None and len(page.keys) != page_size:
                return None
            msg = (
                f"Paging does not end: page {page.number} is the same as the one before. Nothing "
                "was skipped; run again, or report it to SalesRabbit."
            )
            raise PageLoop(msg)
        if not page.keys:
            believed = page.more and (before is None or before.keys)
            return following if believed else None
        return None if page.more is False else following

    yield from follow(page, advance)
