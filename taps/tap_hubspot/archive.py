"""Notices that archived records were restored, of which nothing else may tell.

A restored record leaves the archived list; whether its modified date moves is not documented. So a
run remembers which records it saw archived, as one checksum over those of a span of time, and the
next run compares. The span ends where an archiving may not show yet, and begins well within the 90
days after which archived records are gone for good.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from tapkit.dates import parse_datetime, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["ArchiveTrail"]

REACH = timedelta(days=60)
"""How far back a span begins when it is new."""
LIFETIME = timedelta(days=80)
"""How old the begin of a span may become."""


class ArchiveTrail:
    """The archived records of a span of time.

    Args:
        remembered: What `remember` gave in the run before, or None.
        until: Up to when archived records surely show.
    """

    def __init__(self, remembered: Mapping[str, str] | None, until: datetime) -> None:
        self._before = remembered or {}
        since = self._before.get("since")
        if not since or parse_datetime(since) < until - LIFETIME:
            since = text(until - REACH)
        self._since, self._until = since, text(until)
        self._seen_again = self._seen = 0

    def note(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take rows of the archived list into account."""
        for row in rows:
            if not row.get("archivedAt"):
                continue
            moment = text(parse_datetime(row["archivedAt"]))
            if self._since <= moment < self._until:
                checksum = blake2b(row["id"].encode(), digest_size=8).digest()
                self._seen ^= int.from_bytes(checksum, "big")
                if moment < self._before.get("until", ""):
                    self._seen_again ^= int.from_bytes(checksum, "big")

    @property
    def is_broken(self) -> bool:
        """Whether records that were archived in the run before are so no more."""
        same_span = self._before.get("since") == self._since
        return same_span and self._before.get("checksum") != f"{self._seen_again:016x}"

    def remember(self) -> dict[str, str]:
        """What the next run needs."""
        return {"since": self._since, "until": self._until, "checksum": f"{self._seen:016x}"}
