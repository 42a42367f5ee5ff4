"""From JSON schema to Postgres: what a property is, how it is stored, how a column widens.

Nothing here loses a digit: whole numbers are bigint and grow to numeric, numbers are numeric,
moments are timestamptz. Two types that do not contain each other meet in text, or in jsonb where
one of them is nested.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Column", "Kind", "kind_of", "storage_for", "using"]

Kind = Literal[
    "boolean", "integer", "number", "text", "date", "datetime", "time", "json", "base16", "base64"
]

_STORAGE: Final[dict[Kind, str]] = {
    "boolean": "boolean",
    "integer": "bigint",
    "number": "numeric",
    "text": "text",
    "date": "date",
    "datetime": "timestamp with time zone",
    "time": "time without time zone",
    "json": "jsonb",
    "base16": "bytea",
    "base64": "bytea",
}
_ENCODINGS: Final[dict[str, Kind]] = {"base16": "base16", "base64": "base64"}
_FORMATS: Final[dict[str, Kind]] = {
    "date-time": "datetime",
    "date": "date",
    "time": "time",
    "x-singer.decimal": "number",
    "singer.decimal": "number",
}
_TYPES: Final[dict[str, Kind]] = {
    "boolean": "boolean",
    "integer": "integer",
    "number": "number",
    "object": "json",
    "array": "json",
}
_ANY: Final = ("text", "jsonb", "json")
# What holds a kind without loss, beside text and jsonb.
_HOLDS: Final[dict[Kind, tuple[str, ...]]] = {
    "boolean": ("boolean",),
    "integer": ("bigint", "numeric"),
    "number": ("numeric",),
    "text": (),
    "date": ("date", "timestamp with time zone", "timestamp without time zone"),
    "datetime": ("timestamp with time zone", "timestamp without time zone"),
    "time": ("time without time zone",),
    "json": (),
    "base16": ("bytea",),
    "base64": ("bytea",),
}
# The narrowest type that holds what is stored and what arrives.
_WIDENED: Final[dict[tuple[str, Kind], str]] = {
    ("smallint", "integer"): "bigint",
    ("integer", "integer"): "bigint",
    ("smallint", "number"): "numeric",
    ("integer", "number"): "numeric",
    ("bigint", "number"): "numeric",
    ("real", "integer"): "numeric",
    ("real", "number"): "numeric",
    ("double precision", "integer"): "numeric",
    ("double precision", "number"): "numeric",
    ("date", "datetime"): "timestamp with time zone",
}
# Types whose columns this target may widen; any other was somebody's choice and stays.
_OURS: Final = frozenset(_STORAGE.values()) | {
    "smallint", "integer", "real", "double precision", "timestamp without time zone",
}  # fmt: skip
_SIZED: Final = re.compile(r"(numeric|character varying|character|bpchar)(\(.*\))?")


@dataclass(frozen=True)
class Column:
    """One property and the column it lands in.

    Attributes:
        field: Name in the record.
        name: Name in the table.
        kind: What the schema says it is.
        storage: Its type in Postgres, as `format_type` prints it.
    """

    field: str
    name: str
    kind: Kind
    storage: str


def kind_of(schema: Mapping[str, Any]) -> Kind:
    """Return what a property of this JSON schema is."""
    kinds = set(_kinds(schema))
    if "json" in kinds or not kinds:
        return "json"
    if len(kinds) == 1:
        return kinds.pop()
    if kinds == {"integer", "number"}:
        return "number"
    if kinds == {"date", "datetime"}:
        return "datetime"
    # singer-python's idiom for "a moment, or the text as it was": what does not parse goes to
    # sync_issues, as for any other moment.
    moment = kinds - {"text"}
    if schema.get("anyOf") and len(moment) == 1 and moment <= {"date", "datetime"}:
        return moment.pop()
    return "text"


def _kinds(schema: Mapping[str, Any]) -> Iterator[Kind]:
    for alternatives in ("anyOf", "oneOf"):
        for alternative in schema.get(alternatives, ()):
            yield from _kinds(alternative)
    names = schema.get("type", ())
    for name in [names] if isinstance(names, str) else names:
        if name == "string":
            encoded = _ENCODINGS.get(schema.get("contentEncoding", ""), "text")
            yield _FORMATS.get(schema.get("format", ""), encoded)
        elif name != "null":
            yield _TYPES.get(name, "json")
    if not names:
        yield from _implied(schema)


def _implied(schema: Mapping[str, Any]) -> Iterator[Kind]:
    if "properties" in schema or "items" in schema or "allOf" in schema or "$ref" in schema:
        yield "json"
    values = [schema["const"]] if "const" in schema else schema.get("enum", ())
    for value in values:
        if isinstance(value, bool):
            yield "boolean"
        elif isinstance(value, int):
            yield "integer"
        elif isinstance(value, str):
            yield "text"
        elif value is not None:
            yield "json"


def storage_for(kind: Kind, stored: str | None = None) -> str:
    """Return the Postgres type that holds `kind` and, given a column's type, all it holds now."""
    if stored is None:
        return _STORAGE[kind]
    if stored in _ANY or stored in _HOLDS[kind]:
        return stored
    sized = _SIZED.fullmatch(stored)
    if sized and stored != "numeric":
        return storage_for(kind, "numeric" if sized[1] == "numeric" else "text")
    if stored not in _OURS:
        return stored
    return _WIDENED.get((stored, kind), "jsonb" if kind == "json" else "text")


def using(stored: str, wanted: str) -> str:
    """Return the expression that carries a column over, with `{}` for the column."""
    if wanted == "jsonb":
        return "to_jsonb({})"
    if stored in {"real", "double precision"} and wanted == "numeric":
        return "{}::text::numeric"  # the direct cast keeps 15 digits only
    return "{}::" + wanted
