"""``warehouse report``."""

from __future__ import annotations

from pathlib import Path

import click

from warehouse.command import Refusal, Warehouse, emit, json_option, pass_warehouse
from warehouse.page.opening import open_views

__all__ = ["command"]


@click.command()
@click.option(
    "--output",
    default="warehouse-report.html",
    show_default=True,
    type=click.Path(dir_okay=False, allow_dash=True),
    help="File to write; - is standard output.",
)
@json_option
@pass_warehouse
def command(warehouse: Warehouse, output: str, *, as_json: bool) -> None:
    """Write the page as one HTML file, to mail or to keep.

    The file needs no other and no network, and has no scripts.

    Example: warehouse report --output monday.html
    """
    views = open_views(warehouse)
    from warehouse.page.database import Unreadable  # noqa: PLC0415 - an extra, which is there

    try:
        html = views.report()
    except Unreadable as error:
        raise Refusal(str(error)) from None
    finally:
        views.database.close()
    if output == "-":
        click.echo(html)
        return
    try:
        Path(output).write_text(html, encoding="utf-8")
    except OSError as error:
        raise Refusal(f"{output} cannot be written: {error.strerror}.") from None
    if as_json:
        emit({"file": str(Path(output).resolve()), "bytes": len(html.encode())})
    else:
        click.echo(f"Written to {output}, {len(html.encode()) / 1024:,.0f} kB.")
