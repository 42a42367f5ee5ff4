"""How a stream's files are written, and what to do about those that are not written so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from singer_sdk import typing as th

from tapkit.errors import ConfigValidationError
from tapkit.files.places import FileOptions
from tapkit.files.text import COMPRESSIONS
from tapkit.settings import secret

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Layout", "file_options", "file_settings", "layout_settings"]

FORMATS: Final = ("auto", "csv", "jsonl")


@dataclass(frozen=True)
class Layout:
    """How files are written; each attribute is the setting of that name (see `layout_settings`)."""

    format: str = "auto"
    compression: str = "auto"
    encoding: str = "auto"
    undecodable: str = "fail"
    delimiter: str | None = None
    quote: str | None = '"'
    escape: str | None = None
    skip_lines: int = 0
    headings: tuple[str, ...] | None = None
    null_values: tuple[str, ...] = ("",)
    missing_headings: str = "fail"
    extra_headings: str = "keep"
    duplicate_headings: str = "fail"
    short_rows: str = "fail"
    long_rows: str = "fail"
    broken_rows: str = "fail"
    no_files: str = "fail"
    vanished_rows: str = "delete"

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Layout:
        """The layout that the settings of a stream ask for; null stands for a default.

        Raises:
            ConfigValidationError: Python knows no such encoding.
        """
        values: dict[str, Any] = {}
        for name in cls.__dataclass_fields__.keys() & settings.keys():
            value = settings[name]
            if value is not None:
                values[name] = tuple(value) if isinstance(value, list) else value
        if "quote" in settings:
            values["quote"] = settings["quote"] or None
        if settings.get("missing_headings", "") is None:
            values["missing_headings"] = "null"  # which YAML reads so
        _check_encoding(values.get("encoding", "auto"))
        return cls(**values)


def _check_encoding(name: str) -> None:
    try:
        _ = name == "auto" or "a".encode(name)
    except (LookupError, ValueError):
        what = f"Setting encoding is '{name}', which is none that Python knows."
        raise ConfigValidationError(what, errors=[what]) from None


def _choice(name: str, title: str, options: tuple[str | None, ...], text: str) -> th.Property[Any]:
    default = getattr(Layout, name)
    return th.Property(
        name,
        th.StringType(allowed_values=list(options)),
        default=default,
        title=title,
        description=f"{text} Default: {default}.",
    )


def layout_settings() -> list[th.Property[Any]]:
    """The settings of a stream's layout."""
    return [
        _choice("format", "Format", FORMATS, "`auto`: JSON lines where a row begins with `{`."),
        _choice(
            "compression",
            "Compression",
            ("auto", "none", *COMPRESSIONS),
            "`auto` goes by a file's first bytes, not by its name.",
        ),
        th.Property(
            "encoding",
            th.StringType,
            title="Encoding",
            description=(
                "As Python names it, e.g. cp1252. Default: auto, which is UTF-8. A byte order mark "
                "wins over this setting."
            ),
        ),
        _choice(
            "undecodable",
            "Undecodable bytes",
            ("fail", "replace"),
            "`fail` names file and line; `replace` puts U+FFFD and counts a warning.",
        ),
        th.Property(
            "delimiter",
            th.StringType(min_length=1, max_length=1),
            title="Delimiter",
            description="CSV: between two values. Default: a tab in .tsv files, else a comma.",
        ),
        th.Property(
            "quote",
            th.CustomType({"type": ["string", "null"], "maxLength": 1}),
            title="Quote",
            description='CSV: around values. Default: `"`. Null: no value is quoted.',
        ),
        th.Property(
            "escape",
            th.StringType(min_length=1, max_length=1),
            title="Escape",
            description="CSV: before a quote within a value. Default: a quote is doubled.",
        ),
        th.Property(
            "skip_lines",
            th.IntegerType(minimum=0),
            title="Lines to skip",
            description="Lines before the headings. Default: 0.",
        ),
        th.Property(
            "headings",
            th.ArrayType(th.StringType),
            title="Headings",
            description="CSV: those of files that begin with a row of data.",
        ),
        th.Property(
            "null_values",
            th.ArrayType(th.StringType),
            title="Null values",
            description='CSV: what stands for no value. Default: `[""]`; `[]` keeps empty text.',
        ),
        _choice(
            "missing_headings",
            "Missing headings",
            ("fail", "null", None),
            "For declared columns; a key column is always needed.",
        ),
        _choice(
            "extra_headings",
            "Extra headings",
            ("keep", "ignore", "fail"),
            "What is not declared in `columns` becomes a column, is left out, or an error.",
        ),
        _choice(
            "duplicate_headings",
            "Duplicate headings",
            ("fail", "number"),
            "`number`: name, name_2 …",
        ),
        _choice(
            "short_rows",
            "Short rows",
            ("fail", "fill", "skip"),
            "CSV: `fill` with null and a note in sync_issues; `skip` ends the stream `partial`.",
        ),
        _choice(
            "long_rows",
            "Long rows",
            ("fail", "cut", "skip"),
            "CSV: `cut` puts what is too much into sync_issues.",
        ),
        _choice(
            "broken_rows",
            "Broken rows",
            ("fail", "skip"),
            "JSON lines: a line that is no JSON object.",
        ),
        _choice(
            "no_files",
            "No files",
            ("fail", "allow"),
            "Whether it is an error that no file matches, or that one has no byte.",
        ),
        _choice(
            "vanished_rows",
            "Vanished rows",
            ("delete", "keep"),
            "Rows that a replaced file does not have any more, and those of removed files.",
        ),
    ]


def file_settings() -> list[th.Property[Any]]:
    """The settings of a tap that say how to get at files."""
    return [
        secret(
            "access_token", "Access token", "HTTP(S): bearer token sent to every host in paths."
        ),
        th.Property(
            "username",
            th.StringType,
            title="User name",
            description="HTTP(S): basic authentication at every host in paths.",
        ),
        secret("password", "Password", "HTTP(S): that of the user name."),
        secret("github_token", "GitHub token", "With the right to read the repository's contents."),
        th.Property(
            "github_url",
            th.StringType,
            default=FileOptions.github_url,
            title="GitHub URL",
            description="GitHub's API; another one for GitHub Enterprise and tests.",
        ),
        th.Property(
            "github_raw_url",
            th.StringType,
            title="GitHub raw URL",
            description=(
                "Where public files are read without a token when the API refuses them. Default: "
                f"{FileOptions.github_raw_url}, and nowhere with another github_url."
            ),
        ),
        secret("aws_access_key_id", "AWS access key id", "S3; default: the machine's credentials."),
        secret("aws_secret_access_key", "AWS secret access key", "S3: of the access key."),
        secret("aws_session_token", "AWS session token", "S3: of temporary credentials."),
        th.Property("aws_region", th.StringType, title="AWS region", description="S3: the region."),
        th.Property(
            "aws_endpoint_url",
            th.StringType,
            title="AWS endpoint URL",
            description="S3: that of another vendor who speaks it (MinIO, R2, Ceph …).",
        ),
        th.Property(
            "storage_options",
            th.ObjectType(additional_properties=th.CustomType({"type": "object"})),
            secret=True,
            title="Storage options",
            description='fsspec protocol → arguments of its file system: {"s3": {"anon": true}}.',
        ),
        th.Property(
            "max_tries",
            th.IntegerType(minimum=1),
            default=FileOptions.max_tries,
            title="Tries per request",
            description="How often a request is sent that fails for a passing reason.",
        ),
    ]


def file_options(config: Mapping[str, Any]) -> FileOptions:
    """What the settings of a tap say about how to get at files."""
    client = {"region_name": config.get("aws_region")}
    s3 = {
        "key": config.get("aws_access_key_id"),
        "secret": config.get("aws_secret_access_key"),
        "token": config.get("aws_session_token"),
        "endpoint_url": config.get("aws_endpoint_url"),
        "client_kwargs": {k: v for k, v in client.items() if v} or None,
    }
    given = config.get("storage_options") or {}
    s3 = {**{name: value for name, value in s3.items() if value}, **given.get("s3", {})}
    github_url = config.get("github_url") or FileOptions.github_url
    usual = FileOptions.github_raw_url if github_url == FileOptions.github_url else ""
    return FileOptions(
        access_token=config.get("access_token"),
        username=config.get("username"),
        password=config.get("password"),
        github_token=config.get("github_token"),
        github_url=github_url,
        github_raw_url=config.get("github_raw_url") or usual,
        storage_options={**given, **({"s3": s3} if s3 else {})},
        max_tries=config.get("max_tries") or FileOptions.max_tries,
    )
