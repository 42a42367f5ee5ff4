"""Notices that archived records were restored, of which nothing else may tell.

A restored record leaves the archived list; whether its modified date moves is not documented. So a
run remembers which records it saw archived, as one checksum over those of a span of time, and the
next run compares. The span ends where an archiving may not show yet, and begins within the 90 days
after which archived records are gone for good. A pause of some days between runs can let records
leave the span by their age: that looks like a restoration, and costs no more than one does.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from tapkit.dates import parse_datetime, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["ArchiveTrail"]

NOTHING = f"{0:016x}"
REACH = timedelta(days=87)
"""How far back a span reaches."""


class ArchiveTrail:
    """The archived records of a span of time.

    Args:
        remembered: What `remember` gave in the run before, or None.
        until: Up to when archived records surely show.
    """

    def __init__(self, remembered: Mapping[str, str] | None, until: datetime) -> None:
        self._before = remembered or {"since": "", "until": "", "checksum": NOTHING}
        self._span = text(until - REACH), text(until)
        self._seen_again = self._seen = 0

    def note(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take rows of the archived list into account."""
        for row in rows:
            if not row.get("archivedAt"):
                continue
            moment = text(parse_datetime(row["archivedAt"]))
            checksum = int.from_bytes(blake2b(row["id"].encode(), digest_size=8).digest(), "big")
            if self._span[0] <= moment < self._span[1]:
                self._seen ^= checksum
            if self._before["since"] <= moment < self._before["until"]:
                self._seen_again ^= checksum

    @property
    def is_broken(self) -> bool:
        """Whether records that were archived in the run before are so no more."""
        return self._before["checksum"] != f"{self._seen_again:016x}"

    def remember(self) -> dict[str, str]:
        """What the next run needs."""
        since, until = self._span
        return {"since": since, "until": until, "checksum": f"{self._seen:016x}"}
