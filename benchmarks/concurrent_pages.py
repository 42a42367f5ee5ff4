"""What several pages at once gain where each request takes a while.

    python benchmarks/concurrent_pages.py callrail [--latency 100] [--runs 3]

One stream with numbered pages is read from crm_sandbox, which answers each request after so many
milliseconds, without rate limits; once a page at a time and once eight at a time. Both must give
the same records in the same order.
"""

from __future__ import annotations

import io
import json
import statistics
import sys
import time
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import click
from crm_sandbox.client import Sandbox
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from crm_sandbox.client import Control
    from tapkit.tap import Tap

WORKERS = (1, 8)


@dataclass
class Case:
    """What is read of a CRM.

    Attributes:
        stream: A stream whose pages have numbers.
        sizes: Records that the sandbox makes.
        settings: Credentials, small pages, no pacing.
    """

    stream: str
    sizes: dict[str, int]
    settings: dict[str, Any] = field(default_factory=dict)


CASES = {
    "arrivy": Case(
        "customers",
        {"arrivy.customers": 2_000},
        {
            "auth_key": "arrivy-sandbox-key",
            "auth_token": "arrivy-sandbox-token",
            "page_size": 25,
            "requests_per_minute": 100_000,
        },
    ),
    "callrail": Case(
        "form_submissions",
        {"callrail.form_submissions": 2_000},
        {"api_key": "callrail-sandbox", "page_size": 25, "hourly_limit": 0, "daily_limit": 0},
    ),
}


def read(tap: type[Tap], config: dict[str, Any], stream: str) -> tuple[float, list[Any]]:
    """Read one stream and give the seconds and the records."""
    catalog = tap(config=config).catalog_dict
    for entry in catalog["streams"]:
        for metadata in entry["metadata"]:
            if not metadata["breadcrumb"]:
                metadata["metadata"]["selected"] = entry["tap_stream_id"] == stream
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    begin = time.perf_counter()
    with redirect_stdout(out):
        tap(config=config, catalog=catalog).sync_all()
    seconds = time.perf_counter() - begin
    out.seek(0)
    messages = map(json.loads, out)
    return seconds, [one["record"] for one in messages if one["type"] == "RECORD"]


def measure(crm: Control, case: Case, tap: type[Tap], runs: int) -> dict[int, float]:
    """Read with each number of workers, in turn, and give the median seconds."""
    times: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    expected: list[Any] | None = None
    for _ in range(runs):
        for workers in WORKERS:
            config = {"base_url": crm.base_url(), **case.settings, "concurrent_pages": workers}
            seconds, records = read(tap, config, case.stream)
            if expected not in (None, records):
                sys.exit(f"{workers} pages at a time gave other records")
            expected = records
            times[workers].append(seconds)
    return {workers: statistics.median(seconds) for workers, seconds in times.items()}


@click.command()
@click.argument("name", type=click.Choice(sorted(CASES)))
@click.option("--latency", default=100, show_default=True, help="Milliseconds per request.")
@click.option("--runs", default=3, show_default=True)
def main(name: str, latency: int, runs: int) -> None:
    """Measure one tap."""
    case = CASES[name]
    tap = entry_points(group="crm_warehouse.taps")[f"tap-{name}"].load()
    with Sandbox(sizes=case.sizes, crm=name) as crm:
        crm.no_limits()
        crm.records(case.stream)  # made before the clock runs
        crm.faults(latency_ms=latency)
        medians = measure(crm, case, tap, runs)
    table = Table(title=f"tap-{name}, {case.stream}, {latency} ms per request")
    for column in ("pages at once", "seconds", "times as fast"):
        table.add_column(column, justify="right")
    for workers, seconds in medians.items():
        table.add_row(str(workers), f"{seconds:.2f}", f"{medians[WORKERS[0]] / seconds:.1f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
