"""The command `warehouse` on a test's own database."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
from click.testing import CliRunner, Result
from psycopg2 import sql
from psycopg2.extras import Json
from warehouse.cli import main
from warehouse.history import History

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def command(wh: Any) -> Callable[..., Result]:
    """Runs the command within this process, on the database of `wh`."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["--database", wh.url, *arguments])

    return run


METRICS = {
    "duration_seconds": 2.5, "records_per_second": 4.0, "api_calls": 3,
    "api_calls_per_record": 0.3, "peak_memory_mb": 80.0, "batches": 1, "records_unchanged": 0,
    "records_deduplicated": 0, "records_deleted": 0, "validation_warnings": 0, "success_rate": 1,
}  # fmt: skip


@pytest.fixture
def plant(wh: Any) -> Callable[..., int]:
    """Writes a row of sync_history that ended some hours ago, and returns its id."""

    def write(status: str = "success", hours: float = 1, **columns: Any) -> int:
        with closing(psycopg2.connect(wh.url)) as connection, connection:
            cursor = connection.cursor()
            History().ensure(cursor)
            cursor.execute("SELECT now() - %s * interval '1 hour'", (hours,))
            (moment,) = cursor.fetchone()
            ended = None if status == "running" else moment
            row = {
                "crm_source": "hubspot",
                "sync_type": "contacts",
                "status": status,
                "start_time": moment - timedelta(seconds=2.5),
                "end_time": ended,
                "performance_metrics": METRICS,
                "configuration": {},
                **columns,
            }
            cursor.execute(
                sql.SQL("INSERT INTO sync_history ({}) VALUES %s RETURNING id").format(
                    sql.SQL(", ").join(map(sql.Identifier, row))
                ),
                (tuple(Json(v) if isinstance(v, dict) else v for v in row.values()),),
            )
            return cursor.fetchone()[0]

    return write
