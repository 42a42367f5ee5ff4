"""What the page asks of the database beside `warehouse.runs` and `warehouse.health`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from warehouse.history import History
from warehouse.runs import rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["STREAMS", "Activity", "activity", "api_calls", "may_read", "neighbours", "streams"]

# Step by step through the index: as many looks at it as there are streams, however many runs.
STREAMS: Final = """
WITH RECURSIVE found AS (
    (SELECT crm_source, sync_type FROM {table} ORDER BY 1, 2 LIMIT 1)
    UNION ALL
    SELECT next.* FROM found CROSS JOIN LATERAL (
        SELECT crm_source, sync_type FROM {table}
        WHERE (crm_source, sync_type) > (found.crm_source, found.sync_type) ORDER BY 1, 2 LIMIT 1
    ) AS next
)
"""
"""Gives ``found``, the streams that have run; goes before a query of it."""
_EACH: Final = "SELECT * FROM found"

# Day by day through the index, so that nothing is sorted. A run under way counts up to its last
# commit, as its records do.
_ACTIVITY: Final = """
SELECT day, found.*
FROM generate_series(
    date_trunc('day', now()) - (%(days)s - 1) * interval '1 day', date_trunc('day', now()), '1 day'
) AS day
LEFT JOIN LATERAL (
    SELECT {by} AS name, count(*) AS runs, count(*) FILTER (WHERE status = 'failed') AS runs_failed,
        sum(records_processed) AS processed, sum(records_created) AS created,
        sum(records_updated) AS updated, sum(records_failed) AS failed,
        sum(coalesce(extract(epoch FROM end_time - start_time)::float8,
            (performance_metrics ->> 'duration_seconds')::float8, 0)) AS seconds
    FROM {table} WHERE start_time >= day AND start_time < day + interval '1 day'
        AND (%(crm)s IS NULL OR crm_source = %(crm)s)
    GROUP BY 1
) AS found ON true
ORDER BY 1, 2
"""

_API_CALLS: Final = """
SELECT crm_source, sum(coalesce((performance_metrics ->> 'api_calls')::bigint, 0)) AS calls
FROM {table} WHERE start_time >= date_trunc('day', now(), 'UTC') GROUP BY 1
"""

_LIMITS: Final = """
SELECT crm_source, max((api_settings ->> 'daily_api_calls')::numeric) AS allowed
FROM {table} WHERE api_settings ->> 'daily_api_calls' ~ '^[0-9]{{1,15}}$' GROUP BY 1
"""


def may_read(cursor: Cursor, schema: str, table: str, column: str) -> bool:
    """Tell whether a column is there, and this role may read it."""
    cursor.execute(
        "SELECT has_column_privilege(attrelid, attnum, 'SELECT')"
        " AND has_schema_privilege(relnamespace, 'USAGE') AS allowed"
        " FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
        " WHERE relnamespace = to_regnamespace(quote_ident(%s)) AND relname = %s AND attname = %s"
        " AND NOT attisdropped AND relkind IN ('r', 'p', 'v', 'm', 'f')",
        (schema, table, column),
    )
    return any(row["allowed"] for row in rows(cursor))


def streams(cursor: Cursor, schema: str) -> dict[str, list[str]]:
    """Return the CRMs and the streams that have run."""
    history = History(schema)
    if not history.exists(cursor):
        return {}
    cursor.execute(sql.SQL(STREAMS + _EACH).format(table=history.table))
    found: dict[str, list[str]] = {}
    for row in rows(cursor):
        found.setdefault(row["crm_source"], []).append(row["sync_type"])
    return found


@dataclass(frozen=True)
class Activity:
    """What runs did, by the day on which they started.

    Attributes:
        days: The days, one after the other, also those without a run.
        records: created, updated, failed, processed → a number per day.
        seconds: CRM or stream → seconds of work per day; None on days without.
        throughput: CRM or stream → records per second of work per day; None on days without.
        runs: Runs per day.
        runs_failed: Runs per day that failed.
    """

    days: list[datetime]
    records: Mapping[str, list[int]]
    seconds: Mapping[str, list[float | None]]
    throughput: Mapping[str, list[float | None]]
    runs: list[int]
    runs_failed: list[int]

    def __bool__(self) -> bool:
        return any(self.runs)


def activity(cursor: Cursor, schema: str, days: int, crm: str | None = None) -> Activity:
    """Return what happened in the last days: of one CRM by stream, of all by CRM.

    There must be a table sync_history.
    """
    by = sql.Identifier("sync_type" if crm else "crm_source")
    cursor.execute(
        sql.SQL(_ACTIVITY).format(table=History(schema).table, by=by), {"days": days, "crm": crm}
    )
    cells = {(row["day"], row["name"]): row for row in rows(cursor)}
    calendar = list(dict.fromkeys(day for day, _ in cells))
    names = sorted({name for _, name in cells if name is not None})

    def series(name: str) -> Iterable[dict[str, Any] | None]:
        return (cells.get((day, name)) for day in calendar)

    def total(column: str) -> list[int]:
        return [
            sum(int(cell[column] or 0) for (at, _), cell in cells.items() if at == day)
            for day in calendar
        ]

    return Activity(
        calendar,
        {name: total(name) for name in ("created", "updated", "failed", "processed")},
        {name: [cell["seconds"] if cell else None for cell in series(name)] for name in names},
        {
            name: [
                float(cell["processed"]) / cell["seconds"] if cell and cell["seconds"] else None
                for cell in series(name)
            ]
            for name in names
        },
        total("runs"),
        total("runs_failed"),
    )


def neighbours(cursor: Cursor, schema: str, run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the runs of a run's stream that lead up to it, the oldest first."""
    cursor.execute(
        sql.SQL(
            "SELECT id, start_time, status, records_processed,"
            " (performance_metrics ->> 'duration_seconds')::float8 AS seconds,"
            " (performance_metrics ->> 'records_per_second')::float8 AS rate FROM {}"
            " WHERE (crm_source, sync_type) = (%(crm_source)s, %(sync_type)s)"
            " AND start_time <= %(start_time)s ORDER BY start_time DESC, id DESC LIMIT 20"
        ).format(History(schema).table),
        run,
    )
    return rows(cursor)[::-1]


def api_calls(cursor: Cursor, schema: str) -> list[dict[str, Any]]:
    """Return requests of today (UTC) per CRM, and how many of them a day has where that is set.

    The limit is ``daily_api_calls`` of `api_settings` in sync_configuration.
    """
    history = History(schema)
    if not history.exists(cursor):
        return []
    limits: dict[str, int] = {}
    if may_read(cursor, schema, "sync_configuration", "api_settings"):
        cursor.execute(sql.SQL(_LIMITS).format(table=sql.Identifier(schema, "sync_configuration")))
        limits = {row["crm_source"]: int(row["allowed"]) for row in rows(cursor)}
    cursor.execute(sql.SQL(_API_CALLS).format(table=history.table))
    calls = {row["crm_source"]: int(row["calls"]) for row in rows(cursor)}
    return [
        {"crm": crm, "calls": calls.get(crm, 0), "allowed": limits.get(crm)}
        for crm in sorted({*calls, *limits})
    ]
