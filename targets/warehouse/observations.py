"""What the tables say of each stream, as numbers and moments; `health` judges them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from warehouse.history import has_table
from warehouse.runs import rows

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

    from warehouse.history import History

__all__ = ["Key", "ended", "latest", "rejects", "running"]

Key = tuple[str, str]
"""crm_source and sync_type."""

_LONGEST_RUN: Final = timedelta(days=7)
"""Runs that took longer are not counted: their end has no index, only their start has."""

_IS_SYNC: Final = sql.SQL("configuration ->> 'mode' IS DISTINCT FROM 'replay'")
"""A replay of rejects says nothing of how well or how lately the source was read."""

_LATEST: Final = """
WITH newest AS (
    SELECT crm_source, sync_type, max(start_time) AS started,
        max(end_time) FILTER (WHERE status IN ('success', 'partial')) AS last_success
    FROM {table} AS history WHERE {wanted} AND {is_sync} GROUP BY 1, 2
)
SELECT newest.crm_source, newest.sync_type, last.id, last.status, last.start_time, last.end_time,
    last.error_message, newest.last_success
FROM newest
CROSS JOIN LATERAL (
    SELECT * FROM {table} AS history
    WHERE (history.crm_source, history.sync_type) = (newest.crm_source, newest.sync_type)
        AND history.start_time = newest.started AND {is_sync}
    ORDER BY id DESC LIMIT 1
) AS last
ORDER BY 1, 2
"""

# A run's last commit is as far from its start as the duration that it wrote then.
_RUNNING: Final = """
SELECT history.crm_source, history.sync_type, id, start_time,
    start_time + coalesce((performance_metrics ->> 'duration_seconds')::float8, 0)
        * interval '1 second' AS progressed,
    EXISTS (
        SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND classid = to_regclass(%(table)s) AND objid = (id & 4294967295)::oid
    ) AS alive
FROM {table} AS history WHERE status = 'running' ORDER BY id
"""


def latest(cursor: Cursor, history: History, crms: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return the newest run of each stream, and the end of the newest that was read to its end."""
    wanted = sql.SQL("crm_source = ANY (%(crms)s)" if crms else "true")
    cursor.execute(
        sql.SQL(_LATEST).format(table=history.table, wanted=wanted, is_sync=_IS_SYNC),
        {"crms": list(crms)},
    )
    return rows(cursor)


def ended(
    cursor: Cursor, history: History, since: datetime, until: datetime
) -> dict[Key, tuple[int, int]]:
    """Return stream → runs that ended within the period, and those of them that succeeded."""
    cursor.execute(
        sql.SQL(
            "SELECT crm_source, sync_type, count(*) AS ended,"
            " count(*) FILTER (WHERE status = 'success') AS succeeded FROM {}"
            " WHERE start_time >= %s AND start_time <= %s AND end_time > %s AND end_time <= %s"
            " AND status <> 'running' AND {} GROUP BY 1, 2"
        ).format(history.table, _IS_SYNC),
        (since - _LONGEST_RUN, until, since, until),
    )
    return {_key(row): (row["ended"], row["succeeded"]) for row in rows(cursor)}


def running(cursor: Cursor, history: History) -> list[dict[str, Any]]:
    """Return the running rows: when each got on last, and whether its process holds its lock."""
    statement = sql.SQL(_RUNNING).format(table=history.table)
    cursor.execute(statement, {"table": history.table.as_string(cursor)})
    return rows(cursor)


def rejects(
    cursor: Cursor, schema: str, now: datetime, period: timedelta
) -> dict[Key, tuple[int, int, int]]:
    """Return stream → refused records: all that wait, those of the period, of the one before."""
    if not has_table(cursor, schema, "sync_rejects"):
        return {}
    cursor.execute(
        sql.SQL(
            "SELECT crm_source, stream AS sync_type, count(*) AS waiting,"
            " count(*) FILTER (WHERE created_at > %(since)s) AS new,"
            " count(*) FILTER (WHERE created_at > %(before)s AND created_at <= %(since)s) AS before"
            " FROM {} GROUP BY 1, 2"
        ).format(sql.Identifier(schema, "sync_rejects")),
        {"since": now - period, "before": now - 2 * period},
    )
    return {_key(row): (row["waiting"], row["new"], row["before"]) for row in rows(cursor)}


def _key(row: dict[str, Any]) -> Key:
    return row["crm_source"], row["sync_type"]
