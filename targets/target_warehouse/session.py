"""The one connection of a run: transactions that survive a lost server."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, TypeVar

import psycopg2
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from target_warehouse.errors import DatabaseError, is_passing

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg2.extensions import connection as Connection  # noqa: N812
    from psycopg2.extensions import cursor as Cursor  # noqa: N812
    from tenacity import RetryCallState

__all__ = ["Session"]

logger = logging.getLogger("target-warehouse")

_LONGEST_PAUSE: Final = 30
_T = TypeVar("_T")


class Session:
    """A connection that comes back, and the transactions on it."""

    def __init__(self, url: str, *, retries: int, keep: bool = True) -> None:
        """Connect.

        Args:
            url: Address of the database, as libpq reads it.
            retries: How often a transaction is tried again after a lost connection, a deadlock or a
                serialization failure.
            keep: Commit. Otherwise every transaction is rolled back.

        Raises:
            DatabaseError: The server cannot be reached.
        """
        self._url = url
        self._retries = retries
        self._keep = keep
        self.generation = 0
        """Number of connections made; temporary tables are gone when it has moved."""
        self.on_reconnect: Callable[[Cursor], None] = lambda _: None
        self.checkpoint: Callable[[], None] = lambda: None
        """Called before each transaction and each commit; may raise to stop there."""
        try:
            self._connection = self._connect()
        except psycopg2.Error as error:
            raise DatabaseError.from_driver(error) from None

    @property
    def server_version(self) -> int:
        """The server's version number, as 150004."""
        return self._connection.server_version

    def _connect(self) -> Connection:
        connection = psycopg2.connect(self._url, fallback_application_name="target-warehouse")
        with connection.cursor() as cursor:
            cursor.execute("SET TimeZone = 'UTC'; SET client_encoding = 'UTF8'")
            cursor.execute("SET client_min_messages = 'warning'")
            # What a slow disk or a long pipe may not do: end the session between batches.
            cursor.execute("SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0")
        connection.commit()
        self.generation += 1
        return connection

    def transaction(self, work: Callable[[Cursor, bool], _T]) -> _T:
        """Do work in one transaction and commit it.

        Args:
            work: Called with a cursor and whether it is a repetition, in which case the first try
                may have been committed before the connection was lost.

        Returns:
            What `work` returns.

        Raises:
            DatabaseError: Postgres refused, or is gone for longer than the retries.
        """
        tries = Retrying(
            retry=retry_if_exception(is_passing),
            stop=stop_after_attempt(self._retries + 1),
            wait=wait_random_exponential(multiplier=0.5, max=_LONGEST_PAUSE),
            before_sleep=_log_retry,
            reraise=True,
        )
        try:
            for attempt in tries:
                with attempt:
                    return self._try(work, again=attempt.retry_state.attempt_number > 1)
        except psycopg2.Error as error:
            raise DatabaseError.from_driver(error) from None
        raise AssertionError("tenacity returns or raises")

    def _try(self, work: Callable[[Cursor, bool], _T], *, again: bool) -> _T:
        self.checkpoint()
        if self._connection.closed:
            self._connection = self._connect()
            with self._connection.cursor() as cursor:
                self.on_reconnect(cursor)
            self._connection.commit()
        try:
            with self._connection.cursor() as cursor:
                result = work(cursor, again)
            self.checkpoint()
            if self._keep:
                self._connection.commit()
        finally:
            # After a commit nothing is left to roll back. After anything else, a signal among them,
            # nothing may stay.
            self._rollback()
        return result

    def _rollback(self) -> None:
        try:
            if not self._connection.closed:
                self._connection.rollback()
        except psycopg2.Error:
            self._connection.close()

    def close(self) -> None:
        """Leave the server."""
        self._connection.close()


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    logger.warning(
        "Lost the transaction (%s); trying again, attempt %d",
        type(error).__name__,
        state.attempt_number + 1,
    )
