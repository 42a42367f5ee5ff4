"""Associations: batch read and labels (section 8 of the API sheet)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from crm_sandbox.clock import iso
from crm_sandbox.crm import json_response
from crm_sandbox.hubspot.endpoint import Endpoints, read_body
from crm_sandbox.hubspot.errors import invalid
from crm_sandbox.hubspot.links import link_types

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from crm_sandbox.hubspot.model import ObjectType

INPUT_CAP = 1000


class Source(msgspec.Struct):
    """A record whose associations are asked for, from a cursor on."""

    id: str
    after: str | None = None


class Sources(msgspec.Struct):
    """The body of a batch read."""

    inputs: list[Source]


class Associations(Endpoints):
    """The endpoints of ``/crm/associations``."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        route, base = self.hubspot.dated_route, "/crm/associations/{version}/{from}/{to}"
        return [
            route("POST", f"{base}/batch/read", "associations.batch_read", self.batch_read),
            route("GET", f"{base}/labels", "associations.labels", self.labels),
        ]

    async def batch_read(self, request: Request) -> Response:
        """Answer the associated records of up to 1,000 records."""
        source, target = self.type_of(request, "from"), self.type_of(request, "to")
        body = await read_body(request, Sources)
        if len(body.inputs) > INPUT_CAP:
            raise invalid(
                f"The maximum number of inputs supported is {INPUT_CAP}", "TOO_MANY_INPUTS"
            )
        started = iso(self.hubspot.world.clock.now_ms())
        results, errors = [], []
        for one in body.inputs:
            found = self._one(request, source, target, one)
            if found is None:
                errors.append(_none_found(source, target, one.id))
            else:
                results.append(found)
        answer: dict[str, Any] = {
            "status": "COMPLETE",
            "results": results,
            "startedAt": started,
            "completedAt": iso(self.hubspot.world.clock.now_ms()),
        }
        if errors:
            answer |= {"numErrors": len(errors), "errors": errors}
        return json_response(answer, self.account.switches.batch_status if errors else 200)

    async def labels(self, request: Request) -> Response:
        """Answer the association types a pair of object types can have."""
        types = link_types(self.type_of(request, "from"), self.type_of(request, "to"))
        return json_response({"results": types})

    def _one(
        self, request: Request, source: ObjectType, target: ObjectType, one: Source
    ) -> dict[str, Any] | None:
        found = []
        if one.id.isdecimal():
            found = self.account.linked((source.key, target.key), int(one.id))
        if not found:
            return None
        start = int(one.after) if one.after and one.after.isdecimal() else 0
        end = start + self.account.switches.association_page_size
        as_id: Any = int if self.account.switches.to_object_id == "number" else str
        result: dict[str, Any] = {
            "from": {"id": one.id},
            "to": [
                {"toObjectId": as_id(to_id), "associationTypes": types}
                for to_id, types in found[start:end]
            ],
        }
        if end < len(found):
            link = f"{request.url}?after={end}"
            result["paging"] = {"next": {"after": str(end), "link": link}}
        return result


def _none_found(source: ObjectType, target: ObjectType, record_id: str) -> dict[str, Any]:
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
        "message": f"No {target.singular} is associated with {source.singular} {record_id}.",
        "context": {
            "fromObjectId": [record_id],
            "fromObjectType": [source.singular],
            "toObjectType": [target.singular],
        },
    }
