"""A warehouse with known runs, and the page served from it by a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import sql
from psycopg2.extras import Json
from sqlalchemy.engine import make_url
from warehouse.history import History
from warehouse.rejects import Rejects

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT = 0.3
"""Seconds for which the page gives an answer again in tests; to users, longer."""
HOSTILE = "leads</td><script>alert('stream')</script>"
ERROR = "<img src=x onerror=\"alert('error')\"> 403 Forbidden"
RECORD = '{"id": 7, "email": "ada@example.com"}'

QUICK = ("--keep-seconds", str(KEPT))

_RUN = """
INSERT INTO sync_history (crm_source, sync_type, status, start_time, end_time, records_processed,
    records_created, records_updated, records_failed, error_message, performance_metrics,
    configuration)
VALUES (%s, %s, %s, now() - %s * interval '1 minute', now() - %s * interval '1 minute' + '10 s',
    %s, %s, %s, %s, %s, %s, %s)
"""

REFUSED = (
    ('{"id": 7}', "validation", "<b>age</b>: 'ada@example.com' is not of type 'integer'"),
    ('{"id": 8}', "database", "duplicate key: Key (email)=(ada@example.com) already exists"),
    ('{"id": 9, "type": "x"}', "conversion", "31.02. is no date"),
)

_REJECT = """
INSERT INTO sync_rejects (history_id, crm_source, stream, key, record, error_class, message)
VALUES (63, 'genius', %s, %s, %s, %s, %s)
"""

_CONFIGURATION = """
CREATE TABLE sync_configuration (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, crm_source varchar(50) NOT NULL,
    sync_type varchar(100) NOT NULL, is_active boolean NOT NULL DEFAULT true,
    schedule_enabled boolean NOT NULL DEFAULT false, schedule_cron varchar(100),
    api_settings jsonb NOT NULL DEFAULT '{}'
);
INSERT INTO sync_configuration (crm_source, sync_type, api_settings) VALUES
    ('hubspot', 'all', '{"daily_api_calls": 1000, "page_size": 50}'),
    ('genius', 'all', '{"daily_api_calls": "many"}');
CREATE SCHEMA hubspot;
CREATE TABLE hubspot.contacts AS
    SELECT id, now() - interval '3 hours' AS sync_updated_at FROM generate_series(1, 1234) AS id;
CREATE TABLE hubspot.notes (id bigint);
"""


@contextmanager
def database(postgres: str) -> Iterator[str]:
    """Give the URL of an empty database; unlike the fixture, for as long as the caller wants."""
    name = f"test_{uuid.uuid4().hex}"
    execute(postgres, f"CREATE DATABASE {name}")
    yield make_url(postgres).set(database=name).render_as_string(hide_password=False)
    execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


def execute(url: str, statement: str | sql.Composable, *arguments: Any) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, arguments or None)


@contextmanager
def warehouse(postgres: str) -> Iterator[str]:
    """Give the URL of a database with 64 runs, one of them under way, and 3 rejects."""
    with database(postgres) as url, closing(psycopg2.connect(url)) as alive:
        history = History()
        with alive, alive.cursor() as cursor:
            history.ensure(cursor)
            Rejects().ensure(cursor)
            for number in range(60):  # callrail calls: ids 1 to 60, more than a page
                _run(cursor, "callrail", "calls", "success", 4000 - number, 10, 1, 2)
            _run(cursor, "hubspot", "contacts", "success", 200, 125, 100, 20)  # 61
            _run(cursor, "hubspot", "deals", "failed", 20, error=ERROR)  # 62
            _run(cursor, "genius", HOSTILE, "partial", 10, 50, 40, 7, 3)  # 63
            running = history.open(cursor, "hubspot", "contacts", {"mode": "full"})  # 64
            progress(cursor, running, 30_000)
            for key, error_class, message in REFUSED:
                cursor.execute(_REJECT, (HOSTILE, key, RECORD, error_class, message))
            cursor.execute(_CONFIGURATION)
        yield url


def _run(
    cursor: Any, crm: str, stream: str, status: str, minutes: int, processed: int = 0,
    created: int = 0, updated: int = 0, failed: int = 0, error: str | None = None,
) -> None:  # fmt: skip
    metrics = {"duration_seconds": 10.0, "records_per_second": processed / 10, "api_calls": 3,
               "records_unchanged": processed - created - updated - failed,
               "records_deleted": 0}  # fmt: skip
    configuration = {"mode": "incremental", "bookmarks": {"before": None, "after": "2026-01-02"}}
    cursor.execute(
        _RUN,
        (crm, stream, status, minutes, minutes, processed, created, updated, failed, error,
         Json(metrics), Json(configuration)),
    )  # fmt: skip


def progress(cursor: Any, history_id: int, processed: int) -> None:
    """Have the running run get on."""
    cursor.execute(
        "UPDATE sync_history SET records_processed = %s, performance_metrics = %s WHERE id = %s",
        (
            processed,
            Json({"records_expected": 120_000, "records_extracted": processed + 500,
                  "records_per_second": 250.0, "duration_seconds": 120.0, "api_calls": 300}),
            history_id,
        ),
    )  # fmt: skip


@contextmanager
def served(url: str, *options: str, **environment: str) -> Iterator[str]:
    """Serve the page by the command, as users do; give its address."""
    with process(
        "--database", url, "serve", "--port", "0", *QUICK, *options, **environment
    ) as page:
        line = page.stdout.readline() if page.stdout else ""
        assert line.startswith("The page is at http://"), page.communicate()[1]
        yield line.split()[4]
        page.send_signal(signal.SIGTERM)
        _, errors = page.communicate(timeout=20)
        assert (page.returncode, errors) == (0, "")


@contextmanager
def process(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command; kill it if it does not end."""
    started = subprocess.Popen(
        [Path(sys.executable).with_name("warehouse"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONUNBUFFERED": "1",
            "MELTANO_PROJECT_ROOT": str(Path(__file__).parent),  # no project: no .env, no taps
            **environment,
        },
    )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.communicate()
