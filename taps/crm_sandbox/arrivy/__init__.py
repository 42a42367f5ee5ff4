"""Arrivy's API, made from the project's API sheet.

`switches.Switches` says what is assumed where the sheet is uncertain, and offers the other truth.
Known differences from Arrivy:

- Read only. No webhooks, no mirror by external id below ``/express``, no searches.
- Of the filters of lists only those that the tap may use have an effect: `from`, `to`,
  `unscheduled`, `tasks_with_no_datetime`, `statuses`, `get_disabled_groups`; others are ignored.
- `company_id` is ignored: there is one company.
- The two headers are one credential: key and token with a colon between.
- A rating, an estimate and a position are made up from the task or crew member when asked for, and
  stay the same.
"""

from __future__ import annotations

from collections import defaultdict
from hashlib import blake2b
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from starlette.responses import Response

from crm_sandbox.arrivy.generate import MAKERS, moment, row_id
from crm_sandbox.arrivy.switches import Limits, Switches
from crm_sandbox.clock import from_iso
from crm_sandbox.crm import ApiError
from crm_sandbox.rest import Record, RestCrm, page_of, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from starlette.requests import Request
    from starlette.routing import Route

AUTH_KEY = "arrivy-sandbox-key"
AUTH_TOKEN = "arrivy-sandbox-token"  # noqa: S105 - opens nothing but the sandbox
PAGE = 500
LATEST = 10
ID_LISTS = ("entity_ids", "resource_ids", "additional_group_ids")
NUMERIC = ("customer_zipcode", "customer_mobile_number", "zipcode", "mobile_number", "phone")
LISTS = ("customers", "entities", "groups", "resources", "templates", "statuses", "bookings")
WITH_MOMENTS = ("tasks", "entities", "groups", "bookings")


class Arrivy(RestCrm):
    """Arrivy under ``/arrivy``."""

    name = "arrivy"
    Switches = Switches
    Limits = Limits
    windows: ClassVar[Mapping[str, float]] = {"per_minute": 60.0}
    static_token = f"{AUTH_KEY}:{AUTH_TOKEN}"
    sizes: ClassVar[Mapping[str, int]] = {
        "groups": 3,
        "templates": 3,
        "statuses": 8,
        "entities": 9,
        "resources": 4,
        "customers": 40,
        "bookings": 3,
        "tasks": 90,
        "task_statuses": 150,
    }
    editable: ClassVar = {
        "groups": ("description", "city", "timezone"),
        "entities": ("details", "permission", "group_id", "extra_fields"),
        "resources": ("details", "type"),
        "customers": ("notes", "city", "extra_fields"),
        "bookings": ("description", "status"),
        "tasks": ("title", "details", "status", "duration", "extra_fields", "customer_email"),
        "task_statuses": ("title", "extra_fields"),
    }

    # The records

    def fresh(self, record_type: str, random: Random, at: int) -> Record:
        kind = list(MAKERS).index(record_type)
        made = MAKERS[record_type](random, at, self.rows)
        return {"id": row_id(self.new_id(record_type), kind), **made}

    def touched(self, record_type: str, record: Record, at: int) -> None:
        if record_type in (*WITH_MOMENTS, "statuses"):
            record["updated"] = moment(at)

    def removed(self, record_type: str, record: Record, at: int) -> bool:  # noqa: ARG002
        if record_type == "tasks":
            events = self.tables["task_statuses"]
            gone = [key for key, event in events.items() if event["_task_id"] == record["id"]]
            for key in gone:
                del events[key]
        return True

    def shown(self, record_type: str, record: Record) -> Record:
        """Return a record as a list shows it, under the switches in force."""
        switches = self.switches
        row = {name: value for name, value in record.items() if not name.startswith("_")}
        if record_type == "customers" and switches.customer_moments:
            row |= {"created": "2026-01-01T00:00:00", "updated": "2026-01-01T00:00:00"}
        elif record_type in WITH_MOMENTS and not switches.moments:
            row = {name: it for name, it in row.items() if name not in ("created", "updated")}
        if switches.id_lists == "text":
            lists = {name: row[name] for name in ID_LISTS if isinstance(row.get(name), list)}
            row |= {name: ", ".join(map(str, ids)) for name, ids in lists.items()}
            if "unscheduled" in row:
                row["unscheduled"] = str(row["unscheduled"]).lower()
        if switches.numbers:
            texts = {name: str(row.get(name)).removeprefix("+") for name in NUMERIC}
            row |= {name: int(text) for name, text in texts.items() if text.isdecimal()}
        if record_type == "entities":
            row["lastreading"] = self._reading(record, self.now())
        return row

    def _reading(self, record: Record, at: int) -> Record:
        random = Random(f"{record['id']}{at // 1000}")  # noqa: S311 - made-up data
        return {
            "city": "Denver",
            "country": "USA",
            "street": f"{random.randrange(100)} Main St",
            "time": moment(at),
            "lat": round(random.uniform(39, 40), 6),
            "lng": round(random.uniform(-105, -104), 6),
        }

    # Access and errors

    def credential(self, request: Request) -> str:
        headers = request.headers
        return f"{headers.get('x-auth-key', '')}:{headers.get('x-auth-token', '')}"

    def error(
        self, status: int, message: str, headers: Mapping[str, str] | None = None
    ) -> ApiError:
        codes = {
            400: ("INVALID_INPUT", message),
            401: ("UNAUTHORIZED", "Wrong Credentials"),
            404: ("NOT_FOUND", "NOT_FOUND"),
        }
        if status == 403:  # noqa: PLR2004
            denied: int = self.switches.denied_status
            return ApiError(denied, {"description": "NOT AUTHORIZED"}, headers)
        code, description = codes.get(status, ("ERROR", message))
        return ApiError(status, {"message": code, "description": description}, headers)

    # Endpoints

    def routes(self) -> list[Route]:
        lists = [self.route("GET", f"/{name}", name, self._lister(name)) for name in LISTS]
        rows = [
            self.route("GET", f"/{name}/{{id}}", f"{name}.one", self._reader(name))
            for name in (*LISTS, "tasks")
        ]
        return [
            self.route("GET", "/users/profile", "profile", self.profile),
            *lists,
            self.route("GET", "/tasks", "tasks", self.tasks),
            *rows,
            self.route("GET", "/tasks/{id}/status", "tasks.status", self.task_statuses),
            self.route("GET", "/tasks/{id}/rating", "tasks.rating", self.ratings),
            self.route("GET", "/tasks/{id}/estimate", "tasks.estimate", self.estimate),
            self.route("GET", "/entities/{id}/readings", "entities.readings", self.readings),
        ]

    async def profile(self, request: Request) -> Response:  # noqa: ARG002
        """Answer who the keys belong to."""
        return self._answer_json({"owner": True, "fullname": "Sandbox"})

    def _lister(self, name: str) -> Any:
        async def endpoint(request: Request) -> Response:
            switch = {"bookings": self.switches.bookings != "missing"}
            switch["statuses"] = self.switches.statuses
            if not switch.get(name, True):
                raise self.error(404, "")
            rows = self.rows(name)
            if name == "groups" and not (
                self.switches.disabled_groups
                and request.query_params.get("get_disabled_groups") == "true"
            ):
                rows = [row for row in rows if not row["is_disabled"]]
            shown = [self.shown(name, row) for row in rows]
            whole = name == "bookings" and self.switches.bookings == "whole"
            if whole or name in ("templates", "statuses"):
                return self._answer_json(self._list(shown))
            return self._page(request, shown)

        return endpoint

    def _reader(self, name: str) -> Any:
        async def endpoint(request: Request) -> Response:
            record = self.find(name, request.path_params["id"])
            return self._answer_json(self.shown(name, record))

        return endpoint

    async def tasks(self, request: Request) -> Response:
        """Answer one of the three sets of tasks: those of a window, unscheduled, without date."""
        query = request.query_params
        if query.get("tasks_with_no_datetime") == "true":
            rows = [row for row in self.rows("tasks") if not row["start_datetime"]]
        elif query.get("unscheduled") == "true":
            both = self.switches.dateless_are_unscheduled
            rows = [
                row
                for row in self.rows("tasks")
                if row["unscheduled"] or (both and not row["start_datetime"])
            ]
        else:
            rows = [
                row
                for row in self.rows("tasks")
                if row["start_datetime"] and not row["unscheduled"]
            ]
            inside = self._window(query)
            rows = [row for row in rows if inside(row)]
        if self.switches.status_filter and (wanted := query.get("statuses")):
            rows = [row for row in rows if row["status"] in wanted.split(",")]
        rows = self._ordered(rows)[: self.switches.task_cap or None]
        shown = [self.shown("tasks", row) for row in rows]
        if query.get("show_details") == "true" and self.switches.details:
            events = self._events()
            for row in shown:
                row[self.switches.details] = events[row["id"]][-LATEST:]
        return self._page(request, shown, ordered=True)

    async def task_statuses(self, request: Request) -> Response:
        """Answer the events of a task."""
        task = self.find("tasks", request.path_params["id"])
        return self._page(request, self._events()[task["id"]])

    async def ratings(self, request: Request) -> Response:
        """Answer how the customer rated a task."""
        task = self.find("tasks", request.path_params["id"])
        if task["rating"] is None:
            return self._answer_json([])
        rating = {"id": task["id"] + 1, "rating": task["rating"], "text": "Way to go"}
        return self._answer_json([{**rating, "time": task["created"]}])

    async def estimate(self, request: Request) -> Response:
        """Answer when the crew is expected."""
        task = self.find("tasks", request.path_params["id"])
        return self._answer_json({"estimate": f"{task['duration']} minutes"})

    async def readings(self, request: Request) -> Response:
        """Answer where a crew member was."""
        entity = self.find("entities", request.path_params["id"])
        start = from_iso(entity["created"])
        return self._page(
            request, [self._reading(entity, start + hour * 3_600_000) for hour in range(3)]
        )

    # Inside

    def _window(self, query: Mapping[str, str]) -> Callable[[Record], bool]:
        try:
            start, end = (
                from_iso(query[name]) if name in query else None for name in ("from", "to")
            )
        except ValueError as error:
            raise self.error(400, "Invalid from or to") from error
        kind = self.switches.window

        def inside(row: Record) -> bool:
            if kind == "ignored":
                return True
            first, last = ("start_datetime", "end_datetime") if kind == "scheduled" else (kind,) * 2
            return (end is None or from_iso(row[first]) <= end) and (
                start is None or from_iso(row[last]) >= start
            )

        return inside

    def _events(self) -> defaultdict[int, list[Record]]:
        """Return the events of each task."""
        events: defaultdict[int, list[Record]] = defaultdict(list)
        for event in self.rows("task_statuses"):
            events[event["_task_id"]].append(self.shown("task_statuses", event))
        return events

    def _ordered(self, rows: list[Record]) -> list[Record]:
        if self.switches.order == "newest":
            return rows[::-1]
        if self.switches.order == "scattered":
            return sorted(rows, key=lambda row: blake2b(str(row["id"]).encode()).digest())
        return rows

    def _page(self, request: Request, rows: list[Record], *, ordered: bool = False) -> Response:
        switches = self.switches
        try:
            number = whole_number(request, "page", 1)
            size = whole_number(request, "items_per_page", PAGE)
        except ValueError as error:
            raise self.error(400, str(error)) from error
        size = PAGE if switches.ignores_size else min(size, switches.largest_page or size)
        page = page_of(rows if ordered else self._ordered(rows), number, size)
        return self._answer_json(self._list(page.items))

    def _list(self, rows: Iterable[Record]) -> Any:
        return {"results": list(rows)} if self.switches.envelope else list(rows)

    def _answer_json(self, content: Any) -> Response:
        return Response(msgspec.json.encode(content), media_type=self.switches.content_type)
