"""``warehouse history``."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from warehouse.command import Warehouse, console, emit, json_option, pass_warehouse, schema_option
from warehouse.moment import moment
from warehouse.runs import rejects_of, run, runs

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["command"]

_STYLES: Final = {"success": "green", "partial": "yellow", "failed": "red", "running": "cyan"}
_ERROR_WIDTH: Final = 30
_COUNTS: Final = ("processed", "created", "updated", "failed")
_COUNTED: Final = ("Records", "Rejects that wait", "Metrics")
_MORE_COUNTS: Final = ("unchanged", "deduplicated", "deleted", "expected", "extracted")


@click.command()
@click.argument("history_id", metavar="[ID]", required=False, type=click.IntRange(1))
@click.option("--crm", multiple=True, help="Only this CRM, for example hubspot; repeatable.")
@click.option("--stream", multiple=True, help="Only this stream, for example contacts; repeatable.")
@click.option(
    "--status",
    multiple=True,
    type=click.Choice(list(_STYLES)),
    help="Only runs of this status; repeatable.",
)
@click.option("--since", type=moment, help="Started then or later: 2026-11-21, or 24h for ago.")
@click.option("--until", type=moment, help="Started before that.")
@click.option("--run-id", help="Only streams of this `meltano run`.")
@click.option(
    "--last", default=20, show_default=True, type=click.IntRange(1), help="How many runs."
)
@json_option
@schema_option
@click.option("--width", type=click.IntRange(40), help="Columns to write in.")
@pass_warehouse
def command(
    warehouse: Warehouse,
    /,
    history_id: int | None,
    last: int,
    schema: str | None,
    width: int | None,
    *,
    as_json: bool,
    **filters: Any,
) -> None:
    """Show the latest runs, newest first, or one run by its ID with all there is to say of it.

    Example: warehouse history --crm hubspot --status failed --since 7d
    """
    schema = schema or warehouse.history_schema
    if history_id is not None:
        found = _detail(warehouse, schema, history_id)
        if as_json:
            emit(found)
        else:
            _show_one(console(width), found)
        return
    with warehouse.connect() as connection, connection.cursor() as cursor:
        rows = runs(cursor, schema, last=last, **filters)
    if as_json:
        emit(*rows)
    elif rows:
        _show(console(width), rows)
    else:
        click.echo("No such runs." if any(filters.values()) else "No runs yet.")


def _detail(warehouse: Warehouse, schema: str, history_id: int) -> dict[str, Any]:
    with warehouse.connect() as connection, connection.cursor() as cursor:
        found = run(cursor, schema, history_id)
        if found is None:
            raise click.ClickException(f"There is no run {history_id} in {schema}.sync_history.")
        return found | {"rejects": rejects_of(cursor, schema, history_id)}


# The list


def _show(console: Console, rows: list[dict[str, Any]]) -> None:
    """Print the runs; long errors fold beside them where there is room, else below."""
    table = _table(rows)
    needed = Measurement.get(console, console.options.update(max_width=1000), table).maximum
    if console.width - needed >= _ERROR_WIDTH:
        console.print(_table(rows, errors=True))
        return
    Console(width=max(needed, console.width)).print(table)  # a cut number says nothing
    for row in rows:
        if row["error_message"]:
            title = f"{_moment(row['start_time'])} {row['crm_source']} {row['sync_type']}"
            console.print(Text(title, "bold"))
            console.print(Padding(Text(row["error_message"]), (0, 0, 0, 2)))


def _table(rows: list[dict[str, Any]], *, errors: bool = False) -> Table:
    table = Table(title="SyncHistory", title_justify="left")
    table.add_column("id", justify="right", no_wrap=True)
    for heading in ("started (UTC)", "CRM", "stream", "status"):
        table.add_column(heading, no_wrap=True)
    for heading in ("seconds", *_COUNTS, "deleted"):
        table.add_column(heading, justify="right", no_wrap=True)
    if errors:
        table.add_column("error", overflow="fold")
    for row in rows:
        metrics = row["performance_metrics"] or {}
        table.add_row(
            str(row["id"]),
            _moment(row["start_time"]),
            Text(row["crm_source"]),
            Text(row["sync_type"]),
            Text(row["status"], _STYLES.get(row["status"], "")),
            f"{metrics.get('duration_seconds', 0):.1f}",
            *(f"{row[f'records_{count}']:,}" for count in _COUNTS),
            f"{metrics.get('records_deleted', 0):,}",
            *([Text(row["error_message"] or "")] if errors else ()),
        )
    return table


# One run


def _show_one(console: Console, run: Mapping[str, Any]) -> None:
    title = f"{run['crm_source']} {run['sync_type']}, run {run['id']}: "
    console.print(Text(title, "bold"), Text(run["status"], _STYLES.get(run["status"], "")), sep="")
    if run["error_message"]:
        console.print(Padding(Text(run["error_message"]), (0, 0, 0, 2)))
    metrics, configuration = run["performance_metrics"] or {}, run["configuration"] or {}
    counts = {name: run[f"records_{name}"] for name in _COUNTS} | {
        name: metrics[f"records_{name}"]
        for name in _MORE_COUNTS
        if metrics.get(f"records_{name}") is not None
    }
    other = {k: v for k, v in metrics.items() if k.removeprefix("records_") not in _MORE_COUNTS}
    bookmarks = configuration.get("bookmarks") or {}
    sections: dict[str, Mapping[str, Any]] = {
        "Run": {
            "started": _moment(run["start_time"]),
            "ended": _moment(run["end_time"]),
            "mode": configuration.get("mode"),
            "endpoint": run["endpoint"],
        },
        "Records": counts,
        "Rejects that wait": run["rejects"],
        "Metrics": {name: other[name] for name in other if name != "counts"},
        "Bookmark": {"before": bookmarks.get("before"), "after": bookmarks.get("after")},
    }
    for name, value in configuration.items():
        if name not in {"mode", "bookmarks"}:
            sections[name.capitalize()] = value if isinstance(value, dict) else {name: value}
    table = Table.grid(padding=(0, 2))
    for heading, values in sections.items():
        for number, (name, value) in enumerate(values.items()):
            shown = f"{value:,}" if heading in _COUNTED and isinstance(value, int) else value
            table.add_row(Text("" if number else heading, "bold"), Text(name), _text(shown))
    console.print(Padding(table, (0, 0, 0, 2)))


def _text(value: Any) -> Text:
    if isinstance(value, str):
        return Text(value, overflow="fold")
    if value is None:
        return Text("none", "dim")
    return Text(json.dumps(value, ensure_ascii=False), overflow="fold")


def _moment(moment: datetime | None) -> str:
    if moment is None:
        return "not yet"
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}"
