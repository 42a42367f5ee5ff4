"""The command ``warehouse``: look into the database the loader fills."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Final

import click
import psycopg2
from psycopg2 import sql
from psycopg2.extras import RealDictCursor
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url

from warehouse.history import History
from warehouse.server import WarehouseUnavailableError, libpq_url, psql_executable

__all__ = ["main"]

_URL_VARIABLE: Final = "TARGET_WAREHOUSE_SQLALCHEMY_URL"
_SCHEMA_VARIABLE: Final = "TARGET_WAREHOUSE_HISTORY_SCHEMA"
_STYLES: Final = {"success": "green", "partial": "yellow", "failed": "red", "running": "cyan"}
_PIPED_WIDTH: Final = 140


class _Refusal(click.ClickException):
    """Says what to set or install instead of a traceback."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="crm-warehouse")
@click.option(
    "--database",
    envvar=_URL_VARIABLE,
    help=f"URL of the database. Default: ${_URL_VARIABLE}, else the embedded Postgres.",
)
@click.pass_context
def main(context: click.Context, database: str | None) -> None:
    """Look into the warehouse."""
    context.obj = database


def _url(setting: str | None) -> str:
    try:
        return libpq_url(setting)
    except WarehouseUnavailableError as error:
        raise _Refusal(str(error)) from None


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def psql(database: str | None, arguments: tuple[str, ...]) -> None:
    """Open a SQL shell, or run one query: warehouse psql -- -c "SELECT 1"."""
    url = make_url(_url(database))
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
@click.option("--schema", envvar=_SCHEMA_VARIABLE, default="public", help="Where sync_history is.")
@click.pass_obj
def history(
    database: str | None, crm: str | None, last: int, schema: str, *, as_json: bool
) -> None:
    """Show the latest runs, newest first."""
    rows = _runs(_url(database), schema, crm, last)
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, default=str))
        return
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, _PIPED_WIDTH)
    console.print(_table(rows) if rows else "No runs yet.")


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


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="SyncHistory", title_justify="left")
    for heading in ("started (UTC)", "CRM", "stream", "status"):
        table.add_column(heading, no_wrap=True)
    for heading in ("seconds", "processed", "created", "updated", "failed", "deleted"):
        table.add_column(heading, justify="right")
    table.add_column("error")
    for row in rows:
        metrics = row["performance_metrics"]
        table.add_row(
            f"{row['start_time']:%Y-%m-%d %H:%M:%S}",
            row["crm_source"],
            row["sync_type"],
            f"[{_STYLES[row['status']]}]{row['status']}[/]",
            f"{metrics.get('duration_seconds', 0):.1f}",
            *(
                f"{row[f'records_{count}']:,}"
                for count in ("processed", "created", "updated", "failed")
            ),
            f"{metrics.get('records_deleted', 0):,}",
            row["error_message"] or "",
        )
    return table
