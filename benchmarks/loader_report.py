"""What was measured: medians, as a table on the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from loader_peers import OURS
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

__all__ = ["Measurement", "Report"]

HEADINGS = (
    "", "seconds", "records/s", "ours / this", "CPU s", "peak MB", "rows written", "dead rows",
)  # fmt: skip


@dataclass(frozen=True)
class Measurement:
    """One load.

    Attributes:
        scenario: What was loaded.
        loader: By whom.
        records: Number of records sent.
        seconds: Wall time from the start of the process to its end.
        cpu: CPU seconds of the process, without Postgres'.
        memory: Its peak, in MB.
        written: Rows inserted, updated and deleted in the streams' tables.
        dead: Dead rows left in all tables of the database.
        failed: Why it failed; the numbers mean nothing then.
    """

    scenario: str
    loader: str
    records: int
    seconds: float = 0
    cpu: float = 0
    memory: float = 0
    written: float = 0
    dead: float = 0
    failed: str | None = None


class Report:
    """All loads of a benchmark."""

    def __init__(self, titles: dict[str, str], postgres: str) -> None:
        self.titles = titles
        self.measurements: list[Measurement] = []
        self.machine = {
            "postgres": postgres,
            "python": platform.python_version(),
            "cpus": os.cpu_count(),
            "load_before": round(os.getloadavg()[0], 1),
        }

    def medians(self, scenario: str) -> list[Measurement]:
        """Return one measurement per loader: its failure, or the medians of its numbers."""
        loads = [m for m in self.measurements if m.scenario == scenario]
        found = []
        for loader in dict.fromkeys(m.loader for m in loads):
            own = [m for m in loads if m.loader == loader]
            if failed := next((m for m in own if m.failed), None):
                found.append(failed)
                continue
            numbers = {
                field.name: statistics.median(getattr(m, field.name) for m in own)
                for field in fields(Measurement)
                if field.type == "float"
            }
            found.append(Measurement(scenario, loader, own[0].records, **numbers))
        return found

    def rows(self, scenario: str) -> Iterator[list[str]]:
        """Yield the cells of the table of a scenario; a failure has two."""
        medians = self.medians(scenario)
        ours = next((m for m in medians if m.loader == OURS.name and not m.failed), None)
        for m in medians:
            if m.failed:
                yield [m.loader, f"failed: {m.failed}".replace("|", "¦")]
                continue
            yield [
                m.loader,
                f"{m.seconds:.2f}",
                f"{m.records / m.seconds:,.0f}",
                f"{m.seconds / ours.seconds:.2f}" if ours and m is not ours else "",
                f"{m.cpu:.2f}",
                f"{m.memory:.0f}",
                f"{m.written:,.0f}",
                f"{m.dead:,.0f}",
            ]

    def scenarios(self) -> list[str]:
        """Return the scenarios that were measured, in their order."""
        return [s for s in self.titles if any(m.scenario == s for m in self.measurements)]

    def show(self, console: Console) -> None:
        """Print the medians."""
        for scenario in self.scenarios():
            table = Table(title=self._title(scenario))
            for heading in HEADINGS:
                table.add_column(heading, justify="right" if heading else "left")
            failures = []
            for name, *cells in self.rows(scenario):
                failed = len(cells) == 1
                table.add_row(name, *(["failed"] if failed else cells))
                failures += [f"{name} {cells[0]}"] if failed else []
            console.print(table, *failures, sep="\n")

    def markdown(self) -> str:
        """Return the medians as Markdown."""
        lines = []
        for scenario in self.scenarios():
            lines += [f"**{self._title(scenario)}**", ""]
            lines += [f"| {' | '.join(HEADINGS)} |", f"| --- |{' ---: |' * (len(HEADINGS) - 1)}"]
            for cells in self.rows(scenario):
                blank = [""] * (len(HEADINGS) - len(cells))
                lines.append(f"| {' | '.join([*cells, *blank])} |")
            lines.append("")
        return "\n".join(lines)

    def save(self, folder: Path) -> None:
        """Write `loader.md` and, with every single load, `loader.json`."""
        self.machine["load_after"] = round(os.getloadavg()[0], 1)
        everything = {"machine": self.machine, "loads": [asdict(m) for m in self.measurements]}
        (folder / "loader.json").write_text(json.dumps(everything, indent=1))
        (folder / "loader.md").write_text(self.markdown())

    def _title(self, scenario: str) -> str:
        measured = [m for m in self.measurements if m.scenario == scenario]
        runs = max(sum(m.loader == name for m in measured) for name in {m.loader for m in measured})
        return (
            f"{self.titles[scenario]}: {measured[0].records:,} records,"
            f" {'median of ' if runs > 1 else ''}{runs} run{'s' if runs > 1 else ''}"
        )
