"""What a complete read of a stream brought, and the end of the rows it did not bring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg2 import sql
from psycopg2.extras import Json

from target_warehouse.staging import Staging, equal, names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

    from target_warehouse.columns import Column
    from target_warehouse.table import Table

__all__ = ["FullRead"]


class FullRead:
    """The keys received, in a temporary table, so that unchanged rows need not be written."""

    def __init__(self, name: str, table: Table) -> None:
        """Name the temporary table, unique in the session, and the table it is about."""
        self._bare, self.table = name, table
        self.name = sql.Identifier("pg_temp", name)

    def forget(self, cursor: Cursor) -> None:
        """Begin anew to note keys as received."""
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(self.name))

    def remember(
        self,
        cursor: Cursor,
        staging: Staging,
        refused: Sequence[Mapping[str, str]],
        also: sql.Composable | None = None,
        *,
        whole: bool = False,
    ) -> None:
        """Note the keys of a staged batch as received.

        Args:
            cursor: In the batch's transaction.
            staging: The staged records.
            refused: Known key columns of refused records.
            also: A table of more keys.
            whole: All keys that the table has so far were received, and none was noted.
        """
        keys = names(self.table.keys)
        known = [key for key in refused if {*self.table.keys} <= key.keys()]
        cursor.execute(
            sql.SQL(
                "CREATE TEMP TABLE IF NOT EXISTS {seen} AS SELECT {keys} FROM {table}{condition};"
                " INSERT INTO {seen} SELECT {keys} FROM {staging}"
                " UNION ALL SELECT {keys} FROM jsonb_populate_recordset(NULL::{staging}, {known})"
                " UNION ALL SELECT {keys} FROM {also}"
            ).format(
                seen=sql.Identifier(self._bare),
                keys=keys,
                table=staging.table.sql,
                condition=_condition(whole=whole),
                staging=staging.name,
                also=also or sql.SQL("{} WHERE false").format(staging.name),
                known=sql.Literal(Json(known)),
            )
        )

    def widen(self, cursor: Cursor, columns: Iterable[Column]) -> None:
        """Follow the table's key columns to numeric."""
        for column in columns:
            if column.name in self.table.keys:
                cursor.execute(
                    sql.SQL("ALTER TABLE IF EXISTS {} ALTER COLUMN {} TYPE numeric").format(
                        self.name, sql.Identifier(column.name)
                    )
                )

    def delete_unseen(
        self,
        cursor: Cursor,
        *,
        hard: bool,
        before: Any = None,
        window: tuple[str, str] | None = None,
        whole: bool = False,
    ) -> int:
        """Delete, or mark, the rows whose key was not remembered.

        Args:
            cursor: In a transaction of its own.
            hard: Delete; else mark.
            before: For a table without a key: the moment the run began to write.
            window: A column and a value; only rows that are not before it are meant.
            whole: As for `remember`.

        Returns:
            Rows deleted or marked.
        """
        if self.table.keys:
            cursor.execute(
                sql.SQL(
                    "CREATE TEMP TABLE IF NOT EXISTS {seen} AS SELECT {keys} FROM {table}"
                    "{condition}; ANALYZE {seen}"
                ).format(
                    condition=_condition(whole=whole),
                    seen=sql.Identifier(self._bare),
                    keys=names(self.table.keys),
                    table=self.table.sql,
                )
            )
            gone = sql.SQL("NOT EXISTS (SELECT FROM {} AS seen WHERE {})").format(
                self.name, equal(self.table.keys, "stored", "seen")
            )
        else:
            gone = sql.SQL("stored.sync_created_at < coalesce({}, now())").format(
                sql.Literal(before)
            )
        if window:
            column, since = window
            gone = sql.SQL("stored.{} >= {} AND {}").format(
                sql.Identifier(column), sql.Literal(since), gone
            )
        if hard:
            statement = sql.SQL("DELETE FROM {} AS stored WHERE {}")
        else:
            self.table.add_deleted_at(cursor)
            statement = sql.SQL(
                "UPDATE {} AS stored SET _sdc_deleted_at = now(), sync_updated_at = now()"
                " WHERE _sdc_deleted_at IS NULL AND {}"
            )
        cursor.execute(statement.format(self.table.sql, gone))
        return cursor.rowcount


def _condition(*, whole: bool) -> sql.SQL:
    return sql.SQL("" if whole else " WHERE false")
