"""``warehouse config``."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from warehouse.command import Warehouse, console, emit, json_option, pass_warehouse
from warehouse.configuration import ALL, COLUMNS, Configuration, Row, text_of
from warehouse.configuration_check import all_problems, problems
from warehouse.configuration_input import changed_row, without
from warehouse.credentials import is_secret
from warehouse.crms import crms, environment_name, named, tap_settings
from warehouse.handover import settings_of
from warehouse.presets import ENVIRONMENTS, preset
from warehouse.schedules import FILE, carry, others

__all__ = ["command"]


@click.group()
def command() -> None:
    """Say how each CRM and stream is read, and when.

    For each setting counts, in this order: the flag of `warehouse sync`, the environment and .env
    (TAP_HUBSPOT_PAGE_SIZE, then HUBSPOT_BATCH_SIZE), the table sync_configuration, meltano.yml.

    Example: warehouse config set hubspot batch_size=50
    """


@command.command()
@click.argument("crm", required=False)
@click.argument("stream", required=False)
@json_option
@pass_warehouse
def show(warehouse: Warehouse, crm: str | None, stream: str | None, *, as_json: bool) -> None:
    """Show the table, or what a run of CRM gets of it and from elsewhere, and from where.

    Example: warehouse config show hubspot
    """
    if crm is None:
        with warehouse.connect() as connection:
            rows = Configuration(connection, warehouse.history_schema).rows()
        none = "Nothing is configured; all is as meltano.yml says."
        _show_rows(warehouse, rows, as_json=as_json, none=none)
        return
    crm, _ = named(warehouse.project, crm)
    values = settings_of(warehouse, crm, (stream,) if stream else ())
    if as_json:
        for name, it in values.items():
            emit({"setting": name, "value": it.value, "origin": it.origin})
        return
    table = _table("setting", "value", "from", title=f"What {crm} is read with")
    for name, it in values.items():
        shown = "(hidden)" if it.value is None else text_of(it.value)
        table.add_row(name, Text(shown, overflow="fold"), Text(it.origin))
    console().print(table)


@command.command(name="set")
@click.argument("crm")
@click.argument("changes", metavar="[STREAM] NAME=VALUE...", nargs=-1, required=True)
@json_option
@pass_warehouse
def set_(warehouse: Warehouse, crm: str, changes: tuple[str, ...], *, as_json: bool) -> None:
    """Change the row of CRM, or of one of its streams.

    Names: is_active, batch_size, retry_count, retry_delay, field_mappings, api_settings (both JSON,
    as a whole), schedule_enabled, schedule_cron, and any other setting of the tap, which goes into
    api_settings. What is wrong is refused.

    Example: warehouse config set hubspot contacts retry_count=3 schedule_cron='*/15 * * * *'
    """
    crm, tap = named(warehouse.project, crm)
    stream, given = _split(changes, separator="=")
    pairs = [(name, value) for name, _, value in (one.partition("=") for one in given)]
    if not pairs:
        raise click.UsageError("Give at least one NAME=VALUE.")
    with warehouse.connect() as connection:
        table = Configuration(connection, warehouse.history_schema)
        row = changed_row(table.row(crm, stream), dict(pairs), tap_settings(tap))
        if wrong := problems(row, tap):
            raise click.UsageError("\n".join(wrong))
        table.put(row)
    if as_json:
        emit(asdict(row))
    else:
        click.echo(f"{row.name}: {', '.join(f'{name} = {value}' for name, value in pairs)}")


@command.command()
@click.argument("crm")
@click.argument("names", metavar="[STREAM] [NAME]...", nargs=-1)
@json_option
@pass_warehouse
def unset(warehouse: Warehouse, crm: str, names: tuple[str, ...], *, as_json: bool) -> None:
    """Take settings out of a row of CRM, so that what comes next in order counts; or the whole row.

    Example: warehouse config unset hubspot contacts batch_size
    """
    with warehouse.connect() as connection:
        table = Configuration(connection, warehouse.history_schema)
        rows = {row.sync_type: row for row in table.rows(crm)}
        stream = names[0] if names and names[0] in rows else ALL
        given = names[1:] if names and names[0] in rows else names
        row = rows.get(stream, Row(crm, stream))
        if unknown := [name for name in given if name not in {*COLUMNS, *row.api_settings}]:
            raise click.UsageError(f"Nothing of {row.name} is set by the name {unknown[0]}.")
        changed = bool(rows) and stream in rows
        if changed and given:
            table.put(without(row, given))
        elif changed:
            table.remove(crm, stream)
    what = ", ".join(given) or "the whole row"
    if as_json:
        emit({"crm_source": crm, "sync_type": stream, "unset": list(given), "changed": changed})
    else:
        click.echo(f"{row.name}: {what} is unset." if changed else f"{row.name} has no row.")
    sys.exit(0 if changed else 1)


@command.command()
@click.argument("names", metavar="[CRM]...", nargs=-1)
@click.option(
    "--environment",
    type=click.Choice(ENVIRONMENTS),
    help="Whose usual values. Default: Meltano's environment.",
)
@json_option
@pass_warehouse
def init(
    warehouse: Warehouse, names: tuple[str, ...], environment: str | None, *, as_json: bool
) -> None:
    """Give each CRM that has no row its first one, with what is usual in the environment.

    development: small batches, few tries, no schedule. staging: once a night. production: each
    hour, each CRM at a minute of its own. `config apply` carries the schedules into Meltano.

    Example: warehouse config init --environment production
    """
    taps = dict(named(warehouse.project, name) for name in names) or crms(warehouse.project)
    chosen = environment or environment_name(warehouse)
    if chosen not in ENVIRONMENTS:
        raise click.UsageError(f"Name the environment: {', '.join(ENVIRONMENTS)}.")
    with warehouse.connect() as connection:
        table = Configuration(connection, warehouse.history_schema)
        there = {row.crm_source for row in table.rows() if row.sync_type == ALL}
        made = [preset(chosen, crm, tap_settings(tap)) for crm, tap in taps.items()
                if crm not in there]  # fmt: skip
        for row in made:
            table.put(row)
    _show_rows(warehouse, made, as_json=as_json, none="Every CRM has a row already.")


@command.command()
@json_option
@pass_warehouse
def validate(warehouse: Warehouse, *, as_json: bool) -> None:
    """Check the table against the taps' own settings; exit code 1 and a sentence per problem.

    Example: warehouse config validate
    """
    found = all_problems(warehouse)
    if as_json:
        emit({"ok": not found, "problems": found})
    else:
        for problem in found or ["All is well."]:
            click.echo(problem)
    sys.exit(1 if found else 0)


@command.command()
@json_option
@pass_warehouse
def apply(warehouse: Warehouse, *, as_json: bool) -> None:
    """Make Meltano's schedules what the table says; again after each change of a schedule.

    Each becomes a job that runs `warehouse sync`, in a file of its own that meltano.yml includes.
    Schedules in meltano.yml itself stay as they are.

    Example: warehouse config apply
    """
    with warehouse.connect() as connection:
        rows = Configuration(connection, warehouse.history_schema).rows()
    carried = carry(warehouse.project, rows)
    scheduled = {row.crm_source for row in rows if row.schedule_enabled and row.is_active}
    taps = {crm: tap for crm, tap in crms(warehouse.project).items() if crm in scheduled}
    double = others(warehouse.project, taps)
    if as_json:
        emit({**asdict(carried), "others": double})
        return
    for what, names in asdict(carried).items():
        if names:
            click.echo(f"{what}: {', '.join(names)}")
    if not any(asdict(carried).values()):
        click.echo("Nothing is scheduled.")
    for crm, names in double.items():
        click.echo(
            f"meltano.yml schedules {crm} as well; remove what is double:"
            f" meltano schedule remove {names[0]}"
        )
    if carried.added or carried.changed or carried.removed:
        click.echo(f"Written to {FILE}; meltano schedule list shows all.")


def _split(words: tuple[str, ...], separator: str) -> tuple[str, tuple[str, ...]]:
    """Return the stream, where one comes first, and the rest."""
    first, *rest = words
    if separator in first:
        return ALL, words
    if wrong := [word for word in rest if separator not in word]:
        raise click.UsageError(f"'{wrong[0]}' is no NAME=VALUE.")
    return first, tuple(rest)


def _show_rows(warehouse: Warehouse, rows: list[Row], *, as_json: bool, none: str) -> None:
    """Print the table's rows, without secrets that somebody wrote there by hand."""
    taps = crms(warehouse.project)
    known = {crm: tap_settings(tap) for crm, tap in taps.items()}
    shown = [
        replace(
            row,
            api_settings={
                name: "(hidden)" if is_secret(name, known.get(row.crm_source, {})) else value
                for name, value in row.api_settings.items()
            },
        )
        for row in rows
    ]
    if as_json:
        emit(*map(asdict, shown))
    elif not shown:
        click.echo(none)
    else:
        table = _table("CRM", "stream", *COLUMNS, title="sync_configuration")
        for row in shown:
            table.add_row(*(Text(_cell(value), overflow="fold") for value in asdict(row).values()))
        console().print(table)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value in (None, {}) else text_of(value)


def _table(*headings: str, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
