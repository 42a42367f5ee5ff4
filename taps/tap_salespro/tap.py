"""tap-salespro: SalesPro's tables in Athena, and the CSV exports of its admin."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import typing as th
from tapkit.errors import ConfigValidationError
from tapkit.files.layout import file_options, file_settings, layout_settings
from tapkit.settings import common_settings, secret
from tapkit.sources import open_source
from tapkit.tap import Tap

from tap_salespro.database import Database
from tap_salespro.exports import Offices, Users
from tap_salespro.lead_results import LINE_ITEM_FIELDS, LeadResultLineItems, LeadResults
from tap_salespro.streams import CHECKSUM, TableStream
from tap_salespro.tables import OFFICES, TABLES, USERS

if TYPE_CHECKING:
    from tapkit.files.places import Files
    from tapkit.stream import Stream

__all__ = ["TapSalesPro"]

HTTP_ONLY = {"base_url", "concurrency", "max_tries", "retry_delay"}
PATHS = {"type": ["string", "array", "null"], "items": {"type": "string"}}

LINE_ITEMS = th.ObjectType(
    th.Property("type", th.StringType, default="Job Type {n}", title="Type"),
    th.Property("amount", th.StringType, default="Job Type {n} Amount", title="Amount"),
    th.Property("single_type", th.StringType, default="Job Type", title="Single type"),
    th.Property(
        "single_amount",
        th.ArrayType(th.StringType),
        default=["Job Size", "Customers Final Price Commitment"],
        title="Single amount",
    ),
    th.Property("most", th.IntegerType(minimum=1, maximum=100), default=6, title="Most"),
    additional_properties=False,
)
"""Titles in the form; `{n}` is a job's number."""


class TapSalesPro(Tap):
    """Customers, estimates, lead results, payments from Athena, offices and users from CSV."""

    name = "tap-salespro"
    field_tables: ClassVar = {
        **{
            table.name: (*table.fields, *((CHECKSUM,) if len(table.key) > 1 else ()))
            for table in TABLES
        },
        "lead_results_line_items": LINE_ITEM_FIELDS,
        "offices": OFFICES,
        "users": USERS,
    }

    config_jsonschema = th.PropertiesList(
        th.Property(
            "database",
            th.StringType,
            title="Database",
            description="Athena: the Glue database, which is the company's own.",
        ),
        th.Property(
            "s3_output_location",
            th.StringType,
            title="S3 output location",
            description="Athena: where it puts results, s3://bucket/folder/ with the last slash.",
        ),
        th.Property(
            "workgroup",
            th.StringType,
            default="primary",
            title="Workgroup",
            description="Athena: the workgroup that queries run in.",
        ),
        th.Property(
            "poll_interval",
            # A text, too: Meltano (4.4) cannot pass decimals on.
            th.CustomType({"type": ["number", "string"], "pattern": r"^\d+(\.\d+)?$"}),
            default=2,
            title="Poll interval (seconds)",
            description="Athena: how often to ask whether a query is done.",
        ),
        secret(
            "sqlalchemy_url",
            "SQLAlchemy URL",
            "Another database with the same tables, in place of Athena.",
        ),
        th.Property(
            "schema",
            th.StringType,
            title="Schema",
            description="Where in that database the tables are, if not in the default schema.",
        ),
        th.Property(
            "offices_path",
            th.CustomType(PATHS),
            title="Offices",
            description="The export offices.csv: a path or several, as tap-files takes them.",
        ),
        th.Property(
            "users_path",
            th.CustomType(PATHS),
            title="Users",
            description="The export users.csv, likewise.",
        ),
        th.Property(
            "export_layout",
            th.ObjectType(*layout_settings(), additional_properties=False),
            title="Layout of the exports",
            description="How the exports are written, as the streams of tap-files take it.",
        ),
        th.Property(
            "lead_results_columns",
            th.ObjectType(additional_properties=th.CustomType({"type": ["string", "object"]})),
            title="Columns of lead results",
            description=(
                "Column → type, or {title, type, pattern}: answers that become columns. `title` is "
                "one or several; default: the column's name. `pattern` has a group for the value."
            ),
        ),
        th.Property(
            "lead_results_line_items",
            LINE_ITEMS,
            title="Line items of lead results",
            description="Titles of the jobs in the form; set, `{}` too, it gives their stream.",
        ),
        *file_settings(),
        *(
            it
            for it in common_settings(
                base_url="", page_size=50_000, page_size_limit=100_000, look_back=86_400
            )
            if it.name not in HTTP_ONLY
        ),
    ).to_dict()

    @cached_property
    def database(self) -> Database:
        """The database with the tables."""
        config = {"aws_region": "us-east-1", **self.config}
        return Database({**config, "aws_region": config["aws_region"] or "us-east-1"})

    @cached_property
    def files(self) -> Files:
        """The places that exports are in."""
        files: Files = open_source("file", file_options(self.config))
        return files

    @property
    def api_calls(self) -> int:
        return (self.database.calls if self._has_database else 0) + self.files.calls

    def discover_streams(self) -> list[Stream]:
        streams: list[Stream] = []
        if self._has_database:
            known = self.database.tables
            for table in TABLES:
                if known is not None and table.name not in known:
                    self.logger.info("The database has no table %s", table.name)
                elif table.name == "lead_results":
                    streams += self._lead_results()
                else:
                    streams.append(TableStream(self, table))
        exports = {Offices: self.config.get("offices_path"), Users: self.config.get("users_path")}
        for export, path in exports.items():
            if path:
                streams.append(export(self, [path] if isinstance(path, str) else list(path)))
        if not streams:
            what = (
                "There is nothing to read. Set database and s3_output_location, sqlalchemy_url of "
                "a database with SalesPro's tables, offices_path or users_path."
            )
            raise ConfigValidationError(what, errors=[what])
        return streams

    @property
    def _has_database(self) -> bool:
        return any(
            self.config.get(it) for it in ("database", "s3_output_location", "sqlalchemy_url")
        )

    def _lead_results(self) -> list[Stream]:
        wanted: Any = self.config.get("lead_results_line_items")
        return [LeadResults(self), *([LeadResultLineItems(self)] if wanted is not None else [])]
