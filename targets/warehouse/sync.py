"""What a sync comes down to: one `meltano run`, its arguments and its environment."""

from __future__ import annotations

import json
import shlex
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import click
from sqlalchemy.engine import make_url

from warehouse import bookmarks, crms, handover, meltano
from warehouse.command import PREFIX, Refusal, Warehouse
from warehouse.configuration import ALL, text_of, variable
from warehouse.entities import narrowed
from warehouse.pipeline import LOG_CONFIG, Pipeline, new_log

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["SETTINGS", "Options", "Sync", "is_set_up", "prepared"]

LOGS: Final = ".warehouse/logs"
SETTINGS: Final = {
    "task_status": ("STATUS", "Arrivy: only tasks of this status, or of several, with commas."),
    "booking_status": ("STATUS", "Arrivy: only bookings of this status, or of several."),
    "high_performance": (None, "Arrivy: more requests at once, none held back by us."),
    "concurrent_pages": ("N", "Pages of one list under way at once; for Arrivy and the like."),
}
"""Settings of some taps that are options of `warehouse sync`: what the value is called (None for a
switch), and the help. An option is refused where the tap does not have the setting."""


@dataclass(frozen=True)
class Options:
    """The flags of `warehouse sync`; `settings` are those of `SETTINGS` that were given."""

    full: bool = False
    force: bool = False
    start_date: str | None = None
    dry_run: bool = False
    skip_validation: bool = False
    batch_size: int | None = None
    max_records: int | None = None
    debug: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    def of_tap(self) -> dict[str, Any]:
        """Return the tap's settings that they stand for."""
        values = {
            "start_date": self.start_date,
            "page_size": self.batch_size,
            "max_records": self.max_records,
            "skip_validation": self.skip_validation or None,
            **self.settings,
        }
        return {name: value for name, value in values.items() if value is not None}

    def of_target(self) -> dict[str, Any]:
        """Return the loader's settings that they stand for."""
        return {
            **({"force": True} if self.force else {}),
            **({"dry_run": True} if self.dry_run else {}),
            **({"validate_records": False} if self.skip_validation else {}),
        }


@dataclass(frozen=True)
class Sync:
    """One sync that is ready to run.

    Attributes:
        crm: The CRM.
        run_id: Of the `meltano run`, by which sync_history knows its streams.
        options: What was asked for.
        pipeline: The process.
        told: The variables that differ from the user's own.
    """

    crm: str
    run_id: str
    options: Options
    pipeline: Pipeline
    told: Mapping[str, str]

    def shown(self, secrets: set[str]) -> str:
        """Return the command as one could type it, without what is secret.

        Args:
            secrets: Names of variables whose values are not to be seen.
        """
        words = [
            f"{name}={'***' if name in secrets else shlex.quote(_without_password(value))}"
            for name, value in sorted(self.told.items())
        ]
        return " ".join([*words, "meltano", *map(shlex.quote, self.pipeline.command[1:])])


def _without_password(text: str) -> str:
    if not text.startswith(("postgres://", "postgresql")):
        return text
    return make_url(text).render_as_string(hide_password=True)


@contextmanager
def prepared(
    warehouse: Warehouse,
    crm: str,
    streams: Sequence[str],
    options: Options,
    *,
    watched: bool = False,
) -> Iterator[Sync]:
    """Give a sync that can be run within the block.

    Args:
        warehouse: What it loads into.
        crm: The CRM.
        streams: Those to read; none for all.
        options: The flags.
        watched: Whether somebody wants to hear every other second how far it is.

    Raises:
        click.UsageError: The tap does not have a setting that was asked for.
        Refusal: It is switched off, or cannot be run for want of something.
    """
    tap = crms.tap_of(warehouse.project, crm)
    _check(warehouse, crm, tap, streams, options)
    run_id = str(uuid.uuid4())
    name = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{run_id}"
    user = meltano.environment(warehouse)
    environment = meltano.environment(warehouse, crm, streams)
    environment |= {variable(tap, name): text_of(it) for name, it in options.of_tap().items()}
    environment |= {f"{PREFIX}{name.upper()}": text_of(it)
                    for name, it in options.of_target().items()}  # fmt: skip
    if watched:
        environment |= {"TAPKIT_PROGRESS_SECONDS": "2"}
    environment["MELTANO_RUN_ID"] = run_id  # as the flag; the loader sees only this
    if streams:
        rules = narrowed(crms.selected(warehouse, tap), streams)
        environment[variable(tap, "_select")] = json.dumps(rules)
    with TemporaryDirectory(prefix="warehouse-sync-") as folder:
        if options.dry_run:
            environment |= _apart(warehouse, crm, tap, Path(folder), full=options.full)
        logging = Path(folder) / "logging.json"
        logging.write_text(json.dumps(_logging(options)), encoding="utf-8")
        pipeline = Pipeline(
            _command(warehouse, tap, run_id, logging, options),
            warehouse.project,
            environment,
            new_log(warehouse.project / LOGS / crm, name),
        )
        told = {name: value for name, value in environment.items() if user.get(name) != value}
        yield Sync(crm, run_id, options, pipeline, told)


def is_set_up(warehouse: Warehouse, crm: str) -> bool:
    """Tell whether a CRM has credentials, or its tap does not speak of any.

    Raises:
        Refusal: The warehouse cannot be reached.
    """
    known = crms.tap_settings(crms.tap_of(warehouse.project, crm))
    secrets = {name for name, it in known.items() if it.get("secret")}
    return not secrets or bool(secrets & handover.settings_of(warehouse, crm).keys())


def _check(
    warehouse: Warehouse, crm: str, tap: str, streams: Sequence[str], options: Options
) -> None:
    known = crms.tap_settings(tap)
    for name in options.of_tap():
        if known and name not in known:
            flag = {"page_size": "batch-size"}.get(name, name).replace("_", "-")
            having = [
                other
                for other, its in crms.crms(warehouse.project).items()
                if name in crms.tap_settings(its)
            ]
            raise click.UsageError(
                f"--{flag} is not for {crm}: {tap} has no setting {name}."
                f" It is for: {', '.join(having) or 'no CRM of this project'}."
            )
    if off := handover.switched_off(warehouse, crm, streams):
        what = crm if ALL in off else ", ".join(f"{crm} {stream}" for stream in sorted(off))
        raise Refusal(
            f"{what} is switched off in sync_configuration (is_active);"
            f" `warehouse config show {crm}` shows it."
        )


def _command(
    warehouse: Warehouse, tap: str, run_id: str, logging: Path, options: Options
) -> list[str]:
    return [
        meltano.executable(warehouse),
        f"--log-config={logging}",
        "run",
        f"--run-id={run_id}",
        *(["--full-refresh"] if options.full else []),
        tap,
        bookmarks.LOADER,
    ]


def _logging(options: Options) -> dict[str, Any]:
    debugging = {"meltano.plugin.stderr": {"level": "DEBUG"}} if options.debug else {}
    return {**LOG_CONFIG, "loggers": {**LOG_CONFIG["loggers"], **debugging}}


def _apart(warehouse: Warehouse, crm: str, tap: str, folder: Path, *, full: bool) -> dict[str, str]:
    """Return a dry run's variables: Meltano reads the true bookmarks, but writes elsewhere.

    Its own tables may be in the warehouse's server, which is to stay as it is to the last byte.
    """
    result = {
        "MELTANO_DATABASE_URI": f"sqlite:///{folder / 'meltano.db'}",
        "MELTANO_STATE_BACKEND_URI": "systemdb",
    }
    state = None if full else bookmarks.Bookmarks(warehouse, crm).state()
    if state:
        path = folder / "state.json"
        path.write_text(json.dumps(state), encoding="utf-8")
        result[variable(tap, "_state")] = str(path)
    return result
