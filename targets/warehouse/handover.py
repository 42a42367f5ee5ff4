"""What a tap's process is told by the tables: configuration, credentials, who keeps its token.

All of it travels as environment of that process, and only where the user's own does not say it.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from warehouse.command import Refusal, Warehouse
from warehouse.configuration import (
    ALL,
    Configuration,
    Value,
    effective,
    inactive,
    text_of,
    variable,
)
from warehouse.credentials import REFRESH_TOKEN, Credentials, displaced, is_secret
from warehouse.crms import environment_name, tap_of, tap_settings, written
from warehouse.encryption import Keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from psycopg2.extensions import connection as Connection  # noqa: N812

    from warehouse.configuration import Row

__all__ = ["credentials_of", "environment", "settings_of", "switched_off"]

_TOKEN_COMMAND: Final = "TAPKIT_REFRESH_TOKEN_COMMAND"  # noqa: S105 - see tapkit.refresh_tokens


def environment(warehouse: Warehouse, crm: str, streams: Sequence[str] = ()) -> dict[str, str]:
    """Return the variables that the user's environment lacks and the tables have.

    Args:
        warehouse: Where the tables are; nothing is written.
        crm: The CRM that is to be read.
        streams: Those of its streams that the run reads; none for all that are active.

    Raises:
        Refusal: The warehouse cannot be reached, a variable is wrong, or credentials do not open.
    """
    tap = tap_of(warehouse.project, crm)
    with warehouse.connect() as connection:
        rows = _rows(warehouse, connection, crm)
        secrets = _credentials(warehouse, connection, crm, tap)
    values = _effective(warehouse, crm, tap, streams, rows)
    result = {variable(tap, name): text_of(it.value) for name, it in values.items() if it.is_ours}
    off = sorted(inactive(rows) - {ALL})
    if (
        off
        and not streams
        and not warehouse.variables.get(select := variable(tap, "_select_filter"))
    ):
        result[select] = json.dumps([f"!{stream}" for stream in off])
    result |= {variable(tap, name): value for name, value in secrets.items()}
    if REFRESH_TOKEN in secrets:
        result[_TOKEN_COMMAND] = json.dumps(
            [str(Path(sys.executable).with_name("warehouse")), "credentials", "exchange", crm]
        )
    return result


def settings_of(warehouse: Warehouse, crm: str, streams: Sequence[str] = ()) -> dict[str, Value]:
    """Return what a run is told, and by whom; values of secrets are left out.

    Raises:
        Refusal: See `environment`.
    """
    tap = tap_of(warehouse.project, crm)
    with warehouse.connect() as connection:
        rows = _rows(warehouse, connection, crm)
        secrets = _credentials(warehouse, connection, crm, tap)
    found = _effective(warehouse, crm, tap, streams, rows)
    found |= {name: Value(None, "api_credentials", is_ours=True) for name in secrets}
    schema = tap_settings(tap)
    return {
        name: Value(None, it.origin, it.is_ours) if is_secret(name, schema) else it
        for name, it in sorted(found.items())
    }


def credentials_of(warehouse: Warehouse, crm: str) -> dict[str, str]:
    """Return the stored credentials that a run of a CRM gets.

    Raises:
        Refusal: See `environment`.
    """
    with warehouse.connect() as connection:
        return _credentials(warehouse, connection, crm, tap_of(warehouse.project, crm))


def switched_off(warehouse: Warehouse, crm: str, streams: Iterable[str] = ()) -> set[str]:
    """Return which of these streams are not to be read; `ALL` stands for the whole CRM.

    Raises:
        Refusal: The warehouse cannot be reached.
    """
    with warehouse.connect() as connection:
        return inactive(_rows(warehouse, connection, crm)) & {ALL, *streams}


def _rows(warehouse: Warehouse, connection: Connection, crm: str) -> list[Row]:
    return Configuration(connection, warehouse.history_schema).rows(crm)


def _effective(
    warehouse: Warehouse, crm: str, tap: str, streams: Sequence[str], rows: Sequence[Row]
) -> dict[str, Value]:
    try:
        return effective(
            tap,
            tap_settings(tap),
            rows,
            crm=crm,
            streams=streams,
            variables=warehouse.variables,
            written=written(warehouse.project, tap, environment_name(warehouse)),
        )
    except ValueError as error:
        raise Refusal(str(error)) from None


def _credentials(
    warehouse: Warehouse, connection: Connection, crm: str, tap: str
) -> dict[str, str]:
    """Return what is stored and active, without what the user's environment says or displaces."""
    with connection.cursor() as cursor:
        keys = partial(Keys.load, warehouse.variables, warehouse.project)
        entry = Credentials(warehouse.history_schema, keys).entry(cursor, crm)
    if entry is None or not entry.is_active:
        return {}
    schema = tap_settings(tap)
    given = {
        name for name in {*schema, *entry.settings} if warehouse.variables.get(variable(tap, name))
    }
    kept = entry.settings.keys() - given - displaced(schema, given)
    return {name: value for name, value in entry.settings.items() if name in kept}
