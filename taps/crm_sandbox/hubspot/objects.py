"""CRM objects: list, search, batch read, single record (section 5 of the API sheet)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from crm_sandbox.clock import iso
from crm_sandbox.crm import json_response
from crm_sandbox.hubspot.endpoint import (
    Endpoints,
    flag,
    names_in,
    next_page,
    read_after,
    read_body,
    read_limit,
    token_of,
)
from crm_sandbox.hubspot.errors import invalid, not_found
from crm_sandbox.hubspot.render import chosen, writer
from crm_sandbox.hubspot.search import Query

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from crm_sandbox.hubspot.model import ObjectType, Record

LIST_CAP = 100
BATCH_CAP = 100
HISTORY_CAP = 50


class Input(msgspec.Struct):
    """One record asked for in a batch."""

    id: str


class BatchRead(msgspec.Struct, rename="camel"):
    """The body of a batch read."""

    inputs: list[Input]
    properties: tuple[str, ...] = ()
    properties_with_history: tuple[str, ...] = ()
    id_property: str | None = None


class Objects(Endpoints):
    """The endpoints of ``/crm/objects``."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        route, base = self.hubspot.dated_route, "/crm/objects/{version}/{type}"
        return [
            route("POST", f"{base}/search", "objects.search", self.search),
            route("POST", f"{base}/batch/read", "objects.batch_read", self.batch_read),
            route("GET", f"{base}/{{id}}", "objects.get", self.get),
            route("GET", base, "objects.list", self.list_page),
        ]

    async def list_page(self, request: Request) -> Response:
        """Answer a page of live or archived records."""
        kind = self.type_of(request)
        history = names_in(request, "propertiesWithHistory")
        limit = read_limit(request, 10, HISTORY_CAP if history else LIST_CAP)
        archived = flag(request, "archived")
        view = self.account.stores[kind.key].view(
            archived=archived, order=self.account.switches.list_order
        )
        records, after = view.page(read_after(request), limit)
        write = self._writer(request, kind, names_in(request, "properties"), history)
        results = [write(record) for record in records]
        for other in names_in(request, "associations"):
            self._add_associations(kind, other, records, results)
        answer: dict[str, Any] = {"results": results}
        if after is not None:
            answer["paging"] = next_page(request, after)
        return json_response(answer)

    async def search(self, request: Request) -> Response:
        """Answer a page of the live records that match."""
        kind = self.type_of(request)
        limit = self.account.switches.search_body_limit
        if limit and len(await request.body()) > limit:
            raise invalid(f"The request body exceeds {limit} characters.", "BODY_TOO_LONG")
        query = await read_body(request, Query)
        total, records, after = self.account.searcher.find(self.account.stores[kind.key], query)
        write = self._writer(request, kind, query.properties, ())
        answer: dict[str, Any] = {"total": total, "results": [write(one) for one in records]}
        if after is not None:
            answer["paging"] = {"next": {"after": str(after)}}
        return json_response(answer)

    async def batch_read(self, request: Request) -> Response:
        """Answer the records with given ids; missing ones are errors inside the answer."""
        kind = self.type_of(request)
        body = await read_body(request, BatchRead)
        most = HISTORY_CAP if body.properties_with_history else BATCH_CAP
        if len(body.inputs) > most:
            raise invalid(f"The maximum number of inputs supported is {most}", "TOO_MANY_INPUTS")
        started = iso(self.hubspot.world.clock.now_ms())
        archived = flag(request, "archived")
        found: dict[int, Record] = {}
        missing: list[str] = []
        for one in body.inputs:
            record = self._find(kind, one.id, body.id_property, archived=archived)
            if record is None:
                missing.append(one.id)
            else:
                found[record.id] = record
        write = self._writer(request, kind, body.properties, body.properties_with_history)
        answer: dict[str, Any] = {
            "status": "COMPLETE",
            "results": [write(record) for record in found.values()],
            "startedAt": started,
            "completedAt": iso(self.hubspot.world.clock.now_ms()),
        }
        if not missing:
            return json_response(answer)
        answer |= {"numErrors": 1, "errors": [_missing(kind, missing)]}
        return json_response(answer, self.account.switches.batch_status)

    async def get(self, request: Request) -> Response:
        """Answer one record."""
        kind = self.type_of(request)
        record_id = request.path_params["id"]
        wanted = request.query_params.get("idProperty")
        record = self._find(kind, record_id, wanted, archived=flag(request, "archived"))
        if record is None:
            raise not_found()
        history = names_in(request, "propertiesWithHistory")
        result = self._writer(request, kind, names_in(request, "properties"), history)(record)
        for other in names_in(request, "associations"):
            self._add_associations(kind, other, [record], [result])
        return json_response(result)

    def _writer(
        self, request: Request, kind: ObjectType, names: tuple[str, ...], history: tuple[str, ...]
    ) -> Any:
        token = token_of(request)
        known = chosen(kind, history, token) if history else ()
        past = tuple(one for one in known if one in history)
        empty = self.account.switches.unset == "empty"
        return writer(kind, chosen(kind, names, token), past, empty=empty)

    def _find(
        self, kind: ObjectType, given: str, id_property: str | None, *, archived: bool
    ) -> Record | None:
        store = self.account.stores[kind.key]
        if id_property not in (None, "hs_object_id"):
            one = kind.properties.get(id_property or "")
            if one is None or not one.unique:
                raise invalid(f"{id_property} is not a unique property", "INVALID_ID_PROPERTY")
            matches = (item for item in store.live() if item.values.get(one.name) == given)
            return next(matches, None)
        if not given.isdecimal():
            return None
        record_id = int(given)
        if self.account.switches.merged_id_answers == "survivor":
            record_id = store.merged.get(record_id, record_id)
        return store.get(record_id, archived=archived)

    def _add_associations(
        self, kind: ObjectType, other: str, records: list[Record], results: list[dict[str, Any]]
    ) -> None:
        """Add ids of associated records, one entry per association type (section 8)."""
        target = self.account.find_type(other)
        if target is None:
            raise invalid(f"Unable to infer object type from: {other}", "INVALID_OBJECT_TYPE")
        name = f"{kind.singular}_to_{target.singular}"
        for record, result in zip(records, results, strict=True):
            entries = [
                {
                    "id": str(to_id),
                    "type": name if one.label or len(how) == 1 else f"{name}_unlabeled",
                }
                for to_id, how in self.account.linked((kind.key, target.key), record.id)
                for one in how
            ]
            if entries:
                links = result.setdefault("associations", {})
                links[target.name] = {"results": entries}


def _missing(kind: ObjectType, ids: list[str]) -> dict[str, Any]:
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "message": f"Could not get some {kind.full_name} objects, they may be deleted or not "
        "exist. Check that ids are valid.",
        "context": {"ids": ids},
    }
