"""The page's connections: few, and every one of them only reads."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from sqlalchemy.dialects.postgresql.psycopg2 import dialect
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.pool import QueuePool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg2.extensions import connection as Connection  # noqa: N812
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["CONNECTIONS", "Database", "Unreadable"]

logger = logging.getLogger("warehouse.page")

CONNECTIONS: Final = 4
_PATIENCE: Final = 10
"""Seconds for a statement, for a connection, and for one of the pool to become free."""


class Unreadable(Exception):
    """The database does not answer, or not to this role; the message may be shown."""


class Database:
    """A warehouse that is looked at.

    Attributes:
        schema: Where sync_history and the tables beside it are.
    """

    def __init__(self, url: str, schema: str) -> None:
        """Connect to nothing yet.

        Args:
            url: As libpq reads it.
            schema: See the attribute.
        """
        self.schema = schema
        self._url = url
        self._pool = QueuePool(
            cast("Any", self._connect),
            pool_size=CONNECTIONS,
            max_overflow=0,
            timeout=_PATIENCE,
            pre_ping=True,
            dialect=cast("Any", dialect)(dbapi=psycopg2),
        )

    def _connect(self) -> Connection:
        connection = psycopg2.connect(
            self._url, connect_timeout=_PATIENCE, fallback_application_name="warehouse page"
        )
        connection.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
        return connection

    @contextmanager
    def reading(self) -> Iterator[Cursor]:
        """Give a cursor in a read-only transaction that sees one moment of the database.

        Raises:
            Unreadable: The server is gone, too slow, or refuses this role.
        """
        try:
            connection = self._pool.connect()
            try:
                with cast("Connection", connection.dbapi_connection).cursor() as cursor:
                    cursor.execute(
                        "SELECT set_config('statement_timeout', %s, true),"
                        " set_config('lock_timeout', '2s', true),"
                        " set_config('TimeZone', 'UTC', true)",
                        (f"{_PATIENCE}s",),
                    )
                    yield cursor
            finally:
                connection.close()  # back to the pool, which rolls back
        except (psycopg2.errors.QueryCanceled, psycopg2.errors.LockNotAvailable) as error:
            logger.warning("A query of the page took too long (%s)", type(error).__name__)
            raise Unreadable("The database took too long to answer. Try again later.") from error
        except psycopg2.errors.InsufficientPrivilege as error:
            sentence = (error.diag.message_primary or "permission denied").capitalize()
            logger.warning("%s", sentence)
            raise Unreadable(
                f"{sentence} for the page's role. The README names the rights that it needs."
            ) from error
        except (psycopg2.OperationalError, psycopg2.InterfaceError, PoolExhausted) as error:
            logger.warning("The database cannot be reached (%s)", type(error).__name__)
            raise Unreadable("The database cannot be reached.") from error

    def is_reachable(self) -> bool:
        """Tell whether the database answers."""
        try:
            with self.reading() as cursor:
                cursor.execute("SELECT 1")
        except Unreadable:
            return False
        return True

    def close(self) -> None:
        """Close the connections."""
        self._pool.dispose()
