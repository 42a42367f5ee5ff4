"""Load method overwrite: new rows gather aside, and take the old ones' place all at once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import sql
from warehouse.history import Counts
from warehouse.rejects import Reject

from target_warehouse.errors import is_record_fault
from target_warehouse.jsontext import dumps, loads
from target_warehouse.merge_good import Merged, merge_good_rows
from target_warehouse.staging import SEQUENCE, Staging

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

    from target_warehouse.table import Table

__all__ = ["Replaced", "Replacement", "held_back"]


@dataclass
class Replaced:
    """What became of the rows that were gathered."""

    counts: Counts
    rejects: list[Reject] = field(default_factory=list)


class _Gathered(Staging):
    """The gathered rows as the staging table of their last step."""

    @property
    def copied(self) -> list[str]:
        return [SEQUENCE, *self.data, "sync_issues", *self.table.metadata]


class Replacement:
    """The future rows of a table, in a temporary one that has its columns, keys and checks."""

    def __init__(self, name: str, table: Table) -> None:
        """Name the temporary table, unique in the session, and the table it is like."""
        self._bare, self.table = name, table

    def prepare(self, cursor: Cursor) -> Table:
        """Return the temporary table, which is made, or follows its model after a change."""
        aside = replace(
            self.table, schema="pg_temp", name=self._bare, stored={}, indexes=(), readers=()
        )
        cursor.execute("SELECT to_regclass(%s) IS NULL", (aside.sql.as_string(cursor),))
        if cursor.fetchone() == (True,):
            cursor.execute(
                sql.SQL(
                    "CREATE TEMP TABLE {} (LIKE {} INCLUDING ALL); ALTER TABLE {}"
                    " ADD COLUMN {} bigint GENERATED ALWAYS AS IDENTITY (MINVALUE 0 START 0)"
                ).format(
                    sql.Identifier(self._bare), self.table.sql, aside.sql, sql.Identifier(SEQUENCE)
                )
            )
        else:
            aside.follow(cursor, self.table)
        aside.stored = dict(self.table.stored)
        return aside

    def clear(self, cursor: Cursor) -> None:
        """Forget the rows."""
        cursor.execute(
            sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier("pg_temp", self._bare))
        )

    def delete_old(self, cursor: Cursor) -> int:
        """Delete all rows of a table without a key; return how many.

        By DELETE: TRUNCATE would empty the table for readers whose transaction is older, too.
        """
        cursor.execute(sql.SQL("DELETE FROM {}").format(self.table.sql))
        return cursor.rowcount

    def move(self, cursor: Cursor, like: Staging) -> Replaced:
        """Write the gathered rows into the table, once those that did not come are deleted.

        Args:
            cursor: In the same transaction.
            like: Staging table of the batches, for what holds for both.
        """
        gathered = _Gathered(
            self._bare,
            self.table,
            bookmark=(),
            scope=(),
            key_fields=like.key_fields,
            force=like.force,
            hard_delete=False,
            sync_started_at=like.sync_started_at,
        )
        cursor.execute(
            sql.SQL("SELECT count(*), coalesce(max({}) + 1, 0) FROM {}").format(
                sql.Identifier(SEQUENCE), gathered.name
            )
        )
        rows, places = cursor.fetchone() or (0, 0)
        merged = _merge(cursor, gathered, places)
        return Replaced(
            Counts(
                created=merged.created,
                updated=merged.updated,
                unchanged=rows - merged.created - merged.updated - len(merged.refused),
                failed=len(merged.refused),
            ),
            [self._reject(cursor, gathered, *refused) for refused in merged.refused],
        )

    def _reject(self, cursor: Cursor, gathered: Staging, place: int, message: str) -> Reject:
        """Return a row as the record that it was: what was received is gone by now."""
        cursor.execute(
            sql.SQL("SELECT to_jsonb(gathered)::text FROM {} AS gathered WHERE {} = {}").format(
                gathered.name, sql.Identifier(SEQUENCE), sql.Literal(place)
            )
        )
        (text,) = cursor.fetchone() or ("{}",)
        row: dict[str, Any] = loads(text)
        record = {name: row[column] for name, column in self.table.columns_of.items()}
        key = dumps({name: record[name] for name in gathered.key_fields})
        return Reject(key, dumps(record), "database", message)


def held_back(counts: Counts) -> Counts:
    """Return what is known of a batch whose rows are gathered: each counts at the end, once."""
    return Counts(
        deduplicated=counts.processed - counts.created - counts.failed,
        failed=counts.failed,
        warnings=counts.warnings,
        batches=counts.batches,
    )


def _merge(cursor: Cursor, gathered: Staging, places: int) -> Merged:
    constants: dict[str, Any] = {}
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SAVEPOINT attempt")
    try:
        return Merged(*gathered.merge(cursor, places, constants))
    except psycopg2.Error as error:
        if not is_record_fault(error):
            raise
    cursor.execute("ROLLBACK TO SAVEPOINT attempt")
    statement = gathered.merge_statement(sql.SQL("$1"), sql.SQL("$2"), constants)
    return merge_good_rows(cursor, statement, places)
