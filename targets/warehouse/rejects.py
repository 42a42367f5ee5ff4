"""The records the warehouse refused, as they came, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from psycopg2 import sql
from psycopg2.extras import execute_values

from warehouse.history import ensure_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["Reject", "Rejects"]

ErrorClass = Literal["validation", "database", "conversion"]

_DDL: Final = """
CREATE TABLE {table} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    history_id bigint,
    crm_source varchar(50) NOT NULL,
    stream text NOT NULL,
    key jsonb,
    record text NOT NULL,
    error_class varchar(20) NOT NULL
        CHECK (error_class IN ('validation', 'database', 'conversion')),
    message text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON {table} (history_id);
CREATE INDEX ON {table} (crm_source, stream);
"""


@dataclass(frozen=True)
class Reject:
    """One refused record.

    `record` is its JSON as received; text and not jsonb, because what jsonb cannot hold is one of
    the reasons to be here. `key` is the JSON of its key properties.
    """

    key: str
    record: str
    error_class: ErrorClass
    message: str


class Rejects:
    """Rows of ``sync_rejects`` in one schema. Every method works in the caller's transaction."""

    def __init__(self, schema: str = "public") -> None:
        """Name the schema that holds the table."""
        self.schema = schema
        self.table = sql.Identifier(schema, "sync_rejects")

    def ensure(self, cursor: Cursor) -> None:
        """Create schema, table and indexes where they are missing."""
        ensure_schema(cursor, self.schema)
        cursor.execute(
            "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = 'sync_rejects'",
            (self.schema,),
        )
        if cursor.fetchone() is None:
            cursor.execute(sql.SQL(_DDL).format(table=self.table))

    def store(
        self,
        cursor: Cursor,
        rejects: Sequence[Reject],
        *,
        history_id: int,
        crm_source: str,
        stream: str,
    ) -> None:
        """Insert refused records beside the batch they came with."""
        execute_values(
            cursor,
            sql.SQL(
                "INSERT INTO {} (history_id, crm_source, stream, key, record, error_class, message)"
                " VALUES %s"
            ).format(self.table),
            [
                (
                    history_id,
                    crm_source,
                    stream,
                    reject.key,
                    reject.record.replace("\0", "\ufffd"),
                    reject.error_class,
                    reject.message.replace("\0", "\ufffd"),
                )
                for reject in rejects
            ],
            template="(%s, %s, %s, %s::jsonb, %s, %s, %s)",
        )
