"""The target's settings; ``--about``, the README and Meltano's definition derive from them."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from singer_sdk import typing as th
from singer_sdk.exceptions import ConfigValidationError
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from target_warehouse.names import identifier

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SETTINGS", "check", "crm_source", "database_address", "refusal", "table_schema"]

_TLS: Final = ("sslmode", "sslrootcert", "sslcert", "sslkey")

SETTINGS: Final[dict[str, Any]] = th.PropertiesList(
    th.Property(
        "sqlalchemy_url",
        th.StringType,
        secret=True,
        title="SQLAlchemy URL",
        description=(
            "Address of the warehouse's database, as postgresql://user:password@host:5432/database."
            " Neither this nor host: an embedded Postgres in the project's folder .warehouse (needs"
            " the extra crm-warehouse[embedded])."
        ),
    ),
    th.Property(
        "host",
        th.StringType,
        title="Host",
        description="The database's server, or its socket's folder; in place of sqlalchemy_url.",
    ),
    th.Property("port", th.IntegerType, default=5432, title="Port", description="Port of host."),
    th.Property("user", th.StringType, title="User", description="Role to log in as at host."),
    th.Property(
        "password", th.StringType, secret=True, title="Password", description="Its password."
    ),
    th.Property(
        "database", th.StringType, title="Database", description="Name of the database at host."
    ),
    th.Property(
        "sslmode",
        th.StringType(
            allowed_values=["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
        ),
        title="TLS mode",
        description=(
            "As libpq has it: `require` encrypts, `verify-full` also checks who the server is."
            " Empty: the address decides, else libpq's default `prefer`."
        ),
    ),
    th.Property(
        "sslrootcert",
        th.StringType,
        title="TLS root certificate",
        description="File of the authorities whose server certificates are trusted.",
    ),
    th.Property(
        "sslcert",
        th.StringType,
        title="TLS client certificate",
        description="File of the certificate to log in with.",
    ),
    th.Property(
        "sslkey",
        th.StringType,
        title="TLS client key",
        description="File of the client certificate's key.",
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
        "stream_schemas",
        th.ObjectType(additional_properties=th.StringType),
        title="Schemas by stream",
        description=(
            'Schemas for some streams: name or pattern → schema, as {"deal*": "sales"}; the'
            " first that fits counts."
        ),
    ),
    th.Property(
        "history_schema",
        th.StringType(pattern="^[^%]+$"),
        default="public",
        title="History schema",
        description="Schema of sync_history and sync_rejects.",
    ),
    th.Property(
        "naming",
        th.StringType(allowed_values=["preserve", "snake"]),
        default="preserve",
        title="Naming",
        description=(
            "Names of tables and columns: as in the stream (`Id` must be quoted in SQL), or in"
            " lower_snake_case. Of columns with the same name the second ends in a hash; the"
            " property is noted in the column's comment."
        ),
    ),
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
        "lock_timeout",
        th.NumberType(minimum=0),
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
).to_dict()


def check(config: Mapping[str, Any]) -> None:
    """Refuse settings that contradict each other.

    Raises:
        ConfigValidationError: They do.
    """
    if config.get("missing_fields") == "keep" and config.get("load_method") != "upsert":
        raise refusal(
            "missing_fields keep needs load_method upsert: only that changes stored rows."
        )


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
    raise refusal('Set crm_source, for example "hubspot": the name of the schema the tables go to.')


def table_schema(config: Mapping[str, Any], stream: str, source: str) -> str:
    """Return the schema of a stream's table."""
    rules = config.get("stream_schemas") or {}
    named = next((name for pattern, name in rules.items() if fnmatchcase(stream, pattern)), None)
    return identifier(named or config.get("default_target_schema") or source)


def database_address(config: Mapping[str, Any]) -> str | None:
    """Return the configured database's URL, or None for the embedded one.

    Raises:
        ConfigValidationError: The settings contradict each other, or are no address of a Postgres.
    """
    tls = {name: config[name] for name in _TLS if config.get(name)}
    if text := config.get("sqlalchemy_url"):
        if given := [name for name in ("host", "user", "password", "database") if config.get(name)]:
            raise refusal(f"Set sqlalchemy_url or {given[0]}, not both.")
        url = _parsed(text)
    elif config.get("host"):
        host, port = config["host"], config.get("port")
        socket = host.startswith("/")
        url = URL.create(
            "postgresql",
            username=config.get("user"),
            password=config.get("password"),
            host=None if socket else host,
            port=None if socket else port,
            database=config.get("database"),
            query={"host": host, "port": str(port)} if socket else {},
        )
    else:
        if given := [name for name in ("user", "password", "database", *tls) if config.get(name)]:
            raise refusal(f"{given[0]} says nothing without host; set host or sqlalchemy_url.")
        return None
    for name in _TLS[1:]:
        if name in tls and not os.access(tls[name], os.R_OK):
            raise refusal(f"The file that {name} names cannot be read: {tls[name]}")
    return url.update_query_dict(tls).render_as_string(hide_password=False)


def _parsed(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # which quote the address, password and all
        url = None
    if url is None or url.get_backend_name() not in {"postgresql", "postgres"}:
        raise refusal(
            "sqlalchemy_url is not the address of a Postgres; write"
            " postgresql://user:password@host:5432/database, with @ : / # ? % in the password as"
            " %40 %3A %2F %23 %3F %25."
        ) from None
    return url.set(drivername="postgresql")


def refusal(message: str) -> ConfigValidationError:
    """Return the error that refuses the settings with this sentence."""
    return ConfigValidationError(message, errors=[message], schema=SETTINGS)
