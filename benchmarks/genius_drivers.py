"""How rows of Genius' lead table get out of MariaDB fastest: drivers, and the form of a row.

    python benchmarks/genius_drivers.py [--rows 100000]

Each driver has an environment of its own from PyPI; one that cannot be installed is shown with the
reason. Forms: the columns with what the driver makes of them, the columns with moments as texts,
the row as JSON_OBJECT, and the row as JSON joined from its columns, which tap-genius reads.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from crm_sandbox.genius.generate import metadata
from crm_sandbox.genius.server import MariaDB
from genius_lead import DATABASE, fill
from loader import FOLDER
from loader_peers import Loader
from loader_process import LoaderFailedError
from rich.console import Console
from rich.table import Table
from sqlalchemy.dialects import mysql

HERE = Path(__file__).resolve().parent
DRIVERS = {
    "PyMySQL": ("pymysql==1.2.4",),
    "mysqlclient": ("mysqlclient==2.3.1",),
    "MySQL Connector/Python": ("mysql-connector-python",),
    "MariaDB Connector/Python": ("mariadb==1.1.14", "packaging"),
    "asyncmy": ("asyncmy==0.2.18",),
}


def forms() -> dict[str, str]:
    """The statements, by form."""
    columns = metadata().tables["lead"].columns
    moments = {c.name for c in columns if isinstance(c.type, mysql.DATETIME)}
    texts = {c.name for c in columns if isinstance(c.type, (mysql.VARCHAR, mysql.TEXT))}

    def iso(name: str) -> str:
        return (
            f"CONCAT(REPLACE(`{name}`, ' ', 'T'), '.000000Z')" if name in moments else f"`{name}`"
        )

    def piece(name: str) -> str:
        if name in texts:
            value = f"JSON_QUOTE(`{name}`)"
        else:
            value = f"CONCAT('\"', {iso(name)}, '\"')" if name in moments else f"`{name}`"
        return f"'\"{name}\":', IF(`{name}` IS NULL, 'null', {value})"

    names = [c.name for c in columns]
    said = {
        "columns": ", ".join(f"`{name}`" for name in names),
        "columns, moments as text": ", ".join(map(iso, names)),
        "JSON_OBJECT": f"JSON_OBJECT({', '.join(f'{name!r}, {iso(name)}' for name in names)})",
        "joined JSON": "CONCAT('{', " + ", ',', ".join(map(piece, names)) + ", '}')",
    }
    return {
        form: f"SELECT {what} FROM `lead` ORDER BY lead_id"  # noqa: S608 - names of ours
        for form, what in said.items()
    }


@click.command()
@click.option("--rows", "count", default=100_000, show_default=True)
def main(count: int) -> None:
    """Compare drivers."""
    table = Table(title=f"{count:,} rows of lead: microseconds per row")
    for column in ("driver", "form", "wall", "client CPU", "server CPU", "both"):
        table.add_column(column, justify="left" if column in {"driver", "form"} else "right")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        mariadb = MariaDB(Path(name), "--innodb-buffer-pool-size=1G")
        try:
            with mariadb.database(DATABASE) as engine:
                fill(engine, count)
                for driver, requirements in DRIVERS.items():
                    for cells in measured(driver, requirements, mariadb, count):
                        table.add_row(driver, *cells)
        finally:
            mariadb.stop()
    Console(width=120).print(table)


def measured(
    driver: str, requirements: tuple[str, ...], mariadb: MariaDB, count: int
) -> list[tuple[str, ...]]:
    """A driver's rows of the table."""
    loader = Loader(driver, "python", lambda *_: {}, requirements)
    try:
        loader.install(FOLDER)
    except LoaderFailedError as error:
        return [(str(error)[:60],)]
    python = FOLDER / "environments" / requirements[0].partition("==")[0] / "bin" / "python"
    task = {"driver": requirements[0].partition("==")[0], "port": mariadb.port, "forms": forms()}
    done = subprocess.run(
        [python, HERE / "genius_driver.py", str(mariadb.pid)],
        input=json.dumps(task | {"database": DATABASE}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return [(done.stderr.strip().splitlines()[-1][:60],)]
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return [
        (
            form,
            *(f"{cost[kind] / count * 1e6:.1f}" for kind in ("wall", "client", "server")),
            f"{(cost['client'] + cost['server']) / count * 1e6:.1f}",
        )
        for form, cost in found.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
