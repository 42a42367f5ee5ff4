"""Remembers the ids of the records that a run saw, on disk: there may be millions of them."""

from __future__ import annotations

import tempfile
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["IdLog"]


class IdLog:
    """Ids of records, each live or archived, in the order in which they came."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  (lives on)
        weakref.finalize(self, self._file.close)

    def extend(self, ids: Iterable[tuple[str, bool]]) -> None:
        """Add ids, each with whether its record is archived."""
        self._file.writelines(f"{record_id} {archived:d}\n" for record_id, archived in ids)

    def read(self, *, archived: bool) -> Iterator[str]:
        """The ids that were added, of live records or of archived ones."""
        self._file.seek(0)
        wanted = str(int(archived))
        for line in self._file:
            record_id, flag = line.split()
            if flag == wanted:
                yield record_id
