"""What `warehouse serve` and `warehouse report` begin with; imports without the extra ``page``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from warehouse.command import Refusal, Warehouse
from warehouse.expectation import configured, hours_of_variables
from warehouse.health import examine

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

    from warehouse.health import Health
    from warehouse.page.views import Views

__all__ = ["open_views"]

_YES: Final = frozenset({"1", "true", "yes", "on"})
_NO: Final = frozenset({"", "0", "false", "no", "off"})


def open_views(warehouse: Warehouse) -> Views:
    """Return the views of the warehouse, read as the page's own role where that is set.

    Raises:
        Refusal: The extra is not installed, or a setting means nothing.
    """
    try:
        from warehouse.page.database import Database  # noqa: PLC0415 - an extra
        from warehouse.page.views import Views  # noqa: PLC0415
    except ImportError as error:
        raise Refusal(
            f"The page needs {error.name}, which is not installed. Install crm-warehouse[page]."
        ) from None
    shown = warehouse.variables.get("WAREHOUSE_PAGE_RECORDS", "").strip().lower()
    if shown not in _YES | _NO:
        raise Refusal("WAREHOUSE_PAGE_RECORDS is true or false.")
    database = Database(_url(warehouse), warehouse.history_schema)
    return Views(database, _examiner(warehouse), shows_records=shown in _YES)


def _examiner(warehouse: Warehouse) -> Callable[[Cursor], Health]:
    """Return what judges the pipelines, by the same as `warehouse health`."""
    schema = warehouse.history_schema
    try:
        hours = hours_of_variables(warehouse.variables)
    except ValueError as error:
        raise Refusal(str(error)) from None

    def examined(cursor: Cursor) -> Health:
        try:
            wanted = configured(cursor, schema, warehouse.project, warehouse.variables)
        except Refusal:  # meltano.yml is being edited: the commands say so, the page goes on
            wanted = set()
        return examine(cursor, schema, expected_hours=hours, configured=wanted)

    return examined


def _url(warehouse: Warehouse) -> str:
    """Return the database's URL: --database, then the page's own setting, then the loader's."""
    own = warehouse.variables.get("WAREHOUSE_PAGE_SQLALCHEMY_URL")
    if own and not click.get_current_context().find_root().params.get("database"):
        try:
            return Warehouse({"sqlalchemy_url": own}).url
        except Refusal as refusal:
            raise Refusal(f"WAREHOUSE_PAGE_SQLALCHEMY_URL: {refusal.message}") from None
    return warehouse.url
