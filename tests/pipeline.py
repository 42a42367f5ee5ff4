"""A tap and the target as real processes, a pipe between them, and state kept as Meltano does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import sql
from psycopg2.extras import RealDictCursor

if TYPE_CHECKING:
    from collections.abc import Callable

Row = dict[str, Any]
SCRIPTS = Path(sys.executable).parent
BOOKKEEPING = {"sync_created_at", "sync_updated_at"}


@dataclass
class Pipeline:
    """One tap into one database; `folder` keeps configuration, catalog, state and logs."""

    tap: str
    database_url: str
    folder: Path
    tap_config: Row
    target_config: Row = field(default_factory=dict)
    catalog: Row | None = None

    def run(self) -> tuple[int, int]:
        """Run to the end and give the exit codes of tap and target."""
        return self.start().wait()

    def start(self) -> Running:
        """Start both processes; what the target says of state goes where the next run reads it."""
        tap = [str(SCRIPTS / self.tap), "--config", self._file("tap", self.tap_config)]
        if self.catalog is not None:
            tap += ["--catalog", self._file("catalog", self.catalog)]
        if (state := self.state) is not None:
            tap += ["--state", self._file("state", state)]
        config = {"sqlalchemy_url": self.database_url, **self.target_config}
        target = [str(SCRIPTS / "target-warehouse"), "--config", self._file("target", config)]
        environment = {**os.environ, "MELTANO_EXTRACTOR_NAME": self.tap}
        with (
            (self.folder / "tap.log").open("a") as tap_log,
            (self.folder / "target.log").open("a") as target_log,
            (self.folder / "states").open("a") as states,
        ):
            source = subprocess.Popen(tap, stdout=subprocess.PIPE, stderr=tap_log, env=environment)
            assert source.stdout is not None
            sink = subprocess.Popen(
                target, stdin=source.stdout, stdout=states, stderr=target_log, env=environment
            )
            source.stdout.close()
        return Running(source, sink)

    @property
    def state(self) -> Row | None:
        """The last state that the target gave out."""
        states = self.folder / "states"
        lines = states.read_text().splitlines() if states.exists() else []
        state: Row | None = json.loads(lines[-1]) if lines else None
        return state

    def query(self, statement: str | sql.Composable, *values: Any) -> list[Row]:
        """Ask the database."""
        with closing(psycopg2.connect(self.database_url)) as connection:
            cursor = connection.cursor(cursor_factory=RealDictCursor)
            cursor.execute(statement, values)
            return [dict(row) for row in cursor.fetchall()]

    def history(self) -> list[Row]:
        return self.query("SELECT * FROM sync_history ORDER BY id")

    def tables(self, schema: str = "hubspot") -> dict[str, list[Row]]:
        """All rows of all tables, without bookkeeping, in an order of their own."""
        names = self.query(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", schema
        )
        return {
            name: sorted(map(_comparable, self.query(_select_all(schema, name))), key=str)
            for name in sorted(row["table_name"] for row in names)
        }

    def _file(self, name: str, content: Row) -> str:
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(content))
        return str(path)


@dataclass
class Running:
    """The two processes of a run."""

    tap: subprocess.Popen[bytes]
    target: subprocess.Popen[bytes]

    def wait(self) -> tuple[int, int]:
        return self.tap.wait(120), self.target.wait(120)

    def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait for a condition while both still run."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "the condition never came true"
            assert self.target.poll() is None, "the run ended too early"
            time.sleep(0.02)


def _select_all(schema: str, name: str) -> sql.Composable:
    return sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, name))


def _comparable(row: Row) -> Row:
    return {name: value for name, value in sorted(row.items()) if name not in BOOKKEEPING}
