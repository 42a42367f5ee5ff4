"""The classic SalesRabbit API, made from the project's API sheet.

Where the sheet is silent or uncertain, `switches.Switches` says what is assumed and offers the
other truth. Known differences from SalesRabbit:

- Read only, and without SalesRabbit+ (SR+), which is another product with another API.
- No custom field list, organisation, roles, forms, files or webhooks: their paths are not known.
- Times are whole seconds and every change of a lead moves `dateModified`, unless a switch says no.
- A change of a lead's status makes an event of the histories, none of the activities.
- Fields of statuses beside `id` are those that events have. Error bodies are the sandbox's own.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

from starlette.responses import Response

from crm_sandbox.clock import from_iso
from crm_sandbox.crm import json_response
from crm_sandbox.rest import Record, RestCrm, page_of, whole_number
from crm_sandbox.salesrabbit import records, shapes
from crm_sandbox.salesrabbit.records import stamp
from crm_sandbox.salesrabbit.switches import Limits, Switches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from random import Random

    from starlette.requests import Request
    from starlette.routing import Route

STATIC_TOKEN = "salesrabbit-sandbox"  # noqa: S105 - opens nothing but the sandbox
FIRST_IDS = {"users": 911705181, "lead_statuses": 210, "leads": 34570}
MODIFIED_SINCE = "If-Modified-Since"
LATER_MS = 3 * 86_400_000


class SalesRabbit(RestCrm):
    """SalesRabbit under ``/salesrabbit``."""

    name = "salesrabbit"
    static_token = STATIC_TOKEN
    sizes: ClassVar[Mapping[str, int]] = {
        "users": 8,
        "lead_statuses": 7,
        "leads": 60,
        "lead_status_histories": 90,
        "lead_status_activities": 40,
    }
    Switches = Switches
    Limits = Limits
    windows: ClassVar[Mapping[str, float]] = {"per_minute": 60.0}
    editable: ClassVar[Mapping[str, Sequence[str]]] = {
        "users": ("phone", "role", "team", "active"),
        "leads": ("lastName", "email", "status", "notes", "customFields", "userId", "zip"),
    }

    def __init__(self, world: Any) -> None:
        super().__init__(world)
        self._last: dict[str, Record] = {}

    def reset(self, seed: int, sizes: Mapping[str, int]) -> None:
        self._last = {}
        super().reset(seed, sizes)

    # Records

    def make(self, random: Random, sizes: Mapping[str, int]) -> Iterator[tuple[str, Record]]:
        yield from super().make(random, sizes)
        self._last = {record_id: dict(lead) for record_id, lead in self.tables["leads"].items()}

    def fresh(self, record_type: str, random: Random, at: int) -> Record:
        number = self.new_id(record_type, FIRST_IDS.get(record_type, 1))
        if record_type == "users":
            return records.user(number, random, at)
        if record_type == "lead_statuses":
            return records.status(number)
        its_status = self.any_of("lead_statuses", random)
        if record_type == "leads":
            return records.lead(number, random, at, self.any_of("users", random), its_status)
        lead = self.any_of("leads", random)
        created = from_iso(lead["dateCreated"])
        then = min(created + random.randrange(LATER_MS), max(created, self.now() - 60_000))
        if record_type == "lead_status_activities":
            return records.activity(number, random, lead, its_status, then)
        # A lead is modified with its status, or a few seconds later.
        lead["dateModified"] = max(lead["dateModified"], stamp(then + random.randrange(10_000)))
        return records.event(number, lead, its_status, then)

    def record_id(self, record_type: str, record: Record) -> str:  # noqa: ARG002
        return str(record.get("number", record.get("id")))

    def touched(self, record_type: str, record: Record, at: int) -> None:
        if record_type == "users":
            record["dateModified"] = stamp(at)
        elif record_type == "leads":
            self._touched_lead(record, at)
        elif record_type == "lead_status_activities":
            record["currentOnDeviceStatusModified"] = stamp(at)[:19]

    def _touched_lead(self, lead: Record, at: int) -> None:
        before = self._last.get(str(lead["id"]), {})
        changed = {name for name, value in lead.items() if before.get(name) != value}
        if "status" in changed:
            lead["statusModified"] = stamp(at)
            known = {one["name"]: one for one in self.rows("lead_statuses")}
            if its_status := known.get(lead["status"]):
                number = self.new_id("lead_status_histories")
                event = records.event(number, lead, its_status, at)
                self.tables["lead_status_histories"][str(number)] = event
        if "userId" in changed:
            lead["ownerModified"] = stamp(at)
        if changed != {"userId"} or self.switches.owner_moves_modified:
            lead["dateModified"] = stamp(at)
        self._last[str(lead["id"])] = dict(lead)

    def removed(self, record_type: str, record: Record, at: int) -> bool:
        if record_type != "leads" or self.switches.deletion == "gone":
            return True
        record["deletedAt"] = stamp(at)
        if self.switches.deletion == "marked":
            record["dateModified"] = stamp(at)
        return False

    # Answers

    def routes(self) -> list[Route]:
        return [
            self.route("GET", "/leads", "leads.list", self.leads),
            self.route("GET", "/leads/{id}", "leads.get", self.lead),
            self.route("GET", "/users", "users.list", self.users),
            self.route("GET", "/users/{id}", "users.get", self.user),
            self.route("GET", "/leadStatusHistories", "histories.list", self.histories),
            self.route("GET", "/leadStatusActivities", "activities.list", self.activities),
            self.route("GET", "/leadStatuses", "statuses.list", self.statuses),
            self.route("GET", "/lead-statuses", "statuses.list", self.statuses),
        ]

    async def leads(self, request: Request) -> Response:
        """List leads."""
        since = shapes.since(request, MODIFIED_SINCE)
        rows = [one for one in self.rows("leads") if self._is_new(one["dateModified"], since)]
        asked = request.query_params.get("sortBy")
        if asked and self.switches.sorting == "refused":
            raise self.error(400, "Unknown parameter sortBy")
        is_last_first = request.query_params.get("order") == "desc"
        ordered = shapes.in_order(rows, asked, self.switches, is_last_first=is_last_first)
        shown = [self._shown(one) for one in ordered]
        return self._listed(request, shown, since)

    async def lead(self, request: Request) -> Response:
        """Answer one lead."""
        return json_response({"data": self._shown(self.find("leads", request.path_params["id"]))})

    async def users(self, request: Request) -> Response:
        """List users, all on each page unless a switch says otherwise."""
        since = shapes.since(request, MODIFIED_SINCE) if self.switches.users_filtered else None
        role = request.query_params.get("role")
        rows = [
            one
            for one in self.rows("users")
            if self._is_new(one["dateModified"], since) and role in (None, one["role"])
        ]
        paging = self.switches.users_paging
        if paging in ("paged", "from_0"):
            return self._listed(request, rows, since, first=0 if paging == "from_0" else 1)
        if since is not None and not rows and self.switches.unmodified == 304:  # noqa: PLR2004
            return Response(status_code=304)
        return self._wrapped(rows, len(rows), has_more=paging == "claims_more")

    async def user(self, request: Request) -> Response:
        """Answer one user."""
        return json_response({"data": self.find("users", request.path_params["id"])})

    async def histories(self, request: Request) -> Response:
        """List the events of leads, by lead."""
        since = shapes.since(request, MODIFIED_SINCE)
        by_event = self.switches.history_scope == "event"
        leads = self.tables["leads"]
        found: dict[str, list[Record]] = {}
        for event in self.rows("lead_status_histories"):
            lead = leads.get(str(event["leadId"]))
            if lead is None:
                continue
            moment = event["statusUpdated"] if by_event else lead["dateModified"]
            if self._is_new(moment, since):
                dates = {"leadCreated": lead["dateCreated"], "leadModified": lead["dateModified"]}
                shown = {k: v for k, v in event.items() if k not in ("number", "leadId")}
                found.setdefault(str(lead["id"]), []).append({**shown, **dates})
        first = self.switches.history_pages == "repeat"
        return self._listed(request, list(found.items()), since, number=1 if first else None)

    async def activities(self, request: Request) -> Response:
        """List what reps did."""
        since = shapes.since(request, self.switches.activities_header)
        key = "currentOnDeviceStatusModified"
        rows = [one for one in self.rows("lead_status_activities") if self._is_new(one[key], since)]
        return self._listed(request, [self._activity(one) for one in rows], since)

    async def statuses(self, request: Request) -> Response:
        """List the account's statuses, where they are."""
        if not request.url.path.endswith(f"/{self.switches.statuses_path}"):
            raise self.error(404, "Not found")
        return self._listed(request, self.rows("lead_statuses"), None)

    def headers(self) -> Mapping[str, str]:
        meter = self.meters["per_minute"]
        if not self.switches.rate_headers or meter.limit is None:
            return {}
        return {
            "X-RateLimit-Limit": str(meter.limit),
            "X-RateLimit-Remaining": str(meter.remaining()),
            "X-RateLimit-Reset": str(ceil(meter.wait_seconds())),
        }

    def endless(self, answer: Any) -> Any:
        return {**answer, "meta": {"morePages": True}}

    def _listed(
        self,
        request: Request,
        rows: Sequence[Any],
        since: int | None,
        *,
        first: int = 1,
        number: int | None = None,
    ) -> Response:
        """Answer a page of a list; pairs become an object."""
        if since is not None and not rows and self.switches.unmodified == 304:  # noqa: PLR2004
            return Response(status_code=304)
        most = self.switches.max_per_page
        try:
            asked = number or whole_number(request, "page", first, low=first)
            size = min(whole_number(request, "perPage", most), most)
        except ValueError as error:
            raise self.error(400, str(error)) from error
        page = page_of(rows, asked, size, first=first)
        is_object = bool(rows) and isinstance(rows[0], tuple)
        data = dict(page.items) if is_object else list(page.items)
        if not data and request.url.path.endswith("Histories"):
            data = shapes.an_object({}, self.switches)
        return self._wrapped(data, page.total, has_more=page.has_more)

    def _wrapped(self, data: Any, total: int, *, has_more: bool) -> Response:
        meta: Record = {"morePages": has_more}
        if self.switches.totals:
            meta["total"] = total
        return json_response({"data": data, "meta": meta} if self.switches.meta else {"data": data})

    def _is_new(self, moment: str, since: int | None) -> bool:
        if since is None:
            return True
        later = self.switches.modified_since == "later"
        return from_iso(moment) > since if later else from_iso(moment) >= since

    def _shown(self, lead: Record) -> Record:
        return shapes.lead(lead, self.switches, self.rows("lead_statuses"))

    def _activity(self, activity: Record) -> Record:
        lead = self.tables["leads"].get(str(activity["dispositionLeadID"]))
        return shapes.activity(activity, lead, self.switches)
