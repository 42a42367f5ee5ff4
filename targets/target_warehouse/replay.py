"""Refused records that are sent again, each settled in the transaction that stores it.

A SCHEMA message with ``"x-rejects": [ids]`` says that the records after it are those rows of
``sync_rejects``, in this order. Who passes leaves the table, who fails again stays once, with the
new reason, and who is gone by then, because another replay was faster, is not stored again. In
place of states one line per batch goes out, with the ids of those that ``passed``, ``failed``, were
``kept`` and were ``gone``.

Replayed records are old. What the stream's bookmark says of their age holds as ever. Where it says
nothing, a row that a sync has written since the record was refused is kept as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from target_warehouse.batch_load import Batch, BatchLoad
from target_warehouse.errors import BadInputError, TableConflictError
from target_warehouse.loader import Loader
from target_warehouse.staging import SEQUENCE, equal, names
from target_warehouse.table import DELETED_AT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg2.extensions import cursor as Cursor  # noqa: N812
    from warehouse.history import Counts
    from warehouse.rejects import Reject, Rejects

    from target_warehouse.encoder import EncodedBatch
    from target_warehouse.loader import Loaded
    from target_warehouse.prepared import Prepared, StreamPlan
    from target_warehouse.run import Run, StreamRun
    from target_warehouse.staging import Staging

__all__ = ["REPLAYED", "ReplayLoad", "ReplayLoader"]

REPLAYED: Final = (
    "load_method", "naming", "hard_delete", "validate_records", "strict_validation",
    "invalid_dates", "undeclared_fields", "missing_fields", "fingerprints", "add_record_metadata",
)  # fmt: skip
"""Settings that refused records are kept with, beside the schema of their table."""

_PRIMARY_KEY: Final = """
SELECT array_agg(attname::text ORDER BY attname) FROM pg_index
JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
WHERE indrelid = to_regclass(%s) AND indisprimary
"""


class ReplayLoad(BatchLoad):
    """A batch of refused records.

    Attributes:
        ids: Of the rejects, one for each record.
        since: When the replay began to write; none in its first batch.
        kept: Ids of those whose row is left as it is, because it may be newer.
    """

    ids: Sequence[int]
    since: Any
    rejects: Rejects

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.kept: list[int] = []

    def _copy(self, text: bytes) -> None:
        super()._copy(text)
        staging = self.staging
        if staging.force or not staging.table.keys:
            return
        self.cursor.execute(
            sql.SQL(
                "DELETE FROM {staging} AS staged USING {table} AS stored, {rejects} AS reject"
                " WHERE {same_key} AND reject.id = ({ids}::bigint[])[staged.{place} + 1]"
                " AND stored.sync_updated_at >= reject.created_at"
                " AND stored.sync_updated_at < coalesce({since}, now())"
                " AND ({deleted} OR {unknown}) RETURNING reject.id"
            ).format(
                staging=staging.name,
                table=staging.table.sql,
                rejects=self.rejects.table,
                same_key=equal(staging.table.keys, "staged", "stored"),
                ids=sql.Literal([*self.ids]),
                place=sql.Identifier(SEQUENCE),
                since=sql.Literal(self.since),
                deleted=_deleted(staging),
                unknown=_unknown_age(staging),
            )
        )
        self.kept = [number for (number,) in self.cursor.fetchall()]


def _deleted(staging: Staging) -> sql.Composable:
    if not staging.table.has_deleted_at:
        return sql.SQL("false")
    return sql.SQL("stored.{} IS NOT NULL").format(sql.Identifier(DELETED_AT))


def _unknown_age(staging: Staging) -> sql.Composable:
    """Condition that the bookmarks do not say which of the two is newer."""
    if not staging.bookmark:
        return sql.SQL("true")
    return sql.SQL("coalesce(ROW({}) = ROW({}), true)").format(
        names(staging.bookmark, "staged"), names(staging.bookmark, "stored")
    )


class ReplayLoader(Loader):
    """Takes refused records to their table, and out of ``sync_rejects``."""

    direct = False

    def __init__(
        self, run: Run, stream: StreamRun, plan: StreamPlan, say: Callable[[dict[str, Any]], None]
    ) -> None:
        """Plan.

        Args:
            run: The run.
            stream: The stream.
            plan: How its records are to be loaded.
            say: Told after each commit what became of the rejects.
        """
        super().__init__(run, stream, plan)
        self._say = say
        self._ids: list[int] = []
        self._outcome: dict[str, list[int]] = {}
        self._work: ReplayLoad | None = None
        self.batch_load = self._batch_load

    def _batch_load(self, *arguments: Any, **options: Any) -> BatchLoad:
        self._work = work = ReplayLoad(*arguments, **options)
        work.ids, work.since = self._ids, self.stream.replays_since
        work.rejects = self.run.rejects
        return work

    def begin(self) -> None:
        """Nothing: all is done in the transaction that locks the rejects."""

    def load(self, batch: Batch, done: Callable[[], None]) -> None:
        self.run.session.wait()  # for the batch before it, which has ids of its own
        numbers = self.run.replays[self.stream.name]
        try:
            self._ids = [numbers[batch.first + place] for place in range(len(batch.items))]
        except KeyError:
            raise BadInputError(f"x-rejects of {self.stream.name} names too few rejects") from None

        def settled() -> None:
            self._say(self._outcome)
            done()

        super().load(batch, settled)

    def _load(
        self,
        cursor: Cursor,
        batch: Batch,
        ready: Prepared | None,  # noqa: ARG002
        encoded: EncodedBatch | None,  # noqa: ARG002
        *,
        again: bool,
    ) -> Loaded:
        if again and self._committed_before(cursor) is not None:
            return super()._load(cursor, batch, None, None, again=True)
        gone = self._drop_gone(cursor, batch)
        if not batch.items:
            self._outcome = {"passed": [], "failed": [], "kept": [], "gone": gone}
            return self.nothing_loaded()
        loaded = super()._load(cursor, batch, None, None, again=again)
        loaded.prepared = None  # who is gone is known only in the transaction, so nothing before it
        if self.stream.replays_since is None:
            cursor.execute("SELECT now()")
            (self.stream.replays_since,) = cursor.fetchone() or (None,)
        self._outcome = self._settle(cursor) | {"gone": gone}
        return loaded

    def _drop_gone(self, cursor: Cursor, batch: Batch) -> list[int]:
        """Take the records out whose reject is gone; nobody else settles the others meanwhile."""
        cursor.execute(
            sql.SQL("SELECT id FROM {} WHERE id = ANY (%s) ORDER BY id FOR UPDATE").format(
                self.run.rejects.table
            ),
            (self._ids,),
        )
        there = {number for (number,) in cursor.fetchall()}
        gone = [number for number in self._ids if number not in there]
        places = [place for place, number in enumerate(self._ids) if number in there]
        batch.items[:] = [batch.items[place] for place in places]
        if batch.extracted:
            batch.extracted[:] = [batch.extracted[place] for place in places]
        self._ids = [self._ids[place] for place in places]
        return gone

    def _settle(self, cursor: Cursor) -> dict[str, list[int]]:
        work = self._work
        if work is None:
            raise AssertionError("a batch was loaded")
        failed = {self._ids[place]: reject for place, reject in work.encoded.rejects.items()}
        passed = [number for number in self._ids if number not in {*failed, *work.kept}]
        if not self.run.dry:
            self.run.rejects.refuse_again(cursor, failed, self.stream.history_id)
            self.run.rejects.remove(cursor, passed)
        return {"passed": passed, "failed": [*failed], "kept": sorted(work.kept)}

    def _record(self, cursor: Cursor, total: Counts, rejects: list[Reject]) -> None:  # noqa: ARG002
        super()._record(cursor, total, [])  # they are in the table already

    def _prepare(self, cursor: Cursor) -> Prepared:
        table = self.plan.table
        name = table.sql.as_string(cursor)
        cursor.execute(_PRIMARY_KEY, (name,))
        (before,) = cursor.fetchone() or (None,)
        prepared = super()._prepare(cursor)
        if before and before != sorted(table.keys):
            raise TableConflictError(
                f"The key of table {table.schema}.{table.name} has changed since these records were"
                " refused, so that they cannot be loaded into it. Purge them, and sync anew."
            )
        return prepared
