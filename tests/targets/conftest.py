"""A warehouse to load into and to look at."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import closing, redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
from psycopg2 import sql
from psycopg2.extras import RealDictCursor
from target_warehouse import session
from target_warehouse.target import TargetWarehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Row = dict[str, Any]
Message = dict[str, Any] | str

BOOKKEEPING = ("sync_issues", "sync_created_at", "sync_updated_at", "sync_fingerprint")


def schema(stream: str, properties: Row, keys: tuple[str, ...] = ("id",), **more: Any) -> Row:
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": properties},
        "key_properties": list(keys),
        **more,
    }


def record(stream: str, /, **fields: Any) -> Row:
    return {"type": "RECORD", "stream": stream, "record": fields}


def state(sync: Row | None = None, **bookmarks: Any) -> Row:
    value: Row = {"bookmarks": bookmarks}
    if sync is not None:
        value["sync"] = sync
    return {"type": "STATE", "value": value}


def report(status: str, **more: Any) -> Row:
    return {
        "status": status,
        "extracted": 0,
        "expected": None,
        "api_calls": 0,
        "warnings": 0,
        "endpoint": None,
        "error": None,
        **more,
    }


class Warehouse:
    """One database, loaded by the target in this process or in one of its own."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder

    # Load

    def config(self, **settings: Any) -> Row:
        return {"sqlalchemy_url": self.url, "crm_source": "crm", **settings}

    def load(self, *messages: Message, **settings: Any) -> list[Row]:
        """Load messages and return the states the target emits."""
        out = io.StringIO()
        try:
            with redirect_stdout(out):
                target = TargetWarehouse(config=self.config(**settings))
                target.listen(io.BytesIO(self.lines(*messages)))
        finally:
            self.states = [json.loads(line) for line in out.getvalue().splitlines()]
        return self.states

    @staticmethod
    def lines(*messages: Message) -> bytes:
        texts = (m if isinstance(m, str) else json.dumps(m) for m in messages)
        return "".join(f"{text}\n" for text in texts).encode()

    def process(self, **settings: Any) -> subprocess.Popen[bytes]:
        """Start the target as Meltano does."""
        path = self.folder / f"{uuid.uuid4().hex}.json"
        path.write_text(json.dumps(self.config(**settings)))
        executable = Path(sys.executable).with_name("target-warehouse")
        return subprocess.Popen(
            [executable, "--config", path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={k: v for k, v in os.environ.items() if not k.startswith("MELTANO_")},
        )

    @staticmethod
    def wait_for(condition: Callable[[], Any], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.01)

    # Look

    def query(self, statement: str | sql.Composable, *arguments: Any) -> list[Row]:
        with closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            with connection.cursor(cursor_factory=RealDictCursor) as cursor:
                cursor.execute("SET TimeZone = 'UTC'")
                cursor.execute(statement, arguments or None)
                return [dict(row) for row in cursor.fetchall()] if cursor.description else []

    def table(self, stream: str, *, bookkeeping: bool = False, schema: str = "crm") -> list[Row]:
        """Return a table's rows, by their first column."""
        rows = self.query(
            sql.SQL("SELECT * FROM {} ORDER BY 1").format(sql.Identifier(schema, stream))
        )
        if bookkeeping:
            return rows
        return [{k: v for k, v in row.items() if k not in BOOKKEEPING} for row in rows]

    def issues(self, stream: str) -> dict[Any, Row]:
        """Return first column → sync_issues, where there are any."""
        rows = self.table(stream, bookkeeping=True)
        return {next(iter(r.values())): r["sync_issues"] for r in rows if r["sync_issues"]}

    def types(self, stream: str) -> dict[str, str]:
        rows = self.query(
            "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            f'crm."{stream}"',
        )
        return {r["attname"]: r["type"] for r in rows if r["attname"] not in BOOKKEEPING}

    def history(self) -> list[Row]:
        rows = self.query("SELECT * FROM sync_history ORDER BY id")
        for row in rows:
            metrics = row["performance_metrics"]
            assert row["records_processed"] == (
                row["records_created"]
                + row["records_updated"]
                + row["records_failed"]
                + metrics["records_unchanged"]
                + metrics["records_deduplicated"]
            )
        return rows

    def counts(self) -> list[tuple[Any, ...]]:
        """Return the runs: stream, status, created, updated, unchanged, dedup., failed, deleted."""
        return [
            (
                row["sync_type"],
                row["status"],
                row["records_created"],
                row["records_updated"],
                row["performance_metrics"]["records_unchanged"],
                row["performance_metrics"]["records_deduplicated"],
                row["records_failed"],
                row["performance_metrics"]["records_deleted"],
            )
            for row in self.history()
        ]

    def rejects(self) -> list[tuple[Any, ...]]:
        rows = self.query("SELECT * FROM sync_rejects ORDER BY id")
        return [(r["stream"], r["key"], r["record"], r["error_class"]) for r in rows]


@pytest.fixture
def wh(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    for name in ("EXTRACTOR_NAME", "RUN_ID", "ENVIRONMENT"):
        monkeypatch.delenv(f"MELTANO_{name}", raising=False)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield Warehouse(database_url, tmp_path)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def messages() -> Any:
    """Return the makers of messages."""

    class Makers:
        schema = staticmethod(schema)
        record = staticmethod(record)
        state = staticmethod(state)
        report = staticmethod(report)

    return Makers


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list to which each statement of the target is added."""
    sent: list[Any] = []

    class Cursor(psycopg2.extensions.cursor):
        def execute(self, statement: Any, arguments: Any = None) -> None:
            sent.append(statement)
            return super().execute(statement, arguments)

        def copy_expert(self, statement: Any, *arguments: Any) -> None:
            sent.append(statement)
            return super().copy_expert(statement, *arguments)

    monkeypatch.setattr(
        session.psycopg2, "connect", partial(psycopg2.connect, cursor_factory=Cursor)
    )
    return sent
