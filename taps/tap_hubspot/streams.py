"""The account's reference data: owners, pipelines, property definitions, lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tapkit.errors import AccessDenied, BadRequest, NotFound
from tapkit.fields import Field
from tapkit.paging import follow
from tapkit.stream import Stream

from tap_hubspot.client import listed, next_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_hubspot.tap import TapHubSpot

__all__ = ["Lists", "Owners", "PipelineStages", "Pipelines", "Properties"]

OWNERS_LIMIT = 500
LISTS_LIMIT = 500

CREATED_AT = Field("createdAt", "datetime", name="created_at")
UPDATED_AT = Field("updatedAt", "datetime", name="updated_at")
ARCHIVED = Field("archived", "boolean")


class Owners(Stream):
    """Users and queues that records are assigned to, deactivated ones included.

    `hubspot_owner_id` of a record is the `id` here, not the `user_id`.
    """

    name = "owners"
    primary_keys: ClassVar[tuple[str, ...]] = ("id",)
    fields = (
        Field("id", "object_id"),
        Field("userId", "integer", name="user_id"),
        Field("userIdIncludingInactive", "integer", name="user_id_including_inactive"),
        Field("email", "email"),
        Field("firstName", name="first_name"),
        Field("lastName", name="last_name"),
        Field("type", description="PERSON or QUEUE"),
        Field("teams", "array"),
        ARCHIVED,
        CREATED_AT,
        UPDATED_AT,
    )
    tap: TapHubSpot

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        client = self.tap.client
        limit = min(self.config["page_size"], OWNERS_LIMIT)
        for archived in ("false", "true"):
            params = {"limit": limit, "archived": archived}
            for answer in follow(
                lambda after, params=params: client.get(  # type: ignore[misc]
                    client.path("crm/owners"), {**params, "after": after}
                ),
                next_after,
            ):
                yield listed(answer)


class Pipelines(Stream):
    """Pipelines of each type of object that has any; ids are unique within a type only."""

    name = "pipelines"
    primary_keys: ClassVar[tuple[str, ...]] = ("object_type", "id")
    fields: tuple[Field, ...] = (
        Field("object_type"),
        Field("id", "object_id"),
        Field("label"),
        Field("displayOrder", "integer", name="display_order"),
        ARCHIVED,
        Field("archivedAt", "datetime", name="archived_at"),
        CREATED_AT,
        UPDATED_AT,
    )
    tap: TapHubSpot

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        client = self.tap.client
        selected = [item for item in self.tap.objects if item.selected] or self.tap.objects
        for item in selected:
            if not item.object_type.has_pipelines:
                continue
            try:
                answer = client.get(client.path("crm/pipelines", item.object_type.id))
            except (BadRequest, NotFound):
                continue  # this account's objects of that type go through no pipelines
            except AccessDenied as error:
                self.status.skip(f"those of {item.name}: {error}")
                continue
            yield self.rows({"object_type": item.name}, listed(answer))

    def rows(self, of: dict[str, Any], pipelines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows that some pipelines give."""
        return [{**of, **pipeline} for pipeline in pipelines]


class PipelineStages(Pipelines):
    """The stages of pipelines."""

    name = "pipeline_stages"
    primary_keys: ClassVar[tuple[str, ...]] = ("object_type", "pipeline_id", "id")
    fields = (
        Field("object_type"),
        Field("pipeline_id", "object_id"),
        Field("id", "object_id"),
        Field("label"),
        Field("displayOrder", "integer", name="display_order"),
        Field("metadata.isClosed", "boolean", name="is_closed"),
        Field("metadata.probability", "number", name="probability", description="Deals: 0 to 1"),
        Field("metadata.ticketState", name="ticket_state", description="Tickets: OPEN or CLOSED"),
        Field("metadata", "object"),
        Field("writePermissions", name="write_permissions"),
        ARCHIVED,
        CREATED_AT,
        UPDATED_AT,
    )

    def rows(self, of: dict[str, Any], pipelines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {**of, "pipeline_id": pipeline["id"], **stage}
            for pipeline in pipelines
            for stage in pipeline.get("stages") or []
        ]


class Properties(Stream):
    """The field dictionary: what each property of each type of object is."""

    name = "properties"
    primary_keys: ClassVar[tuple[str, ...]] = ("object_type", "name")
    fields = (
        Field("object_type"),
        Field("name"),
        Field("label"),
        Field("type"),
        Field("fieldType", name="field_type"),
        Field("groupName", name="group_name"),
        Field("description"),
        Field("options", "array"),
        Field("calculated", "boolean"),
        Field("calculationFormula", name="calculation_formula"),
        Field("externalOptions", "boolean", name="external_options"),
        Field("referencedObjectType", name="referenced_object_type"),
        Field("hasUniqueValue", "boolean", name="has_unique_value"),
        Field("hidden", "boolean"),
        Field("hubspotDefined", "boolean", name="hubspot_defined"),
        Field("formField", "boolean", name="form_field"),
        Field("displayOrder", "integer", name="display_order"),
        Field("dataSensitivity", name="data_sensitivity"),
        Field("modificationMetadata", "object", name="modification_metadata"),
        ARCHIVED,
        CREATED_AT,
        UPDATED_AT,
    )
    tap: TapHubSpot

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        for item in self.tap.objects:
            if item.denied:
                self.status.skip(f"those of {item.name}: {item.denied}")
            definitions = self.tap.definitions[item.name]
            yield [{"object_type": item.name, **definition} for definition in definitions]


class Lists(Stream):
    """Lists (segments) of records; their members are not read."""

    name = "lists"
    primary_keys: ClassVar[tuple[str, ...]] = ("list_id",)
    fields = (
        Field("listId", "object_id", name="list_id"),
        Field("name"),
        Field("objectTypeId", "object_id", name="object_type_id"),
        Field("processingType", name="processing_type", description="MANUAL, DYNAMIC or SNAPSHOT"),
        Field("processingStatus", name="processing_status"),
        Field("listVersion", "integer", name="list_version"),
        Field("additionalProperties.hs_list_size", "integer", name="size"),
        Field("createdById", "object_id", name="created_by_id"),
        Field("updatedById", "object_id", name="updated_by_id"),
        CREATED_AT,
        UPDATED_AT,
        Field("filtersUpdatedAt", "datetime", name="filters_updated_at"),
        Field("deletedAt", "datetime", name="deleted_at"),
    )
    tap: TapHubSpot

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        client = self.tap.client
        query = {
            "count": min(self.config["page_size"], LISTS_LIMIT),
            "additionalProperties": ["hs_list_size"],
        }

        def page(offset: int | None) -> tuple[int, dict[str, Any]]:
            # What `offset` in an answer means, this one's or the next one's, is not documented.
            body = {**query, "offset": offset or 0}
            return offset or 0, client.post(client.path("crm/lists", "search"), body)

        def advance(page: tuple[int, dict[str, Any]]) -> int | None:
            offset, answer = page
            return offset + len(listed(answer, "lists")) if answer.get("hasMore") else None

        for _, answer in follow(page, advance):
            yield listed(answer, "lists")
