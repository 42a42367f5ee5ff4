"""``warehouse psql``."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import click
import psycopg2
from psycopg2.extras import RealDictCursor
from sqlalchemy.engine import make_url

from warehouse.command import Refusal, Warehouse, emit, json_option, pass_warehouse
from warehouse.server import WarehouseUnavailableError, psql_executable

__all__ = ["command"]


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@json_option
@pass_warehouse
def command(warehouse: Warehouse, arguments: tuple[str, ...], *, as_json: bool) -> None:
    """Open a SQL shell, or run one query.

    Example: warehouse psql -- -c "SELECT count(*) FROM hubspot.contacts"
    """
    if as_json:
        emit(*_rows(warehouse, arguments))
        return
    url = make_url(warehouse.url)
    password = url.password or url.query.get("password") or os.environ.get("PGPASSWORD", "")
    environment = os.environ | {"PGPASSWORD": str(password)}  # others can read command lines
    address = url._replace(password=None).difference_update_query(["password"])
    try:
        line = [psql_executable(), "--dbname", address.render_as_string(), *arguments]
    except WarehouseUnavailableError as error:
        raise Refusal(str(error)) from None
    sys.exit(subprocess.run(line, env=environment, check=False).returncode)  # noqa: S603


def _rows(warehouse: Warehouse, arguments: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return what one query gives, its numbers with all their digits as texts."""
    match arguments:
        case ("-c", query) | (query,):
            pass
        case _:
            raise click.UsageError('--json takes one query: warehouse psql --json "SELECT 1"')
    with (
        warehouse.connect() as connection,
        connection.cursor(cursor_factory=RealDictCursor) as rows,
    ):
        try:
            rows.execute(query)
            return [dict(row) for row in rows] if rows.description else []
        except psycopg2.Error as error:
            raise click.ClickException(str(error).strip()) from None
