"""Runs as SyncHistory has them: the newest by filters, and one in detail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from warehouse.history import History, has_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["COLUMNS", "rejects_of", "rows", "run", "runs"]

COLUMNS: Final = (
    "id", "crm_source", "sync_type", "endpoint", "status", "start_time", "end_time",
    "records_processed", "records_created", "records_updated", "records_failed", "error_message",
    "performance_metrics", "configuration", "created_at",
)  # fmt: skip
"""Columns of sync_history, in their order."""

_FILTERS: Final = {
    "crm": sql.SQL("crm_source = ANY (%(crm)s)"),
    "stream": sql.SQL("sync_type = ANY (%(stream)s)"),
    "status": sql.SQL("status = ANY (%(status)s)"),
    "since": sql.SQL("start_time >= %(since)s"),
    "until": sql.SQL("start_time < %(until)s"),
    "run_id": sql.SQL(
        "%(run_id)s IN (configuration ->> 'run_id', configuration -> 'meltano' ->> 'run_id')"
    ),
}


def rows(cursor: Cursor) -> list[dict[str, Any]]:
    """Return what a query found, each row as column → value, whichever kind the cursor is."""
    names = [column.name for column in cursor.description or ()]
    found: list[Any] = cursor.fetchall()
    return [dict(row if isinstance(row, dict) else zip(names, row, strict=True)) for row in found]


def runs(
    cursor: Cursor,
    schema: str,
    *,
    crm: str | Sequence[str] | None = None,
    stream: str | Sequence[str] | None = None,
    status: str | Sequence[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    run_id: str | None = None,
    last: int | None = 20,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Return runs, the newest first; none where there is no table yet.

    Args:
        cursor: Of any kind.
        schema: Where sync_history is.
        crm: One crm_source, or several.
        stream: One sync_type, or several.
        status: One status, or several.
        since: Runs that started at this moment or later.
        until: Runs that started before this moment.
        run_id: Runs of one `meltano run`.
        last: How many; None: all.
        offset: How many of the newest to leave out, for the next page.
    """
    history = History(schema)
    if not history.exists(cursor):
        return []
    wanted: dict[str, Any] = {"crm": crm, "stream": stream, "status": status}
    values = {
        name: [value] if isinstance(value, str) else list(value)
        for name, value in wanted.items()
        if value
    } | {"since": since, "until": until, "run_id": run_id}
    conditions = [text for name, text in _FILTERS.items() if values.get(name) is not None]
    cursor.execute(
        sql.SQL(
            "SELECT {} FROM {} WHERE {} ORDER BY start_time DESC, id DESC"
            " LIMIT %(last)s OFFSET %(offset)s"
        ).format(
            sql.SQL(", ").join(map(sql.Identifier, COLUMNS)),
            history.table,
            sql.SQL(" AND ").join(conditions or [sql.SQL("true")]),
        ),
        {**values, "last": last, "offset": offset},
    )
    return rows(cursor)


def run(cursor: Cursor, schema: str, history_id: int) -> dict[str, Any] | None:
    """Return one run by its id, or None."""
    history = History(schema)
    if not history.exists(cursor):
        return None
    cursor.execute(
        sql.SQL("SELECT {} FROM {} WHERE id = %s").format(
            sql.SQL(", ").join(map(sql.Identifier, COLUMNS)), history.table
        ),
        (history_id,),
    )
    return next(iter(rows(cursor)), None)


def rejects_of(cursor: Cursor, schema: str, history_id: int) -> dict[str, int]:
    """Return how many records of a run wait in sync_rejects: error class → count."""
    if not has_table(cursor, schema, "sync_rejects"):
        return {}
    cursor.execute(
        sql.SQL(
            "SELECT error_class, count(*) AS count FROM {} WHERE history_id = %s"
            " GROUP BY error_class ORDER BY error_class"
        ).format(sql.Identifier(schema, "sync_rejects")),
        (history_id,),
    )
    return {row["error_class"]: row["count"] for row in rows(cursor)}
