"""A MariaDB of one's own, from the installed programs; it ends by its process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import URL, Engine, create_engine, insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateSchema, DropSchema
from tenacity import RetryError, Retrying, retry_if_exception, stop_after_delay, wait_fixed

from crm_sandbox.genius.generate import metadata, rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["MariaDB", "MissingProgramError", "fill"]

USER = "root"
ROWS_AT_ONCE = 500
"""Rows per INSERT."""


class MissingProgramError(Exception):
    """MariaDB is not installed; the message says how to."""


class MariaDB:
    """A running server on a loopback port, with the user root and no password.

    Attributes:
        folder: Where its files are.
        port: The port.
        pid: The server's process.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        """Make its data folder and start it.

        Args:
            folder: An empty folder.
            options: Further options of mariadbd.

        Raises:
            MissingProgramError: It is not installed.
            RuntimeError: It does not start.
        """
        self.folder = folder
        data = folder / "data"
        # Each start of a server removes the temporary tables that others have in the usual folder.
        temporary = folder / "tmp"
        temporary.mkdir()
        where = ["--no-defaults", f"--datadir={data}", f"--tmpdir={temporary}"]
        if os.geteuid() == 0:
            where.append(f"--user={USER}")  # or it would not run as root
        self._run(
            *("mariadb-install-db", *where, "--auth-root-authentication-method=normal"),
            *("--skip-test-db", "--skip-name-resolve"),
        )
        self.port = _free_port()
        self._log = folder / "server.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a program of the system
                [
                    *(_program("mariadbd"), *where, f"--port={self.port}"),
                    *(f"--socket={folder / 's'}", f"--pid-file={folder / 'pid'}"),
                    *("--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin"),
                    *("--character-set-server=utf8mb4", "--innodb-log-file-size=16M"),
                    *("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0"),
                    *options,
                ],
                stdout=log,
                stderr=log,
            )
        self.pid = self._process.pid
        self._wait()

    def engine(self, database: str = "") -> Engine:
        """An engine for one of its databases."""
        address = URL.create(
            "mysql+pymysql", USER, host="127.0.0.1", port=self.port, database=database or None
        )
        return create_engine(address, poolclass=NullPool)

    @contextmanager
    def database(self, name: str) -> Iterator[Engine]:
        """An empty database, dropped at the end."""
        with self.engine().begin() as connection:
            connection.execute(CreateSchema(name))
        try:
            yield self.engine(name)
        finally:
            with self.engine().begin() as connection:
                connection.execute(DropSchema(name))

    def stop(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait()

    def _wait(self) -> None:
        tries = Retrying(
            retry=retry_if_exception(lambda _: self._process.poll() is None),
            wait=wait_fixed(0.05),
            stop=stop_after_delay(60),
        )
        try:
            tries(lambda: self.engine().connect().close())
        except (RetryError, OperationalError):
            said = self._log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"MariaDB does not start: {said}") from None

    @staticmethod
    def _run(program: str, *arguments: str) -> None:
        done = subprocess.run(  # noqa: S603 - a program of the system
            [_program(program), *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout[-1000:]}{done.stderr[-1000:]}")


def fill(engine: Engine, count: int | Mapping[str, int], seed: int = 7) -> None:
    """Make Genius' tables in an empty database, with so many rows each."""
    tables = metadata()
    tables.create_all(engine)
    with engine.begin() as connection:
        for table in tables.sorted_tables:
            wanted = count if isinstance(count, int) else count.get(table.name, 0)
            made = list(rows(table, wanted, seed))
            for start in range(0, len(made), ROWS_AT_ONCE):
                connection.execute(insert(table), made[start : start + ROWS_AT_ONCE])


def _program(name: str) -> str:
    found = shutil.which(name, path=None) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise MissingProgramError(
            f"{name} is missing: apt-get install mariadb-server, or its like on this system"
        )
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
