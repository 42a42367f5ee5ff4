"""``warehouse history``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
from psycopg2 import sql
from psycopg2.extras import RealDictCursor
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from warehouse.command import Warehouse, console, emit, json_option, pass_warehouse
from warehouse.history import History

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

__all__ = ["command"]

_STYLES: Final = {"success": "green", "partial": "yellow", "failed": "red", "running": "cyan"}
_ERROR_WIDTH: Final = 30


@click.command()
@click.option("--crm", help="Only this CRM, for example hubspot.")
@click.option(
    "--last", default=20, show_default=True, type=click.IntRange(1), help="How many runs."
)
@json_option
@click.option("--schema", help="Where sync_history is. Default: the loader's history_schema.")
@click.option("--width", type=click.IntRange(40), help="Columns to write in.")
@pass_warehouse
def command(
    warehouse: Warehouse,
    crm: str | None,
    last: int,
    schema: str | None,
    width: int | None,
    *,
    as_json: bool,
) -> None:
    """Show the latest runs, newest first.

    Example: warehouse history --crm hubspot --last 5
    """
    with warehouse.connect() as connection:
        rows = _runs(connection, schema or warehouse.history_schema, crm, last)
    if as_json:
        emit(*rows)
    else:
        _show(console(width), rows)


def _runs(connection: Connection, schema: str, crm: str | None, last: int) -> list[dict[str, Any]]:
    table = History(schema)
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
