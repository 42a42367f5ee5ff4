"""One HTTP client per tap: session, pacing, retries, credentials renewal, errors, call count."""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import requests
import tenacity
from requests.adapters import HTTPAdapter

from tapkit.dates import now
from tapkit.errors import (
    AccessDenied,
    BadRequest,
    FatalAPIError,
    NotFound,
    RateLimited,
    RetriableAPIError,
    Unauthorized,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyrate_limiter import Limiter

    from tapkit.auth import Auth

__all__ = ["Client"]

RETRIED = (
    RetriableAPIError,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)

REFUSALS: dict[int, tuple[type[Exception], str]] = {
    HTTPStatus.BAD_REQUEST: (BadRequest, "The API does not understand the request"),
    HTTPStatus.UNAUTHORIZED: (Unauthorized, "The API refused the credentials"),
    HTTPStatus.FORBIDDEN: (AccessDenied, "The credentials may not read this"),
    HTTPStatus.NOT_FOUND: (NotFound, "Not found"),
}

RESOLUTION = timedelta(seconds=1)
"""The Date header knows whole seconds only."""

logger = logging.getLogger(__name__)
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Client:
    """Sends requests to one API and answers with decoded JSON.

    Numbers keep all their digits: fractions are decoded to `Decimal`.

    A request is tried again after 429, 5xx, time-outs, resets and cut or malformed bodies, for
    about a minute and a half. After `breaker` requests in a row that failed all the same, each
    request gets a single try, until one succeeds: an API that is down is not hammered.

    Args:
        base_url: Scheme, host and any prefix; paths are appended to it.
        auth: Signs each request.
        limits: Named limiters; a request names the one that it falls under.
        timeout: Seconds to connect, and between two bytes of an answer.
        max_tries: Tries of one request, the first one included.
        retry_delay: Seconds waited at the least before another try, where the API says nothing.
        rate_limit_patience: Seconds for which one request goes on waiting out 429 answers.
        connections: How many requests may be under way at once.

    Attributes:
        calls: Requests sent so far, tries included.
    """

    breaker = 3

    def __init__(
        self,
        base_url: str,
        auth: Auth,
        *,
        limits: Mapping[str, Limiter] | None = None,
        timeout: float = 120.0,
        max_tries: int = 10,
        retry_delay: float = 0.0,
        rate_limit_patience: float = 900.0,
        connections: int = 8,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.calls = 0
        self._auth = auth
        self._limits = dict(limits or {})
        self._timeout = timeout
        self._max_tries = max_tries
        self._retry_delay = retry_delay
        self._patience = rate_limit_patience
        self._failures = 0
        self._skew = timedelta(0)
        self._held_until = 0.0
        self._lock = threading.Lock()
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "crm-warehouse"
        self._session.headers["Accept"] = "application/json"
        adapter = HTTPAdapter(pool_connections=connections, pool_maxsize=connections)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def get(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        limit: str = "",
    ) -> Any:
        """Send a GET; see `request`."""
        return self.request("GET", path, params=params, headers=headers, limit=limit)

    def post(self, path: str, body: Any, *, limit: str = "") -> Any:
        """Send a POST with a JSON body; see `request`."""
        return self.request("POST", path, body=body, limit=limit)

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
        """Send a request and give its decoded JSON answer, None for an empty one.

        Raises:
            AccessDenied: 403.
            NotFound: 404.
            RunEnded: 401 after renewing the credentials, or no more calls today.
            FatalAPIError: Any other 4xx.
            RetriableAPIError: Still failing after all tries.
        """
        request = requests.Request(
            method,
            f"{self.base_url}{path}",
            params=params,
            data=None if body is None else msgspec.json.encode(body),
            headers={
                **({} if body is None else {"Content-Type": "application/json"}),
                **(headers or {}),
            },
            auth=self._auth,
        )
        response = self._send(request, path, limit)
        return self._json(response) if response.content else None

    def open(
        self,
        path: str,
        params: str | Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        limit: str = "",
    ) -> requests.Response:
        """Send a GET and give the response with its body unread, also where it says 304.

        For bodies that are large or no JSON. Only the start of the answer is tried again; what
        goes wrong while the body is read is the caller's.

        Raises:
            Same as `request`.
        """
        request = requests.Request(
            "GET", f"{self.base_url}{path}", params=params, headers=headers, auth=self._auth
        )
        return self._send(request, path, limit, stream=True)

    def _send(
        self, request: requests.Request, path: str, limit: str, *, stream: bool = False
    ) -> requests.Response:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(RETRIED),
            stop=self._stop,
            wait=self._wait,
            before_sleep=self._log_retry,
            reraise=True,
        )
        try:
            return retrying(self._try, request, limit, stream=stream)
        except RetriableAPIError:
            self._count_failure()
            raise
        except requests.RequestException as error:
            self._count_failure()
            msg = (
                f"No whole answer from {urlsplit(self.base_url).netloc} for {request.method} {path}"
                f" ({type(error).__name__}). Check the network and the setting base_url."
            )
            raise RetriableAPIError(msg) from error

    def hold(self, seconds: float) -> None:
        """Send nothing for so long: the API said that no more is allowed until then."""
        self._held_until = max(self._held_until, time.monotonic() + seconds)

    def server_now(self) -> datetime:
        """The present by the API's clock, where that differs from ours by more than it can show."""
        return self.server_time(now())

    def server_time(self, moment: datetime) -> datetime:
        """What the API's clock showed at a moment of ours, or up to a second later."""
        skew = self._skew
        return moment + skew + RESOLUTION if abs(skew) > 2 * RESOLUTION else moment

    def classify(self, response: requests.Response) -> Exception | None:
        """Turn a response into the error it stands for, or None for a success.

        Override it for what an API says in its own way. The body is never quoted.
        """
        status = response.status_code
        where = f"{response.request.method} {urlsplit(response.url).path}"
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return None
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
            return RetriableAPIError(f"The API failed ({status}, {where})", response)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return RateLimited(f"Rate limited (429, {where})", response, wait=retry_after(response))
        kind, what = REFUSALS.get(status, (FatalAPIError, "The API refused the request"))
        return kind(f"{what} ({status}, {where}).")

    def observe(self, response: requests.Response) -> None:
        """Look at each response, e.g. for rate-limit headers; by default nothing is done."""

    def _try(
        self, request: requests.Request, limit: str, *, stream: bool = False
    ) -> requests.Response:
        response = self._once(request, limit, stream=stream)
        error = self._error(response, stream=stream)
        if isinstance(error, Unauthorized) and self._auth.renew(
            response.request.headers.get("Authorization")
        ):
            response.close()
            response = self._once(request, limit, stream=stream)
            error = self._error(response, stream=stream)
        if error is None and not stream and response.content:
            self._json(response)  # a malformed page is tried again, never taken for the last one
        if not isinstance(error, RetriableAPIError):
            with self._lock:
                self._failures = 0
        if error is not None:
            response.close()
            raise error
        return response

    def _error(self, response: requests.Response, *, stream: bool) -> Exception | None:
        if stream and response.status_code == HTTPStatus.NOT_MODIFIED:
            return None
        return self.classify(response)

    def _once(
        self, request: requests.Request, limit: str, *, stream: bool = False
    ) -> requests.Response:
        if limiter := self._limits.get(limit):
            limiter.try_acquire(limit)
        while (wait := self._held_until - time.monotonic()) > 0:
            time.sleep(wait)
        with self._lock:
            self.calls += 1
        prepared = self._session.prepare_request(request)
        settings = self._session.merge_environment_settings(
            prepared.url or "", {}, stream=stream, verify=None, cert=None
        )
        response = self._session.send(
            prepared,
            timeout=self._timeout,
            allow_redirects=False,  # credentials are for this host only
            **settings,
        )
        with suppress(KeyError, TypeError, ValueError):
            self._skew = parsedate_to_datetime(response.headers["Date"]) - now()
        self.observe(response)
        return response

    def _json(self, response: requests.Response) -> Any:
        if (decoded := getattr(response, "_decoded", None)) is not None:
            return decoded
        try:
            decoded = _decode(response.content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            decoded = self._json_slowly(response)
        response._decoded = decoded  # type: ignore[attr-defined]  # noqa: SLF001  (parsed once)
        return decoded

    def _json_slowly(self, response: requests.Response) -> Any:
        """Decode what msgspec refuses but JSON in the wild has: lone surrogates, NaN."""
        try:
            return json.loads(response.content, parse_float=Decimal)
        except ValueError as error:
            where = f"{response.request.method} {urlsplit(response.url).path}"
            raise RetriableAPIError(f"The answer is not JSON ({where})", response) from error

    def _count_failure(self) -> None:
        with self._lock:
            self._failures += 1

    def _stop(self, state: tenacity.RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, RateLimited):
            waited = state.seconds_since_start or 0.0
            return waited + (error.wait or 0.0) > self._patience
        return state.attempt_number >= self._max_tries or self._failures >= self.breaker

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, RateLimited) and error.wait is not None:
            return error.wait
        return self._retry_delay + _backoff(state)

    def _log_retry(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        what = str(error) if isinstance(error, RetriableAPIError) else type(error).__name__
        logger.warning("%s; trying again in %.1f s", what, state.upcoming_sleep)


_backoff: Callable[[tenacity.RetryCallState], float] = tenacity.wait_random_exponential(
    multiplier=0.5, max=60
)


def retry_after(response: requests.Response) -> float | None:
    """Seconds from Retry-After, which is a number or a date (RFC 9110, section 10.2.3)."""
    header = response.headers.get("Retry-After", "")
    with suppress(ValueError):
        return max(float(header), 0.0)
    with suppress(ValueError, TypeError):
        return max((parsedate_to_datetime(header) - now()).total_seconds(), 0.0)
    return None
