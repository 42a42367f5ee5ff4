"""Loads the batches of one stream, each in one transaction with its counters."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from warehouse.history import Counts

from target_warehouse.batch_load import Batch, BatchLoad
from target_warehouse.errors import DatabaseError
from target_warehouse.findings import Findings
from target_warehouse.full_read import FullRead
from target_warehouse.prepared import Prepared, StreamPlan, prepare
from target_warehouse.replacement import Replacement, held_back
from target_warehouse.run import Received

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from psycopg2.extensions import cursor as Cursor  # noqa: N812
    from warehouse.rejects import Reject

    from target_warehouse.columns import Column
    from target_warehouse.encoder import EncodedBatch
    from target_warehouse.run import Run, StreamRun
    from target_warehouse.staging import Staging

__all__ = ["Loaded", "Loader"]

logger = logging.getLogger("target-warehouse")

_WORTH_A_LOOK: Final = 0.2
"""Share of records stored already from which on asking for them costs less than sending them."""
_UNTIL_NEXT_LOOK: Final = 8  # batches
_FORGOTTEN: Final = -1
"""Generation of what was received, where nobody knows any more what that was."""


@dataclass
class Loaded:
    """What a committed batch leaves behind: the stream's counters so far, and what was changed.

    `prepared` is for the next batch; none where the table has to be looked at again before.
    `known` is the share of records that were stored already, if that was looked up.
    """

    counts: Counts
    received: Received | None
    found: list[tuple[int, str, str]] = field(default_factory=list)
    prepared: Prepared | None = None
    known: float | None = None


class Loader:
    """Takes a stream's batches to its table."""

    batch_load: Callable[..., BatchLoad] = BatchLoad
    direct = True
    """Whether an empty table may be copied into as it is."""

    def __init__(self, run: Run, stream: StreamRun, plan: StreamPlan) -> None:
        """Plan; the database is not touched before the first batch."""
        self.run, self.stream, self.plan = run, stream, plan
        self.findings = Findings(run.crm_source, stream.name, plan.key_fields)
        self._prepared: Prepared | None = None  # the writing thread's
        self._ready: Prepared | None = None  # the reading thread's
        self._has_begun = False
        self._told: set[str] = set()  # undeclared fields
        self._is_encoding = False  # in the writing thread, with the one encoder there is
        self._batches_to_next_look = 0
        self._full_read = FullRead(f"received_{stream.number}", plan.table)
        overwrites = run.config["load_method"] == "overwrite" and not run.dry
        self._replacement = (
            Replacement(f"replacement_{stream.number}", plan.table) if overwrites else None
        )

    def ensure_table(self) -> None:
        """Create or adapt the table though no record came."""
        self.run.session.wait()
        if self._prepared is None:
            self.run.session.transaction(lambda cursor, _: self._prepare(cursor))

    def begin(self) -> None:
        """Look at the table while the records of a large first batch are still being read."""
        if self._has_begun or self.run.dry:
            return
        self._has_begun = True

        def work(cursor: Cursor, _: bool) -> Prepared:  # noqa: FBT001
            self._prepared = self._prepare(cursor)
            return self._prepared

        def done(prepared: Prepared) -> None:
            self._ready = prepared

        self.run.session.start(work, done)

    def load(self, batch: Batch, done: Callable[[], None]) -> None:
        """Begin to store a batch, its rejects and its counters, or nothing of it.

        Args:
            batch: The batch.
            done: Called when it is stored (see `Session.start`).

        Raises:
            TargetError: The batch before it cannot be stored, for a reason that is no record's
                fault.
        """
        session = self.run.session
        if self._replacement and self.stream.gathers_from is None:
            self.stream.gathers_from = batch.first
        if self._ready is None or self._is_encoding:
            session.wait()  # for the batch that prepares the table, or the next
        ready = self._ready
        encoded = None
        if ready and not (ready.looks_up and self._batches_to_next_look <= 0):
            encoded = ready.encode(batch)
            self._batches_to_next_look -= 1
        self._is_encoding = encoded is None

        def store(cursor: Cursor, again: bool) -> Loaded:  # noqa: FBT001
            return self._load(cursor, batch, ready, encoded, again=again)

        def stored(loaded: Loaded) -> None:
            self._ready = loaded.prepared
            self._is_encoding = False
            if loaded.known is not None:
                self._batches_to_next_look = 0 if loaded.known > _WORTH_A_LOOK else _UNTIL_NEXT_LOOK
            self.stream.received = loaded.received
            self.findings.say(batch.items, loaded.found)
            self.run.add(self.stream, loaded.counts)
            done()

        session.start(store, stored)

    def _prepare(self, cursor: Cursor) -> Prepared:
        is_new = self._oid(cursor) is None
        prepared = prepare(
            cursor,
            self.plan,
            self.run.config,
            number=self.stream.number,
            into=self._replacement,
            direct=self.direct and self.run.config["missing_fields"] != "keep",
            on_undeclared=self._undeclared,
            sync_started_at=self.run.started_at,
        )
        self._identify(cursor, is_new=is_new)
        return prepared

    def _identify(self, cursor: Cursor, *, is_new: bool) -> None:
        """Note which table it is, so that its rows can be compared with the counters."""
        table, config = self.plan.table, self.run.config
        overwrites = config["load_method"] == "overwrite"
        hard = bool(overwrites or config["hard_delete"] or self.plan.scope)
        known = self.stream.configuration.get("table") or {}
        self.stream.configuration["table"] = {
            "schema": table.schema,
            "name": table.name,
            "oid": self._oid(cursor),
            "is_new": is_new or known.get("is_new", False),
            "deletes": "hard" if hard else "soft",
        }

    def _oid(self, cursor: Cursor) -> int | None:
        name = self.plan.table.sql.as_string(cursor)
        cursor.execute("SELECT to_regclass(%s)::oid::bigint", (name,))
        oid: int | None = (cursor.fetchone() or (None,))[0]
        return oid

    def _undeclared(self, name: str) -> None:
        if name in self._told:
            return
        self._told.add(name)
        logger.warning(
            "Stream %s sends the field '%s', which its schema does not declare; it is not stored",
            self.stream.name,
            name,
        )

    def _load(
        self,
        cursor: Cursor,
        batch: Batch,
        ready: Prepared | None,
        encoded: EncodedBatch | None,
        *,
        again: bool,
    ) -> Loaded:
        """Store a batch, encoded already if its table was known."""
        stream = self.stream
        self._check_gathered()
        if again:
            self._prepared = None
            if (stored := self._committed_before(cursor)) is not None:
                self._check_gathered(lost=True)
                return Loaded(stored, self._received_with(batch))
        if self._prepared is None:
            self._prepared = self._prepare(cursor)
        prepared = self._prepared
        known = None
        if encoded is None or ready is not prepared:
            encoded = prepared.encode_unknown(cursor, batch)
            known = 1 - (encoded.rows + len(encoded.rejects)) / len(batch.items)
        counts = None
        if prepared.direct:
            counts = self._load_directly(cursor, prepared, batch, encoded)
            if counts is None:
                self.direct = False
                self._prepared = prepared = self._prepare(cursor)
                encoded = prepared.encode(batch)
        if counts is None:
            counts = self._work_on(cursor, prepared, batch, encoded).load()
        gathered = counts.created if self._replacement else 0
        if self._replacement:
            counts = held_back(counts)
        loaded = Loaded(stream.counts + counts, stream.received, encoded.found, known=known)
        if self.run.dry:
            self._prepared = None
        else:
            received = self._remember(cursor, prepared, batch, encoded)
            loaded.received = received and replace(received, gathered=received.gathered + gathered)
            self._record(cursor, loaded.counts, list(encoded.rejects.values()))
        # Where it is none, the next batch, which may be encoded already, is encoded anew.
        loaded.prepared = self._prepared if self._prepared is ready or ready is None else None
        return loaded

    def _work_on(
        self, cursor: Cursor, prepared: Prepared, batch: Batch, encoded: EncodedBatch
    ) -> BatchLoad:
        keep_missing = self.run.config["missing_fields"] == "keep"
        work = self.batch_load(cursor, prepared.staging, batch, encoded, keep_missing=keep_missing)
        if encoded.overflowed:
            self._widen(cursor, prepared.staging, encoded.overflowed)
        return work

    def _load_directly(
        self, cursor: Cursor, prepared: Prepared, batch: Batch, encoded: EncodedBatch
    ) -> Counts | None:
        """Load past the staging table; nothing was done where that returns None."""
        received = self.stream.received
        if received:
            covered = received.covers_table and received.version == batch.version
        else:
            covered = not (self._is_remembered(batch) and self.stream.counts.processed)
        if not covered:  # there are rows of something else than this read, or keys noted of it
            return None
        return self._work_on(cursor, prepared, batch, encoded).load_directly()

    def _is_remembered(self, batch: Batch) -> bool:
        return batch.version is not None or bool(self._replacement or self.plan.window)

    def _received_with(self, batch: Batch) -> Received | None:
        """Return what was received, together with a batch of which nothing could be noted."""
        received = self.stream.received
        if not self._is_remembered(batch) or (received and received.version == batch.version):
            return received
        return Received(batch.version, _FORGOTTEN)

    def nothing_loaded(self) -> Loaded:
        """Return what a batch of which nothing is left leaves behind."""
        return Loaded(self.stream.counts, self.stream.received)

    def _committed_before(self, cursor: Cursor) -> Counts | None:
        """Return the counters if the first try was committed and only its answer was lost."""
        if self.run.dry:
            return None
        stored = self.run.history.stored(cursor, self.stream.history_id)
        return stored if stored.batches > self.stream.counts.batches else None

    def _widen(self, cursor: Cursor, staging: Staging, columns: Iterable[Column]) -> None:
        """Make room for whole numbers beyond bigint, in this batch and the next ones."""
        self.plan.table.widen(cursor, columns)
        if self._replacement:
            staging.table.widen(cursor, columns)
        self._full_read.widen(cursor, columns)
        staging.drop(cursor)
        self._prepared = None

    def _record(self, cursor: Cursor, total: Counts, rejects: list[Reject]) -> None:
        run, stream = self.run, self.stream
        if rejects:
            run.rejects.store(
                cursor,
                rejects,
                history_id=stream.history_id,
                crm_source=run.crm_source,
                stream=stream.name,
                origin=self.plan.origin(),
            )
        run.history.progress(
            cursor, stream.history_id, total, stream.metrics(total), stream.configuration
        )

    # Full tables

    def _remember(
        self, cursor: Cursor, prepared: Prepared, batch: Batch, encoded: EncodedBatch
    ) -> Received | None:
        """Note what was received, if anything may be deleted by it later."""
        received = self.stream.received
        if not self._is_remembered(batch):
            return received
        if received is None or not (received.version == batch.version or self._replacement):
            self._full_read.forget(cursor)
            cursor.execute("SELECT now()")
            (since,) = cursor.fetchone() or (None,)
            received = Received(
                batch.version, self.run.session.generation, since, covers_table=prepared.direct
            )
        if prepared.direct:
            return received
        if self.plan.table.keys and received.generation == self.run.session.generation:
            also = prepared.fingerprints.name if prepared.fingerprints else None
            self._full_read.remember(
                cursor, prepared.staging, encoded.known_keys, also, whole=received.covers_table
            )
            received = replace(received, covers_table=False)
        return received

    def forget_keys_unless(self, schema: Mapping[str, Any], keys: Sequence[str]) -> None:
        """Give up what is noted as received, unless a new schema has the same key."""
        known = {key: self.plan.schema["properties"][key] for key in self.plan.key_fields}
        properties = schema["properties"]
        if self.stream.received and known != {key: properties.get(key) for key in keys}:
            self.stream.received.generation = _FORGOTTEN

    def delete_unseen(self, *, hard: bool, since: str | None = None) -> None:
        """Delete, or mark as deleted, the rows that were not received in this run.

        All of them, or those whose `window` is not before `since`.

        Rows stay as they are where the connection was lost meanwhile, and with it the knowledge of
        what had been received.
        """
        deleted = self.run.session.transaction(
            lambda cursor, _: self._delete_unseen(
                cursor, hard=hard or bool(self.plan.scope), since=since
            )
        )
        self._prepared = self._ready = None
        if deleted is None:
            logger.warning(
                "The connection was lost during the full read of %s; rows that are gone from the"
                " source stay until the next one",
                self.stream.name,
            )
            return
        if received := self.stream.received:
            received.covers_table = False
        self.run.add(self.stream, self.stream.counts + Counts(deleted=deleted))

    def _delete_unseen(self, cursor: Cursor, *, hard: bool, since: str | None) -> int | None:
        received = self.stream.received
        keys = self.plan.table.keys
        if received and (
            received.generation == _FORGOTTEN
            or (keys and received.generation != self.run.session.generation)
        ):
            return None
        self._prepare(cursor)
        before = received.since if received else None
        window = (self.plan.table.columns_of[self.plan.window], since) if since else None
        deleted = self._full_read.delete_unseen(
            cursor,
            hard=hard,
            before=before,
            window=window,
            whole=bool(received and received.covers_table),
        )
        if not self.run.dry:
            self._record(cursor, self.stream.counts + Counts(deleted=deleted), [])
        return deleted

    # Load method overwrite

    def replace_rows(self) -> None:
        """Let what came in this run take the place of the table's rows, in one transaction.

        Raises:
            DatabaseError: What came is not there any more.
        """
        stream = self.stream
        if stream.counts.failed and stream.received and not stream.received.gathered:
            logger.warning("Every record of %s was refused; the table stays as it was", stream.name)
        else:
            total = self.run.session.transaction(lambda cursor, _: self._replace_rows(cursor))
            self._prepared = self._ready = None
            self.run.add(stream, total)
        stream.gathers_from = None

    def _replace_rows(self, cursor: Cursor) -> Counts:
        self._check_gathered()
        staging = self._prepare(cursor).staging
        received, replacement = self.stream.received, self._replacement
        if replacement is None:
            raise AssertionError("only for load_method overwrite")
        gathered = received.gathered if received else 0
        if self.plan.table.keys:
            deleted = self._full_read.delete_unseen(cursor, hard=True)
        else:
            deleted = replacement.delete_old(cursor)
        moved = replacement.move(cursor, staging)
        replacement.clear(cursor)
        # Gathered rows that a later record has deleted are not among the moved.
        counts = replace(moved.counts, deduplicated=gathered - moved.counts.processed)
        total = self.stream.counts + replace(counts, deleted=deleted)
        self._record(cursor, total, moved.rejects)
        return total

    def _check_gathered(self, *, lost: bool = False) -> None:
        received = self.stream.received
        generation = self.run.session.generation
        if self._replacement and (lost or (received and received.generation != generation)):
            raise DatabaseError(
                "The connection broke, or the key changed, while load_method overwrite gathered"
                f" the rows of {self.stream.name}; the table stays as it was. Run again."
            )
