"""The target's settings; ``--about``, the README and Meltano's definition derive from them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from singer_sdk import typing as th
from singer_sdk.exceptions import ConfigValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SETTINGS", "crm_source"]

SETTINGS: Final[dict[str, Any]] = th.PropertiesList(
    th.Property(
        "sqlalchemy_url",
        th.StringType,
        secret=True,
        title="SQLAlchemy URL",
        description=(
            "Address of the warehouse's database, as postgresql://user:password@host:5432/database."
            " Empty: an embedded Postgres in the project's folder .warehouse (needs the extra"
            " crm-warehouse[embedded])."
        ),
    ),
    th.Property(
        "crm_source",
        th.StringType(pattern="^[a-z0-9]{1,50}$"),
        title="CRM source",
        description=(
            "Name of the CRM in SyncHistory, and of the schema its tables are in. Default: the name"
            " of Meltano's extractor without `tap-` and separators."
        ),
    ),
    th.Property(
        "default_target_schema",
        th.StringType,
        title="Default target schema",
        description="Schema of the tables, if it shall not be `crm_source`.",
    ),
    th.Property(
        "history_schema",
        th.StringType,
        default="public",
        title="History schema",
        description="Schema of sync_history and sync_rejects.",
    ),
    th.Property(
        "load_method",
        th.StringType(allowed_values=["append-only", "upsert", "overwrite"]),
        default="upsert",
        title="Load method",
        description=(
            "`upsert` writes each record over the row with its key, if it is not older. `overwrite`"
            " does the same and deletes at the end of a complete run the rows that did not come."
            " `append-only` adds every record. Streams without a key are always appended."
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
        th.NumberType(minimum=0),
        default=60,
        title="Longest wait of a record",
        description="Seconds after which a batch is committed though it is not full.",
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
        "max_rejects",
        th.NumberType(minimum=0),
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
        "connection_retries",
        th.IntegerType(minimum=0),
        default=5,
        title="Connection retries",
        description=(
            "How often a batch is tried again after a lost connection, a deadlock or a"
            " serialization failure, with growing pauses of up to 30 seconds."
        ),
    ),
).to_dict()


def crm_source(config: Mapping[str, Any]) -> str:
    """Return the CRM's name, from the settings or from Meltano's extractor.

    Raises:
        ConfigValidationError: Neither says it.
    """
    if name := config.get("crm_source"):
        return str(name)
    extractor = os.environ.get("MELTANO_EXTRACTOR_NAME", "").lower().removeprefix("tap-")
    if name := "".join(filter(str.isalnum, extractor))[:50]:
        return name
    message = 'Set crm_source, for example "hubspot": the name of the schema the tables go to.'
    raise ConfigValidationError(message, errors=[message], schema=SETTINGS)
