"""The sandbox's own time: starts at the real time and can be moved."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from email.utils import formatdate

DAY_MS = 86_400_000


class Clock:
    """Milliseconds since 1970 as the sandbox sees them; runs at real speed."""

    def __init__(self) -> None:
        self._offset_ms = 0

    def now_ms(self) -> int:
        """Return the sandbox time in milliseconds."""
        return time.time_ns() // 1_000_000 + self._offset_ms

    def advance(self, seconds: float) -> None:
        """Move the clock by seconds; negative ones move it back."""
        self._offset_ms += round(seconds * 1000)

    def set(self, now_ms: int | None) -> None:
        """Set the time in milliseconds; None returns to the real time."""
        self._offset_ms = 0
        if now_ms is not None:
            self._offset_ms = now_ms - self.now_ms()

    def http_date(self) -> str:
        """Return the time in the form of the HTTP Date header."""
        return formatdate(self.now_ms() / 1000, usegmt=True)


def iso(ms: int) -> str:
    """Write milliseconds as ISO date-time with three decimals and Z."""
    when = datetime.fromtimestamp(ms // 1000, timezone.utc)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def from_iso(text: str) -> int:
    """Read an ISO date or date-time as milliseconds, UTC where it names no zone.

    Raises:
        ValueError: the text is neither.
    """
    when = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return round(when.timestamp() * 1000)
