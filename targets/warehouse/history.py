"""SyncHistory: one row per stream and run, kept true inside the loader's own transactions.

A row is opened ``running``, its counters move in the transaction of the batch they count, and it
is closed ``success``, ``partial`` or ``failed``. While a run lives it holds a session advisory lock
per row, so a ``running`` row whose lock is free belongs to a process that is gone.

`processed = created + updated + unchanged + deduplicated + failed`, always. A row that a record
asked to delete counts as updated; rows deleted without a record of their own are only in
``records_deleted``.
"""

from __future__ import annotations

import platform
import resource
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal

from psycopg2 import sql
from psycopg2.extras import Json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["ABANDONED", "Counts", "History", "Status", "ensure_schema", "has_table", "take_turns"]

Status = Literal["running", "success", "partial", "failed"]

ABANDONED: Final = "The process ended before the stream was complete; closed by the next run"

_DDL: Final = """
CREATE TABLE {table} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    crm_source varchar(50) NOT NULL,
    sync_type varchar(100) NOT NULL,
    endpoint varchar(200),
    status varchar(20) NOT NULL DEFAULT 'running'
        CHECK (status IN ('running', 'success', 'partial', 'failed')),
    start_time timestamptz NOT NULL DEFAULT now(),
    end_time timestamptz,
    records_processed bigint NOT NULL DEFAULT 0,
    records_created bigint NOT NULL DEFAULT 0,
    records_updated bigint NOT NULL DEFAULT 0,
    records_failed bigint NOT NULL DEFAULT 0,
    error_message text,
    performance_metrics jsonb NOT NULL DEFAULT '{{}}',
    configuration jsonb NOT NULL DEFAULT '{{}}',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON {table} (crm_source, sync_type);
CREATE INDEX ON {table} (start_time);
CREATE INDEX ON {table} (status);
"""


@dataclass
class Counts:
    """What happened to the records of one stream in one run.

    `warnings` are values that could not be stored as they came (see the column ``sync_issues``).
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deduplicated: int = 0
    failed: int = 0
    deleted: int = 0
    warnings: int = 0
    batches: int = 0

    @property
    def processed(self) -> int:
        """Records that reached an end, whichever."""
        return self.created + self.updated + self.unchanged + self.deduplicated + self.failed

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )

    def metrics(self, seconds: float, api_calls: int = 0, warnings: int = 0) -> dict[str, Any]:
        """Return ``performance_metrics``.

        Args:
            seconds: Duration of the stream so far.
            api_calls: Requests the extractor says it made.
            warnings: Validation warnings the extractor says it gave.
        """
        processed = self.processed
        return {
            "duration_seconds": round(seconds, 3),
            "records_per_second": round(processed / seconds, 1) if seconds else 0,
            "api_calls": api_calls,
            "api_calls_per_record": round(api_calls / processed, 4) if processed else 0,
            "peak_memory_mb": peak_memory_mb(),
            "batches": self.batches,
            "records_unchanged": self.unchanged,
            "records_deduplicated": self.deduplicated,
            "records_deleted": self.deleted,
            "validation_warnings": self.warnings + warnings,
            "success_rate": round(1 - self.failed / processed, 4) if processed else 1,
        }


def peak_memory_mb() -> float:
    """Return the largest resident size this process has had, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024**2 if platform.system() == "Darwin" else 1024), 1)


def take_turns(cursor: Cursor, what: str) -> None:
    """Wait until no other transaction creates the same thing; ends with the transaction."""
    cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (what,))


def ensure_schema(cursor: Cursor, name: str) -> None:
    """Create a schema unless it is there; asks first, because creating needs a right."""
    cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (name,))
    if cursor.fetchone() is None:
        take_turns(cursor, name)
        cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name)))


def has_table(cursor: Cursor, schema: str, name: str) -> bool:
    """Tell whether a table that the warehouse keeps is there."""
    cursor.execute(
        "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = %s", (schema, name)
    )
    return cursor.fetchone() is not None


class History:
    """Rows of ``sync_history`` in one schema. Every method works in the caller's transaction."""

    def __init__(self, schema: str = "public") -> None:
        """Name the schema that holds the table."""
        self.schema = schema
        self.table = sql.Identifier(schema, "sync_history")

    def ensure(self, cursor: Cursor) -> None:
        """Create schema, table and indexes where they are missing."""
        ensure_schema(cursor, self.schema)
        if not self.exists(cursor):
            cursor.execute(sql.SQL(_DDL).format(table=self.table))

    def exists(self, cursor: Cursor) -> bool:
        """Tell whether the table is there."""
        return has_table(cursor, self.schema, "sync_history")

    def open(
        self,
        cursor: Cursor,
        crm_source: str,
        sync_type: str,
        configuration: dict[str, Any],
    ) -> int:
        """Insert a running row, hold its lock for the session and return its id."""
        cursor.execute(
            sql.SQL(
                "INSERT INTO {} (crm_source, sync_type, configuration, performance_metrics)"
                " VALUES (%s, left(%s, 100), %s, %s) RETURNING id"
            ).format(self.table),
            (crm_source, sync_type, Json(configuration), Json(Counts().metrics(0))),
        )
        history_id = int(_one(cursor)[0])
        self.lock(cursor, history_id)
        return history_id

    def lock(self, cursor: Cursor, history_id: int) -> None:
        """Hold the lock that says the row's process lives; again after a lost connection."""
        cursor.execute(
            "SELECT pg_try_advisory_lock(%s::regclass::oid::int, %s::bigint::bit(32)::int)",
            (self.table.as_string(cursor), history_id),
        )

    def progress(
        self,
        cursor: Cursor,
        history_id: int,
        counts: Counts,
        metrics: dict[str, Any],
        configuration: Mapping[str, Any],
    ) -> None:
        """Write the counters; to be called in the transaction of the batch they count."""
        cursor.execute(
            sql.SQL(
                "UPDATE {} SET status = 'running', end_time = NULL, error_message = NULL,"
                " records_processed = %s, records_created = %s, records_updated = %s,"
                " records_failed = %s, performance_metrics = %s,"
                " configuration = configuration || %s WHERE id = %s"
            ).format(self.table),
            (
                counts.processed,
                counts.created,
                counts.updated,
                counts.failed,
                Json(metrics | {"counts": asdict(counts)}),
                Json(configuration),
                history_id,
            ),
        )

    def stored(self, cursor: Cursor, history_id: int) -> Counts:
        """Return the counters as committed; waits for a commit that is still under way."""
        cursor.execute(
            sql.SQL(
                "SELECT performance_metrics -> 'counts' FROM {} WHERE id = %s FOR UPDATE"
            ).format(self.table),
            (history_id,),
        )
        return Counts(**(_one(cursor)[0] or {}))

    def close(
        self,
        cursor: Cursor,
        history_id: int,
        status: Status,
        *,
        metrics: dict[str, Any],
        configuration: dict[str, Any],
        endpoint: str | None = None,
        error: str | None = None,
    ) -> None:
        """Give a row its end.

        Its lock stays with the session: given back before the commit, it would have the row look
        abandoned for a moment.
        """
        cursor.execute(
            sql.SQL(
                "UPDATE {} SET status = %s, end_time = clock_timestamp(), endpoint = left(%s, 200),"
                " error_message = %s, performance_metrics = %s,"
                " configuration = configuration || %s WHERE id = %s"
            ).format(self.table),
            (status, endpoint, error, Json(metrics), Json(configuration), history_id),
        )

    def close_abandoned(self, cursor: Cursor) -> list[str]:
        """Close the running rows whose process is gone.

        Returns:
            The streams concerned, as "hubspot contacts".
        """
        cursor.execute(
            sql.SQL(
                "WITH running AS MATERIALIZED (SELECT id FROM {table} WHERE status = 'running'),"
                " abandoned AS MATERIALIZED (SELECT id FROM running"
                " WHERE pg_try_advisory_xact_lock(%s::regclass::oid::int, id::bit(32)::int))"
                " UPDATE {table} AS history SET status = 'failed', end_time = now(),"
                " error_message = %s, performance_metrics = performance_metrics - 'counts'"
                " FROM abandoned WHERE history.id = abandoned.id AND history.status = 'running'"
                " RETURNING crm_source || ' ' || sync_type"
            ).format(table=self.table),
            (self.table.as_string(cursor), ABANDONED),
        )
        return [row[0] for row in cursor.fetchall()]


def _one(cursor: Cursor) -> tuple[Any, ...]:
    row = cursor.fetchone()
    if row is None:
        raise LookupError("The sync_history row is gone; was it deleted during the run?")
    return row
