"""The records the warehouse refused, as they came, each with its reason."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from psycopg2 import sql
from psycopg2.extras import execute_values

from warehouse.history import ensure_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["Origin", "Reject", "Rejects"]

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
    created_at timestamptz NOT NULL DEFAULT now(),
    schema_hash text
);
CREATE INDEX ON {table} (history_id);
CREATE INDEX ON {table} (crm_source, stream);
"""
_SCHEMAS_DDL: Final = """
CREATE TABLE {table} (
    hash text PRIMARY KEY,
    message text NOT NULL,
    settings jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
)
"""
_EXISTING: Final = """
SELECT relname || '.' || attname FROM pg_attribute
JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %s AND attnum > 0 AND NOT attisdropped
    AND (relname, attname) IN
        (('sync_rejects', 'id'), ('sync_rejects', 'schema_hash'), ('sync_reject_schemas', 'hash'))
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


@dataclass(frozen=True)
class Origin:
    """What refused records came with, so that they can be sent again.

    `message` is the JSON of their SCHEMA message, after stream maps, as the records are. `settings`
    is the JSON of those settings of the loader that decide where rows go and what becomes of them.
    """

    message: str
    settings: str

    @property
    def hash(self) -> str:
        """By this the one row that all rejects of this origin share is found."""
        return hashlib.sha256(f"{self.message}\n{self.settings}".encode()).hexdigest()


class Rejects:
    """Rows of ``sync_rejects`` and ``sync_reject_schemas`` in one schema.

    Every method works in the caller's transaction.
    """

    def __init__(self, schema: str = "public") -> None:
        """Name the schema that holds the table."""
        self.schema = schema
        self.table = sql.Identifier(schema, "sync_rejects")
        self.schemas = sql.Identifier(schema, "sync_reject_schemas")

    def ensure(self, cursor: Cursor) -> None:
        """Create schema, tables, columns and indexes where they are missing."""
        ensure_schema(cursor, self.schema)
        existing = self.existing(cursor)
        if "sync_rejects.id" not in existing:
            cursor.execute(sql.SQL(_DDL).format(table=self.table))
        elif "sync_rejects.schema_hash" not in existing:  # a table of the first versions
            cursor.execute(sql.SQL("ALTER TABLE {} ADD schema_hash text").format(self.table))
        if "sync_reject_schemas.hash" not in existing:
            cursor.execute(sql.SQL(_SCHEMAS_DDL).format(table=self.schemas))

    def existing(self, cursor: Cursor) -> set[str]:
        """Return which of the tables and columns that came one after the other are there."""
        cursor.execute(_EXISTING, (self.schema,))
        return {name for (name,) in cursor.fetchall()}

    def store(
        self,
        cursor: Cursor,
        rejects: Sequence[Reject],
        *,
        history_id: int,
        crm_source: str,
        stream: str,
        origin: Origin,
    ) -> None:
        """Insert refused records, and what they came with, beside the batch they came in."""
        cursor.execute(
            sql.SQL(
                "INSERT INTO {} (hash, message, settings) VALUES (%s, %s, %s)"
                " ON CONFLICT DO NOTHING"
            ).format(self.schemas),
            (origin.hash, origin.message, origin.settings),
        )
        execute_values(
            cursor,
            sql.SQL(
                "INSERT INTO {} (history_id, crm_source, stream, key, record, error_class, message,"
                " schema_hash) VALUES %s"
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
                    origin.hash,
                )
                for reject in rejects
            ],
            template="(%s, %s, %s, %s::jsonb, %s, %s, %s, %s)",
        )

    def refuse_again(self, cursor: Cursor, rejects: Mapping[int, Reject], history_id: int) -> None:
        """Give rejects that were sent again, by their ids, their new reason and run."""
        if not rejects:
            return
        execute_values(
            cursor,
            sql.SQL(
                "UPDATE {} AS reject SET error_class = again.error_class, message = again.message,"
                " history_id = again.history_id"
                " FROM (VALUES %s) AS again (id, error_class, message, history_id)"
                " WHERE reject.id = again.id"
            ).format(self.table),
            [
                (number, reject.error_class, reject.message.replace("\0", "\ufffd"), history_id)
                for number, reject in rejects.items()
            ],
        )

    def remove(self, cursor: Cursor, ids: Sequence[int]) -> int:
        """Delete rejects; return how many there were."""
        cursor.execute(sql.SQL("DELETE FROM {} WHERE id = ANY (%s)").format(self.table), (ids,))
        return cursor.rowcount
