"""tap-files: each stream is a table made of some files."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import typing as th
from tapkit.errors import ConfigValidationError
from tapkit.files.layout import file_options, file_settings, layout_settings
from tapkit.files.stream import FILE_FIELDS
from tapkit.sources import open_source
from tapkit.tap import Tap

from tap_files.streams import Table

if TYPE_CHECKING:
    from tapkit.files.places import Files
    from tapkit.stream import Stream

__all__ = ["TapFiles"]

COLUMN = {
    "type": ["string", "object", "null"],
    "properties": {
        "heading": {"type": ["string", "array"], "items": {"type": "string"}},
        "type": {"type": "string"},
    },
    "additionalProperties": False,
}

STREAM = th.ObjectType(
    th.Property("name", th.StringType(min_length=1), required=True, title="Name"),
    th.Property(
        "path",
        th.CustomType({"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1}),
        required=True,
        title="Path",
        description=(
            "One path or several, patterns (`*`, `?`, `**`) included: on this machine, http(s)://, "
            "s3://, github://owner/repo/path?ref=branch, and whatever else fsspec reads."
        ),
    ),
    th.Property(
        "key",
        th.CustomType({"type": ["string", "array", "null"], "items": {"type": "string"}}),
        title="Key",
        description="The key columns. Default: source_file and source_row, file and row number.",
    ),
    th.Property(
        "columns",
        th.ObjectType(additional_properties=th.CustomType(COLUMN)),
        title="Columns",
        description=(
            "Column → type, {heading, type}, or null to leave it out. Types are the suite's: "
            "string, integer, number, decimal, boolean, date, datetime, time, json, email …"
        ),
    ),
    th.Property(
        "naming",
        th.StringType(allowed_values=["snake", "keep"]),
        title="Naming",
        description="`snake` makes `zip_code` of `Zip Code`, `keep` does nothing. Default: snake.",
    ),
    th.Property(
        "infer_types",
        th.BooleanType,
        title="Infer types",
        description="Of columns without a declared type; else they are text. Default: true.",
    ),
    th.Property(
        "sample_rows",
        th.IntegerType(minimum=1),
        title="Sample rows",
        description="Rows from which types are inferred. Default: 1000.",
    ),
    *layout_settings(),
    additional_properties=False,
)


class TapFiles(Tap):
    """CSV and JSON lines from disks, the web, S3 and its like, and GitHub repositories."""

    name = "tap-files"
    field_tables: ClassVar = {"streams without a key, beside their files' columns": FILE_FIELDS}

    config_jsonschema = th.PropertiesList(
        th.Property(
            "streams",
            th.ArrayType(STREAM),
            required=True,
            title="Streams",
            description="The tables: name, path, and how the files are written; see the README.",
        ),
        th.Property(
            "start_date",
            th.StringType,
            title="Start date",
            description="Leave out files that were changed before (UTC; YYYY-MM-DD or ISO 8601).",
        ),
        th.Property(
            "max_records",
            th.IntegerType(minimum=0),
            default=0,
            title="Maximum records",
            description="Records per stream, 0 for all. A cut stream keeps its old bookmark.",
        ),
        *file_settings(),
    ).to_dict()

    def __init__(self, *, setup_mapper: bool = True, **kwargs: Any) -> None:
        super().__init__(setup_mapper=False, **kwargs)
        if setup_mapper:  # only now, as the streams need the state to know their columns
            self.setup_mapper()

    @cached_property
    def files(self) -> Files:
        """The places that files are in."""
        files: Files = open_source("file", file_options(self.config))
        return files

    @property
    def api_calls(self) -> int:
        return self.files.calls

    def discover_streams(self) -> list[Stream]:
        streams = self.config["streams"]
        if not streams:
            what = "Setting streams names no stream."
            raise ConfigValidationError(what, errors=[what])
        return [Table(self, settings, self.files) for settings in streams]
