"""What `warehouse serve` and `warehouse report` begin with; imports without the extra ``page``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from warehouse.command import Refusal, Warehouse

if TYPE_CHECKING:
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
    return Views(Database(_url(warehouse), warehouse.history_schema), shows_records=shown in _YES)


def _url(warehouse: Warehouse) -> str:
    """Return the database's URL: --database, then the page's own setting, then the loader's."""
    own = warehouse.variables.get("WAREHOUSE_PAGE_SQLALCHEMY_URL")
    if own and not click.get_current_context().find_root().params.get("database"):
        try:
            return Warehouse({"sqlalchemy_url": own}).url
        except Refusal as refusal:
            raise Refusal(f"WAREHOUSE_PAGE_SQLALCHEMY_URL: {refusal.message}") from None
    return warehouse.url
