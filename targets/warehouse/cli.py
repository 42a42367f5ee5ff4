"""The command ``warehouse``: look into the database the loader fills."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import click
import psycopg2
from dotenv import dotenv_values
from psycopg2 import sql
from psycopg2.extras import RealDictCursor
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from sqlalchemy.engine import make_url

from warehouse.address import AddressError, database_address
from warehouse.history import History
from warehouse.server import WarehouseUnavailableError, libpq_url, psql_executable

__all__ = ["main"]

_PREFIX: Final = "TARGET_WAREHOUSE_"
_STYLES: Final = {"success": "green", "partial": "yellow", "failed": "red", "running": "cyan"}
_PIPED_WIDTH: Final = 160
_ERROR_WIDTH: Final = 30


class _Refusal(click.ClickException):
    """Says what to set or install instead of a traceback."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="crm-warehouse")
@click.option(
    "--database",
    help=f"URL of the database. Default: what the variables {_PREFIX}SQLALCHEMY_URL, {_PREFIX}HOST"
    " and so on say, in the environment or the project's .env; else the embedded Postgres.",
)
@click.pass_context
def main(context: click.Context, database: str | None) -> None:
    """Look into the warehouse."""
    settings = _settings()
    if database:
        kept = {name: settings[name] for name in ("history_schema",) if name in settings}
        settings = {"sqlalchemy_url": database, **kept}
    context.obj = settings


def _settings() -> dict[str, Any]:
    """Return the loader's settings as Meltano finds them; the environment wins over .env."""
    project = Path(os.environ.get("MELTANO_PROJECT_ROOT", "."))
    variables = {**dotenv_values(project / ".env"), **os.environ}
    return {
        name.removeprefix(_PREFIX).lower(): value
        for name, value in variables.items()
        if name.startswith(_PREFIX) and value
    }


def _url(settings: dict[str, Any]) -> str:
    try:
        return libpq_url(database_address(settings))
    except (AddressError, WarehouseUnavailableError) as error:
        raise _Refusal(str(error)) from None


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def psql(settings: dict[str, Any], arguments: tuple[str, ...]) -> None:
    """Open a SQL shell, or run one query: warehouse psql -- -c "SELECT 1"."""
    url = make_url(_url(settings))
    environment = os.environ | {"PGPASSWORD": url.password or os.environ.get("PGPASSWORD", "")}
    address = url.set(password=None).render_as_string(hide_password=False)
    try:
        command = [psql_executable(), "--dbname", address, *arguments]
    except WarehouseUnavailableError as error:
        raise _Refusal(str(error)) from None
    sys.exit(subprocess.run(command, env=environment, check=False).returncode)  # noqa: S603


@main.command()
@click.option("--crm", help="Only this CRM, for example hubspot.")
@click.option(
    "--last", default=20, show_default=True, type=click.IntRange(1), help="How many runs."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, all columns.")
@click.option("--schema", help="Where sync_history is. Default: the loader's history_schema.")
@click.option("--width", type=click.IntRange(40), help="Columns to write in.")
@click.pass_obj
def history(
    settings: dict[str, Any],
    crm: str | None,
    last: int,
    schema: str | None,
    width: int | None,
    *,
    as_json: bool,
) -> None:
    """Show the latest runs, newest first."""
    rows = _runs(_url(settings), schema or settings.get("history_schema", "public"), crm, last)
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, default=str))
        return
    console = Console(width=width)
    if not (width or console.is_terminal):
        console.width = max(console.width, _PIPED_WIDTH)
    _show(console, rows)


def _runs(url: str, schema: str, crm: str | None, last: int) -> list[dict[str, Any]]:
    table = History(schema)
    try:
        connection = psycopg2.connect(url)
    except psycopg2.OperationalError as error:
        raise _Refusal(f"The warehouse cannot be reached: {error}") from None
    try:
        with connection.cursor() as cursor:
            if not table.exists(cursor):
                return []
        with connection.cursor(cursor_factory=RealDictCursor) as cursor:
            cursor.execute(
                sql.SQL(
                    "SELECT * FROM {} WHERE %(crm)s IS NULL OR crm_source = %(crm)s"
                    " ORDER BY start_time DESC, id DESC LIMIT %(last)s"
                ).format(table.table),
                {"crm": crm, "last": last},
            )
            return [dict(row) for row in cursor.fetchall()]
    finally:
        connection.close()


def _show(console: Console, rows: list[dict[str, Any]]) -> None:
    """Print the runs; long errors fold beside them where there is room, else below."""
    if not rows:
        console.print("No runs yet.")
        return
    table = _table(rows)
    needed = Measurement.get(console, console.options.update(max_width=1000), table).maximum
    if console.width - needed >= _ERROR_WIDTH:
        console.print(_table(rows, errors=True))
        return
    Console(width=max(needed, console.width)).print(table)  # a cut number says nothing
    for row in rows:
        if row["error_message"]:
            started = f"{row['start_time']:%Y-%m-%d %H:%M:%S}"
            console.print(Text(f"{started} {row['crm_source']} {row['sync_type']}", "bold"))
            console.print(Padding(Text(row["error_message"]), (0, 0, 0, 2)))


def _table(rows: list[dict[str, Any]], *, errors: bool = False) -> Table:
    table = Table(title="SyncHistory", title_justify="left")
    for heading in ("started (UTC)", "CRM", "stream", "status"):
        table.add_column(heading, no_wrap=True)
    for heading in ("seconds", "processed", "created", "updated", "failed", "deleted"):
        table.add_column(heading, justify="right", no_wrap=True)
    if errors:
        table.add_column("error", overflow="fold")
    for row in rows:
        metrics = row["performance_metrics"]
        table.add_row(
            f"{row['start_time']:%Y-%m-%d %H:%M:%S}",
            Text(row["crm_source"]),
            Text(row["sync_type"]),
            Text(row["status"], _STYLES[row["status"]]),
            f"{metrics.get('duration_seconds', 0):.1f}",
            *(
                f"{row[f'records_{count}']:,}"
                for count in ("processed", "created", "updated", "failed")
            ),
            f"{metrics.get('records_deleted', 0):,}",
            *([Text(row["error_message"] or "")] if errors else ()),
        )
    return table
