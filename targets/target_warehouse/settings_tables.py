"""Settings: where the database is, and which tables records go to."""

from __future__ import annotations

from typing import Final

from singer_sdk import typing as th

__all__ = ["PLACES"]

PLACES: Final = (
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
)
