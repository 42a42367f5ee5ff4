"""One batch in one transaction: staged, merged, and freed of the records Postgres refuses."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg2
import psycopg2.errors
from psycopg2 import sql
from warehouse.history import Counts
from warehouse.rejects import Reject

from target_warehouse.encoder import EncodedBatch, Item, as_text
from target_warehouse.errors import is_record_fault
from target_warehouse.jsontext import dumps, loads
from target_warehouse.merge_good import merge_good_rows
from target_warehouse.missing_fields import MissingFields

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

    from target_warehouse.staging import Staging

__all__ = ["Batch", "BatchLoad"]

_T = TypeVar("_T")

# Above it may stand what was wrong within a JSON value.
_LINE: Final = re.compile(r"^COPY \S+, \w+ (\d+)", re.MULTILINE)
_ROW: Final = re.compile(rb'(?:[^"\n]+|"[^"\\]*(?:\\.[^"\\]*)*")*\n', re.DOTALL)


@dataclass
class Batch:
    """Records that are committed together.

    Attributes:
        items: The records.
        extracted: When each was read from the source; empty unless the column is kept.
        version: Of the table, for full reads.
        size: Bytes of the messages.
        started: When the first record came, in seconds since 1970.
        first: The first record's number in the input.
    """

    items: list[Item] = field(default_factory=list)
    extracted: list[str | None] = field(default_factory=list)
    version: int | None = None
    size: int = 0
    started: float = 0
    first: int = 0


class BatchLoad:
    """One batch in one transaction."""

    def __init__(
        self,
        cursor: Cursor,
        staging: Staging,
        batch: Batch,
        encoded: EncodedBatch,
        *,
        keep_missing: bool = False,
    ) -> None:
        self.cursor, self.staging, self.batch, self.encoded = cursor, staging, batch, encoded
        missing = MissingFields(staging) if keep_missing and staging.table.keys else None
        self._missing = missing if missing and missing.note(cursor, batch.items) else None
        self.created = self.updated = 0

    def load_directly(self) -> Counts | None:
        """Copy the batch into the table itself; nothing was done where that returns None."""
        encoded = self.encoded
        if self.staging.table.keys and len(encoded.keys) < encoded.rows:
            return None
        self.cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        text = b"\n".join([*encoded.blobs, b""])
        encoded.blobs.clear()

        def copy() -> None:
            self.created = self.staging.copy_past(self.cursor, text)

        if encoded.rows and self._attempt(copy) is not None:
            return None
        return self._counts()

    def load(self) -> Counts:
        """Store the batch and return what became of its records."""
        cursor, staging, encoded = self.cursor, self.staging, self.encoded
        table = staging.table
        staging.ensure(cursor)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # at the commit no row would be named
        if encoded.rows:
            text = b"\n".join([*encoded.blobs, b""])
            encoded.blobs.clear()
            self._copy(text)
        deduplicated = deleted = updated = 0
        if table.keys and len(encoded.keys) < encoded.rows:
            deduplicated = self._deduplicate()
        if staging.scope:
            deleted += staging.replace_scopes(cursor, encoded.known_keys)
        if staging.hard_delete:
            updated = staging.delete_marked(cursor)
        if self._missing:
            self._missing.keep(cursor)
        if encoded.rows:
            deduplicated += self._merge()
        return self._counts(deduplicated, deleted, updated)

    def _counts(self, deduplicated: int = 0, deleted: int = 0, marked: int = 0) -> Counts:
        """Return the counters, given what neither created nor updated a row."""
        processed, failed = len(self.batch.items), len(self.encoded.rejects)
        updated = marked + self.updated
        return Counts(
            created=self.created,
            updated=updated,
            unchanged=processed - failed - deduplicated - self.created - updated,
            deduplicated=deduplicated,
            failed=failed,
            deleted=deleted + marked,
            warnings=len(self.encoded.found),
            batches=1,
        )

    def _copy(self, text: bytes) -> None:
        if (error := self._attempt(lambda: self.staging.copy(self.cursor, text))) is not None:
            self._copy_without(_ROW.findall(text), error)

    def _copy_without(self, rows: list[bytes], error: psycopg2.Error | None) -> None:
        """Copy rows of which one has failed: before it all are good, after it nobody knows."""

        def copy(some: Sequence[bytes]) -> None:
            self.staging.copy(self.cursor, b"".join(some))

        def place(row: bytes) -> int:
            return int(row[: row.index(b",")].strip(b'"'))

        while error is not None:
            # Where messages are in a language that says it otherwise, halving finds it.
            named = _LINE.search(error.diag.context or "")
            if not named:
                self._isolate(rows, copy, place, error)
                return
            bad = _row_at(rows, int(named[1]))
            self._refuse(place(rows[bad]), _message(error))
            copy(rows[:bad])
            rows = rows[bad + 1 :]
            error = self._attempt(partial(copy, rows))

    def _deduplicate(self) -> int:
        if self._missing:
            self._missing.fold(self.cursor)
        return self.staging.deduplicate(self.cursor)

    def _merge(self) -> int:
        """Merge what is staged; return how many duplicates only Postgres could tell."""
        deduplicated = 0
        error = self._attempt(self._merge_all)
        if isinstance(error, psycopg2.errors.CardinalityViolation):
            deduplicated = self._deduplicate()
            if self._missing:
                self._missing.keep(self.cursor)
            error = self._attempt(self._merge_all)
        if error is not None:
            self._merge_good()
        return deduplicated

    def _merge_all(self) -> None:
        self.created, self.updated = self.staging.merge(
            self.cursor, len(self.batch.items), self._constants()
        )

    def _merge_good(self) -> None:
        statement = self.staging.merge_statement(sql.SQL("$1"), sql.SQL("$2"), self._constants())
        merged = merge_good_rows(self.cursor, statement, len(self.batch.items))
        self.created, self.updated = merged.created, merged.updated
        for place, message in merged.refused:
            self._refuse(place, message)

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
            self._refuse(place(parts[0]), _message(error))
            return
        middle = len(parts) // 2
        for half in (parts[:middle], parts[middle:]):
            if (failed := self._attempt(partial(work, half))) is not None:
                self._isolate(half, work, place, failed)

    def _attempt(self, work: Callable[[], None]) -> psycopg2.Error | None:
        """Do work under a savepoint; return the error where a record is at fault."""
        self.cursor.execute("SAVEPOINT attempt")
        try:
            work()
        except psycopg2.Error as error:
            duplicates = isinstance(error, psycopg2.errors.CardinalityViolation)
            if not (is_record_fault(error) or duplicates):
                raise
            self.cursor.execute("ROLLBACK TO SAVEPOINT attempt")
            return error
        self.cursor.execute("RELEASE SAVEPOINT attempt")
        return None

    def _refuse(self, place: int, message: str) -> None:
        item = self.batch.items[place]
        record = item if isinstance(item, dict) else loads(bytes(item))
        key = dumps({name: record.get(name) for name in self.staging.key_fields})
        self.encoded.rejects[place] = Reject(key, as_text(item), "database", message)


def _message(error: psycopg2.Error) -> str:
    return ": ".join(filter(None, (error.diag.message_primary, error.diag.message_detail)))


def _row_at(rows: Sequence[bytes], line: int) -> int:
    """Return the row that has or ends with a line, of which texts with line feeds have several."""
    last_lines = accumulate(row.count(b"\n") for row in rows)
    return next(index for index, last in enumerate(last_lines) if last >= line)
