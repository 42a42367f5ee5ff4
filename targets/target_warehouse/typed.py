"""A msgspec type from a JSON schema: decoding and validating at C speed.

The type accepts nothing the schema refuses. What it cannot express raises `UnsupportedError`, and a
record it refuses is looked at again by `convert`, which decides. Numbers and nested values are left
as they are in the message, so no digit passes through a float.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Union

import msgspec

from target_warehouse.convert import BIGINT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from target_warehouse.columns import Column

__all__ = [
    "ISSUES_FIELD",
    "PLACE",
    "RAW_NULL",
    "UnsupportedError",
    "attribute",
    "first_characters",
    "left_raw",
    "nested_decoder",
    "nullable",
    "only_strings",
    "record_type",
]

RAW_NULL: Final = msgspec.Raw(b"null")
PLACE: Final = "place"
ISSUES_FIELD: Final = "issues"

_ANNOTATIONS: Final = frozenset(
    [
        "$comment",
        "$id",
        "$schema",
        "comment",
        "const",
        "contentEncoding",
        "default",
        "deprecated",
        "description",
        "enum",
        "example",
        "examples",
        "format",
        "inclusion",
        "maxLength",
        "maximum",
        "minLength",
        "minimum",
        "multipleOf",
        "pattern",
        "precision",
        "readOnly",
        "scale",
        "secret",
        "selected",
        "sql-datatype",
        "title",
        "type",
        "writeOnly",
    ]
)
_STRUCTURE: Final = frozenset({"properties", "required", "items", "additionalProperties", "anyOf"})
_LIMITS: Final = {
    "maxLength": "max_length",
    "minLength": "min_length",
    "pattern": "pattern",
    "minimum": "ge",
    "maximum": "le",
}
_SCALARS: Final = {"string": str, "integer": int, "boolean": bool, "null": None}


class UnsupportedError(Exception):
    """The schema says more than a msgspec type can."""


def attribute(column: int) -> str:
    """Return the name by which a record type knows a column, given its number."""
    return f"f{column}"


def nullable(schema: Mapping[str, Any]) -> bool:
    """Tell whether null is a value of this schema."""
    if alternatives := schema.get("anyOf"):
        return any(map(nullable, alternatives))
    if "const" in schema:
        return schema["const"] is None
    names = schema.get("type", "null")
    allowed = "null" in ([names] if isinstance(names, str) else names)
    return allowed and schema.get("enum", [None]).count(None) > 0


def only_strings(schema: Mapping[str, Any]) -> bool:
    """Tell whether every value but null is a string."""
    if alternatives := schema.get("anyOf"):
        return all(map(only_strings, alternatives))
    names = schema.get("type", ())
    return {*([names] if isinstance(names, str) else names)} - {"null"} == {"string"}


def first_characters(schema: Mapping[str, Any]) -> str:
    """Return what the JSON of a nested value begins with; empty where that says nothing."""
    names = schema.get("type", ())
    names = [names] if isinstance(names, str) else names
    if not {*names} - {"null"} <= {"object", "array"}:
        return ""
    return "".join({"object": "{", "array": "["}.get(name, "") for name in names)


def left_raw(column: Column, schema: Mapping[str, Any]) -> bool:
    """Tell whether a value is left as it stands in the message.

    Raises:
        UnsupportedError: It should be, but its schema asks for more than can be seen there.
    """
    if column.kind not in {"json", "number"} or only_strings(schema):
        return False
    if column.kind == "number" and not _only_types(schema):
        raise UnsupportedError("limits of a number")
    return True


def _only_types(schema: Mapping[str, Any]) -> bool:
    """Tell whether a schema says no more of its values than their types."""
    known = _ANNOTATIONS - {*_LIMITS, "enum", "const"}
    if alternatives := schema.get("anyOf"):
        return _keywords(schema) <= known - {"type"} | {"anyOf"} and all(
            map(_only_types, alternatives)
        )
    return _keywords(schema) <= known


def record_type(
    schema: Mapping[str, Any],
    columns: Sequence[Column],
    keys: Iterable[str],
    *,
    issues: str,
    extras: Iterable[str] = (),
    ignored: Iterable[str] = (),
) -> type[msgspec.Struct]:
    """Return the type of a record, to be written as one row of COPY.

    Its fields are `PLACE`, one per column (`attribute` names them), `ISSUES_FIELD`, the extras,
    and those that are ignored. Place and extras are in no message; the encoder sets them.

    Raises:
        UnsupportedError: The schema cannot be expressed.
    """
    known = {"type", "properties", "required", "additionalProperties", "key_properties"}
    if unknown := _keywords(schema) - known - _ANNOTATIONS:
        raise UnsupportedError(f"{sorted(unknown)}")
    required = {*schema.get("required", ()), *keys}
    fields: list[Any] = [(PLACE, int | None, None)]
    renamed = {PLACE: f" {PLACE}"}
    for number, column in enumerate(columns):
        name = attribute(number)
        renamed[name] = column.field
        declared = _column_type(column, schema["properties"][column.field], column.field in keys)
        default = RAW_NULL if declared is msgspec.Raw else None
        fields.append((name, declared) if column.field in required else (name, declared, default))
    renamed[ISSUES_FIELD] = issues
    fields.append((ISSUES_FIELD, msgspec.Raw, RAW_NULL))
    for extra in extras:
        renamed[extra] = f" {extra}"
        fields.append((extra, Any, None))
    for number, field in enumerate(ignored, len(columns)):
        renamed[attribute(number)] = field
        fields.append((attribute(number), msgspec.Raw, RAW_NULL))
    try:
        return msgspec.defstruct(
            "Record", fields, rename=renamed, kw_only=True, forbid_unknown_fields=True, gc=False
        )
    except (TypeError, ValueError) as error:
        raise UnsupportedError(str(error)) from error


def nested_decoder(schema: Mapping[str, Any]) -> Callable[[bytes], list[Any]] | None:
    """Return what validates an array of nested values, or None where any of their type will do.

    Raises:
        UnsupportedError: The schema cannot be expressed.
    """
    if not _keywords(schema) & (_STRUCTURE | {"enum", "const"}):
        return None
    try:
        of: Any = Union[_nested(schema), None]  # noqa: UP007 - built at run time
        return msgspec.json.Decoder(list[of]).decode
    except TypeError as error:
        raise UnsupportedError(str(error)) from error


def _keywords(schema: Mapping[str, Any]) -> set[str]:
    return {key for key in schema if not key.startswith("x-")}


def _column_type(column: Column, schema: Mapping[str, Any], is_key: bool) -> Any:  # noqa: FBT001
    if left_raw(column, schema):
        return msgspec.Raw
    declared = _nested(_fitting(schema) if column.storage == "bigint" else schema)
    if is_key:
        declared = _without_null(declared)
    return declared


def _fitting(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Add to a schema that its whole numbers fit into eight bytes."""
    if alternatives := schema.get("anyOf"):
        return {**schema, "anyOf": list(map(_fitting, alternatives))}
    least, most = schema.get("minimum", -BIGINT), schema.get("maximum", BIGINT)
    return {**schema, "minimum": max(least, -BIGINT), "maximum": min(most, BIGINT - 1)}


def _without_null(declared: Any) -> Any:
    members = [t for t in getattr(declared, "__args__", ()) if t is not type(None)]
    is_union = getattr(declared, "__origin__", None) is Union
    return Union[tuple(members)] if is_union else declared  # noqa: UP007 - built at run time


def _nested(schema: Mapping[str, Any]) -> Any:
    if unknown := _keywords(schema) - _ANNOTATIONS - _STRUCTURE:
        raise UnsupportedError(f"{sorted(unknown)}")
    if "anyOf" in schema:
        if _keywords(schema) & (_STRUCTURE - {"anyOf"} | {"type", "enum", "const"}):
            raise UnsupportedError("anyOf beside others")
        return Union[tuple(map(_nested, schema["anyOf"]))]  # noqa: UP007
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values is not None:
        return _literal(values)
    names = schema.get("type")
    if names is None:
        if _keywords(schema) & _STRUCTURE:
            raise UnsupportedError("no type")
        return Any
    names = [names] if isinstance(names, str) else list(names)
    return Union[tuple(_named(name, schema) for name in names)]  # noqa: UP007


def _literal(values: Sequence[Any]) -> Any:
    if not all(v is None or type(v) in {str, int} for v in values):
        raise UnsupportedError("enum")
    return Literal[tuple(values)]


def _named(name: str, schema: Mapping[str, Any]) -> Any:
    if name == "object":
        return _object(schema)
    if name == "array":
        return list[_nested(schema.get("items") or {})]  # type: ignore[misc]
    if name == "number":
        return float
    if name not in _SCALARS:
        raise UnsupportedError(name)
    limits = {
        _LIMITS[key]: schema[key]
        for key in (
            ("maxLength", "minLength", "pattern") if name == "string" else ("minimum", "maximum")
        )
        if key in schema and name in {"string", "integer"}
    }
    if any(isinstance(v, float) and not math.isfinite(v) for v in limits.values()):
        raise UnsupportedError("limits")
    scalar = _SCALARS[name]
    return Annotated[scalar, msgspec.Meta(**limits)] if limits else scalar


def _object(schema: Mapping[str, Any]) -> Any:
    more = schema.get("additionalProperties", True)
    properties = schema.get("properties") or {}
    if isinstance(more, dict) and more:
        if properties:
            raise UnsupportedError("properties beside additionalProperties")
        return dict[str, _nested(more)]  # type: ignore[misc]
    if not properties and more is not False:
        return dict[str, Any]
    required = schema.get("required", ())
    fields: list[Any] = []
    renamed = {}
    for index, (name, declared) in enumerate(properties.items()):
        field = f"f{index}"
        renamed[field] = name
        of = _nested(declared)
        fields.append((field, of) if name in required else (field, of, None))
    try:
        return msgspec.defstruct(
            "Nested", fields, rename=renamed, kw_only=True, forbid_unknown_fields=more is False
        )
    except (TypeError, ValueError) as error:
        raise UnsupportedError(str(error)) from error
