"""The columns of CRM objects: what every record has, and what the Properties API describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tapkit.fields import ISSUES, Field
from tapkit.stream import DELETED_AT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

__all__ = ["RECORD_FIELDS", "property_fields"]

RECORD_FIELDS = (
    Field("id", "object_id"),
    Field("createdAt", "datetime", name="created_at"),
    Field("updatedAt", "datetime", name="updated_at"),
    Field("archived", "boolean"),
    Field("archivedAt", "datetime", name="archived_at"),
    Field("archivedAt", "datetime", name=DELETED_AT.name, description=DELETED_AT.description),
)
"""What every object has beside its properties."""

RESERVED = {item.name for item in RECORD_FIELDS} | {ISSUES, "sync_created_at", "sync_updated_at"}
"""Columns that a property of the same name must not take; it becomes `property_<name>`."""

PROPERTY_TYPES = {
    "bool": "boolean",
    "date": "date",
    "datetime": "datetime",
    "enumeration": "string",
    "json": "json",
    "number": "number",
    "object_coordinates": "string",
    "phone_number": "phone",
    "string": "string",
}
"""HubSpot's property types; several values of an enumeration are joined by `;`, as HubSpot does."""


def property_fields(
    properties: Iterable[Mapping[str, Any]],
    wanted: Collection[str] | None,
    checks: Mapping[str, Callable[[Any], None]],
) -> Iterator[Field]:
    """The columns of an object's properties.

    Args:
        properties: What the Properties API says of them.
        wanted: Names of those to read; None for all.
        checks: Property → business rule.
    """
    taken = set(RESERVED)
    for definition in properties:
        name = definition["name"]
        if wanted is not None and name not in wanted:
            continue
        kind = PROPERTY_TYPES.get(definition["type"], "string")
        if definition["type"] == "string" and (name == "email" or name.endswith("_email")):
            kind = "email"
        column = name
        while column in taken:
            column = f"property_{column}"
        taken.add(column)
        yield Field(
            f"properties.{name}",
            kind,
            name=column,
            description=definition.get("label") or "",
            check=checks.get(name),
        )
