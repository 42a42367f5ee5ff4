"""Reference entities: properties, schemas, owners, pipelines, lists (sections 6 and 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from crm_sandbox.clock import iso
from crm_sandbox.crm import json_response
from crm_sandbox.hubspot.account import schema
from crm_sandbox.hubspot.endpoint import (
    Endpoints,
    flag,
    next_page,
    read_after,
    read_body,
    read_limit,
    require,
)
from crm_sandbox.hubspot.errors import invalid, not_found
from crm_sandbox.hubspot.render import sensitive_scope

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

SENSITIVITIES = ("non_sensitive", "sensitive", "highly_sensitive")


class ListSearch(msgspec.Struct, rename="camel"):
    """The body of a search for lists."""

    query: str = ""
    processing_types: tuple[str, ...] = ()
    list_ids: tuple[str, ...] = ()
    object_type_id: str | None = None
    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    count: Annotated[int, msgspec.Meta(ge=1, le=500)] = 20


class Reference(Endpoints):
    """The endpoints around the objects."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        route = self.hubspot.dated_route
        schemas = "/crm-object-schemas/{version}/schemas"
        members = "/crm/lists/{version}/{list}/memberships"
        return [
            route("GET", "/crm/properties/{version}/{type}", "properties.list", self.properties),
            route(
                "GET", "/crm/properties/{version}/{type}/{name}", "properties.get", self.property
            ),
            route("GET", schemas, "schemas.list", self.schemas),
            route("GET", schemas + "/{type}", "schemas.get", self.schema),
            route("GET", "/crm/owners/{version}", "owners.list", self.owners),
            route("GET", "/crm/pipelines/{version}/{type}", "pipelines.list", self.pipelines),
            route("POST", "/crm/lists/{version}/search", "lists.search", self.lists),
            route("GET", members, "lists.memberships", self.memberships),
        ]

    async def properties(self, request: Request) -> Response:
        """Answer a type's properties of one sensitivity."""
        kind = self.type_of(request)
        sensitivity = request.query_params.get("dataSensitivity", "non_sensitive")
        if sensitivity not in SENSITIVITIES:
            raise invalid(f"Unknown dataSensitivity {sensitivity}", "INVALID_SENSITIVITY")
        if sensitivity != "non_sensitive":
            require(request, sensitive_scope(kind, sensitivity))
        archived = flag(request, "archived")
        group = f"{kind.name}information"
        results = [
            one.definition(group)
            for one in kind.properties.values()
            if one.sensitivity == sensitivity and (one.archived_at is not None) == archived
        ]
        return json_response({"results": results})

    async def property(self, request: Request) -> Response:
        """Answer one property."""
        kind = self.type_of(request)
        one = kind.properties.get(request.path_params["name"])
        if one is None or (one.archived_at is not None) != flag(request, "archived"):
            raise not_found()
        return json_response(one.definition(f"{kind.name}information"))

    async def schemas(self, request: Request) -> Response:
        """Answer the account's custom object types."""
        require(request, "crm.schemas.custom.read")
        archived = flag(request, "archived")
        kinds = [one for one in self.account.types.values() if one.custom]
        chosen = [one for one in kinds if (one.archived_at is not None) == archived]
        pairs = self.account.links.pairs()
        left_out = {
            "includePropertyDefinitions": "properties",
            "includeAssociationDefinitions": "associations",
        }
        results = [schema(kind, self.account.types, pairs) for kind in chosen]
        for parameter, field in left_out.items():
            if request.query_params.get(parameter) == "false":
                for result in results:
                    del result[field]
        return json_response({"results": results})

    async def schema(self, request: Request) -> Response:
        """Answer one custom object type."""
        require(request, "crm.schemas.custom.read")
        kind = self.account.find_type(request.path_params["type"])
        if kind is None or not kind.custom:
            raise not_found()
        return json_response(schema(kind, self.account.types, self.account.links.pairs()))

    async def owners(self, request: Request) -> Response:
        """Answer a page of active or archived owners."""
        require(request, "crm.objects.owners.read")
        limit, after = read_limit(request, 100, 500), read_after(request)
        archived, email = flag(request, "archived"), request.query_params.get("email")
        found = [
            one
            for one in self.account.owners
            if one["archived"] == archived and email in (None, one["email"])
        ]
        answer: dict[str, Any] = {"results": found[after : after + limit]}
        if after + limit < len(found):
            answer["paging"] = next_page(request, after + limit)
        return json_response(answer)

    async def pipelines(self, request: Request) -> Response:
        """Answer a type's pipelines with their stages."""
        return json_response({"results": self.type_of(request).pipelines})

    async def lists(self, request: Request) -> Response:
        """Answer a page of the lists that match."""
        require(request, "crm.lists.read")
        body = await read_body(request, ListSearch)
        found = [
            one
            for one in self.account.lists
            if body.query.lower() in one["name"].lower()
            and (not body.processing_types or one["processingType"] in body.processing_types)
            and (not body.list_ids or one["listId"] in body.list_ids)
            and body.object_type_id in (None, one["objectTypeId"])
        ]
        end = body.offset + body.count
        page = found[body.offset : end]
        answer = {"lists": page, "hasMore": end < len(found), "offset": end, "total": len(found)}
        return json_response(answer)

    async def memberships(self, request: Request) -> Response:
        """Answer a page of the records on a list."""
        require(request, "crm.lists.read")
        members = self.account.members.get(request.path_params["list"])
        if members is None:
            raise not_found("List does not exist.")
        limit, after = read_limit(request, 100, 250), read_after(request)
        since = iso(self.account.anchor_ms)
        answer: dict[str, Any] = {
            "results": [
                {"recordId": str(one), "membershipTimestamp": since}
                for one in members[after : after + limit]
            ],
            "total": len(members),
        }
        if after + limit < len(members):
            answer["paging"] = next_page(request, after + limit)
        return json_response(answer)
