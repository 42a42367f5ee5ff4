"""The CSV exports of SalesPro's admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tapkit.files.layout import Layout
from tapkit.files.stream import FileStream

from tap_salespro.tables import OFFICES, USERS

if TYPE_CHECKING:
    from singer_sdk.helpers.types import Record

    from tap_salespro.tap import TapSalesPro

__all__ = ["Export", "Offices", "Users"]


class Export(FileStream):
    """An export; rows without an objectId are no records, and are counted as warnings."""

    def __init__(self, tap: TapSalesPro, paths: list[str]) -> None:
        self.layout = Layout.from_settings(
            {"extra_headings": "ignore", **(tap.config.get("export_layout") or {})}
        )
        super().__init__(tap, paths, tap.files, self.name)

    def convert(
        self, page: list[dict[str | None, Any]], *, is_typed: bool
    ) -> tuple[list[Record], dict[int, Any]]:
        identified = [row for row in page if row.get("objectId")]
        if unnamed := len(page) - len(identified):
            self.status.warnings += unnamed
            self.logger.warning("Skipped %d rows of %s without objectId", unnamed, self.name)
        return super().convert(identified, is_typed=is_typed)


class Offices(Export):
    """Offices, from offices.csv."""

    name = "offices"
    primary_keys: ClassVar[tuple[str, ...]] = ("office_id",)
    fields = OFFICES


class Users(Export):
    """Users, from users.csv."""

    name = "users"
    primary_keys: ClassVar[tuple[str, ...]] = ("user_object_id",)
    fields = USERS
