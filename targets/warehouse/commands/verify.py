"""``warehouse verify``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from warehouse.command import Warehouse, console, emit, json_option, pass_warehouse
from warehouse.crms import named
from warehouse.entities import resolved
from warehouse.verify import Verification, Wanted, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warehouse.comparison import Difference

__all__ = ["command"]

_STREAM = re.compile(r"Starting \w+ (\S+) sync")


@click.command()
@click.argument("crm")
@click.argument("entities", nargs=-1, metavar="[ENTITY]...")
@click.option("--first", default=10, show_default=True, type=click.IntRange(0),
              help="How many rows to name of each kind.")  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Name all of them.")
@click.option("--values", is_flag=True, help="Also show what is in the columns: personal data.")
@click.option("--keep", is_flag=True, help="Leave the scratch schema, to look into it.")
@json_option
@pass_warehouse
def command(
    warehouse: Warehouse,
    /,
    crm: str,
    entities: tuple[str, ...],
    *,
    first: int,
    everything: bool,
    values: bool,
    keep: bool,
    as_json: bool,
) -> None:
    """Read a CRM whole into a scratch schema, and compare the tables with it.

    Tables, history and bookmarks stay as they are. Exit code 1 when rows are missing, extra or
    different; rows that have changed since the last sync are no error.

    Example: warehouse verify hubspot contacts deals
    """
    crm, _ = named(warehouse.project, crm)
    streams = resolved(warehouse, crm, entities) if entities else ()
    wanted = Wanted(streams, None if everything else first, values, keep)
    with Console(stderr=True).status(f"Reading {crm}") as status:

        def show(line: str) -> None:
            if found := _STREAM.search(line):
                status.update(f"Reading {crm} {found[1]}")

        results, kept = verify(warehouse, crm, wanted, show)
    if as_json:
        emit(*(_plain(crm, result, values=values) for result in results))
    else:
        _show(crm, results)
    if kept:
        click.echo(
            f"What was read is in the schema {kept}; drop it when it is not needed.", err=True
        )
    if not all(result.ok for result in results):
        raise click.exceptions.Exit(1)


def _plain(crm: str, result: Verification, *, values: bool) -> dict[str, Any]:
    found = result.found
    return {
        "crm_source": crm,
        "stream": result.stream,
        "ok": result.ok,
        "rows": found.rows if found else None,
        **result.counts,
        "refused": result.refused,
        "unknown_columns": found.unknown if found else [],
        "error": result.error,
        "differences": [
            _difference(one, values=values) for one in (found.differences if found else ())
        ],
    }


def _difference(one: Difference, *, values: bool) -> dict[str, Any]:
    plain = {"kind": one.kind, "key": one.key, "columns": one.columns, "changed": one.changed,
             "count": one.count}  # fmt: skip
    return plain | ({"values": one.values} if values else {})


def _show(crm: str, results: list[Verification]) -> None:
    table = Table(title=f"{crm}, compared with its source", title_justify="left")
    table.add_column("stream", no_wrap=True)
    for heading in ("rows at the source", "missing", "extra", "different", "changed since"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for result in results:
        table.add_row(
            Text(result.stream),
            f"{result.found.rows:,}" if result.found else "",
            *(f"{count:,}" if result.found else "" for count in result.counts.values()),
            Text("as at the source", "green")
            if result.ok
            else Text(result.error or "differs", "red"),
        )
    console().print(table)
    for result in results:
        for line in _lines(result):
            click.echo(line)


def _lines(result: Verification) -> Iterator[str]:
    if result.refused:
        yield f"{result.stream}: {result.refused:,} records were refused while reading"
    if result.found and result.found.unknown:
        names = ", ".join(sorted(result.found.unknown))
        yield f"{result.stream}: columns that the source has not any more, not compared: {names}"
    for one in result.found.differences if result.found else ():
        kind = f"{one.kind}, changed since the last sync" if one.changed else one.kind
        key = ", ".join(f"{name}={json.dumps(value)}" for name, value in one.key.items())
        line = f"{result.stream}: {kind}: {key}"
        if one.count > 1:
            line += f" ({one.count:,} times)"
        if one.columns:
            line += f": {', '.join(one.columns)}"
        if one.values:
            line += f": {json.dumps(one.values, default=str, ensure_ascii=False)}"
        yield line
    if result.found:
        named = sum(one.count for one in result.found.differences)
        if (more := sum(result.counts.values()) - named) > 0:
            yield f"{result.stream}: and {more:,} more; --all names them"
