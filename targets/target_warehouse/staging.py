"""The SQL of one batch: into a temporary table by COPY, from there into its place.

The order of a batch is `copy`, `deduplicate`, `replace_scopes`, `delete_marked`, `merge`. What
concerns many rows is one statement, which says how many.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql
from psycopg2.extras import Json

from target_warehouse.csvtext import COPY_OPTIONS
from target_warehouse.names import FINGERPRINT
from target_warehouse.table import DELETED_AT, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["SEQUENCE", "Staging", "equal", "names"]

SEQUENCE: Final = "place in batch"
_ORDERED: Final = frozenset(
    {
        "bigint",
        "integer",
        "numeric",
        "date",
        "timestamp with time zone",
        "timestamp without time zone",
    }
)
_ENSURE_WRITER: Final = (
    "CREATE TEMP TABLE IF NOT EXISTS sync_writer (made boolean) ON COMMIT DELETE ROWS"
)
# A row in it has the id of the subtransaction, for which there is no function.
_WRITER: Final = sql.SQL(
    "writer AS (INSERT INTO pg_temp.sync_writer VALUES (true) RETURNING xmin::text::bigint AS id), "
)
_FINGERPRINTS: Final = sql.SQL("{} # (SELECT id FROM writer)").format(sql.Identifier(FINGERPRINT))
_TOAST_TUPLE_TARGET: Final = 8160
"""Bytes: as much as a page holds, so that wide rows are not compressed for a moment's stay."""
_COPY_BYTES: Final = 1 << 20


def names(columns: Iterable[str], *prefix: str) -> sql.Composed:
    """Return a list of quoted columns, each with the prefix."""
    return sql.SQL(", ").join(sql.Identifier(*prefix, column) for column in columns)


def equal(columns: Iterable[str], left: str, right: str) -> sql.Composed:
    """Return the condition that two relations agree in these columns."""
    return sql.SQL(" AND ").join(
        sql.SQL("{} = {}").format(sql.Identifier(left, c), sql.Identifier(right, c))
        for c in columns
    )


class Staging:
    """The temporary table of one stream, shaped like its table."""

    def __init__(
        self,
        name: str,
        table: Table,
        *,
        bookmark: Sequence[str],
        scope: Sequence[str],
        key_fields: Sequence[str],
        force: bool,
        hard_delete: bool,
        sync_started_at: int,
    ) -> None:
        """Describe the batch statements for a prepared table.

        Args:
            name: Unique in the session.
            table: The table, after `Table.prepare`.
            bookmark: Columns by which an older record is told from a newer one.
            scope: Columns whose values name a complete set of rows (``x-replace-by``).
            key_fields: Properties of the key.
            force: Write every row, whatever is stored.
            hard_delete: Delete the rows whose record says it is deleted.
            sync_started_at: Start of the run, in milliseconds since 1970.
        """
        self.table, self.scope, self.key_fields = table, scope, key_fields
        self.force, self.sync_started_at = force, sync_started_at
        self.hard_delete = hard_delete and bool(table.keys) and DELETED_AT in self.data
        self.name = sql.Identifier("pg_temp", name)
        self.bare = name
        # Text does not sort by age, so it guards nothing.
        self.bookmark = [c for c in bookmark if table.stored.get(c) in _ORDERED]

    @property
    def data(self) -> list[str]:
        """Columns of the data."""
        return [column.name for column in self.table.columns]

    @property
    def extras(self) -> list[str]:
        """Columns that are no data, and differ from record to record."""
        kept = {"_sdc_extracted_at": "_sdc_extracted_at" in self.table.metadata}
        kept[FINGERPRINT] = self.table.fingerprinted
        return [name for name, is_kept in kept.items() if is_kept]

    @property
    def copied(self) -> list[str]:
        """Columns COPY fills, in their order."""
        return [SEQUENCE, *self.data, "sync_issues", *self.extras]

    @property
    def may_be_passed_by(self) -> bool:
        """Whether rows that are new need nothing that is done here."""
        converted = "timestamp without time zone" in map(self.table.storage, self.data)
        others = self.scope or self.hard_delete or self.extras or self.table.metadata
        return not (converted or others)

    # Tables of the session

    def ensure(self, cursor: Cursor) -> None:
        """Create the temporary tables; they empty themselves with every transaction."""
        cursor.execute(_ENSURE_WRITER)
        # A moment with an offset loses it in a column without one, unless it is converted first.
        aware = {"timestamp without time zone": "timestamp with time zone"}
        types = {name: aware.get(storage, storage) for name, storage in self.table.stored.items()}
        cursor.execute(
            sql.SQL(
                "CREATE TEMP TABLE IF NOT EXISTS {} ({}) WITH (toast_tuple_target = {}) ON COMMIT"
                " DELETE ROWS"
            ).format(
                sql.Identifier(self.bare),
                sql.SQL(", ").join(
                    sql.SQL("{} {}").format(
                        sql.Identifier(name), sql.SQL(types.get(name, "integer"))
                    )
                    for name in self.copied
                ),
                sql.Literal(_TOAST_TUPLE_TARGET),
            )
        )

    def drop(self, cursor: Cursor) -> None:
        """Drop the temporary table, to be made anew with other columns."""
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(self.name))

    # The batch

    def copy(self, cursor: Cursor, text: bytes) -> None:
        """Fill the temporary table."""
        statement = sql.SQL("COPY {} ({}) FROM STDIN WITH ({})").format(
            self.name, names(self.copied), COPY_OPTIONS
        )
        cursor.copy_expert(statement, BytesIO(text), _COPY_BYTES)

    def copy_past(self, cursor: Cursor, text: bytes) -> int:
        """Fill the table itself with rows that are new and have no place; return how many."""
        statement = sql.SQL("COPY {} ({}) FROM STDIN WITH ({})").format(
            self.table.sql, names(self.copied[1:]), COPY_OPTIONS
        )
        cursor.copy_expert(statement, BytesIO(text), _COPY_BYTES)
        return cursor.rowcount

    def deduplicate(self, cursor: Cursor) -> int:
        """Keep the last record of each key, or the newest by bookmark.

        Nobody knows how old a record without a bookmark is: those before it do not beat it.
        """
        place = sql.Identifier(SEQUENCE)
        newest = [] if self.force else self.bookmark
        order = [sql.SQL("{} DESC NULLS FIRST").format(sql.Identifier(c)) for c in newest]
        unknown: sql.Composable = sql.SQL("0")
        if newest:
            unknown = sql.SQL(
                "count(*) FILTER (WHERE {} IS NULL) OVER (PARTITION BY {} ORDER BY {} DESC)"
            ).format(sql.Identifier(newest[0]), names(self.table.keys), place)
        cursor.execute(
            sql.SQL(
                "DELETE FROM {staging} AS staged USING (SELECT {place}, row_number() OVER"
                " (PARTITION BY {keys} ORDER BY {order}) AS number FROM (SELECT {columns},"
                ' {unknown} AS "unknown later" FROM {staging}) AS ages) AS numbered'
                " WHERE numbered.number > 1 AND numbered.{place} = staged.{place}"
            ).format(
                staging=self.name,
                place=place,
                keys=names(self.table.keys),
                columns=names(dict.fromkeys([SEQUENCE, *self.table.keys, *newest])),
                unknown=unknown,
                order=sql.SQL(", ").join(
                    [sql.Identifier("unknown later"), *order, sql.SQL("{} DESC").format(place)]
                ),
            )
        )
        return cursor.rowcount

    def replace_scopes(self, cursor: Cursor, refused: Sequence[Mapping[str, str]]) -> int:
        """Delete the stored rows of each scope whose key did not come; then drop the markers.

        Args:
            cursor: In the batch's transaction.
            refused: Known key columns of refused records; their scopes are left as they are.

        Returns:
            Rows deleted.
        """
        kept = [{c: key[c] for c in self.scope} for key in refused if {*self.scope} <= key.keys()]
        cursor.execute(
            sql.SQL(
                "DELETE FROM {table} AS stored"
                " USING (SELECT DISTINCT {scope} FROM {staging}) AS scope WHERE {same_scope}"
                " AND NOT EXISTS (SELECT FROM {staging} AS staged WHERE {same_key})"
                " AND NOT EXISTS (SELECT FROM jsonb_populate_recordset(NULL::{staging}, {kept})"
                " AS kept WHERE {kept_scope})"
            ).format(
                table=self.table.sql,
                scope=names(self.scope),
                staging=self.name,
                same_scope=equal(self.scope, "stored", "scope"),
                same_key=equal(self.table.keys, "stored", "staged"),
                kept=sql.Literal(Json(kept)),
                kept_scope=equal(self.scope, "stored", "kept"),
            )
        )
        deleted = cursor.rowcount
        if DELETED_AT not in self.data:
            return deleted
        empty = [
            sql.SQL("{} = {}").format(
                sql.Identifier(c), sql.Literal("" if self.table.storage(c) == "text" else 0)
            )
            for c in self.table.keys
            if c not in self.scope
        ]
        cursor.execute(
            sql.SQL("DELETE FROM {} WHERE {} IS NOT NULL AND {}").format(
                self.name, sql.Identifier(DELETED_AT), sql.SQL(" AND ").join(empty)
            )
        )
        return deleted

    def delete_marked(self, cursor: Cursor) -> int:
        """Delete the rows whose record says so; return how many."""
        cursor.execute(
            sql.SQL(
                "DELETE FROM {} AS stored USING {} AS excluded"
                " WHERE {} AND excluded.{} IS NOT NULL{}"
            ).format(
                self.table.sql,
                self.name,
                equal(self.table.keys, "stored", "excluded"),
                sql.Identifier(DELETED_AT),
                self._guard,
            )
        )
        deleted = cursor.rowcount
        cursor.execute(
            sql.SQL("DELETE FROM {} WHERE {} IS NOT NULL").format(
                self.name, sql.Identifier(DELETED_AT)
            )
        )
        return deleted

    def merge(self, cursor: Cursor, total: int, constants: Mapping[str, Any]) -> tuple[int, int]:
        """Write the staged rows.

        Args:
            cursor: In the batch's transaction.
            total: Number of places.
            constants: As for `merge_statement`.

        Returns:
            Rows created, rows updated.
        """
        # Values are composed in, for a % in a column's name would be taken for a placeholder.
        cursor.execute(self.merge_statement(sql.Literal(0), sql.Literal(total), constants))
        created, updated = cursor.fetchone() or (0, 0)
        return int(created), int(updated)

    def merge_statement(
        self, first: sql.Composable, end: sql.Composable, values: Mapping[str, Any]
    ) -> sql.Composed:
        """Return what writes the staged rows from one place to before another.

        Args:
            first: First place.
            end: Place after the last.
            values: Of the metadata columns that are the same for the batch.
        """
        copied = self.copied[1:]
        constants = [c for c in self.table.metadata if c not in copied]
        is_fingerprinted = self.table.fingerprinted
        selected = [
            *(sql.Identifier(c) for c in copied[: -1 if is_fingerprinted else None]),
            *([_FINGERPRINTS] if is_fingerprinted else []),
            *(sql.Literal(values[c]) for c in constants),
            sql.SQL("now()"),
            sql.SQL("now()"),
        ]
        return sql.SQL(
            "WITH {writer}merged AS (INSERT INTO {table} AS stored ({columns}) SELECT {selected}"
            " FROM {staging} WHERE {place} >= {first} AND {place} < {end} {conflict}"
            " RETURNING (xmax = 0) AS created)"
            " SELECT count(*) FILTER (WHERE created), count(*) FILTER (WHERE NOT created)"
            " FROM merged"
        ).format(
            writer=_WRITER if is_fingerprinted else sql.SQL(""),
            table=self.table.sql,
            columns=names([*copied, *constants, "sync_created_at", "sync_updated_at"]),
            selected=sql.SQL(", ").join(selected),
            staging=self.name,
            place=sql.Identifier(SEQUENCE),
            first=first,
            end=end,
            conflict=self._conflict([*copied, *constants]),
        )

    def _conflict(self, written: Sequence[str]) -> sql.Composable:
        keys = self.table.keys
        if not keys:
            return sql.SQL("")
        values = [c for c in self.data if c not in keys]
        if self.table.has_deleted_at and DELETED_AT not in values:
            values.append(DELETED_AT)  # a row that comes again is not deleted any more
            written = [*written, DELETED_AT]
        if not values and not self.force:
            return sql.SQL("ON CONFLICT ({}) DO NOTHING").format(names(keys))
        assigned = [
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(c))
            for c in written
            if c not in keys
        ]
        return sql.SQL("ON CONFLICT ({}) DO UPDATE SET {}, sync_updated_at = now(){}").format(
            names(keys), sql.SQL(", ").join(assigned), self._changed(values)
        )

    def _changed(self, values: Sequence[str]) -> sql.Composable:
        if self.force:
            return sql.SQL("")

        def row(prefix: str) -> sql.Composed:
            # The old type json has no equality.
            return sql.SQL(", ").join(
                sql.SQL("{}::text" if self.table.storage(c) == "json" else "{}").format(
                    sql.Identifier(prefix, c)
                )
                for c in values
            )

        return sql.SQL(" WHERE ROW({}) IS DISTINCT FROM ROW({}){}").format(
            row("stored"), row("excluded"), self._guard
        )

    @property
    def _guard(self) -> sql.Composable:
        """Condition by which an older record leaves a newer row alone."""
        if self.force or not self.bookmark:
            return sql.SQL("")
        return sql.SQL(" AND coalesce(ROW({}) >= ROW({}), true)").format(
            names(self.bookmark, "excluded"), names(self.bookmark, "stored")
        )
