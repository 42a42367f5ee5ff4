"""What the batches of one stream need, once their table was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from target_warehouse.encoder import EncodedBatch, Encoder
from target_warehouse.fingerprints import Fingerprints
from target_warehouse.names import FINGERPRINT
from target_warehouse.staging import Staging

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from psycopg2.extensions import cursor as Cursor  # noqa: N812
    from warehouse.rejects import Origin

    from target_warehouse.batch_load import Batch
    from target_warehouse.replacement import Replacement
    from target_warehouse.table import Table

__all__ = ["Prepared", "StreamPlan", "prepare"]

_MEANING: Final = (
    "invalid_dates",
    "missing_fields",
    "strict_validation",
    "undeclared_fields",
    "validate_records",
)
"""Settings that decide what becomes of a record."""


@dataclass(frozen=True)
class StreamPlan:
    """How the records of one SCHEMA message are to be loaded.

    Attributes:
        schema: The JSON schema.
        key_fields: Properties that make up the key.
        bookmark: Properties by which newer is told from older.
        scope: Properties of ``x-replace-by``.
        window: Property of ``x-window``: from some value of it on, a read may be complete.
        table: Where they go.
        origin: Gives what refused records are kept with.
    """

    schema: dict[str, Any]
    key_fields: Sequence[str]
    bookmark: Sequence[str]
    scope: Sequence[str]
    table: Table
    origin: Callable[[], Origin]
    window: str = ""


@dataclass(frozen=True)
class Prepared:
    """What batches need after their table was looked at.

    Attributes:
        staging: Their temporary table.
        encoder: Writes what is copied into it.
        fingerprints: Of the table's rows, where they are kept.
        looks_up: Whether it makes sense to ask which records are stored already.
        direct: Whether the table is empty, or has no key, and can be copied into as it is.
    """

    staging: Staging
    encoder: Encoder
    fingerprints: Fingerprints | None
    looks_up: bool
    direct: bool

    def encode(self, batch: Batch) -> EncodedBatch:
        """Encode all records."""
        return self.encoder.encode(batch.items, self._extras(batch), placed=not self.direct)

    def encode_unknown(self, cursor: Cursor, batch: Batch) -> EncodedBatch:
        """Encode those records that are not stored as they came, as far as that can be told."""
        if not (self.fingerprints and self.looks_up):
            return self.encode(batch)
        extras = self._extras(batch)
        places = self.fingerprints.unknown(cursor, batch.items, extras[FINGERPRINT])
        return self.encoder.encode(batch.items, extras, places)

    def _extras(self, batch: Batch) -> dict[str, Sequence[Any]]:
        extras: dict[str, Sequence[Any]] = {"_sdc_extracted_at": batch.extracted}
        if self.fingerprints:
            extras[FINGERPRINT] = self.fingerprints.of(batch.items)
        return {name: extras[name] for name in self.staging.extras}


def prepare(
    cursor: Cursor,
    plan: StreamPlan,
    config: Mapping[str, Any],
    *,
    number: int,
    into: Replacement | None,
    direct: bool,
    on_undeclared: Callable[[str], None],
    sync_started_at: int,
) -> Prepared:
    """Create or adapt the table of a stream, and make ready for its batches.

    Args:
        cursor: In the transaction of the first batch.
        plan: How records are to be loaded.
        config: The target's settings.
        number: Of the stream, for the names of temporary tables.
        into: What gathers the rows of load method overwrite.
        direct: Copy into the table itself if that can be done.
        on_undeclared: See `Encoder`.
        sync_started_at: Start of the run, in milliseconds since 1970.

    Raises:
        TableConflictError: The table cannot be adapted.
    """
    plan.table.prepare(cursor, plan.schema["properties"])
    staging = Staging(
        f"stage_{number}",
        into.prepare(cursor) if into else plan.table,
        bookmark=[plan.table.columns_of.get(name, name) for name in plan.bookmark],
        scope=[plan.table.columns_of[name] for name in plan.scope],
        key_fields=plan.key_fields,
        force=config["force"],
        hard_delete=config["hard_delete"],
        sync_started_at=sync_started_at,
    )
    staging.drop(cursor)
    encoder = Encoder(
        plan.schema,
        plan.table.columns,
        plan.key_fields if plan.table.keys else (),
        validate=config["validate_records"],
        strict=config["strict_validation"],
        on_undeclared=on_undeclared,
        invalid_dates=config["invalid_dates"],
        extras=staging.extras,
    )
    fingerprints = None
    if staging.table.fingerprinted:
        policies = {name: config[name] for name in _MEANING}
        meaning = policies | {"schema": plan.schema, "key": plan.key_fields}
        name = f"known_{number}"
        fingerprints = Fingerprints(cursor, name, staging.table, meaning)
    looks_up = bool(fingerprints) and not config["force"] and plan.table.has_rows(cursor)
    direct = direct and not into and staging.may_be_passed_by and plan.table.takes_copies(cursor)
    return Prepared(staging, encoder, fingerprints, looks_up, direct)
