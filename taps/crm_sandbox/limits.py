"""Rolling-window counters on real time, which the CRMs' rate limits are made of."""

from __future__ import annotations

import time
from collections import deque


class RollingWindow:
    """Lets at most `limit` calls through in any `seconds`; None lets all through.

    Refused calls do not count.
    """

    def __init__(self, limit: int | None, seconds: float) -> None:
        self.limit = limit
        self.seconds = seconds
        self._taken: deque[float] = deque()

    def take(self) -> bool:
        """Count one call and say whether it is allowed."""
        if self.limit is None:
            return True
        self._forget()
        if len(self._taken) >= self.limit:
            return False
        self._taken.append(time.monotonic())
        return True

    def remaining(self) -> int:
        """Return how many calls are allowed right now; 0 where there is no limit."""
        self._forget()
        return max((self.limit or 0) - len(self._taken), 0)

    def wait_seconds(self) -> float:
        """Return how long until one more call is allowed."""
        self._forget()
        if self.limit is None or len(self._taken) < self.limit or not self._taken:
            return 0.0
        return max(self._taken[0] + self.seconds - time.monotonic(), 0.0)

    def _forget(self) -> None:
        horizon = time.monotonic() - self.seconds
        while self._taken and self._taken[0] <= horizon:
            self._taken.popleft()
