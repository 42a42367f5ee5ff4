"""One table of the warehouse: what it is now, and the changes that let a stream in."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import psycopg2.errors
from psycopg2 import sql
from warehouse.history import ensure_schema, take_turns

from target_warehouse.access import drop_views, ensure_index, grant_select
from target_warehouse.columns import Column, kind_of, storage_for, using
from target_warehouse.errors import TableConflictError
from target_warehouse.jsontext import clean
from target_warehouse.names import BOOKKEEPING, FINGERPRINT, Naming, assign

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
_MOMENTS: Final = {"sync_created_at", "sync_updated_at"}
_FINGERPRINTED: Final = {("text", "text"), ("integer", "bigint")}
_ESCAPED: Final = re.compile(r'["\\\x00-\x1f]')
_PROPERTY: Final = "property: "
_STREAM: Final = "stream: "

_COLUMNS: Final = """
SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum),
    obj_description(attrelid, 'pg_class')
FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
"""
_TAKES_COPIES: Final = """
SELECT relkind = 'r' AND NOT (relhasrules OR relrowsecurity) AND (
    SELECT count(*) = 2 FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
    WHERE adrelid = pg_class.oid AND attname IN ('sync_created_at', 'sync_updated_at')
        AND pg_get_expr(adbin, adrelid) = 'now()'
) AND NOT EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attidentity = 'a')
FROM pg_class WHERE oid = to_regclass(%s)
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
        stream: The stream it belongs to.
        key_fields: Properties of the key, in their order; empty: rows are only appended.
        naming: How columns are named after properties.
        columns: Columns of the data, in the order of the stream's schema.
        stored: All its columns as they are in the database: name → type.
        metadata: Columns of `METADATA` that are kept.
        indexes: Properties to have an index on, each a list.
        readers: Roles that shall be able to read it.
        rebuild_views: Make views again that are in the way of a wider column.
        fingerprints: Keep fingerprints of the rows, if their key allows it.
        columns_of: Property → column, after `prepare`.
    """

    schema: str
    name: str
    stream: str = ""
    key_fields: tuple[str, ...] = ()
    naming: Naming = "preserve"
    columns: list[Column] = field(default_factory=list)
    stored: dict[str, str] = field(default_factory=dict)
    metadata: tuple[str, ...] = ()
    indexes: Sequence[Sequence[str]] = ()
    readers: Sequence[str] = ()
    rebuild_views: bool = False
    fingerprints: bool = False
    columns_of: dict[str, str] = field(default_factory=dict)

    @property
    def sql(self) -> sql.Identifier:
        """The quoted name, schema included."""
        return sql.Identifier(self.schema, self.name)

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns of the key."""
        return tuple(self.columns_of.get(name, name) for name in self.key_fields)

    @property
    def has_deleted_at(self) -> bool:
        """Whether rows can be marked as deleted."""
        return DELETED_AT in self.stored

    @property
    def fingerprinted(self) -> bool:
        """Whether rows have fingerprints: where equal keys are equal texts or whole numbers."""
        keys = [(c.kind, c.storage) for c in self.columns if c.field in self.key_fields]
        plain = not any(_ESCAPED.search(name) for name in self.key_fields)  # msgspec reads no other
        return self.fingerprints and bool(keys) and {*keys} <= _FINGERPRINTED and plain

    def storage(self, column: str) -> str:
        """Return a column's type."""
        return self.stored[column]

    def has_rows(self, cursor: Cursor) -> bool:
        """Tell whether there is anything in it."""
        cursor.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(self.sql))
        return cursor.fetchone() == (True,)

    def takes_copies(self, cursor: Cursor) -> bool:
        """Tell whether new rows can be copied into it, and for all we know would be new.

        Rules, row security and the guard of an identity are for INSERT; and tables that were made
        elsewhere may not fill in the moments by themselves. Partitioned ones are refused by the
        merge, and so from the first batch on.
        """
        cursor.execute(_TAKES_COPIES, (self.sql.as_string(cursor),))
        return cursor.fetchone() == (True,) and not (self.keys and self.has_rows(cursor))

    def prepare(self, cursor: Cursor, properties: Mapping[str, Mapping[str, Any]]) -> None:
        """Create the table, or add and widen columns, so that it holds these properties.

        Raises:
            TableConflictError: Something that depends on the table stands in the way.
        """
        recorded = self._read(cursor)
        if not self.stored:
            take_turns(cursor, f"{self.schema}.{self.name}")
            recorded = self._read(cursor)
        fields = [name for name in properties if name not in BOOKKEEPING[:1]]
        self.columns_of = assign(fields, self.naming, recorded)
        kinds = {name: kind_of(properties[name]) for name in fields}
        self.columns = [
            Column(name, column, kinds[name], storage_for(kinds[name], self.stored.get(column)))
            for name, column in self.columns_of.items()
        ]
        made = [column for column in self.columns if column.name not in self.stored]
        types = {column.name: column.storage for column in self.columns}
        types |= {name: METADATA[name] for name in self.metadata if name not in self.stored}
        kept = _BOOKKEEPING_TYPES | ({FINGERPRINT: "bigint"} if self.fingerprinted else {})
        types |= {k: v for k, v in kept.items() if k not in self.stored}
        if self.stored:
            self._evolve(cursor, types)
        else:
            self._create(cursor, types)
        self._record(cursor, made)
        self._ensure_key(cursor)
        self._ensure_access(cursor)

    def add_deleted_at(self, cursor: Cursor) -> None:
        """Make room for marking rows as deleted."""
        if not self.has_deleted_at:
            self._evolve(cursor, {DELETED_AT: "timestamp with time zone"})

    def widen(self, cursor: Cursor, columns: Iterable[Column]) -> None:
        """Let whole-number columns hold numbers beyond bigint."""
        self._evolve(cursor, {column.name: "numeric" for column in columns})

    def follow(self, cursor: Cursor, model: Table) -> None:
        """Add and widen columns, and change the key, until all is as in another table."""
        self._read(cursor)
        self._evolve(cursor, model.stored)
        self._ensure_key(cursor)

    def _read(self, cursor: Cursor) -> dict[str, str]:
        """Read the columns and return the recorded names: column → property."""
        cursor.execute(_COLUMNS, (self.sql.as_string(cursor),))
        rows = cursor.fetchall()
        self.stored = {name: storage for name, storage, _, _ in rows}
        owner = (rows[0][3] or "") if rows else ""
        if owner.startswith(_STREAM) and owner != _STREAM + clean(self.stream):
            raise TableConflictError(
                f"Table {self.schema}.{self.name} belongs to stream {owner[len(_STREAM) :]}, and"
                f" stream {self.stream} has the same name in it. Rename one by a stream map"
                " (__alias__), or set naming to preserve."
            )
        return {
            name: comment[len(_PROPERTY) :]
            for name, _, comment, _ in rows
            if (comment or "").startswith(_PROPERTY)
        }

    def _record(self, cursor: Cursor, made: Iterable[Column]) -> None:
        """Note in comments which property a new column belongs to, where its name may not say."""
        notes = [
            sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
                self.sql, sql.Identifier(column.name), sql.Literal(_PROPERTY + clean(column.field))
            )
            for column in made
            if self.naming == "snake" or column.name != column.field
        ]
        if notes and self.naming == "snake":
            owner = sql.Literal(_STREAM + clean(self.stream))
            notes.append(sql.SQL("COMMENT ON TABLE {} IS {}").format(self.sql, owner))
        if notes:
            cursor.execute(sql.SQL("; ").join(notes))

    def _create(self, cursor: Cursor, types: Mapping[str, str]) -> None:
        ensure_schema(cursor, self.schema)
        cursor.execute(
            sql.SQL("CREATE TABLE {} ({})").format(
                self.sql,
                sql.SQL(", ").join(
                    sql.SQL("{} {}{}").format(
                        sql.Identifier(name),
                        sql.SQL(storage),
                        sql.SQL(" DEFAULT now()" if name in _MOMENTS else ""),
                    )
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
        widens = any(self.stored.get(name, storage) != storage for name, storage in types.items())
        views = drop_views(cursor, self.sql) if widens and self.rebuild_views else ()
        try:
            cursor.execute(
                sql.SQL("ALTER TABLE {} {}").format(self.sql, sql.SQL(", ").join(changes))
            )
            for view in views:
                view.create(cursor)
        except psycopg2.errors.FeatureNotSupported as error:
            raise TableConflictError(
                f"Table {self.schema}.{self.name} needs wider columns, but"
                f" {error.diag.message_primary} ({error.diag.message_detail})."
                " Drop the view, run again, and create it anew; or set rebuild_views."
            ) from None
        self.stored.update(types)

    def _ensure_access(self, cursor: Cursor) -> None:
        for index in self.indexes:
            if missing := [name for name in index if name not in self.columns_of]:
                raise TableConflictError(
                    f"indexes names the property {missing[0]}, which stream {self.stream} has not."
                )
            ensure_index(cursor, self.sql, [self.columns_of[name] for name in index])
        grant_select(cursor, self.schema, self.sql, self.readers)

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
