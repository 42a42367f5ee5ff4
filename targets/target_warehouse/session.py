"""The one connection of a run: transactions that survive a lost server, all of them in a thread.

While the server works on a transaction that was started with `Session.start`, the input can be
read. Everything else that needs the connection waits for its end first, so that transactions take
place in the order in which they were asked for. The main thread never waits inside of the driver,
where no signal would reach it.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYetError
from contextlib import suppress
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg2
from psycopg2.extensions import parse_dsn
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
_LOOK: Final = 0.1  # seconds between two looks at what the main thread is told meanwhile
_DEFAULTS: Final = {
    "fallback_application_name": "target-warehouse",
    # A server that is gone without a word is noticed, even if it takes the connection.
    "connect_timeout": "30",
    "keepalives_idle": "60",
    "keepalives_interval": "10",
    "keepalives_count": "6",
    "tcp_user_timeout": "120000",
}
_T = TypeVar("_T")


class _Job:
    """Work for the thread, and what is to be done in the main thread after it."""

    def __init__(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self.result: Future[Any] = Future()
        self.done = done
        self._work = work

    def run(self) -> None:
        try:
            self.result.set_result(self._work())
        except BaseException as error:  # noqa: BLE001 - raised where the result is taken
            self.result.set_exception(error)


class Session:
    """A connection that comes back, and the transactions on it."""

    def __init__(
        self,
        url: str,
        *,
        retries: int,
        keep: bool = True,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        """Connect.

        Args:
            url: Address of the database, as libpq reads it.
            retries: How often a transaction is tried again after a lost connection, a deadlock or a
                serialization failure.
            keep: Commit. Otherwise every transaction is rolled back.
            checkpoint: Called, from both threads, before each transaction and each commit and while
                the main thread waits; may raise to stop there.

        Raises:
            DatabaseError: The server cannot be reached.
        """
        self._url = url
        self._retries = retries
        self._keep = keep
        self.checkpoint = checkpoint
        self.generation = 0
        """Number of connections made; temporary tables are gone when it has moved."""
        self.on_reconnect: Callable[[Cursor], None] = lambda _: None
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._under_way: _Job | None = None
        self._stopping = Event()
        self._patience = float("inf")
        self._thread = Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()
        self._connection: Connection
        try:
            self._begin(self._first_connection, lambda _: None)
            self.wait()
        except BaseException:
            self._jobs.put(None)
            raise

    def _first_connection(self) -> None:
        try:
            self._connection = self._connect()
        except psycopg2.Error as error:
            raise DatabaseError.from_driver(error) from None

    @property
    def server_version(self) -> int:
        """The server's version number, as 150004."""
        return self._connection.server_version

    def _connect(self) -> Connection:
        parts: dict[str, Any] = _DEFAULTS | parse_dsn(self._url)
        connection: Connection = psycopg2.connect(**parts)
        with connection.cursor() as cursor:
            cursor.execute("SET TimeZone = 'UTC'; SET client_encoding = 'UTF8'")
            cursor.execute("SET client_min_messages = 'warning'")
            # What a slow disk or a long pipe may not do: end the session between batches.
            cursor.execute("SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0")
        connection.commit()
        self.generation += 1
        return connection

    def _reconnect(self) -> None:
        self._connection = self._connect()
        try:
            with self._connection.cursor() as cursor:
                self.on_reconnect(cursor)
            self._connection.commit()
        except psycopg2.Error:
            self._connection.close()
            raise

    # The thread

    def _work(self) -> None:
        while job := self._jobs.get():
            job.run()

    def _begin(self, work: Callable[[], _T], done: Callable[[_T], None]) -> None:
        self._under_way = job = _Job(work, done)
        self._jobs.put(job)

    def start(self, work: Callable[[Cursor, bool], _T], done: Callable[[_T], None]) -> None:
        """Begin a transaction, once the one before it has ended.

        Args:
            work: As for `transaction`.
            done: Takes what `work` returned, in the main thread, after the commit. It is called
                when `wait` or anything else here is.
        """
        self.wait()
        self._begin(lambda: self._transaction(work), done)

    def wait(self) -> None:
        """Wait for the transaction that is under way, if there is one.

        Raises:
            TargetError: It failed, and nothing of it is stored; or as its `done` raises.
        """
        while not self._has_ended(_LOOK):
            self.checkpoint()
            if time.monotonic() > self._patience:
                raise DatabaseError("Postgres: no answer")

    def _has_ended(self, seconds: float) -> bool:
        if not (job := self._under_way):
            return True
        try:
            error = job.result.exception(seconds)
        except NotYetError:
            return False
        self._under_way = None
        if error is not None:
            raise error
        job.done(job.result.result())
        return True

    def collect(self) -> None:
        """Do what is to be done after the transaction that is under way, if it has ended."""
        if self._under_way and self._under_way.result.done():
            self.wait()

    def stop(self, seconds: float) -> None:
        """Roll the transaction that is under way back, unless it is being committed.

        `checkpoint` has to raise until this returns. From now on nothing is tried again, and the
        server has this many seconds to answer, all in all.

        Raises:
            TargetError: As `wait`.
        """
        started = time.monotonic()
        self._patience = started + seconds
        self._stopping.set()
        while not self._has_ended(_LOOK):
            # Without a connection there is nothing to save.
            if time.monotonic() > started + (1 if self._connection.closed else seconds):
                self._patience = started
                return
            # Again and again, for a request that comes between two statements is lost.
            canceller = Thread(target=self._cancel, daemon=True)
            canceller.start()
            canceller.join(1)

    def _cancel(self) -> None:
        with suppress(psycopg2.Error):
            self._connection.cancel()

    # Transactions

    def transaction(self, work: Callable[[Cursor, bool], _T]) -> _T:
        """Do work in one transaction and commit it, after the one that is under way.

        Args:
            work: Called with a cursor and whether it is a repetition, in which case the first try
                may have been committed before the connection was lost.

        Returns:
            What `work` returns.

        Raises:
            DatabaseError: Postgres refused, or is gone for longer than the retries.
        """
        results: list[_T] = []
        self.start(work, results.append)
        self.wait()
        return results[0]

    def _transaction(self, work: Callable[[Cursor, bool], _T]) -> _T:
        tries = Retrying(
            retry=retry_if_exception(is_passing),
            stop=lambda state: self._stopping.is_set() or after_tries(state),
            wait=wait_random_exponential(multiplier=0.5, max=_LONGEST_PAUSE),
            before_sleep=_log_retry,
            sleep=sleep_using_event(self._stopping),
            reraise=True,
        )
        after_tries = stop_after_attempt(self._retries + 1)
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
            self._reconnect()
        try:
            with self._connection.cursor() as cursor:
                result = work(cursor, again)
            self.checkpoint()
            if self._keep:
                self._connection.commit()
        finally:
            # After a commit nothing is left to roll back. After anything else nothing may stay.
            self._rollback()
        return result

    def _rollback(self) -> None:
        try:
            if not self._connection.closed:
                self._connection.rollback()
        except psycopg2.Error:
            self._connection.close()

    def close(self) -> None:
        """Leave the server; without a farewell, if it does not answer."""
        self._jobs.put(None)
        if not self._under_way:
            self._thread.join()
            self._connection.close()


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    logger.warning(
        "Lost the transaction (%s); trying again, attempt %d",
        type(error).__name__,
        state.attempt_number + 1,
    )
