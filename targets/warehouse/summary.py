"""What a sync came to: a table with a row per stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
from rich.box import HEAVY_HEAD, Box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from warehouse.command import console

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["show"]

_STYLES: Final = {"success": "green", "partial": "yellow", "failed": "red", "running": "cyan"}


def show(crm: str, rows: Sequence[Mapping[str, Any]], *, dry: bool) -> None:
    """Print the table and the log line of each stream's end.

    Where it is too wide it comes without lines; no number is ever cut.

    Args:
        crm: The CRM.
        rows: Of sync_history, or what they would have been.
        dry: Whether nothing was written.
    """
    place = console()
    for box in (HEAVY_HEAD, None):
        table = _table(crm, rows, box, dry=dry)
        width = Measurement.get(place, place.options.update(max_width=1000), table).maximum
        if width <= place.width:
            break
    Console(width=max(width, place.width)).print(table)
    for row in rows:
        click.echo(_completed(row, dry=dry))


def _table(crm: str, rows: Sequence[Mapping[str, Any]], box: Box | None, *, dry: bool) -> Table:
    title = f"{'Dry run of' if dry else 'Sync of'} {crm}"
    table = Table(title=title, title_justify="left", box=box, pad_edge=box is not None)
    table.collapse_padding = box is None
    table.add_column("stream", no_wrap=True)
    table.add_column("status", no_wrap=True)
    for heading in ("processed", "created", "updated", "unchanged", "failed", "deleted"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("seconds", "rec/s", "warnings"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        metrics = row["performance_metrics"] or {}
        same = metrics.get("records_unchanged", 0) + metrics.get("records_deduplicated", 0)
        table.add_row(
            Text(row["sync_type"]),
            Text(row["status"], _STYLES.get(row["status"], "")),
            *(f"{row[f'records_{name}']:,}" for name in ("processed", "created", "updated")),
            f"{same:,}",
            f"{row['records_failed']:,}",
            "-" if dry else f"{metrics.get('records_deleted', 0):,}",
            f"{metrics.get('duration_seconds', 0):.1f}",
            f"{metrics.get('records_per_second', 0):,.0f}",
            f"{metrics.get('validation_warnings', 0):,}",
        )
    return table


def _completed(row: Mapping[str, Any], *, dry: bool) -> str:
    """Return the log line of a stream's end."""
    ended = "Completed" if row["status"] in {"success", "partial"} else "Stopped"
    return (
        f"INFO: {'Dry run of' if dry else ended} {row['crm_source']} {row['sync_type']} sync:"
        f" {row['records_created']} created, {row['records_updated']} updated,"
        f" {row['records_failed']} failed"
    )
