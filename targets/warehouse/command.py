"""What the commands of ``warehouse`` share: where the warehouse is, and how they answer."""

from __future__ import annotations

import json
import os
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import psycopg2
import psycopg2.errors
from dotenv import dotenv_values
from psycopg2.extensions import parse_dsn
from rich.console import Console

from warehouse.address import AddressError, database_address
from warehouse.errors import Refusal
from warehouse.project import loader_settings
from warehouse.server import WarehouseUnavailableError, libpq_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from psycopg2.extensions import connection as Connection  # noqa: N812

__all__ = [
    "PREFIX",
    "Refusal",
    "Warehouse",
    "console",
    "emit",
    "json_option",
    "pass_warehouse",
    "schema_option",
]

PREFIX: Final = "TARGET_WAREHOUSE_"
_PIPED_WIDTH: Final = 160


@dataclass(frozen=True)
class Warehouse:
    """The warehouse that a command works on.

    Attributes:
        settings: Of target-warehouse, as far as they are set.
        variables: The environment, and beneath it the project's ``.env``.
    """

    settings: Mapping[str, Any]
    variables: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_project(cls, database: str | None = None) -> Warehouse:
        """Return the warehouse as Meltano finds it: the environment, ``.env``, meltano.yml.

        Args:
            database: A URL that takes the place of what the settings say of the address.
        """
        values = {**dotenv_values(_folder() / ".env"), **os.environ}
        variables = {name: value for name, value in values.items() if value}
        settings = loader_settings(_folder(), variables)
        for name, value in values.items():
            if name.startswith(PREFIX) and value is not None:
                settings[name.removeprefix(PREFIX).lower()] = value
        # One that is empty is not set, whatever meltano.yml says: so it is to Meltano.
        settings = {name: value for name, value in settings.items() if value != ""}
        if database:
            kept = {name: settings[name] for name in ("history_schema",) if name in settings}
            settings = {"sqlalchemy_url": database, **kept}
        return cls(settings, variables)

    @property
    def project(self) -> Path:
        """The Meltano project's folder."""
        return _folder()

    @property
    def history_schema(self) -> str:
        """The schema of ``sync_history`` and the tables beside it."""
        return str(self.settings.get("history_schema", "public"))

    @cached_property
    def url(self) -> str:
        """The database's URL, password and all, as libpq reads it.

        Raises:
            Refusal: The settings name no database, or the embedded one does not start.
        """
        try:
            found = libpq_url(database_address(self.settings))
            parse_dsn(found)
        except (AddressError, WarehouseUnavailableError) as error:
            raise Refusal(str(error)) from None
        except psycopg2.ProgrammingError:  # which may quote the address
            raise Refusal(
                "sqlalchemy_url has an option after its question mark that Postgres does not know."
            ) from None
        return found

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Give a connection: one transaction, committed unless an exception leaves the block.

        Raises:
            Refusal: The database cannot be reached, is lost, or denies a right.
        """
        try:
            connection = psycopg2.connect(self.url)
        except psycopg2.OperationalError as error:
            raise Refusal(f"The warehouse cannot be reached: {error}") from None
        try:
            with closing(connection), connection:
                yield connection
        except psycopg2.errors.InsufficientPrivilege as error:
            raise Refusal(f"The warehouse's role lacks a right: {_first_line(error)}") from None
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            raise Refusal(f"The warehouse's server gave up: {_first_line(error)}") from None


def _first_line(error: psycopg2.Error) -> str:
    return str(error).strip().split("\n")[0]


def _folder() -> Path:
    return Path(os.environ.get("MELTANO_PROJECT_ROOT", ".")).resolve()


pass_warehouse: Final = click.make_pass_decorator(Warehouse)

json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="For programs: one JSON object per line."
)
"""Every command has it. A list is one object per line, everything else one object."""

schema_option: Final = click.option(
    "--schema", help="Where sync_history is. Default: the loader's history_schema."
)


def emit(*rows: Mapping[str, Any]) -> None:
    """Write objects for programs; moments as ISO 8601, other unknown types as text."""
    for row in rows:
        click.echo(json.dumps(row, default=_plain, ensure_ascii=False))


def _plain(value: Any) -> str:
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


def console(width: int | None = None) -> Console:
    """Return where people read: as wide as the terminal, wide where there is none."""
    found = Console(width=width, highlight=False)
    if not (width or found.is_terminal):
        found.width = max(found.width, _PIPED_WIDTH)
    return found
