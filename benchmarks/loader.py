"""Target-warehouse, its peers and a bare script: the same files into the same Postgres, in turn.

    python benchmarks/loader.py [--records 100000] [--runs 3] [--scenario first] [--peer dlt]

README.md beside this file says what is measured.
"""

from __future__ import annotations

import fcntl
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import rmtree

import click
import psycopg2
from loader_data import SingerFile
from loader_peers import LOADERS, NO_PEERS, Loader
from loader_process import LoaderFailedError
from loader_report import Measurement, Report
from loader_server import Server
from rich.console import Console

FOLDER = Path(__file__).resolve().parents[1] / ".warehouse" / "bench"
MILLION = 1_000_000
TITLES = {
    "first": "First load",
    "identical": "The same again",
    "changed": "Every tenth record changed",
    "streams": "Five streams, interleaved",
    "wide": "200 columns",
    "small": "Ten records",
    "million": "First load of a million",
}
PEERS = [loader.name for loader in LOADERS if loader not in NO_PEERS]

console = Console(width=120)


@dataclass(frozen=True)
class Step:
    """One load of a chain; those before it in the chain have filled the database."""

    scenario: str
    messages: SingerFile


def chains(records: int) -> list[list[Step]]:
    """Return what is loaded; each chain into a database of its own."""
    return [
        [
            Step("first", SingerFile(records)),
            Step("identical", SingerFile(records)),
            Step("changed", SingerFile(records, changed=True)),
        ],
        [Step("streams", SingerFile(records, streams=5))],
        [Step("wide", SingerFile(records // 5, columns=200))],
        [Step("small", SingerFile(10))],
        [Step("million", SingerFile(MILLION))],
    ]


class Bench:
    """Loads, checks and measures."""

    def __init__(self, server: Server, report: Report) -> None:
        self.server, self.report = server, report
        self.broken: dict[str, str] = {}
        """Loaders that do not even load ten records, and why."""

    def chain(self, loader: Loader, steps: list[Step], wanted: set[str]) -> None:
        """Load a chain as far as it is wanted."""
        url = self.server.new_database()
        last = max(i for i, step in enumerate(steps) if step.scenario in wanted)
        failure = self.broken.get(loader.name)
        for step in steps[: last + 1]:
            load = _failed(loader, step, failure) if failure else self._load(loader, step, url)
            failure = failure or (load.failed and f"{step.scenario} failed before")
            if step.scenario in wanted:
                self.report.measurements.append(load)
                speed = f"{load.seconds:8.2f} s {load.records / (load.seconds or 1):10,.0f}/s"
                line = f"{step.scenario:10} {loader.name:30} {load.failed or speed}"
                console.print(line, highlight=False)
        self.server.drop(url)
        rmtree(FOLDER / "work", ignore_errors=True)

    def warm_up(self, loader: Loader) -> None:
        """Install a loader and start it once, so that its code is compiled and in memory."""
        url = self.server.new_database()
        try:
            loader.install(FOLDER)
            loader.load(SingerFile(10).write(FOLDER / "data"), url, FOLDER)
        except LoaderFailedError as error:
            self.broken[loader.name] = str(error)
        self.server.drop(url)

    def _load(self, loader: Loader, step: Step, url: str) -> Measurement:
        path = step.messages.write(FOLDER / "data")
        expected = step.messages.expected()
        self.server.settle(url)
        before = self.server.written(url, expected)
        try:
            usage = loader.load(path, url, FOLDER)
            self.server.wait_for_quiet(url)
            found = self.server.contents(url, expected)
        except (LoaderFailedError, psycopg2.Error) as error:
            return _failed(loader, step, " ".join(str(error).split()))
        if found != expected:
            return _failed(loader, step, f"tables have {found} instead of {expected}")
        return Measurement(
            step.scenario,
            loader.name,
            step.messages.records,
            **asdict(usage),
            written=self.server.written(url, expected) - before,
            dead=self.server.dead(url),
        )


def _failed(loader: Loader, step: Step, reason: str) -> Measurement:
    return Measurement(step.scenario, loader.name, step.messages.records, failed=reason)


@click.command()
@click.option("--records", default=100_000, show_default=True, help="In most scenarios.")
@click.option("--runs", default=3, show_default=True, help="Of which medians are shown.")
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    type=click.Choice([*TITLES]),
    default=[name for name in TITLES if name != "million"],
    help="May be repeated; all but million if not given.",
)
@click.option(
    "--peer",
    "peers",
    multiple=True,
    type=click.Choice([*PEERS, "none"]),
    default=PEERS,
    help="Beside target-warehouse and the bare script; may be repeated; all if not given.",
)
def main(records: int, runs: int, scenarios: tuple[str, ...], peers: tuple[str, ...]) -> None:
    """Compare loaders."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.ClickException("Another benchmark is running; wait for it.") from None
        measure(records, runs, {*scenarios}, {*peers})


def measure(records: int, runs: int, scenarios: set[str], peers: set[str]) -> None:
    """Start the server, compare, report."""
    server = Server(FOLDER / "postgres")
    report = Report(TITLES, server.version)
    try:
        compare(Bench(server, report), records, runs, scenarios, peers)
    finally:
        server.stop()
        report.save(FOLDER)
        report.show(console)
    console.print(
        f"Every load is in {FOLDER / 'loader.json'}, these tables in loader.md beside it."
    )


def compare(bench: Bench, records: int, runs: int, scenarios: set[str], peers: set[str]) -> None:
    """Run every chain with every loader, in turn."""
    loaders = [loader for loader in LOADERS if loader in NO_PEERS or loader.name in peers]
    for loader in loaders:
        bench.warm_up(loader)
    for steps in chains(records):
        if not scenarios & {step.scenario for step in steps}:
            continue
        for _ in range(runs):
            for loader in loaders:
                if steps[0].scenario != "million" or loader in NO_PEERS:
                    bench.chain(loader, steps, scenarios)


if __name__ == "__main__":
    main()
