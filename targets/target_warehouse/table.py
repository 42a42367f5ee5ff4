"""One table of the warehouse: what it is now, and the changes that let a stream in."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import psycopg2.errors
from psycopg2 import sql
from warehouse.history import ensure_schema, take_turns

from target_warehouse.columns import Column, kind_of, storage_for, using
from target_warehouse.errors import TableConflictError
from target_warehouse.names import BOOKKEEPING, column_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["DELETED_AT", "METADATA", "Table"]

logger = logging.getLogger("target-warehouse")

DELETED_AT: Final = "_sdc_deleted_at"
METADATA: Final[dict[str, str]] = {
    "_sdc_extracted_at": "timestamp with time zone",
    "_sdc_received_at": "timestamp with time zone",
    "_sdc_batched_at": "timestamp with time zone",
    "_sdc_sequence": "bigint",
    "_sdc_table_version": "bigint",
    "_sdc_sync_started_at": "bigint",
}
_BOOKKEEPING_TYPES: Final = {
    "sync_issues": "jsonb",
    "sync_created_at": "timestamp with time zone",
    "sync_updated_at": "timestamp with time zone",
}

_COLUMNS: Final = """
SELECT attname, format_type(atttypid, atttypmod)
FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
"""
_UNIQUE: Final = """
SELECT array(
    SELECT attname::text FROM pg_attribute
    WHERE attrelid = indrelid AND attnum = ANY (indkey) ORDER BY attname
), indisprimary, (SELECT conname FROM pg_constraint WHERE conindid = indexrelid AND contype = 'p')
FROM pg_index
WHERE indrelid = to_regclass(%s) AND indisunique AND indisvalid AND indimmediate
    AND indpred IS NULL AND indexprs IS NULL
"""


@dataclass
class Table:
    """A table and the columns a stream writes to it.

    Attributes:
        schema: Name of its schema.
        name: Its name.
        keys: Columns of the key, in the order of `key_properties`; empty: rows are only appended.
        columns: Columns of the data, in the order of the stream's schema.
        stored: All its columns as they are in the database: name → type.
        metadata: Columns of `METADATA` that are kept.
    """

    schema: str
    name: str
    keys: tuple[str, ...] = ()
    columns: list[Column] = field(default_factory=list)
    stored: dict[str, str] = field(default_factory=dict)
    metadata: tuple[str, ...] = ()

    @property
    def sql(self) -> sql.Identifier:
        """The quoted name, schema included."""
        return sql.Identifier(self.schema, self.name)

    @property
    def has_deleted_at(self) -> bool:
        """Whether rows can be marked as deleted."""
        return DELETED_AT in self.stored

    def storage(self, column: str) -> str:
        """Return a column's type."""
        return self.stored[column]

    def prepare(self, cursor: Cursor, properties: Mapping[str, Mapping[str, Any]]) -> None:
        """Create the table, or add and widen columns, so that it holds these properties.

        Raises:
            TableConflictError: Something that depends on the table stands in the way.
        """
        self._read(cursor)
        if not self.stored:
            take_turns(cursor, f"{self.schema}.{self.name}")
            self._read(cursor)
        wanted = {
            field: (kind_of(schema), column_name(field))
            for field, schema in properties.items()
            if field not in BOOKKEEPING[:1]
        }
        self.columns = [
            Column(field, name, kind, storage_for(kind, self.stored.get(name)))
            for field, (kind, name) in wanted.items()
        ]
        types = {column.name: column.storage for column in self.columns}
        types |= {name: METADATA[name] for name in self.metadata if name not in self.stored}
        types |= {k: v for k, v in _BOOKKEEPING_TYPES.items() if k not in self.stored}
        if self.stored:
            self._evolve(cursor, types)
        else:
            self._create(cursor, types)
        self._ensure_key(cursor)

    def add_deleted_at(self, cursor: Cursor) -> None:
        """Make room for marking rows as deleted."""
        if not self.has_deleted_at:
            self._evolve(cursor, {DELETED_AT: "timestamp with time zone"})

    def widen(self, cursor: Cursor, columns: Iterable[Column]) -> None:
        """Let whole-number columns hold numbers beyond bigint."""
        self._evolve(cursor, {column.name: "numeric" for column in columns})

    def _read(self, cursor: Cursor) -> None:
        cursor.execute(_COLUMNS, (self.sql.as_string(cursor),))
        self.stored = dict(cursor.fetchall())

    def _create(self, cursor: Cursor, types: Mapping[str, str]) -> None:
        ensure_schema(cursor, self.schema)
        cursor.execute(
            sql.SQL("CREATE TABLE {} ({})").format(
                self.sql,
                sql.SQL(", ").join(
                    sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(storage))
                    for name, storage in types.items()
                ),
            )
        )
        self.stored = dict(types)

    def _evolve(self, cursor: Cursor, types: Mapping[str, str]) -> None:
        changes = []
        for name, storage in types.items():
            column, kind = sql.Identifier(name), sql.SQL(storage)
            stored = self.stored.get(name)
            if stored is None:
                changes.append(sql.SQL("ADD COLUMN {} {}").format(column, kind))
            elif stored != storage:
                logger.info(
                    "Widening %s.%s.%s from %s to %s", self.schema, self.name, name, stored, storage
                )
                carried = sql.SQL(using(stored, storage)).format(column)
                changes.append(
                    sql.SQL("ALTER COLUMN {0} TYPE {1} USING {2}").format(column, kind, carried)
                )
        if not changes:
            return
        try:
            cursor.execute(
                sql.SQL("ALTER TABLE {} {}").format(self.sql, sql.SQL(", ").join(changes))
            )
        except psycopg2.errors.FeatureNotSupported as error:
            raise TableConflictError(
                f"Table {self.schema}.{self.name} needs wider columns, but"
                f" {error.diag.message_primary} ({error.diag.message_detail})."
                " Drop the view, run again, and create it anew."
            ) from None
        self.stored.update(types)

    def _ensure_key(self, cursor: Cursor) -> None:
        cursor.execute(_UNIQUE, (self.sql.as_string(cursor),))
        indexes = cursor.fetchall()
        primary = next((name for _, is_primary, name in indexes if is_primary), None)
        if not self.keys:
            if indexes:
                raise TableConflictError(
                    f"Table {self.schema}.{self.name} has a key, but rows shall be appended to it."
                    " Use load_method upsert, or drop the key or the table."
                )
            return
        if any(columns == sorted(self.keys) for columns, _, _ in indexes):
            return
        changes = [
            sql.SQL("ADD PRIMARY KEY ({})").format(
                sql.SQL(", ").join(map(sql.Identifier, self.keys))
            )
        ]
        if primary:
            changes.insert(0, sql.SQL("DROP CONSTRAINT {}").format(sql.Identifier(primary)))
        try:
            cursor.execute(
                sql.SQL("ALTER TABLE {} {}").format(self.sql, sql.SQL(", ").join(changes))
            )
        except (psycopg2.errors.UniqueViolation, psycopg2.errors.NotNullViolation):
            raise TableConflictError(
                f"The rows of table {self.schema}.{self.name} are not unique by"
                f" {', '.join(self.keys)}, the key of the stream. Remove duplicates or the table."
            ) from None
