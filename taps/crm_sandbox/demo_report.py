"""What ``make demo`` shows at its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

Row = tuple[Any, ...]
Ask = Callable[[str, Sequence[Any]], tuple[list[str], list[Row]]]
"""Runs a query with parameters and gives the names of its columns, and its rows."""

CONTACTS = """
SELECT id, firstname, lastname, email, updated_at::timestamp(0)
FROM hubspot.contacts WHERE _sdc_deleted_at IS NULL
ORDER BY updated_at DESC LIMIT 5"""

DEALS = """
SELECT d.id, d.dealname, d.amount,
       concat_ws(' ', firstname, lastname) AS contact
FROM hubspot.deals d
JOIN hubspot.associations a ON a.from_type = 'deals' AND a.from_id = d.id
JOIN hubspot.contacts c ON a.to_type = 'contacts' AND a.to_id = c.id
WHERE d._sdc_deleted_at IS NULL ORDER BY d.updated_at DESC LIMIT 5"""

HISTORY = """
SELECT sync_type, status, records_processed, records_created, records_updated,
       performance_metrics ->> 'records_unchanged', performance_metrics ->> 'records_deleted'
FROM sync_history WHERE id > %s AND id <= %s ORDER BY id"""

HISTORY_COLUMNS = (
    *("\nstream", "run 1\ncreated"),
    *("\nread", "run 2\ncreated", "\nupdated", "\nsame", "\ndeleted", "\nstatus"),
)

HINTS = """
[bold]Go on[/]
  [cyan]make psql[/], then [cyan]\\c {database}[/], and for example [cyan]\\dt hubspot.*[/] or

{queries}

  With your own HubSpot account: see README.md."""


@dataclass(frozen=True)
class Edit:
    """One change in the sandbox, and the query that shows whether it arrived.

    Attributes:
        what: What was done, in words.
        wanted: What the query has to give then.
        query: Asks the warehouse, with `parameters`, for one text.
        parameters: Of the query.
    """

    what: str
    wanted: str
    query: str
    parameters: tuple[str, ...]


def report(console: Console, ask: Ask, edits: list[Edit], newest: int) -> bool:
    """Show what both runs brought.

    Args:
        console: Where to.
        ask: Runs queries on the warehouse.
        edits: What was changed between the runs.
        newest: The last id in sync_history before the second run.

    Returns:
        Whether every edit arrived.
    """
    _, first = ask(HISTORY, (0, newest))
    _, second = ask(HISTORY, (newest, 2**62))
    again = {stream: cells for stream, *cells in second}
    runs = [
        (stream, created, *counts, " → ".join(dict.fromkeys((before, after))))
        for stream, before, _, created, *_ in first
        for after, *counts in [again.get(stream, ("missing",))]
    ]
    changes = []
    for edit in edits:
        _, rows = ask(edit.query, edit.parameters)
        found = rows[0][0] if rows else None
        changes.append((edit.what, edit.wanted, found, "✓" if found == edit.wanted else "✗"))
    titled = (
        ("sync_history of both runs", HISTORY_COLUMNS, runs),
        ("What was changed", ("in the account", "to", "warehouse", ""), changes),
        ("hubspot.contacts, the latest", *ask(CONTACTS, ())),
        ("hubspot.deals with their contacts", *ask(DEALS, ())),
    )
    for title, columns, rows in titled:
        console.print()
        console.print(_table(title, columns, rows))
    return all(mark == "✓" for *_, mark in changes)


def hints(console: Console, database: str) -> None:
    """Say how to go on."""
    queries = (CONTACTS.strip(), DEALS.strip())
    indented = "\n\n".join(f"    {query};".replace("\n", "\n    ") for query in queries)
    console.print(HINTS.format(database=database, queries=indented), highlight=False)


def _table(title: str, columns: Sequence[str], rows: Sequence[Row]) -> Table:
    """Return a table: numbers to the right, zeros and nulls dim."""
    table = Table(
        title=title, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0)
    )
    table.title_justify, table.title_style, table.header_style = "left", "bold", "dim"
    for name, values in zip(columns, zip(*rows, strict=True), strict=True):
        numeric = all(re.fullmatch(r"[\d.]+", str(value)) for value in values if value is not None)
        table.add_column(
            name,
            justify="right" if numeric else "left",
            no_wrap=name == columns[0],
            overflow="fold",
        )
    for row in rows:
        table.add_row(*map(_cell, row))
    return table


def _cell(value: Any) -> Text:
    text = "" if value is None else str(value)
    styles = {"0": "dim", "✓": "green", "✗": "red", "failed": "red", "partial": "yellow"}
    return Text(text, styles.get(text, ""))
