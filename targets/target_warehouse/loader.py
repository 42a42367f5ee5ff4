"""Loads the batches of one stream, each in one transaction with its counters."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg2
import psycopg2.errors

from target_warehouse.encoder import DELIMITER, EncodedBatch, Encoder, Item, as_text
from target_warehouse.errors import is_record_fault
from target_warehouse.jsontext import dumps, loads
from target_warehouse.run import Received
from target_warehouse.staging import Staging
from warehouse.history import Counts
from warehouse.rejects import Reject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

    from target_warehouse.columns import Column
    from target_warehouse.run import Run, StreamRun
    from target_warehouse.table import Table

__all__ = ["Batch", "Loader", "StreamPlan"]

logger = logging.getLogger("target-warehouse")

_WARNED: Final = 20
_T = TypeVar("_T")


@dataclass(frozen=True)
class StreamPlan:
    """How the records of one SCHEMA message are to be loaded.

    Attributes:
        schema: The JSON schema.
        key_fields: Properties that make up the key.
        bookmark: Columns by which newer is told from older.
        scope: Columns of ``x-replace-by``.
        table: Where they go.
    """

    schema: dict[str, Any]
    key_fields: Sequence[str]
    bookmark: Sequence[str]
    scope: Sequence[str]
    table: Table


@dataclass
class Batch:
    """Records that are committed together."""

    items: list[Item] = field(default_factory=list)
    extracted: list[str | None] = field(default_factory=list)
    """When each was read from the source; filled only where the column is kept."""
    version: int | None = None
    size: int = 0
    started: float = 0
    first: int = 0


@dataclass
class _Loaded:
    """What a committed batch leaves behind: the stream's counters so far, and what was changed."""

    counts: Counts
    received: Received | None
    found: list[tuple[int, str, str]] = field(default_factory=list)


class Loader:
    """Takes a stream's batches to its table."""

    def __init__(self, run: Run, stream: StreamRun, plan: StreamPlan) -> None:
        """Plan; the database is not touched before the first batch."""
        self.run, self.stream, self.plan = run, stream, plan
        self._warnings: Counter[str] = Counter()
        self._staging: Staging | None = None
        self._encoder: Encoder | None = None
        self._full = run.config["load_method"] == "overwrite"

    def ensure_table(self) -> None:
        """Create or adapt the table though no record came."""
        if self._staging is None:
            self.run.session.transaction(lambda cursor, _: self._prepare(cursor))

    def load(self, batch: Batch) -> None:
        """Store a batch, its rejects and its counters, or nothing of it.

        Raises:
            TargetError: It cannot be stored, for a reason that is no record's fault.
        """
        loaded = self.run.session.transaction(
            lambda cursor, again: self._load(cursor, batch, again=again)
        )
        self.stream.received = loaded.received
        self._warn(batch, loaded.found)
        self.run.add(self.stream, loaded.counts)

    def _prepare(self, cursor: Cursor) -> tuple[Staging, Encoder]:
        plan, config = self.plan, self.run.config
        plan.table.prepare(cursor, plan.schema["properties"])
        staging = Staging(
            f"stage_{self.stream.number}",
            plan.table,
            bookmark=plan.bookmark,
            scope=plan.scope,
            key_fields=plan.key_fields,
            force=config["force"],
            hard_delete=config["hard_delete"],
            sync_started_at=self.run.started_at,
        )
        staging.drop(cursor)
        encoder = Encoder(
            plan.schema,
            plan.table.columns,
            plan.key_fields if plan.table.keys else (),
            validate=config["validate_records"],
            strict=config["strict_validation"],
            on_undeclared=self._undeclared,
        )
        return staging, encoder

    def _undeclared(self, name: str) -> None:
        logger.warning(
            "Stream %s sends the field '%s', which its schema does not declare; it is not stored",
            self.stream.name,
            name,
        )

    def _load(self, cursor: Cursor, batch: Batch, *, again: bool) -> _Loaded:
        stream = self.stream
        if again and not self.run.dry:
            stored = self.run.history.stored(cursor, stream.history_id)
            if stored.batches > stream.counts.batches:
                # The first try was committed; only its answer was lost.
                return _Loaded(stored, stream.received)
            self._staging = None
        staging, encoder = self._prepared(cursor)
        work = _BatchLoad(cursor, staging, batch, encoder.encode(batch.items, batch.extracted))
        counts = work.load(encoder.overflowed)
        loaded = _Loaded(stream.counts + counts, stream.received, work.encoded.found)
        if encoder.overflowed:
            self._staging = None
        if self.run.dry:
            self._staging = None
        else:
            loaded.received = self._remember(cursor, staging, batch, work.encoded)
            self._record(cursor, loaded.counts, list(work.encoded.rejects.values()))
        return loaded

    def _prepared(self, cursor: Cursor) -> tuple[Staging, Encoder]:
        if self._staging is None or self._encoder is None:
            self._staging, self._encoder = self._prepare(cursor)
        return self._staging, self._encoder

    def _record(self, cursor: Cursor, total: Counts, rejects: list[Reject]) -> None:
        run, stream = self.run, self.stream
        if rejects:
            run.rejects.store(
                cursor,
                rejects,
                history_id=stream.history_id,
                crm_source=run.crm_source,
                stream=stream.name,
            )
        run.history.progress(cursor, stream.history_id, total, stream.metrics(total))

    # Full tables

    def _remember(
        self, cursor: Cursor, staging: Staging, batch: Batch, encoded: EncodedBatch
    ) -> Received | None:
        """Note what was received, if anything may be deleted by it later."""
        received = self.stream.received
        if batch.version is None and not self._full:
            return received
        if received is None or received.version != batch.version:
            staging.forget(cursor)
            cursor.execute("SELECT now()")
            (since,) = cursor.fetchone() or (None,)
            received = Received(batch.version, self.run.session.generation, since)
        if self.plan.table.keys:
            staging.remember(cursor, encoded.known_keys)
        return received

    def delete_unseen(self, *, hard: bool) -> None:
        """Delete, or mark as deleted, the rows that were not received in this run.

        Rows stay as they are where the connection was lost meanwhile, and with it the knowledge of
        what had been received.
        """
        deleted = self.run.session.transaction(
            lambda cursor, _: self._delete_unseen(cursor, hard=hard or bool(self.plan.scope))
        )
        self._staging = None
        if deleted is None:
            logger.warning(
                "The connection was lost during the full read of %s; rows that are gone from the"
                " source stay until the next one",
                self.stream.name,
            )
        else:
            self.run.add(self.stream, self.stream.counts + Counts(deleted=deleted))

    def _delete_unseen(self, cursor: Cursor, *, hard: bool) -> int | None:
        received = self.stream.received
        if received and received.generation != self.run.session.generation:
            return None
        staging, _ = self._prepare(cursor)
        before = received.since if received else None
        deleted = staging.delete_unseen(cursor, hard=hard, before=before)
        if not self.run.dry:
            self._record(cursor, self.stream.counts + Counts(deleted=deleted), [])
        return deleted

    # Warnings

    def _warn(self, batch: Batch, found: list[tuple[int, str, str]]) -> None:
        for place, name, reason in found:
            self._warnings[name] += 1
            if self._warnings[name] > _WARNED:
                continue
            item = batch.items[place]
            record = item if isinstance(item, dict) else loads(bytes(item))
            key = ", ".join(f"{field}={record.get(field)}" for field in self.plan.key_fields)
            value = str(record.get(name))
            if reason == "Failed to parse datetime value":
                logger.warning(
                    "%s: '%.20s' in field '%s' for %s %s",
                    reason, value, name, self.run.crm_source, key.removeprefix("id="),
                )  # fmt: skip
            else:
                logger.warning(
                    "Validation warning for field '%s' with value '%.3s…' (Record: %s): %s",
                    name, value, key, reason,
                )  # fmt: skip

    def finish(self) -> None:
        """Say how many warnings were only counted."""
        for name, count in self._warnings.items():
            if count > _WARNED:
                logger.warning(
                    "%d more warnings for field '%s' of %s", count - _WARNED, name, self.stream.name
                )
        self._warnings.clear()


class _BatchLoad:
    """One batch in one transaction."""

    def __init__(
        self, cursor: Cursor, staging: Staging, batch: Batch, encoded: EncodedBatch
    ) -> None:
        self.cursor, self.staging, self.batch, self.encoded = cursor, staging, batch, encoded
        self.created = self.updated = 0

    def load(self, overflowed: set[Column]) -> Counts:
        """Store the batch and return what became of its records."""
        cursor, staging, encoded = self.cursor, self.staging, self.encoded
        table = staging.table
        if overflowed:
            table.widen(cursor, list(overflowed))
            staging.widen(cursor, list(overflowed))
        staging.ensure(cursor)
        if encoded.rows:
            self._copy("".join(encoded.blobs))
        deduplicated = deleted = updated = 0
        if table.keys and len(encoded.keys) < encoded.rows:
            deduplicated = staging.deduplicate(cursor)
        if staging.scope:
            deleted += staging.replace_scopes(cursor, encoded.known_keys)
        if staging.hard_delete:
            updated = staging.delete_marked(cursor)
        deduplicated += self._merge()
        processed, failed = len(self.batch.items), len(encoded.rejects)
        updated += self.updated
        return Counts(
            created=self.created,
            updated=updated,
            unchanged=processed - failed - deduplicated - self.created - updated,
            deduplicated=deduplicated,
            failed=failed,
            deleted=deleted + updated - self.updated,
            warnings=len(encoded.found),
            batches=1,
        )

    def _copy(self, text: str) -> None:
        if (error := self._attempt(lambda: self.staging.copy(self.cursor, text))) is None:
            return
        lines = text.split("\n")[:-1]
        self._isolate(
            lines,
            lambda some: self.staging.copy(self.cursor, "\n".join([*some, ""])),
            lambda line: int(line[: line.index(DELIMITER)]),
            error,
        )

    def _merge(self) -> int:
        """Merge what is staged; return how many duplicates only Postgres could tell."""
        places = range(len(self.batch.items))
        deduplicated = 0
        error = self._attempt(lambda: self._merge_places(places))
        if isinstance(error, psycopg2.errors.CardinalityViolation):
            deduplicated = self.staging.deduplicate(self.cursor)
            error = self._attempt(lambda: self._merge_places(places))
        if error is not None:
            self._isolate(places, self._merge_places, lambda place: place, error)
        return deduplicated

    def _merge_places(self, places: Sequence[int]) -> None:
        created, updated = self.staging.merge(
            self.cursor, places[0], places[-1] + 1, self._constants()
        )
        self.created += created
        self.updated += updated

    def _constants(self) -> dict[str, Any]:
        now = datetime.now(timezone.utc)
        return {
            "_sdc_received_at": datetime.fromtimestamp(self.batch.started, timezone.utc),
            "_sdc_batched_at": now,
            "_sdc_sequence": round(self.batch.started * 1000),
            "_sdc_table_version": self.batch.version,
            "_sdc_sync_started_at": self.staging.sync_started_at,
        }

    def _isolate(
        self,
        parts: Sequence[_T],
        work: Callable[[Sequence[_T]], None],
        place: Callable[[_T], int],
        error: psycopg2.Error,
    ) -> None:
        """Do by halves what failed as a whole, until the records at fault stand alone."""
        if len(parts) == 1:
            self._refuse(place(parts[0]), error)
            return
        middle = len(parts) // 2
        for half in (parts[:middle], parts[middle:]):
            if (failed := self._attempt(lambda half=half: work(half))) is not None:
                self._isolate(half, work, place, failed)

    def _attempt(self, work: Callable[[], None]) -> psycopg2.Error | None:
        """Do work under a savepoint; return the error where a record is at fault."""
        self.cursor.execute("SAVEPOINT attempt")
        try:
            work()
        except psycopg2.Error as error:
            if not is_record_fault(error):
                raise
            self.cursor.execute("ROLLBACK TO SAVEPOINT attempt")
            return error
        self.cursor.execute("RELEASE SAVEPOINT attempt")
        return None

    def _refuse(self, place: int, error: psycopg2.Error) -> None:
        item = self.batch.items[place]
        record = item if isinstance(item, dict) else loads(bytes(item))
        key = dumps({name: record.get(name) for name in self.staging.key_fields})
        message = ": ".join(filter(None, (error.diag.message_primary, error.diag.message_detail)))
        self.encoded.rejects[place] = Reject(key, as_text(item), "database", message)
