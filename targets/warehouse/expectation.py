"""When data is expected: by what the caller says, by the schedules in the database, or daily."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from croniter import croniter
from psycopg2 import sql

from warehouse.crms import crms
from warehouse.history import has_table
from warehouse.runs import rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = [
    "DAILY",
    "EVERY",
    "VARIABLE",
    "Expectation",
    "Expected",
    "configured",
    "hours_of",
    "hours_of_variables",
]

DAILY: Final = 26.0
"""Hours: a day, and time for the run itself."""
EVERY: Final = "*"
"""In place of a CRM: all that are not named; in place of a stream: the whole CRM."""
VARIABLE: Final = "WAREHOUSE_EXPECTED_HOURS"
_FOREVER: Final = 24 * 366 * 10
_WHOLE: Final = frozenset({"", EVERY, "all", None})


@dataclass(frozen=True)
class Expected:
    """Within how many hours of now the last success should lie, and who says so."""

    hours: float
    reason: str = ""


@dataclass(frozen=True)
class Expectation:
    """How fresh the streams should be.

    Attributes:
        hours: CRM → hours, as the caller says; `EVERY` for those that are not named.
        schedules: (CRM, stream or `EVERY`) → cron expression.
        inactive: (CRM, stream or `EVERY`) that are switched off; nothing is expected of them.
        configured: CRMs that have a row in sync_configuration and are not switched off.
    """

    hours: Mapping[str, float] = field(default_factory=dict)
    schedules: Mapping[tuple[str, str], str] = field(default_factory=dict)
    inactive: frozenset[tuple[str, str]] = frozenset()
    configured: frozenset[str] = frozenset()

    @classmethod
    def read(cls, cursor: Cursor, schema: str, hours: Mapping[str, float]) -> Expectation:
        """Return what is expected; without a table sync_configuration only what `hours` says."""
        if not has_table(cursor, schema, "sync_configuration"):
            return cls(hours)
        cursor.execute(
            sql.SQL(
                "SELECT crm_source, sync_type, is_active, schedule_enabled, schedule_cron FROM {}"
            ).format(sql.Identifier(schema, "sync_configuration"))
        )
        found = [row | {"about": _about(row)} for row in rows(cursor)]
        active = [row for row in found if row["is_active"]]
        return cls(
            hours,
            schedules={
                row["about"]: row["schedule_cron"]
                for row in active
                if row["schedule_enabled"] and croniter.is_valid(row["schedule_cron"] or "")
            },
            inactive=frozenset(row["about"] for row in found if not row["is_active"]),
            configured=frozenset(row["crm_source"] for row in active),
        )

    def of(self, crm: str, stream: str, now: datetime) -> Expected | None:
        """Return what is expected of a stream; None where it is switched off.

        By a schedule, the success before the last one must not be missing: the last may still be
        under way.
        """
        if {(crm, stream), (crm, EVERY)} & self.inactive:
            return None
        if crm in self.hours:
            return Expected(self.hours[crm])
        cron = self.schedules.get((crm, stream)) or self.schedules.get((crm, EVERY))
        if cron:
            times = croniter(cron, now.astimezone(timezone.utc))
            times.get_prev(datetime)
            before: datetime = times.get_prev(datetime)
            return Expected((now - before).total_seconds() / 3600, f"schedule {cron}")
        return Expected(self.hours.get(EVERY, DAILY))


def hours_of(texts: Iterable[str]) -> dict[str, float]:
    """Read `hubspot=2`, or `26` for all CRMs that are not named.

    Raises:
        ValueError: It is neither; the message is a sentence.
    """
    result = {}
    for text in texts:
        crm, _, number = text.rpartition("=")
        try:
            hours = float(number)
        except ValueError:
            hours = 0
        if not 0 < hours < _FOREVER:
            raise ValueError(f"{text!r} is not a CRM and its hours, as hubspot=2.")
        result[crm or EVERY] = hours
    return result


def hours_of_variables(variables: Mapping[str, str]) -> dict[str, float]:
    """Return CRM → hours as `VARIABLE` says, ``hubspot=2 26``; empty where it is not set.

    Raises:
        ValueError: It says something else; the message is a sentence.
    """
    try:
        return hours_of(variables.get(VARIABLE, "").replace(",", " ").split())
    except ValueError as error:
        raise ValueError(f"{VARIABLE}: {error}") from None


def configured(
    cursor: Cursor, schema: str, project: Path, variables: Mapping[str, str]
) -> set[str]:
    """Return the CRMs that somebody means to read.

    These are the project's for whose tap a variable is set, as TAP_HUBSPOT_ACCESS_TOKEN is, and
    those with credentials in the database.
    """
    found = set()
    if (project / "meltano.yml").exists():
        for crm, tap in crms(project).items():
            prefix = f"{tap.upper().replace('-', '_')}_"
            if any(name.startswith(prefix) and value for name, value in variables.items()):
                found.add(crm)
    if has_table(cursor, schema, "api_credentials"):
        table = sql.Identifier(schema, "api_credentials")
        cursor.execute(
            "SELECT has_table_privilege(%s, 'SELECT') AS may_read", (table.as_string(cursor),)
        )
        if rows(cursor)[0]["may_read"]:
            cursor.execute(sql.SQL("SELECT crm_source FROM {} WHERE is_active").format(table))
            found |= {row["crm_source"] for row in rows(cursor)}
    return found


def _about(row: Mapping[str, Any]) -> tuple[str, str]:
    stream = row["sync_type"]
    return row["crm_source"], EVERY if stream in _WHOLE else stream
