"""``warehouse rejects``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table
from rich.text import Text

from warehouse.command import Warehouse, console, emit, json_option, pass_warehouse
from warehouse.crms import crm_source
from warehouse.moment import moment
from warehouse.refusals import Filter, find, purge, record, summary
from warehouse.rejects import Rejects
from warehouse.replay import Outcome, replay

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

__all__ = ["command"]

_CLASSES: Final = ("validation", "conversion", "database")
_SHOWN: Final = (
    "id", "history_id", "crm_source", "stream", "key", "error_class", "reason", "obstacle",
    "created_at",
)  # fmt: skip
_SAID: Final = {
    "passed": "passed and left the table",
    "failed": "refused again, now with the new reason",
    "kept": "not sent: a sync has written the row since, and no bookmark tells which is newer;"
    " --force sends them all the same",
    "gone": "gone: another replay or a purge was faster, or there never was one",
    "impossible": "cannot be sent again (see below)",
    "unreached": "not reached, because the loader failed",
}
_MOST_NAMED: Final = 10


def _filters(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--since", type=moment, help="Refused since, as 2026-11-21 or 24h."),
        click.option(
            "--class", "error_class", type=click.Choice(_CLASSES), help="Only this class."
        ),
        click.option("--stream", help="Only this stream, for example contacts."),
        click.option(
            "--crm", type=crm_source, metavar="CRM", help="Only this CRM, for example hubspot."
        ),
    ):
        function = option(function)
    return function


_ids: Final = click.argument("ids", nargs=-1, type=click.IntRange(1))


@click.group()
def command() -> None:
    """Look at the records the loader refused; replay or purge them.

    Example: warehouse rejects list --crm hubspot
    """


@command.command("list")
@_filters
@click.option("--last", type=click.IntRange(0), default=20, show_default=True,
              help="How many single rows, the newest first.")  # fmt: skip
@click.option("--summary", "only_summary", is_flag=True, help="Only the counts by reason.")
@json_option
@pass_warehouse
def list_(
    warehouse: Warehouse, /, *, last: int, only_summary: bool, as_json: bool, **filters: Any
) -> None:
    """Show how many records wait, by stream and reason, and the newest of them; never the records.

    Example: warehouse rejects list --crm hubspot --since 7d
    """
    with warehouse.connect() as connection, connection.cursor() as cursor:
        found = find(cursor, Rejects(warehouse.history_schema), Filter(**filters))
    groups, single = summary(found), [] if only_summary else found[:last]
    if as_json:
        emit(
            *(groups if only_summary else ({name: row[name] for name in _SHOWN} for row in single))
        )
    elif not found:
        console().print("No rejects.")
    else:
        console().print(_groups(groups))
        if single:
            console().print(_single(single, len(found)))


def _groups(groups: list[dict[str, Any]]) -> Table:
    count = sum(group["count"] for group in groups)
    table = Table(title=f"{_rejects(count)} by reason", title_justify="left")
    table.add_column("CRM", no_wrap=True)
    table.add_column("stream", no_wrap=True)
    table.add_column("class", no_wrap=True)
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("replayable", justify="right", no_wrap=True)
    table.add_column("last (UTC)", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for group in groups:
        table.add_row(
            Text(group["crm_source"]),
            Text(group["stream"]),
            group["error_class"],
            f"{group['count']:,}",
            f"{group['replayable']:,}",
            f"{group['last']:%Y-%m-%d %H:%M:%S}",
            Text(group["reason"]),
        )
    return table


def _single(found: list[dict[str, Any]], count: int) -> Table:
    table = Table(title=f"The newest {len(found):,} of {count:,}", title_justify="left")
    table.add_column("id", justify="right", no_wrap=True)
    table.add_column("refused (UTC)", no_wrap=True)
    table.add_column("run", justify="right", no_wrap=True)
    table.add_column("CRM", no_wrap=True)
    table.add_column("stream", no_wrap=True)
    table.add_column("key", overflow="fold")
    table.add_column("reason", overflow="fold")
    for row in found:
        table.add_row(
            str(row["id"]),
            f"{row['created_at']:%Y-%m-%d %H:%M:%S}",
            str(row["history_id"] or ""),
            Text(row["crm_source"]),
            Text(row["stream"]),
            Text(json.dumps(row["key"], ensure_ascii=False)),
            Text(row["reason"]),
        )
    return table


@command.command()
@click.argument("number", metavar="ID", type=click.IntRange(1))
@click.option(
    "--record",
    "with_record",
    is_flag=True,
    help="Also the record as received, and what the reason quotes of it: personal data.",
)
@json_option
@pass_warehouse
def show(warehouse: Warehouse, number: int, *, with_record: bool, as_json: bool) -> None:
    """Show one reject: why, which key, from which run, and whether it can be replayed.

    Example: warehouse rejects show 17 --record
    """
    rejects = Rejects(warehouse.history_schema)
    with warehouse.connect() as connection, connection.cursor() as cursor:
        found = find(cursor, rejects, Filter(ids=(number,)))
        if not found:
            raise click.ClickException(f"There is no reject {number}.")
        row = {name: found[0][name] for name in _SHOWN}
        if with_record:
            row |= {"message": found[0]["message"], "record": record(cursor, rejects, number)}
    if as_json:
        emit(row)
        return
    table = Table(show_header=False, title=f"Reject {number}", title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in row.items():
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
        table.add_row(name, Text("" if value is None else text))
    console().print(table)


@command.command("purge")
@_ids
@_filters
@click.option("--older-than", type=moment, help="Refused before, as 30d or 2026-11-01.")
@click.option("--all", "everything", is_flag=True, help="All there are.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_warehouse
def purge_(
    warehouse: Warehouse,
    /,
    ids: tuple[int, ...],
    *,
    older_than: datetime | None,
    everything: bool,
    yes: bool,
    as_json: bool,
    **filters: Any,
) -> None:
    """Delete rejects for good: these ids, or all that fit the options.

    Example: warehouse rejects purge --crm hubspot --older-than 30d
    """
    chosen = Filter(ids=ids, before=older_than, **filters)
    if not (chosen.values or everything):
        raise click.UsageError("Say which: ids, options, or --all.")
    rejects = Rejects(warehouse.history_schema)
    with warehouse.connect() as connection, connection.cursor() as cursor:
        if not yes:
            count = len(find(cursor, rejects, chosen))
            connection.commit()
            if count:
                click.confirm(f"Delete {_rejects(count)} for good?", abort=True, err=True)
        purged = purge(cursor, rejects, chosen)
    if as_json:
        emit({"purged": purged})
    else:
        click.echo(f"Purged {_rejects(purged)}.")


@command.command("replay")
@_ids
@_filters
@click.option("--all", is_flag=True, expose_value=False, help="All there are, as without ids.")
@click.option("--force", is_flag=True, help="Also over rows that are, or may be, newer.")
@click.option("--dry-run", is_flag=True, help="Change nothing; only say what would happen.")
@json_option
@pass_warehouse
def replay_(
    warehouse: Warehouse,
    /,
    ids: tuple[int, ...],
    *,
    force: bool,
    dry_run: bool,
    as_json: bool,
    **filters: Any,
) -> None:
    """Send rejects through the loader again: these ids, or all that fit the options.

    Exit code 1 when some of them stay.

    Example: warehouse rejects replay --crm hubspot --stream contacts
    """
    outcome = replay(warehouse, Filter(ids=ids, **filters), force=force, dry_run=dry_run)
    if as_json:
        emit(asdict(outcome) | {"dry_run": dry_run})
    else:
        _tell(outcome, dry_run=dry_run)
    if not outcome.ok:
        raise click.exceptions.Exit(1)


def _tell(outcome: Outcome, *, dry_run: bool) -> None:
    parts = [(name, getattr(outcome, name)) for name in _SAID]
    if not any(numbers for _, numbers in parts):
        click.echo("Nothing to replay.")
    elif dry_run:
        click.echo("Dry run, nothing is changed. Otherwise:")
    for name, numbers in parts:
        if numbers:
            click.echo(
                f"{len(numbers):,} {_SAID[name]}{_named(numbers) if name != 'passed' else ''}"
            )
    for number, why in outcome.impossible.items():
        click.echo(f"  Reject {number}: {why}.")
    for error in outcome.errors:
        click.echo(f"The loader failed: {error}", err=True)


def _named(numbers: list[int] | dict[int, str]) -> str:
    named = ", ".join(map(str, [*numbers][:_MOST_NAMED]))
    return f": {named}{', …' if len(numbers) > _MOST_NAMED else ''}"


def _rejects(count: int) -> str:
    return f"{count:,} reject{'' if count == 1 else 's'}"
