"""``warehouse health``."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import click
from rich.table import Table
from rich.text import Text

from warehouse import health as checks
from warehouse.alerts import Alerts
from warehouse.command import (
    Refusal,
    Warehouse,
    console,
    emit,
    json_option,
    pass_warehouse,
    schema_option,
)
from warehouse.delivery import DeliveryError, channels
from warehouse.expectation import VARIABLE, configured, hours_of, hours_of_variables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from warehouse.delivery import Channel
    from warehouse.health import Health, StreamHealth

__all__ = ["command"]

_NAMES: Final = {
    "never_run": "never run",
    "overdue": "overdue",
    "rejects": "rejects grow",
    "stuck": "stuck",
    "success_share": "failing",
}
_HOUR: Final = 60
_HOURS: Final = 48  # up to here an age is told in hours


@click.command()
@click.argument("crms", metavar="[CRM]...", nargs=-1)
@click.option(
    "--expected-hours",
    multiple=True,
    metavar="[CRM=]HOURS",
    help="How old the last success may be; repeatable. Default: what the variable"
    f" {VARIABLE} says, as 'hubspot=2 26', else the CRM's schedule in sync_configuration, else 26.",
)
@click.option(
    "--success-share",
    default=0.8,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Least share of a stream's ended runs that succeeded.",
)
@click.option(
    "--period-hours",
    default=24.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Time that the share is taken over, and that rejects are compared by.",
)
@click.option(
    "--stuck-minutes",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="How long a run may go without progress.",
)
@click.option("--notify", is_flag=True, help="Tell the alert channels what has changed.")
@json_option
@schema_option
@pass_warehouse
def command(
    warehouse: Warehouse,
    /,
    crms: tuple[str, ...],
    schema: str | None,
    *,
    notify: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Tell how well the pipelines do: all CRMs, or those named. Exits with 1 if something is wrong.

    Wrong is: too few runs succeed, the last success is too old, a run is stuck, rejects grow, or a
    configured CRM has never run.

    Example: warehouse health hubspot --expected-hours hubspot=2
    """
    schema = schema or warehouse.history_schema
    settings = _settings(warehouse, options)
    listeners = _channels(warehouse) if notify else []
    alerts = Alerts(schema)
    failures: list[str] = []
    with warehouse.connect() as connection, connection.cursor() as cursor:
        if notify:
            alerts.take_turn(cursor)
        health = checks.examine(
            cursor,
            schema,
            crms=crms,
            configured=configured(cursor, schema, warehouse.project, warehouse.variables),
            **settings,
        )
        if notify:
            alerts.update(cursor, health, crms)
            failures = alerts.tell(cursor, listeners)
    if as_json:
        emit(_object(health))
    else:
        _show(health)
    if failures:
        raise Refusal(" ".join(failures) + " It is told at the next call.")
    if not health.ok:
        click.get_current_context().exit(1)


def _settings(warehouse: Warehouse, options: Mapping[str, Any]) -> dict[str, Any]:
    try:
        by_variable = hours_of_variables(warehouse.variables)
    except ValueError as error:
        raise Refusal(str(error)) from None
    try:
        by_option = hours_of(options["expected_hours"])
    except ValueError as error:
        raise click.BadParameter(f"--expected-hours: {error}") from None
    rules = checks.Rules(
        options["success_share"],
        timedelta(hours=options["period_hours"]),
        timedelta(minutes=options["stuck_minutes"]),
    )
    return {"expected_hours": by_variable | by_option, "rules": rules}


def _channels(warehouse: Warehouse) -> list[Channel]:
    try:
        return channels(warehouse.variables)
    except DeliveryError as error:
        raise Refusal(str(error)) from None


def _object(health: Health) -> dict[str, Any]:
    streams = [
        {**asdict(stream), "ok": stream.ok, "success_share": stream.success_share}
        for stream in health.streams
    ]
    problems = [asdict(problem) for problem in health.problems]
    return {"ok": health.ok, "at": health.at, "problems": problems, "streams": streams}


def _show(health: Health) -> None:
    screen = console()
    if health.streams:
        screen.print(_table(health))
    errors = {
        (stream.crm_source, stream.sync_type): stream.last_run["error_message"]
        for stream in health.streams
    }
    for problem in health.problems:
        screen.print(Text(problem.sentence, "red"), soft_wrap=True)
        error = errors.get((problem.crm_source, problem.sync_type or ""))
        if error and problem.kind == "success_share":
            screen.print(Text(f"  The last run said: {error}"), soft_wrap=True)
    if health.ok:
        screen.print(Text("All is well.", "green") if health.streams else "No runs yet.")


def _table(health: Health) -> Table:
    table = Table(title=f"Health at {health.at:%Y-%m-%d %H:%M:%S} UTC", title_justify="left")
    for heading in ("CRM", "stream", "state", "last run", "status", "last success", "expected"):
        table.add_column(heading, no_wrap=True)
    for heading in ("succeeded", "running", "rejects", "new", "before"):
        table.add_column(heading, justify="right", no_wrap=True)
    for stream in health.streams:
        table.add_row(*_cells(stream, health.at))
    return table


def _cells(stream: StreamHealth, now: datetime) -> list[str | Text]:
    state = "retired" if stream.retired and stream.ok else "ok"
    expected = stream.expected_hours
    return [
        Text(stream.crm_source),
        Text(stream.sync_type),
        Text(state, "green")
        if stream.ok
        else Text(", ".join(_NAMES[problem.kind] for problem in stream.problems), "red"),
        _age(stream.last_run["start_time"], now),
        Text(stream.last_run["status"]),
        _age(stream.last_success, now),
        "-" if expected is None or stream.retired else f"in {expected:.1f} h",
        f"{stream.succeeded} of {stream.ended}",
        str(stream.running),
        *(f"{n:,}" for n in (stream.rejects, stream.rejects_new, stream.rejects_before)),
    ]


def _age(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "never"
    minutes = (now - moment).total_seconds() / 60
    if minutes < _HOUR:
        return f"{minutes:.0f} min ago"
    if minutes < _HOURS * _HOUR:
        return f"{minutes / 60:.1f} h ago"
    return f"{minutes / 60 / 24:.0f} d ago"
