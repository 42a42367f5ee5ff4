"""The connection: TLS, sessions that read only, consistent views, and what MySQL's errors mean."""

from __future__ import annotations

import logging
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import tenacity
from sqlalchemy import URL, DateTime, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from tapkit.errors import AccessDenied, ConfigValidationError, FatalAPIError, RetriableAPIError
from tapkit.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Engine, Select

__all__ = ["SSL_MODES", "ConnectionLost", "Database"]

logger = logging.getLogger(__name__)

SSL_MODES = ("disabled", "preferred", "required", "verify_ca", "verify_identity")
"""MySQL's names for how TLS is used."""

PATIENCE = 3600
"""Seconds that server and tap wait for each other while a target is slow."""

SESSION = (
    (
        "SET SESSION sql_mode = '', time_zone = '+00:00', "
        f"net_write_timeout = {PATIENCE}, wait_timeout = {PATIENCE}"
    ),
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
)
"""Moments in UTC, no quirks of the server's SQL mode, and views that stay as they are."""
UNBOUNDED = {
    True: "SET SESSION max_statement_time = 0",
    False: "SET SESSION max_execution_time = 0",
}
"""What lets a statement last as long as the target needs, in MariaDB and in MySQL."""

LOST = {1053, 1152, 1158, 1159, 1160, 1161, 1184, 1205, 1213, 1927, 2002, 2003, 2006, 2013, 2055}
LOST |= {1040, 1203, 1226, 1412}
"""Errors that pass: the connection broke, the server restarts, a lock or a connection was not to be
had, a table was altered after the view of it was made."""
REFUSED = {1044, 1045, 1049, 1130, 1251, 1396, 1698, 1820, 1862, 2026, 2059, 2061, 3118, 4151}
"""Errors that the next try would only repeat: credentials (1862: the password has expired), the
database's name, TLS."""
FORBIDDEN = {1142, 1143, 1227, 1370}
"""Errors of a user who may not read a table or column."""
CHUNK = 200
"""Rows that are in memory at once."""
WAIT = 3
"""Seconds between two tries, where retry_delay is not longer."""


class ConnectionLost(RetriableAPIError):
    """The connection broke; another one can go on where it ended."""


class Database:
    """A MySQL or MariaDB database.

    Args:
        config: The tap's settings.

    Attributes:
        calls: Statements sent so far.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.calls = 0
        self._where = f"{config['host']}:{config['port']}"
        self._connection: Connection | None = None
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(ConnectionLost),
            wait=tenacity.wait_fixed(max(WAIT, config["retry_delay"])),
            stop=tenacity.stop_after_attempt(config["max_tries"]),
            before_sleep=tenacity.before_sleep_log(logger, logging.WARNING),
            reraise=True,
        )
        url = URL.create(
            "mysql+pymysql",
            username=config.get("username") or config.get("user"),
            host=config["host"],
            port=config["port"],
            database=config["database"],
            query={"charset": "utf8mb4"},
        )
        self._engine: Engine = open_source(
            "database",
            url,
            connect_args=_connect_args(config),
            poolclass=NullPool,
            hide_parameters=True,
        )

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """The connection; each statement sees what is committed.

        Raises:
            ConfigValidationError: The server refuses the credentials, the database or TLS.
            ConnectionLost: There is no server, or no longer.
            AccessDenied: The user may not read something.
            FatalAPIError: The server refuses a statement.
        """
        if self._connection is None:
            self._connection = self._retrying(self._connect)
        done = False
        try:
            with self._translated():
                yield self._connection
            done = True
        finally:
            if not done:  # the rest of a result may be on its way
                self.close()

    def close(self) -> None:
        """Drop the connection, whatever is on its way."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    @contextmanager
    def snapshot(self) -> Iterator[tuple[Connection, datetime]]:
        """A connection to which the database looks as it is now, and this moment in UTC.

        Raises:
            Exception: Those of `connected`.
        """
        with self.connected() as connection:
            now = connection.execute(select(func.utc_timestamp(6, type_=DateTime))).scalar_one()
            connection.execute(text("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"))
            yield connection, now
            connection.execute(text("ROLLBACK"))

    def stream(self, connection: Connection, statement: Select[Any]) -> Iterator[Any]:
        """The first column of a result as the server sends it, some rows at a time."""
        self.calls += 1
        options = {"stream_results": True, "max_row_buffer": CHUNK}
        with connection.execute(statement, execution_options=options) as result:
            yield from result.scalars().partitions(CHUNK)

    def _connect(self) -> Connection:
        with self._translated():
            connection = self._engine.connect()
            connection.execution_options(isolation_level="AUTOCOMMIT")
            is_mariadb: bool = connection.dialect.is_mariadb  # type: ignore[attr-defined]  # MySQL's
            for statement in (*SESSION, UNBOUNDED[is_mariadb]):
                connection.execute(text(statement))
            return connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the driver's errors into ours; they quote neither statements nor their values."""
        try:
            yield
        except (DBAPIError, OSError) as error:
            raise self._meaning(error) from None

    def _meaning(self, error: DBAPIError | OSError) -> Exception:
        if isinstance(error, OSError):
            return ConnectionLost(f"{self._where} cannot be reached: {error.strerror or error}")
        code, *said = getattr(error.orig, "args", None) or (0,)
        if isinstance(getattr(error.orig, "original_exception", None), ssl.SSLError):
            code = 2026  # which the driver calls 2003, a server that is not there
        what = f"{self._where} says: {' '.join(map(str, said))} ({code})"
        if code in REFUSED:
            return ConfigValidationError(what, errors=[what])
        if code in FORBIDDEN:
            return AccessDenied(what)
        if code in LOST or error.connection_invalidated:
            return ConnectionLost(what)
        return FatalAPIError(what)


def _connect_args(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the driver has to know beside the address."""
    arguments = {
        "password": (config.get("password") or "").encode(),  # the driver would take Latin-1
        "connect_timeout": config["connect_timeout"],
        "read_timeout": PATIENCE,
    }
    mode = config["ssl_mode"]
    if mode == "disabled":
        return arguments | {"ssl_disabled": True}
    if mode == "preferred":
        return arguments
    try:
        return arguments | {"ssl": _tls(mode, config)}
    except OSError as error:
        what = f"Settings ssl_ca, ssl_cert, ssl_key: {error.strerror or error}"
        raise ConfigValidationError(what, errors=[what]) from None


def _tls(mode: str, config: Mapping[str, Any]) -> ssl.SSLContext:
    """What TLS has to prove; the driver's own setting would check no name without a CA file."""
    context = ssl.create_default_context(cafile=config.get("ssl_ca"))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # MySQL's own certificates do not pass it
    context.check_hostname = mode == "verify_identity"
    context.verify_mode = ssl.CERT_NONE if mode == "required" else ssl.CERT_REQUIRED
    if config.get("ssl_cert"):
        context.load_cert_chain(config["ssl_cert"], config.get("ssl_key"))
    return context
