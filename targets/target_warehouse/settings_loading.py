"""Settings: how records are loaded, and what becomes of those that do not fit."""

from __future__ import annotations

from typing import Final

from singer_sdk import typing as th

__all__ = ["LOADING"]

NUMBER: Final = th.CustomType(
    {"type": ["number", "string"], "minimum": 0, "pattern": r"^\d+(\.\d+)?$"}
)
"""Also as a text, because Meltano (4.4) cannot pass decimals on; see `numbers`."""

LOADING: Final = (
    th.Property(
        "load_method",
        th.StringType(allowed_values=["append-only", "upsert", "overwrite"]),
        default="upsert",
        title="Load method",
        description=(
            "`upsert` writes each record over the row with its key, if it is not older; without a"
            " key it adds every record, as `append-only` always does. `overwrite` gathers the"
            " records and lets them replace the table's rows in one transaction at the end of a"
            " complete run."
        ),
    ),
    th.Property(
        "index_bookmarks",
        th.BooleanType,
        default=False,
        title="Index bookmarks",
        description="Have an index on each stream's replication key.",
    ),
    th.Property(
        "indexes",
        th.ObjectType(
            additional_properties=th.ArrayType(th.ArrayType(th.StringType(min_length=1)))
        ),
        title="Indexes",
        description='Further indexes: stream → lists of properties, as {"deals": [["stage"]]}.',
    ),
    th.Property(
        "grant_select_to",
        th.ArrayType(th.StringType),
        default=[],
        title="Grant SELECT to",
        description="Roles that may read the tables.",
    ),
    th.Property(
        "rebuild_views",
        th.BooleanType,
        default=False,
        title="Rebuild views",
        description=(
            "Where a view is in the way of a wider column, drop it and make it again, with owner,"
            " comment and grants, in the same transaction. Otherwise the run fails and names it."
        ),
    ),
    th.Property(
        "batch_size_rows",
        th.IntegerType(minimum=1),
        default=20_000,
        title="Batch size in rows",
        description="Most records of one stream that are committed together.",
    ),
    th.Property(
        "batch_size_bytes",
        th.IntegerType(minimum=1),
        default=16_000_000,
        title="Batch size in bytes",
        description="Most bytes of input, of all streams together, that wait for a commit.",
    ),
    th.Property(
        "batch_max_age",
        NUMBER,
        default=60,
        title="Longest wait of a record",
        description="Seconds after which a batch is committed though it is not full.",
    ),
    th.Property(
        "fingerprints",
        th.BooleanType,
        default=False,
        title="Fingerprints",
        description=(
            "Keep a fingerprint of each record beside its row, in the column sync_fingerprint, so"
            " that records which come again unchanged are known without being sent to the"
            " database. For streams with a key that are read again and again."
        ),
    ),
    th.Property(
        "force",
        th.BooleanType,
        default=False,
        title="Force",
        description="Write every record, even if the stored row is newer or the same.",
    ),
    th.Property(
        "dry_run",
        th.BooleanType,
        default=False,
        title="Dry run",
        description=(
            "Read, convert, validate, stage and count, then roll back: no row, no history, no"
            " state."
        ),
    ),
    th.Property(
        "validate_records",
        th.BooleanType,
        default=True,
        title="Validate records",
        description=(
            "Send records that break their stream's schema to sync_rejects. Otherwise a value that"
            " does not fit its column becomes null and is noted in sync_issues."
        ),
    ),
    th.Property(
        "strict_validation",
        th.BooleanType,
        default=False,
        title="Strict validation",
        description="Send records that would have sync_issues to sync_rejects instead.",
    ),
    th.Property(
        "invalid_dates",
        th.StringType(allowed_values=["null", "clamp", "reject"]),
        default="null",
        title="Invalid dates",
        description=(
            "What becomes of a date or moment that does not parse or is outside of the years 1 to"
            " 9999: null, noted in sync_issues; `clamp`: as null, but the nearest day or moment if"
            " it is only out of range; `reject`: the record goes to sync_rejects."
        ),
    ),
    th.Property(
        "undeclared_fields",
        th.StringType(allowed_values=["drop", "keep"]),
        default="drop",
        title="Undeclared fields",
        description=(
            "Fields that the stream's schema does not declare: `drop` them with one warning each,"
            " or `keep` them in the jsonb column sync_extra."
        ),
    ),
    th.Property(
        "missing_fields",
        th.StringType(allowed_values=["null", "keep"]),
        default="null",
        title="Missing fields",
        description=(
            "What an upsert makes of fields that a record does not have: null, as a complete load"
            " would, or `keep` the value that is stored. A field that is null is not missing."
        ),
    ),
    th.Property(
        "max_rejects",
        NUMBER,
        title="Most rejects",
        description=(
            "Refused records per stream after which the run fails: a count, or a share between 0"
            " and 1. Empty: no limit."
        ),
    ),
    th.Property(
        "hard_delete",
        th.BooleanType,
        default=False,
        title="Hard delete",
        description="Delete rows instead of marking them in _sdc_deleted_at.",
    ),
    th.Property(
        "add_record_metadata",
        th.BooleanType,
        default=False,
        title="Add record metadata",
        description="Add the SDK's columns _sdc_extracted_at, _sdc_received_at and so on.",
    ),
    th.Property(
        "lock_timeout",
        NUMBER,
        default=600,
        title="Longest wait for another run",
        description=(
            "Seconds to wait for another run that loads the same table, before this one fails; 0"
            " fails at once."
        ),
    ),
    th.Property(
        "connection_retries",
        th.IntegerType(minimum=0),
        default=5,
        title="Connection retries",
        description=(
            "How often a batch is tried again after a lost connection, a deadlock or a"
            " serialization failure, with growing pauses of up to 30 seconds."
        ),
    ),
)
