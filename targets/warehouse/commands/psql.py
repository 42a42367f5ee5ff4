"""``warehouse psql``."""

from __future__ import annotations

import os
import subprocess
import sys

import click
from sqlalchemy.engine import make_url

from warehouse.command import Refusal, Warehouse, pass_warehouse
from warehouse.server import WarehouseUnavailableError, psql_executable

__all__ = ["command"]


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@pass_warehouse
def command(warehouse: Warehouse, arguments: tuple[str, ...]) -> None:
    """Open a SQL shell, or run one query.

    Example: warehouse psql -- -c "SELECT count(*) FROM hubspot.contacts"
    """
    url = make_url(warehouse.url)
    password = url.password or url.query.get("password") or os.environ.get("PGPASSWORD", "")
    environment = os.environ | {"PGPASSWORD": str(password)}  # others can read command lines
    address = url._replace(password=None).difference_update_query(["password"])
    try:
        line = [psql_executable(), "--dbname", address.render_as_string(), *arguments]
    except WarehouseUnavailableError as error:
        raise Refusal(str(error)) from None
    sys.exit(subprocess.run(line, env=environment, check=False).returncode)  # noqa: S603
