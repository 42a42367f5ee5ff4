"""``warehouse check``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.text import Text

from warehouse.command import Warehouse, console, emit, json_option, pass_warehouse, schema_option
from warehouse.compliance import check

if TYPE_CHECKING:
    from warehouse.compliance import Report

__all__ = ["command"]


@click.command()
@click.argument("crms", metavar="[CRM]...", nargs=-1)
@click.option(
    "--tables/--no-tables",
    default=True,
    help="Compare the counters with the tables, which are read for it.",
)
@json_option
@schema_option
@pass_warehouse
def command(
    warehouse: Warehouse,
    /,
    crms: tuple[str, ...],
    schema: str | None,
    *,
    tables: bool,
    as_json: bool,
) -> None:
    """Check that sync_history keeps its rules and says what the tables say.

    All CRMs, or those named. Exits with 1 if something is wrong, each thing in a sentence that
    names the run. What could not be compared is listed, with the reason.

    Example: warehouse check hubspot
    """
    with warehouse.connect() as connection:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with connection.cursor() as cursor:
            report = check(
                cursor,
                schema or warehouse.history_schema,
                crms=crms,
                settings=warehouse.settings,
                tables=tables,
            )
    if as_json:
        emit({"ok": report.ok, **asdict(report)})
    else:
        _show(report)
    if not report.ok:
        click.get_current_context().exit(1)


def _show(report: Report) -> None:
    screen = console()
    for violation in report.violations:
        screen.print(Text(violation.sentence, "red"), soft_wrap=True)
    for sentence in report.unknown:
        screen.print(Text(f"Not compared: {sentence}", "dim"), soft_wrap=True)
    wrong = len(report.violations)
    verdict = (
        f"{wrong:,} {'thing is' if wrong == 1 else 'things are'} wrong" if wrong else "all is well"
    )
    screen.print(
        Text(
            f"{report.runs:,} runs and {report.tables:,} tables: {verdict}.",
            "red" if wrong else "green",
        )
    )
