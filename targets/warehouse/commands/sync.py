"""``warehouse sync``."""

from __future__ import annotations

import signal
import sys
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console

from warehouse import crms, handover
from warehouse.command import Refusal, Warehouse, emit, json_option, pass_warehouse
from warehouse.configuration import variable
from warehouse.credentials import sounds_secret
from warehouse.entities import resolved
from warehouse.progress import Bars, Lines, Watch
from warehouse.summary import show
from warehouse.sync import SETTINGS, Options, Sync, is_set_up, prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from warehouse.progress import Watcher

__all__ = ["command"]

_DEPRECATED: Final = {
    "since": "--start-date",
    "test": "--dry-run",
    "verbose": "--debug",
    "force-overwrite": "--force",
}
_FORM: Final = "YYYY-MM-DD"


def _date(text: str) -> str:
    """Read a date; for click, as the type of an option."""
    try:
        found = date.fromisoformat(text).isoformat()
    except ValueError:
        found = ""
    if found != text:
        raise click.BadParameter(f"'{text}' is not a date of the form {_FORM}.")
    return text


def _refuse(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """End because of a flag of old."""
    if value is not None and context.get_parameter_source(str(parameter.name)) is not None:
        flag = parameter.opts[0]
        if value is not False:
            raise click.UsageError(f"{flag} is gone; use {_DEPRECATED[flag[2:]]}.")


def _flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that only some CRMs have, and those that there were once."""
    for name, (metavar, text) in reversed(SETTINGS.items()):
        flag = f"--{name.replace('_', '-')}"
        kind: dict[str, Any] = (
            {"is_flag": True, "default": None}
            if metavar is None
            else {"metavar": metavar, "type": click.IntRange(1) if metavar == "N" else str}
        )
        function = click.option(flag, name, help=text, **kind)(function)
    for flag in _DEPRECATED:
        add = click.option(
            f"--{flag}",
            is_flag=False,
            flag_value="",
            default=None,
            hidden=True,
            is_eager=True,
            expose_value=False,
            callback=_refuse,
        )
        function = add(function)
    return function


@click.command()
@click.argument("crm", required=False)
@click.argument("entities", metavar="[ENTITY]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All active CRMs, one after the other.")
@click.option("--full", is_flag=True, help="Read everything, whatever the bookmarks say.")
@click.option("--force", is_flag=True, help="Write every record, also over newer rows.")
@click.option(
    "--start-date", type=_date, metavar=_FORM, help="Read from this day on (UTC), not the bookmark."
)
@click.option("--dry-run", is_flag=True, help="Read, check and count, but write nothing at all.")
@click.option("--skip-validation", is_flag=True, help="Do not check values.")
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    help="Records per request, as far as the CRM gives them.",
)
@click.option(
    "--max-records", type=click.IntRange(0), help="Records per stream, 0 for all; bookmarks stay."
)
@click.option("--debug", is_flag=True, help="Show the command, and log in detail.")
@click.option("--no-progress", is_flag=True, help="Log lines instead of bars.")
@_flags
@json_option
@pass_warehouse
def command(
    warehouse: Warehouse,
    /,
    crm: str | None,
    entities: tuple[str, ...],
    *,
    everything: bool,
    no_progress: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Bring a CRM, or some of its entities, up to date.

    From the bookmarks on, unless told otherwise. It is one `meltano run`, whose log is kept under
    .warehouse/logs. Ctrl-C ends it cleanly; what is stored by then stays.

    Exit codes: 0, 1 a stream failed, 2 and 3 as always, 130 and 143 stopped by a signal.

    Example: warehouse sync hubspot contacts deals --start-date 2026-11-01
    """
    settings = {name: flags.pop(name) for name in SETTINGS}
    options = Options(**flags, settings=settings)
    if options.full and options.start_date:
        raise click.UsageError("--full reads everything and --start-date a part: give one of them.")
    if options.force and options.dry_run:
        click.echo("WARNING: --force writes nothing in a dry run; it only counts.", err=True)
    if everything and crm:
        raise click.UsageError("--all is all CRMs: name none, or leave it out.")
    screen = _Screen(warehouse, bars=not (no_progress or as_json), as_json=as_json)
    try:
        if everything:
            code = screen.sync_all(options)
        else:
            name = _known(warehouse, crm)
            streams = resolved(warehouse, name, entities) if entities else []
            code = screen.sync(name, streams, options)
    except KeyboardInterrupt:  # before or after the pipeline, which takes it in its own way
        code = 128 + signal.SIGINT
    sys.exit(code)


def _known(warehouse: Warehouse, crm: str | None) -> str:
    found = crms.crms(warehouse.project)
    if crm is None or crms.crm_source(crm) not in found:
        what = f"There is no CRM {crm}." if crm else "Which CRM?"
        raise click.UsageError(f"{what} There are: {', '.join(found)}; --all is all of them.")
    return crms.crm_source(crm)


class _Screen:
    """Runs syncs, and shows them."""

    def __init__(self, warehouse: Warehouse, *, bars: bool, as_json: bool) -> None:
        self._warehouse, self._as_json = warehouse, as_json
        self._errors = Console(stderr=True, highlight=False)
        self._bars = bars and self._errors.is_terminal and not self._errors.is_dumb_terminal

    def sync_all(self, options: Options) -> int:
        """Run all active CRMs; 1 when one of them failed."""
        worst = 0
        for crm in crms.crms(self._warehouse.project):
            if handover.switched_off(self._warehouse, crm):
                self._say(f"INFO: {crm} is switched off")
                continue
            if not is_set_up(self._warehouse, crm):
                self._say(f"INFO: {crm} is left out: it has no credentials")
                continue
            try:
                code = self.sync(crm, (), options)
            except Refusal as refusal:
                self._say(f"ERROR: {crm}: {refusal.message}")
                code = 1
            if code > 128:  # noqa: PLR2004 - stopped by a signal
                return code
            worst = max(worst, code)
        return worst

    def sync(self, crm: str, streams: Sequence[str], options: Options) -> int:
        """Run one CRM; return the exit code."""
        with prepared(self._warehouse, crm, streams, options, watched=self._bars) as sync:
            if options.debug:
                self._say(f"DEBUG: {sync.shown(_secrets(crm, self._warehouse, sync.told))}")
            rows = self._run(sync)
        code = sync.pipeline.exit_code
        if not code and any(row["status"] in {"failed", "running"} for row in rows):
            code = 1
        if not (code or rows) and streams:
            self._say(f"ERROR: {crm} gave nothing to read of {', '.join(streams)}.")
            code = 1
        self._show(sync, rows, code)
        return code

    def _run(self, sync: Sync) -> list[Mapping[str, Any]]:
        dry, watch = sync.options.dry_run, Watch(self._warehouse, sync.run_id)
        watcher: Watcher = Bars(self._errors, sync.crm, dry=dry) if self._bars else Lines()
        would: list[Mapping[str, Any]] = []
        with watcher:
            for line in sync.pipeline.lines():
                if line:
                    watcher.line(line)
                    would += [line.sync] if line.sync else []
                if self._bars and not dry and watch.due():
                    watcher.rows(watch.rows_if_possible())
            rows: list[Mapping[str, Any]] = would if dry else [*watch.rows()]
            watcher.rows(rows)
        return rows

    def _show(self, sync: Sync, rows: Sequence[Mapping[str, Any]], code: int) -> None:
        if self._as_json:
            emit(*({**row, "run_id": sync.run_id, "dry_run": sync.options.dry_run} for row in rows))
        elif rows:
            show(sync.crm, rows, dry=sync.options.dry_run)
        log = sync.pipeline.log
        if code:
            for said in sync.pipeline.last_words if self._bars or code == 1 else ():
                self._say(said)
            how = "was stopped" if sync.pipeline.stopped_by else "failed"
            self._say(f"ERROR: The sync of {sync.crm} {how}. Its log: {log}")
        else:
            self._say(f"INFO: Log: {log}")

    def _say(self, text: str) -> None:
        click.echo(text, err=True)


def _secrets(crm: str, warehouse: Warehouse, told: Mapping[str, str]) -> set[str]:
    tap = crms.tap_of(warehouse.project, crm)
    declared = {
        variable(tap, name) for name, it in crms.tap_settings(tap).items() if it.get("secret")
    }
    stored = {variable(tap, name) for name in handover.credentials_of(warehouse, crm)}
    return declared | stored | {name for name in told if sounds_secret(name)}
