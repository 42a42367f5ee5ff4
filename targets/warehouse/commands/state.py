"""``warehouse state``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from warehouse import crms
from warehouse.bookmarks import Bookmarks, all_bookmarks, text
from warehouse.command import Warehouse, console, emit, json_option, pass_warehouse
from warehouse.stored_bookmarks import Rebuilt, rebuilt, settable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["command"]

_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group()
def command() -> None:
    """Look at the bookmarks, which say from where on the next sync reads, and mend them.

    Meltano keeps them, for each of its environments.

    Example: warehouse state list
    """


@command.command("list")
@json_option
@pass_warehouse
def list_(warehouse: Warehouse, *, as_json: bool) -> None:
    """Show the bookmarks of all CRMs.

    Example: warehouse state list
    """
    rows = [
        {"crm_source": crm, "stream": stream, "bookmark": bookmark}
        for crm, bookmarks in all_bookmarks(warehouse).items()
        for stream, bookmark in sorted(bookmarks.items())
    ]
    if as_json:
        emit(*rows)
    elif rows:
        _show(warehouse, rows)
    else:
        click.echo("No bookmarks yet.")


@command.command()
@click.argument("crm")
@json_option
@pass_warehouse
def show(warehouse: Warehouse, crm: str, *, as_json: bool) -> None:
    """Show the bookmarks of one CRM, with all that they hold.

    Example: warehouse state show hubspot
    """
    bookmarks = _of(warehouse, crm).read()
    if as_json:
        emit(*({"stream": name, "bookmark": it} for name, it in sorted(bookmarks.items())))
        return
    if not bookmarks:
        click.echo(f"{crm} has no bookmarks: its next sync reads everything.")
        return
    table = Table(title=f"Bookmarks of {crm}", title_justify="left")
    for heading in ("stream", "", "value"):
        table.add_column(heading)
    for stream, bookmark in sorted(bookmarks.items()):
        for number, (name, value) in enumerate((bookmark or {"none": ""}).items()):
            table.add_row(Text("" if number else stream), Text(name), Text(_plain(value)))
    console().print(table)


@command.command("set")
@click.argument("crm")
@click.argument("stream")
@click.argument("value")
@_yes
@json_option
@pass_warehouse
def set_(
    warehouse: Warehouse, crm: str, stream: str, value: str, *, yes: bool, as_json: bool
) -> None:
    """Set one stream's bookmark; never ahead of what is stored.

    Example: warehouse state set hubspot contacts 2026-11-01
    """
    bookmarks = _of(warehouse, crm)
    after = settable(warehouse, bookmarks.crm, stream, value)
    before = bookmarks.read()
    change = Rebuilt(stream, before.get(stream), after, "as you say")
    _write(bookmarks, before, [change], yes=yes, as_json=as_json)


@command.command()
@click.argument("crm")
@click.argument("streams", metavar="[STREAM]...", nargs=-1)
@_yes
@json_option
@pass_warehouse
def clear(
    warehouse: Warehouse, crm: str, streams: tuple[str, ...], *, yes: bool, as_json: bool
) -> None:
    """Remove bookmarks, of some streams or of all, so that the next sync reads everything.

    Example: warehouse state clear hubspot deals
    """
    bookmarks = _of(warehouse, crm)
    before = bookmarks.read()
    if unknown := [name for name in streams if name not in before]:
        names = ", ".join(before) or "none"
        raise click.ClickException(f"No bookmark of {', '.join(unknown)}; there are: {names}.")
    why = "the next sync reads everything"
    changes = [Rebuilt(name, before[name], None, why) for name in streams or before]
    _write(bookmarks, before, changes, yes=yes, as_json=as_json)


@command.command()
@click.argument("crm")
@click.argument("streams", metavar="[STREAM]...", nargs=-1)
@_yes
@json_option
@pass_warehouse
def rebuild(
    warehouse: Warehouse, crm: str, streams: tuple[str, ...], *, yes: bool, as_json: bool
) -> None:
    """Make lost bookmarks again, from sync_history and the tables; never ahead of what is stored.

    Example: warehouse state rebuild hubspot
    """
    bookmarks = _of(warehouse, crm)
    before = bookmarks.read()
    changes = rebuilt(warehouse, bookmarks.crm, before, streams)
    if not changes:
        raise click.ClickException(f"Nothing is stored of {bookmarks.crm}; sync it.")
    _write(bookmarks, before, changes, yes=yes, as_json=as_json)


def _of(warehouse: Warehouse, crm: str) -> Bookmarks:
    return Bookmarks(warehouse, crms.crm_source(crm))


def _write(
    bookmarks: Bookmarks,
    before: Mapping[str, Any],
    changes: list[Rebuilt],
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Show what would change, ask, and write it."""
    differing = [it for it in changes if (it.before or None) != (it.after or None)]
    if as_json:
        emit(
            *(
                {"stream": it.stream, "before": it.before, "after": it.after, "why": it.why}
                for it in changes
            )
        )
    else:
        _show_changes(bookmarks.crm, changes)
    if not differing:
        _say("Nothing to change.", as_json=as_json)
        return
    if not yes:
        click.confirm(f"Change {len(differing)} of {bookmarks.crm}?", abort=True, err=True)
    after = dict(before)
    for change in differing:
        if change.after:
            after[change.stream] = change.after
        else:
            after.pop(change.stream, None)
    bookmarks.write(after)
    _say(f"Changed {len(differing)} of {bookmarks.crm}.", as_json=as_json)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _say(text: str, *, as_json: bool) -> None:
    click.echo(text, err=as_json)


def _show(warehouse: Warehouse, rows: list[dict[str, Any]]) -> None:
    title = f"Bookmarks of the environment {crms.environment_name(warehouse)}"
    table = Table(title=title, title_justify="left")
    for heading in ("CRM", "stream", "bookmark"):
        table.add_column(heading, no_wrap=heading != "bookmark")
    for row in rows:
        table.add_row(*map(Text, (row["crm_source"], row["stream"], text(row["bookmark"]))))
    console().print(table)


def _show_changes(crm: str, changes: list[Rebuilt]) -> None:
    table = Table(title=f"Bookmarks of {crm}", title_justify="left")
    for heading in ("stream", "now", "then", "why"):
        table.add_column(heading)
    for it in changes:
        table.add_row(*map(Text, (it.stream, text(it.before), text(it.after), it.why)))
    console().print(table)
