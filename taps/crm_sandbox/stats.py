"""What the sandbox was asked: counts by kind and path, and a log of the last requests."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

import msgspec

LOG_LENGTH = 5_000


class Call(msgspec.Struct):
    """One request.

    Attributes:
        at: Seconds of the monotonic clock.
        crm: Name of the CRM asked.
        kind: Kind of endpoint, for example ``objects.search``.
        method: HTTP method.
        path: Path without the query string.
        query: The query string.
        body: The request's body as text.
        status: Status answered; 0 while under way and where the connection was broken.
    """

    at: float
    crm: str
    kind: str
    method: str
    path: str
    query: str
    body: str
    status: int = 0


class Stats:
    """Counts since the last reset."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._kinds: Counter[str] = Counter()
        self._paths: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._times: dict[str, list[float]] = {}
        self._log: deque[Call] = deque(maxlen=LOG_LENGTH)

    def begin(self, call: Call) -> None:
        """Count a request that has just come in."""
        self._kinds[f"{call.crm}.{call.kind}"] += 1
        self._paths[f"{call.method} {call.path}"] += 1
        self._times.setdefault(f"{call.crm}.{call.kind}", []).append(call.at)
        self._log.append(call)

    def end(self, call: Call, status: int) -> None:
        """Note the status that was answered."""
        call.status = status
        self._statuses[status] += 1

    def report(self) -> dict[str, Any]:
        """Return the counts; `busiest_second` has the most calls of a kind in any second."""
        return {
            "requests": sum(self._kinds.values()),
            "kinds": dict(self._kinds),
            "paths": dict(self._paths),
            "statuses": {str(status): count for status, count in self._statuses.items()},
            "rate_limited": self._statuses[429],
            "busiest_second": {kind: _busiest(times) for kind, times in self._times.items()},
        }

    def log(self, contains: str, since: float) -> list[Call]:
        """Return the last calls, oldest first.

        Args:
            contains: Text the path has to contain.
            since: Monotonic seconds; calls at or before it are left out.
        """
        return [call for call in self._log if contains in call.path and call.at > since]


def _busiest(times: list[float]) -> int:
    start = most = 0
    for end, moment in enumerate(times):
        while times[start] <= moment - 1.0:
            start += 1
        most = max(most, end - start + 1)
    return most
