"""One run at a time per table."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from target_warehouse.errors import TableBusyError

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

    from target_warehouse.session import Session

__all__ = ["Claims"]

logger = logging.getLogger("target-warehouse")

_PAUSE: Final = 0.5  # seconds between two looks
_LOST: Final = 30.0  # seconds a server may take to notice that our old connection is gone


class Claims:
    """Tables that this run loads; no other run of the target does until the session ends."""

    def __init__(self, session: Session, patience: float) -> None:
        """Hold nothing yet; `patience` is in seconds."""
        self._session, self._patience = session, patience
        self._held: set[tuple[str, str]] = set()

    def take(self, schema: str, table: str) -> None:
        """Wait until no other run loads the table.

        Raises:
            TableBusyError: It lasts longer than the patience.
        """
        claim = (schema, table)
        end = time.monotonic() + self._patience
        waiting = False
        while not self._session.transaction(lambda cursor, _: _take(cursor, claim)):
            if time.monotonic() >= end:
                raise _busy(claim)
            if not waiting:
                logger.info("Waiting for another run that loads %s.%s", *claim)
            waiting = True
            time.sleep(_PAUSE)
        self._held.add(claim)

    def take_again(self, cursor: Cursor) -> None:
        """Claim the same tables on a new connection.

        Raises:
            TableBusyError: Another run has one of them by now.
        """
        end = time.monotonic() + _LOST
        for claim in sorted(self._held):
            while not _take(cursor, claim):
                self._session.checkpoint()
                if time.monotonic() >= end:
                    raise _busy(claim)
                time.sleep(_PAUSE)


def _take(cursor: Cursor, claim: tuple[str, str]) -> bool:
    name = "load of {}.{}".format(*claim)
    cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (name,))
    return bool((cursor.fetchone() or [False])[0])


def _busy(claim: tuple[str, str]) -> TableBusyError:
    return TableBusyError(
        "Another run is loading table {}.{}. Run again when it has ended, or let runs wait longer"
        " by the setting lock_timeout.".format(*claim)
    )
