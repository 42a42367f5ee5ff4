"""What a HubSpot account is made of: object types, properties, records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from crm_sandbox.columns import Maker  # noqa: TC001 - msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Sequence

PORTAL = 123
EPOCH = "1970-01-01T00:00:00Z"
DEFINED = "2024-01-15T09:00:00.000Z"

PropertyType = Literal[
    "string",
    "number",
    "date",
    "datetime",
    "enumeration",
    "bool",
    "phone_number",
    "json",
    "object_coordinates",
]
Sensitivity = Literal["non_sensitive", "sensitive", "highly_sensitive"]
FIELD_TYPES: dict[str, str] = {
    "string": "text",
    "number": "number",
    "date": "date",
    "datetime": "date",
    "enumeration": "select",
    "bool": "booleancheckbox",
    "phone_number": "phonenumber",
    "json": "text",
    "object_coordinates": "text",
}


class Property(msgspec.Struct):
    """One property of an object type; `make` fills it when the data is made."""

    name: str
    type: PropertyType = "string"
    make: Maker | None = None
    field_type: str = ""
    options: tuple[str, ...] = ()
    custom: bool = False
    sensitivity: Sensitivity = "non_sensitive"
    calculated: bool = False
    unique: bool = False
    refers_to: str | None = None
    archived_at: str | None = None
    created_at: str = DEFINED
    updated_at: str = DEFINED

    def definition(self, group: str) -> dict[str, Any]:
        """Return it in the form of the Properties API."""
        read_only = not self.custom
        answer: dict[str, Any] = {
            "updatedAt": self.updated_at if self.custom else EPOCH,
            "createdAt": self.created_at if self.custom else EPOCH,
            "name": self.name,
            "label": self.name.removeprefix("hs_").replace("_", " ").capitalize(),
            "type": self.type,
            "fieldType": self.field_type or FIELD_TYPES[self.type],
            "description": "",
            "groupName": group,
            "options": [
                {"label": value.capitalize(), "value": value, "displayOrder": at, "hidden": False}
                for at, value in enumerate(self.options)
            ],
            "displayOrder": -1,
            "calculated": self.calculated,
            "externalOptions": self.refers_to is not None,
            "archived": self.archived_at is not None,
            "hasUniqueValue": self.unique,
            "hidden": False,
            "hubspotDefined": not self.custom,
            "formField": self.custom,
            "dataSensitivity": self.sensitivity,
            "modificationMetadata": {
                "archivable": self.custom,
                "readOnlyDefinition": read_only,
                "readOnlyOptions": read_only,
                "readOnlyValue": self.calculated,
            },
        }
        if self.refers_to is not None:
            answer["referencedObjectType"] = self.refers_to
        if self.calculated:
            answer["calculationFormula"] = self.name
        if self.archived_at is not None:
            answer["archivedAt"] = self.archived_at
        return answer


class ObjectType(msgspec.Struct):
    """One type of CRM object.

    Attributes:
        type_id: ``0-1`` and the like, ``2-…`` for a custom one.
        name: Its name in paths; a custom object's schema name, which no path takes.
        singular: Its name in error contexts and association labels.
        scope: The scope that reads it.
        modified: The property that says when a record last changed.
        created: The property that says when it was made.
        defaults: Properties returned when none are asked for.
        searched: Properties the search's `query` looks into.
        properties: All properties by name, archived ones too.
        pipelines: Pipelines in the form of the Pipelines API.
        first_id: Smallest record id.
    """

    type_id: str
    name: str
    singular: str
    scope: str
    modified: str
    created: str
    defaults: tuple[str, ...]
    properties: dict[str, Property]
    searched: tuple[str, ...] = ()
    pipelines: Sequence[dict[str, Any]] = ()
    first_id: int = 1
    archived_at: str | None = None

    @property
    def custom(self) -> bool:
        """Whether the account made it itself."""
        return self.type_id.startswith("2-")

    @property
    def full_name(self) -> str:
        """The name that is unique in all accounts."""
        return f"p{PORTAL}_{self.name}" if self.custom else self.singular.upper()

    @property
    def key(self) -> str:
        """The name the sandbox knows it by: a custom object's id, else its name."""
        return self.type_id if self.custom else self.name

    def live_properties(self) -> list[Property]:
        """Return the properties that are not archived."""
        return [one for one in self.properties.values() if one.archived_at is None]


class Record(msgspec.Struct, gc=False):
    """One record of any type.

    Attributes:
        id: Its number.
        values: All its properties that were ever set; dates of the record among them.
        created: Milliseconds.
        modified: Milliseconds.
        archived: When it was archived in milliseconds, null for a live one.
        history: Former values by property, newest first, of properties that changed.
    """

    id: int
    values: dict[str, str | None]
    created: int
    modified: int
    archived: int | None = None
    history: dict[str, list[dict[str, Any]]] | None = None

    def copy(self) -> Record:
        """Return a copy that later changes leave alone."""
        return Record(
            self.id, dict(self.values), self.created, self.modified, self.archived, self.history
        )
