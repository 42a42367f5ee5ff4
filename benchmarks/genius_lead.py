"""Genius' lead table, and a narrow one, from MariaDB into Postgres: this project and its peers.

    python benchmarks/genius_lead.py [--rows 1000000] [--runs 3] [--peer none] [--table wide]

Starts a MariaDB and a Postgres of its own. Everything runs in turn, the tap alone, through pipes
and by `meltano run`; a load only counts if its table has all the rows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import psycopg2
from crm_sandbox.genius.generate import metadata, rows
from crm_sandbox.genius.server import MariaDB
from loader import FOLDER
from loader_peers import LOADERS, Loader
from loader_process import LoaderFailedError
from loader_server import Server
from measure import Cost, median, run
from psycopg2 import sql
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, insert, text
from sqlalchemy.engine import make_url

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
DATABASE = "genius"
MADE = 10_000
"""Rows that are made; the others are copies with another key and moment."""
NARROW = (
    (
        "CREATE TABLE narrow (id INT PRIMARY KEY, name VARCHAR(60), amount DECIMAL(10,2),"
        " flag TINYINT(1), contact INT, day DATE, added_on DATETIME, phone VARCHAR(20),"
        " rating SMALLINT, updated_at DATETIME, KEY (updated_at)) CHARACTER SET utf8mb4"
    ),
    (
        "INSERT INTO narrow SELECT lead_id, CONCAT_WS(' ', first_name, last_name), lead_id / 7,"
        " is_zillow, contact, DATE(added_on), added_on, phone1, rating, updated_at FROM `lead`"
    ),
)
STREAMS = {"wide": "leads", "narrow": "narrow"}
SOURCES = {"wide": "lead", "narrow": "narrow"}
PROCESSES = ("tap-genius", "tap-mysql", "target-warehouse", "target-postgres", "meltano")


@dataclass(frozen=True)
class Peer:
    """A tap and a target of others, each in an environment of its own.

    Attributes:
        name: As the table calls it.
        tap: The tap; `settings` is not used.
        target: One of the loaders of loader.py.
        further: Settings of the tap beside the database's address.
    """

    name: str
    tap: Loader
    target: Loader
    further: dict[str, Any]


def _tap(*requirements: str) -> Loader:
    return Loader("tap-mysql", "tap-mysql", lambda *_: {}, requirements)


def _loader(name: str) -> Loader:
    return next(loader for loader in LOADERS if loader.name == name)


PEERS = (
    Peer(
        "PipelineWise",
        _tap("pipelinewise-tap-mysql==1.6.0", "setuptools<80"),
        _loader("PipelineWise"),
        {"engine": "mariadb", "filter_dbs": DATABASE},
    ),
    Peer(
        "MeltanoLabs",
        _tap("meltanolabs-tap-mysql==0.0.1a1", "setuptools<80"),
        _loader("MeltanoLabs"),
        {"filter_schemas": [DATABASE]},
    ),
)


def fill(engine: Engine, count: int) -> None:
    """Make both tables."""
    tables = metadata()
    lead = tables.tables["lead"]
    lead.create(engine)
    made = list(rows(lead, min(MADE, count)))
    with engine.begin() as connection:
        for start in range(0, len(made), 1000):
            connection.execute(insert(lead), made[start : start + 1000])
        copied = [_copied(column.name) for column in lead.columns]
        names = ", ".join(f"`{column.name}`" for column in lead.columns)
        connection.execute(
            text(
                f"INSERT INTO `lead` ({names}) SELECT {', '.join(copied)} FROM `lead`"  # noqa: S608
                f" JOIN seq_1_to_{count // MADE - 1} ON lead_id <= {MADE} ORDER BY seq, lead_id"
            )
        )
        for statement in (*NARROW, "ANALYZE TABLE `lead`, narrow"):
            connection.execute(text(statement))


def _copied(name: str) -> str:
    further = {
        "lead_id": f"lead_id + {MADE} * seq",
        "updated_at": "updated_at + INTERVAL seq SECOND",
    }
    return further.get(name, f"`{name}`")


class Bench:
    """Measures everything on one table."""

    def __init__(
        self, mariadb: MariaDB, postgres: Server, folder: Path, which: str, count: int
    ) -> None:
        self.mariadb, self.postgres, self.folder = mariadb, postgres, folder
        self.which, self.count = which, count
        self.costs: dict[str, list[Cost]] = {}
        self.failed: dict[str, str] = {}

    def ours(self) -> None:
        """Run this project's tap alone, with its target, and both by Meltano."""
        config = {"tables": ["narrow"], "username": "root", **self._address()}
        (self.folder / "tap.json").write_text(json.dumps(config))
        catalog = self.folder / f"catalog-{self.which}.json"
        if not catalog.exists():
            discover = f"{BIN}/tap-genius --config {self.folder}/tap.json"
            write_catalog(discover, STREAMS[self.which], catalog)
        tap = f"{BIN}/tap-genius --config tap.json --catalog {catalog.name}"
        target = f"{BIN}/target-warehouse --config ENV > /dev/null 2> target.log"
        meltano = f"{BIN}/meltano run --full-refresh tap-genius target-warehouse"
        self._measure("tap-genius alone", f"{tap} > /dev/null", self.folder, loads=False)
        piped = f"{tap} 2> tap.log | {target}"
        self._measure("tap-genius | target-warehouse", piped, self.folder)
        self._measure("meltano run", meltano, ROOT)

    def theirs(self, peer: Peer) -> None:
        """Run a peer's tap with its target."""
        name = f"{peer.name}: tap-mysql | target-postgres"
        if name in self.failed:
            return
        own = self.folder / peer.name
        own.mkdir(exist_ok=True)
        config = {"user": "root", "password": "", **self._address(), **peer.further}
        (own / "tap.json").write_text(json.dumps(config))
        tap, target = (
            FOLDER / "environments" / it.requirements[0].partition("==")[0] / "bin" / it.program
            for it in (peer.tap, peer.target)
        )
        catalog = own / f"catalog-{self.which}.json"
        try:
            for loader in (peer.tap, peer.target):
                loader.install(FOLDER)
            if not catalog.exists():
                write_catalog(f"{tap} --config {own}/tap.json", SOURCES[self.which], catalog)
        except (LoaderFailedError, subprocess.CalledProcessError) as error:
            self.failed[name] = str(error)[-100:]
            return
        read = f"{tap} --config tap.json --catalog {catalog.name}"
        load = f"{target} --config target.json > /dev/null 2> target.log"
        self._measure(name, f"{read} 2> tap.log | {load}", own, peer.target)

    def _address(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.mariadb.port, "database": DATABASE}

    def _measure(
        self, name: str, command: str, where: Path, target: Loader | None = None, *,
        loads: bool = True,
    ) -> None:  # fmt: skip
        url = self.postgres.new_database()
        if target:
            (where / "target.json").write_text(json.dumps(target.settings(make_url(url), where)))
        env = environment(self.folder, self.mariadb, self.which, url)
        try:
            cost = run(command, env=env, cwd=where, names=PROCESSES)
            if loads and (found := loaded(url)) != self.count:
                self.failed[name] = f"loaded {found} rows"
            else:
                self.costs.setdefault(name, []).append(cost)
                print(f"{self.which:7} {name:45} {self.count / cost.seconds:10,.0f} rows/s")
        except subprocess.CalledProcessError as error:
            self.failed[name] = f"exit code {error.returncode}{last_words(where)}"
        self.postgres.drop(url)

    def show(self) -> None:
        """Print the medians."""
        table = Table(title=f"{self.count:,} rows of {SOURCES[self.which]}")
        for column in ("", "seconds", "rows/s", *(f"{name} MB / CPU s" for name in PROCESSES)):
            table.add_column(column, justify="right" if column else "left")
        for name, found in self.costs.items():
            seconds = median(found, lambda cost: cost.seconds)
            cells = [f"{seconds:.1f}", f"{self.count / seconds:,.0f}"]
            for process in PROCESSES:
                memory = median(found, lambda cost, it=process: cost.memory[it])  # type: ignore[misc]
                cpu = median(found, lambda cost, it=process: cost.cpu[it])  # type: ignore[misc]
                cells.append(f"{memory:.0f} / {cpu:.1f}" if memory else "")
            table.add_row(name, *cells)
        for name, reason in self.failed.items():
            table.add_row(name, reason)
        Console(width=150).print(table)


def last_words(folder: Path) -> str:
    """The last lines of what tap and target said in a run that failed."""
    logs = [log for log in (folder / "tap.log", folder / "target.log") if log.exists()]
    said = [line for log in logs for line in log.read_text(errors="replace").splitlines()[-1:]]
    return "".join(f"; {line[-200:]}" for line in said)


def write_catalog(discover: str, wanted: str, path: Path) -> None:
    """Select one stream, read whole."""
    done = subprocess.run(
        [*discover.split(), "--discover"], capture_output=True, text=True, check=True
    )
    catalog = json.loads(done.stdout)
    for stream in catalog["streams"]:
        selected = wanted in {stream["stream"], stream.get("table_name")}
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = selected
                if "tap-mysql" in discover:
                    entry["metadata"]["replication-method"] = "FULL_TABLE"
        if "tap-mysql" in discover:
            stream |= {"selected": selected, "replication_method": "FULL_TABLE"}
    path.write_text(json.dumps(catalog))


def loaded(url: str) -> int:
    """How many rows the tables have that were loaded."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_name IN ('lead', 'leads', 'narrow')"
        )
        found = 0
        for names in cursor.fetchall():
            cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*names)))
            found += (cursor.fetchone() or (0,))[0]
    return found


def environment(folder: Path, mariadb: MariaDB, which: str, url: str) -> dict[str, str]:
    """Settings of `meltano run`, and quiet for all."""
    return os.environ | {
        "MELTANO_CLI_LOG_LEVEL": "warning",
        "MELTANO_DATABASE_URI": f"sqlite:///{folder / 'meltano.db'}",
        "LOGLEVEL": "ERROR",
        "TAP_GENIUS_LOGLEVEL": "ERROR",
        "TAP_GENIUS_HOST": "127.0.0.1",
        "TAP_GENIUS_PORT": str(mariadb.port),
        "TAP_GENIUS_DATABASE": DATABASE,
        "TAP_GENIUS_USERNAME": "root",
        "TAP_GENIUS_TABLES": '["narrow"]',
        "TAP_GENIUS__SELECT": json.dumps([f"{STREAMS[which]}.*"]),
        "TARGET_WAREHOUSE_SQLALCHEMY_URL": url,
        "TARGET_WAREHOUSE_CRM_SOURCE": "genius",
    }


@click.command()
@click.option("--rows", "count", default=1_000_000, show_default=True, help="Some ten thousands.")
@click.option("--runs", default=3, show_default=True, help="Of which medians are shown.")
@click.option("--table", "tables", multiple=True, type=click.Choice([*STREAMS]), default=[*STREAMS])
@click.option(
    "--peer",
    "peers",
    multiple=True,
    type=click.Choice([*(peer.name for peer in PEERS), "none"]),
    default=[peer.name for peer in PEERS],
)
def main(count: int, runs: int, tables: tuple[str, ...], peers: tuple[str, ...]) -> None:
    """Compare."""
    if count % MADE or count < 2 * MADE:
        raise click.ClickException(f"--rows has to be a multiple of {MADE}, and two of it at least")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        mariadb = MariaDB(folder, "--innodb-buffer-pool-size=1G")
        postgres = Server(FOLDER / "genius-postgres")
        try:
            with mariadb.database(DATABASE) as engine:
                fill(engine, count)
                for which in tables:
                    bench = Bench(mariadb, postgres, folder, which, count)
                    for _ in range(runs):
                        bench.ours()
                        for peer in PEERS:
                            if peer.name in peers:
                                bench.theirs(peer)
                    bench.show()
        finally:
            postgres.stop()
            mariadb.stop()


if __name__ == "__main__":
    main()
