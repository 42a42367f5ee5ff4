"""The one connection of a run: transactions that survive a lost server, one of them in a thread.

While the server works on a transaction that was started with `Session.start`, the input can be
read. Everything else that needs the connection waits for its end first, so that transactions take
place in the order in which they were asked for.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg2
from tenacity import (
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    wait_random_exponential,
)

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


class _Job:
    """A transaction in the thread, and what is to be done in the main thread after its commit."""

    def __init__(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self.result: Future[Any] = Future()
        self.done = done
        self._work = work

    def run(self) -> None:
        if self.result.set_running_or_notify_cancel():
            try:
                self.result.set_result(self._work())
            except BaseException as error:  # noqa: BLE001 - raised where the result is taken
                self.result.set_exception(error)


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
        self._writer = ThreadPoolExecutor(1, "writer")
        self._under_way: _Job | None = None
        self._interrupted = Event()
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

    # The transaction in the thread

    def start(self, work: Callable[[Cursor, bool], _T], done: Callable[[_T], None]) -> None:
        """Begin a transaction in the thread, once the one before it has ended.

        Args:
            work: As for `transaction`.
            done: Takes what `work` returned, in this thread, after the commit. It is called when
                `wait` or anything else here is, and once more if a signal came in between.
        """
        self.wait()
        self._under_way = job = _Job(lambda: self._transaction(work), done)
        self._writer.submit(job.run)

    def wait(self) -> None:
        """Wait for the transaction in the thread, if there is one.

        Raises:
            TargetError: It failed, and nothing of it is stored; or as its `done` raises.
        """
        if not (job := self._under_way):
            return
        error = None
        if not job.result.cancelled():
            error = job.result.exception()
            if error is None:
                try:
                    job.done(job.result.result())
                except Exception:
                    self._under_way = None
                    raise
        self._under_way = None
        if error is not None:
            raise error

    def collect(self) -> None:
        """Do what is to be done after the transaction in the thread, if that has ended."""
        if self._under_way and self._under_way.result.done():
            self.wait()

    def interrupt(self) -> None:
        """Roll the transaction in the thread back, unless it has not begun or is being committed.

        `checkpoint` has to raise from now on; `wait` tells what has become of it.
        """
        if (job := self._under_way) and not job.result.cancel():
            self._interrupted.set()
            with suppress(psycopg2.Error):
                self._connection.cancel()

    # Transactions

    def transaction(self, work: Callable[[Cursor, bool], _T]) -> _T:
        """Do work in one transaction and commit it, after the one in the thread.

        Args:
            work: Called with a cursor and whether it is a repetition, in which case the first try
                may have been committed before the connection was lost.

        Returns:
            What `work` returns.

        Raises:
            DatabaseError: Postgres refused, or is gone for longer than the retries.
        """
        self.wait()
        return self._transaction(work)

    def _transaction(self, work: Callable[[Cursor, bool], _T]) -> _T:
        tries = Retrying(
            retry=retry_if_exception(is_passing),
            stop=stop_after_attempt(self._retries + 1),
            wait=wait_random_exponential(multiplier=0.5, max=_LONGEST_PAUSE),
            before_sleep=_log_retry,
            sleep=sleep_using_event(self._interrupted),
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
        self._writer.shutdown()
        self._connection.close()


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    logger.warning(
        "Lost the transaction (%s); trying again, attempt %d",
        type(error).__name__,
        state.attempt_number + 1,
    )
