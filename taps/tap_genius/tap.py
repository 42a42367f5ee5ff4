"""tap-genius: the tables of a Genius database."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from singer_sdk import typing as th
from singer_sdk.exceptions import DiscoveryError
from tapkit.errors import ConfigValidationError
from tapkit.settings import common_settings, secret
from tapkit.tap import Tap

from tap_genius import discovery
from tap_genius.columns import TYPE_FIELDS
from tap_genius.database import SSL_MODES, ConnectionLost, Database
from tap_genius.entities import ENTITIES, FURTHER, SECRET_COLUMNS, Entity
from tap_genius.streams import Rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tapkit.stream import Stream

    from tap_genius.columns import Column
    from tap_genius.discovery import Table

__all__ = ["TapGenius"]

HTTP_ONLY = {"base_url", "concurrency"}


class TapGenius(Tap):
    """Leads, prospects, appointments, jobs, quotes and what belongs to them, from MySQL."""

    name = "tap-genius"
    field_tables: ClassVar = {"MySQL's types": TYPE_FIELDS}

    config_jsonschema = th.PropertiesList(
        th.Property(
            "host",
            th.StringType,
            required=True,
            title="Host",
            description="The server of the database, MySQL or MariaDB.",
        ),
        th.Property(
            "port",
            th.IntegerType(minimum=1, maximum=65535),
            default=3306,
            title="Port",
            description="The server's port.",
        ),
        th.Property(
            "database",
            th.StringType,
            required=True,
            title="Database",
            description="The database's name.",
        ),
        th.Property(
            "username",
            th.StringType,
            title="User name",
            description="A user who may SELECT; nothing else is needed.",
        ),
        secret("password", "Password", "The user's password."),
        th.Property(
            "ssl_mode",
            th.StringType(allowed_values=list(SSL_MODES)),
            default="preferred",
            title="TLS mode",
            description=(
                "As MySQL's clients have it: preferred encrypts where the server can, required "
                "always; verify_ca checks the certificate, verify_identity its name too."
            ),
        ),
        th.Property(
            "ssl_ca",
            th.StringType,
            title="CA file",
            description="Certificates to trust, in PEM; without it those of the system.",
        ),
        th.Property(
            "ssl_cert",
            th.StringType,
            title="Client certificate file",
            description="The user's certificate in PEM, where the server asks for one.",
        ),
        th.Property(
            "ssl_key",
            th.StringType,
            title="Client key file",
            description="The key of ssl_cert, in PEM.",
        ),
        th.Property(
            "connect_timeout",
            th.IntegerType(minimum=1),
            default=10,
            title="Connect timeout (seconds)",
            description="How long to wait for a connection.",
        ),
        th.Property(
            "tables",
            th.ArrayType(th.StringType),
            default=[],
            title="Further tables",
            description=(
                "Names of tables to read beside the known ones, each a stream of its name; "
                "* and ? stand for any characters, so that ['*'] reads all."
            ),
        ),
        th.Property(
            "excluded_columns",
            th.ArrayType(th.StringType),
            default=list(SECRET_COLUMNS),
            title="Excluded columns",
            description=(
                "table.column, * and ? for any characters: credentials and the like, which are "
                "never read. [] reads everything."
            ),
        ),
        *(
            it
            for it in common_settings(
                base_url="", page_size=10_000, page_size_limit=1_000_000, look_back=600
            )
            if it.name not in HTTP_ONLY
        ),
    ).to_dict()

    @cached_property
    def database(self) -> Database:
        """The database that all streams read."""
        return Database(self.config)

    @property
    def api_calls(self) -> int:
        return self.database.calls

    def sync_all(self) -> None:  # type: ignore[misc]  # as in the base
        """Read all selected streams, over one connection.

        Raises:
            StreamsFailed: Some streams could not be read.
        """
        try:
            super().sync_all()
        finally:
            self.database.close()

    def discover_streams(self) -> list[Stream]:
        try:
            with self.database.connected() as connection:
                tables = discovery.tables(connection)
        except ConnectionLost as error:
            raise DiscoveryError(str(error)) from None
        finally:
            self.database.close()
        streams: list[Stream] = [Rows(self, it, tables[it.table]) for it in self._entities(tables)]
        if not streams:
            what = (
                f"Database '{self.config['database']}' has no table to read, or shows this user "
                "none. Check the settings database and tables, and the user's right to SELECT."
            )
            raise ConfigValidationError(what, errors=[what])
        return streams

    def may_read(self, table: Table, column: Column, keys: tuple[str, ...]) -> bool:
        """Whether a column is not left out as a secret; keys never are."""
        name = f"{table.name}.{column.name}".lower()
        patterns = self.config["excluded_columns"]
        return column.name in keys or not any(fnmatchcase(name, it.lower()) for it in patterns)

    def _entities(self, tables: dict[str, Table]) -> Iterator[Entity]:
        """The known tables that are there, and those that the setting asks for."""
        yield from (entity for entity in ENTITIES if entity.table in tables)
        if missing := [entity.table for entity in ENTITIES if entity.table not in tables]:
            self.logger.warning(
                "Left out, as the database does not have or show them: %s", ", ".join(missing)
            )
        yield from (entity for entity in FURTHER if entity.table in tables)
        known = {entity.table for entity in (*ENTITIES, *FURTHER)}
        taken = {entity.name for entity in (*ENTITIES, *FURTHER)}
        for name in sorted(tables.keys() - known):
            if any(fnmatchcase(name, pattern) for pattern in self.config["tables"]):
                stream = f"{name}_table" if name in taken else name
                yield Entity(stream, name, key=(), fallback="created_at")
