"""How far a sync is: a bar per stream on a terminal, the log's lines elsewhere."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final, Protocol

import click
import psycopg2
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from warehouse.runs import runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from rich.console import Console
    from typing_extensions import Self

    from warehouse.command import Warehouse
    from warehouse.pipeline import Line

    Row = Mapping[str, Any]

__all__ = ["Bars", "Lines", "Watch", "Watcher"]

_BEGUN: Final = re.compile(r"Starting (\S+) (\S+) sync(?: with (\d+) records)?$")
_READING: Final = re.compile(r"Reading (\S+) (\S+): (\d+)(?: of (\d+))? records so far$")
_BEFORE: Final = re.compile(r"(Installing \w+ '[\w-]+'|Running catalog discovery)")
_QUIET: Final = ("Validation warning for field", "Failed to parse")
"""Warnings of single values: the table at the end counts them, the log has them."""
_MARKS: Final = {"success": "[green]✓", "partial": "[yellow]✓", "failed": "[red]✗"}
_POLL: Final = 0.5  # seconds


class Watcher(Protocol):
    """Shows a run to whoever watches."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def line(self, line: Line) -> None:
        """Take notice of a line of the log."""

    def rows(self, rows: Iterable[Row]) -> None:
        """Take notice of how the streams are doing, as sync_history has them."""


class Lines:
    """Passes the log's lines on to standard error, without what nobody wants to read."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def line(self, line: Line) -> None:
        if not line.is_noise:
            click.echo(str(line), err=True)

    def rows(self, rows: Iterable[Row]) -> None:
        pass


class Bars:
    """A bar per stream: records, how many there will be where that is known, rate, time to go.

    A bar is as far as the tap says that it has read; the first number is what is committed, by
    sync_history. A dry run commits nothing, so there it is what was read.
    """

    def __init__(self, console: Console, crm: str, *, dry: bool) -> None:
        self._crm, self._dry = crm, dry
        self._tasks: dict[str, TaskID] = {}
        self._expected: dict[str, int] = {}
        self._read: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._begun: dict[str, float] = {}
        self._bars = RichProgress(
            SpinnerColumn(finished_text=""),
            TextColumn("{task.fields[mark]}[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}", justify="right"),
            TextColumn("[cyan]{task.fields[rate]}", justify="right"),
            TextColumn("[dim]{task.fields[eta]}", justify="right"),
            console=console,
        )
        self._head = self._bars.add_task(
            f"{crm}: Meltano starts", total=None, mark="", count="", rate="", eta=""
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.update(self._head, visible=False)
        self._bars.stop()

    def line(self, line: Line) -> None:
        if line.level in {"WARNING", "ERROR", "CRITICAL"}:
            if not line.text.startswith(_QUIET):
                style = "yellow" if line.level == "WARNING" else "red"
                self._bars.console.print(Text(str(line), style))
        elif found := _BEFORE.search(line.text):
            self._bars.update(self._head, description=f"{self._crm}: {found[1]}")
        elif found := _BEGUN.match(line.text):
            self._begin(found[2], int(found[3]) if found[3] else None)
        elif found := _READING.match(line.text):
            self._read[found[2]] = read = int(found[3])
            self._advance(found[2], read if self._dry else 0, int(found[4]) if found[4] else None)
        if line.sync:
            self.rows([line.sync])

    def rows(self, rows: Iterable[Row]) -> None:
        for row in rows:
            metrics = row["performance_metrics"] or {}
            name, done = row["sync_type"], row["records_processed"]
            if mark := _MARKS.get(row["status"]):
                self._end(name, done, mark, metrics)
            else:
                self._advance(name, done, metrics.get("records_expected"))

    def _begin(self, stream: str, expected: int | None) -> None:
        self._bars.update(self._head, description=f"{self._crm}: reading {stream}")
        if expected is not None:
            self._expected[stream] = max(expected, self._expected.get(stream, 0))
        if stream not in self._tasks:
            self._begun[stream] = time.monotonic()
            self._tasks[stream] = self._bars.add_task(
                stream, total=None, mark="", count="", rate="", eta=""
            )
        self._advance(stream, 0)

    def _advance(self, stream: str, done: int, expected: int | None = None) -> None:
        if stream not in self._tasks:
            self._begin(stream, expected)
        if expected is not None:
            self._expected[stream] = max(expected, self._expected.get(stream, 0))
        self._done[stream] = done = max(done, self._done.get(stream, 0))
        read = max(done, self._read.get(stream, 0))
        total = self._expected.get(stream)
        if total is not None and read > total:
            total = None  # more came than the CRM had counted
        seconds = time.monotonic() - self._begun[stream]
        rate = read / seconds if seconds else 0.0
        self._bars.update(
            self._tasks[stream],
            completed=read,
            total=total or None,
            count=_count(done, total, read),
            rate=f"{rate:,.0f}/s" if rate else "",
            eta=_left(total - read, rate) if total and rate else "",
        )

    def _end(self, stream: str, done: int, mark: str, metrics: Row) -> None:
        if stream not in self._tasks:
            self._begin(stream, None)
        self._bars.update(
            self._tasks[stream],
            total=done or 1,
            completed=done or 1,
            mark=f"{mark} ",
            count=f"{done:,}",
            rate=f"{metrics.get('records_per_second') or 0:,.0f}/s",
            eta=f"{metrics.get('duration_seconds') or 0:.1f} s",
        )


def _count(done: int, total: int | None, read: int) -> str:
    text = f"{done:,}" if total is None else f"{done:,} of {total:,}"
    return f"{text}, {read:,} read" if read > done else text


def _left(records: int, rate: float) -> str:
    return f"{timedelta(seconds=round(records / rate))} left"


class Watch:
    """Looks at sync_history now and then, as long as a run goes on.

    Args:
        warehouse: Where sync_history is.
        run_id: Of the run.
    """

    def __init__(self, warehouse: Warehouse, run_id: str) -> None:
        self._warehouse, self._run_id = warehouse, run_id
        self._since = datetime.now(timezone.utc) - timedelta(hours=1)  # clocks differ
        self._next = 0.0

    def due(self) -> bool:
        """Tell whether it is time to look again; says yes once."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + _POLL
        return True

    def rows(self) -> list[dict[str, Any]]:
        """Return the run's streams, in the order in which they began.

        Raises:
            Refusal: The warehouse cannot be reached.
        """
        with self._warehouse.connect() as connection, connection.cursor() as cursor:
            found = runs(
                cursor,
                self._warehouse.history_schema,
                since=self._since,
                run_id=self._run_id,
                last=None,
            )
        return sorted(found, key=lambda row: int(row["id"]))

    def rows_if_possible(self) -> list[dict[str, Any]]:
        """Return the same, or nothing while the server has other things to do than to answer."""
        try:
            return self.rows()
        except (click.ClickException, psycopg2.Error):
            return []
