"""Tasks: what is to be done for a customer, when and by whom. Read in three passes.

Source: "List all tasks" in Arrivy's API reference. What is special:

- `from` and `to` are about when a task is scheduled, not when it was changed. So a run reads a
  window of scheduled times: from the look-back before the bookmark on, without end.
- Tasks that are not scheduled, and those without any date, come only when they are asked for. A
  task that two passes give comes once, and again only if it changed in between.
- A query may give 1000 tasks at most (one client suspects so). A window with exactly as many is
  read again in halves.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from tapkit import dates
from tapkit.errors import BadRequest
from tapkit.fields import Field

from tap_arrivy.lists import OTHER, Listing, columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_arrivy.client import Row

__all__ = ["STATUS_TYPES", "TaskReader", "Tasks"]

STATUS_TYPES = frozenset(
    {
        "NOTSTARTED",
        "ENROUTE",
        "STARTED",
        "COMPLETE",
        "EXCEPTION",
        "CANCELLED",
        "PREPARING",
        "CONFIRMED",
        "CUSTOM",
        "RECOMMENDED",
        "RESCHEDULED",
        "CUSTOMER_EXCEPTION",
        "READYFORPICKUP",
        "REVIEW_REMINDER",
        "REMINDER",
        "LATE",
        "NOSHOW",
        "SEEN_BY_CUSTOMER",
        "CREW_ASSIGNED",
        "CREW_REMOVED",
        "EQUIPMENT_ASSIGNED",
        "EQUIPMENT_REMOVED",
        "ARRIVING",
        "EXTRA_TIME",
        "CUSTOMER_SIGNATURE",
        "ON_HOLD",
        "MOVING_TO_STORAGE",
        "IN_STORAGE",
        "OUT_OF_STORAGE",
        "IN_TRANSIT",
        "PICKING_UP",
        "ARRIVED",
        "DEPARTED",
        "AUTO_START_PENDING",
        "AUTO_START",
        "AUTO_COMPLETE_PENDING",
        "AUTO_COMPLETE",
        "RETURNED",
        "ORDER",
        "SKIP",
    }
)
"""Every type of status that Arrivy's reference and web app know."""

FIRST = datetime(2000, 1, 1, tzinfo=dates.UTC)
LAST = datetime(2100, 1, 1, tzinfo=dates.UTC)
"""All times that a task may be scheduled for."""
SUSPECTED_CAP = 1000
OVERLAP = timedelta(seconds=1)
"""Between two halves of a window, as nobody knows whether `to` belongs to it."""
NARROWEST = timedelta(minutes=1)


class TaskReader(Listing):
    """Reads tasks."""

    endpoint = "/tasks"
    id_lists = ("entity_ids", "resource_ids", "crew_ids", "worker_ids", "document_ids", "file_ids")
    task_query: ClassVar[dict[str, str]] = {}
    _is_filter_refused = False

    @property
    def is_filtered(self) -> bool:
        return bool(self.tap.task_statuses) or self.tap.start_date is not None

    def starting_point(self) -> datetime | None:
        if self.compares:
            return None
        start = super().starting_point()
        if start is None or self.tap.start_date is not None:
            return start
        return min(start, self.client.server_now() - self.look_back)

    def tasks(self) -> Iterator[list[Row]]:
        """The tasks from the starting point on, without those that a setting leaves out."""
        wanted = self.tap.task_statuses
        for page in self._passes():
            yield [row for row in page if str(row.get("status")).upper() in wanted or not wanted]

    def _passes(self) -> Iterator[list[Row]]:
        # A task is planned rather than taken back: so those without a date come first, and where
        # one is scheduled meanwhile, the window still has it.
        for query in ({"unscheduled": "true"}, {"tasks_with_no_datetime": "true"}):
            count = 0
            for page in self._read(query):
                count += len(page)
                yield page
            if count == SUSPECTED_CAP:
                self._doubt(next(iter(query)))
        yield from self._window(self.starting_point() or FIRST, LAST)

    def _window(self, start: datetime, end: datetime) -> Iterator[list[Row]]:
        count, stays_inside = 0, True
        for page in self._read({"from": _moment(start), "to": _moment(end)}):
            count += len(page)
            stays_inside = stays_inside and all(_touches(row, start, end) for row in page)
            yield page
        if count != SUSPECTED_CAP:
            return
        if not stays_inside or end - start < NARROWEST:
            self._doubt(f"from {_moment(start)} to {_moment(end)}")
            return
        middle = start + (end - start) / 2
        yield from self._window(start, middle.replace(microsecond=0) + OVERLAP)
        yield from self._window(middle.replace(microsecond=0), end)

    def _read(self, query: dict[str, str]) -> Iterator[list[Row]]:
        query = {**self.task_query, **query}
        wanted = ",".join(sorted(self.tap.task_statuses))
        if wanted and not self._is_filter_refused:
            try:
                yield from self.client.pages("/tasks", {**query, "statuses": wanted})
            except BadRequest as error:
                self._is_filter_refused = True  # it is in no document; `tasks` filters as well
                self.logger.warning("All tasks are read for those of task_status: %s", error)
            else:
                return
        yield from self.client.pages("/tasks", query)

    def _doubt(self, which: str) -> None:
        self.status.skip(
            f"tasks ({which}) beyond {SUSPECTED_CAP}, if there are any: Arrivy gave exactly as many"
        )


class Tasks(TaskReader):
    """Tasks; one row is one appointment, job or delivery.

    `status` may be older than the newest row of the task in task_statuses.
    """

    name = "tasks"
    replication_key = "updated"
    fields = (
        *columns("object_id", "id", "owner"),
        *columns("string", "url_safe_id", "title", "details", "status", "status_title"),
        *columns("object_id", "template"),
        *columns("string", "template_type"),
        *columns("datetime", "start_datetime", "end_datetime", "due_datetime"),
        Field("start_datetime_original_iso_str", description="With the offset of the place"),
        Field("end_datetime_original_iso_str", description="With the offset of the place"),
        Field("due_datetime_original_iso_str", description="With the offset of the place"),
        *columns("string", "start_datetime_timezone", "end_datetime_timezone"),
        *columns("boolean", "enable_time_window_display"),
        Field("time_window_start", "integer", description="Minutes"),
        Field("duration", "integer", description="Minutes"),
        *columns("boolean", "unscheduled", "self_scheduling", "is_archived", "is_linked"),
        *columns("object_id", "customer_id"),
        *columns("string", "customer_first_name", "customer_last_name", "customer_name"),
        *columns("string", "customer_company_name", "customer_notes", "customer_timezone"),
        *columns("email", "customer_email"),
        *columns("phone", "customer_phone", "customer_mobile_number"),
        *columns("string", "customer_address", "customer_address_line_1"),
        *columns("string", "customer_address_line_2", "customer_city", "customer_state"),
        *columns("string", "customer_country"),
        *columns("zip_code", "customer_zipcode"),
        Field("customer_exact_location", "object", description="lat, lng"),
        Field("customer_exact_location.lat", "number", name="latitude"),
        Field("customer_exact_location.lng", "number", name="longitude"),
        *columns("boolean", "is_customer_address_geo_coded", "use_lat_lng_address"),
        *columns("json", "additional_addresses", "current_destination"),
        *columns("array", "entity_ids", "resource_ids", "crew_ids", "worker_ids"),
        *columns("array", "document_ids", "file_ids"),
        *columns("integer", "number_of_workers_required"),
        *columns("object_id", "group_id", "route_id", "internal_route_id", "series_id"),
        *columns("json", "routes", "entity_routes"),
        Field("mileage", "json", name="mileage_data"),
        *columns("string", "travel_time", "wait_time", "task_time", "total_time"),
        *columns("number", "rating"),
        *columns("string", "rating_text"),
        *columns("integer", "outbound_sms_count", "inbound_sms_count"),
        *columns("integer", "outbound_email_count", "inbound_email_count"),
        *columns("json", "files", "forms", "items", "extra_fields", "template_extra_fields"),
        *columns("json", "entity_confirmation_statuses", "skill_details"),
        *columns("json", "notifications", "notifications_sent"),
        *columns("object_id", "external_id"),
        *columns("string", "external_url", "external_type", "external_resource_type"),
        *columns("object_id", "linked_internal_ref", "linked_external_ref"),
        *columns("string", "source"),
        *columns("object_id", "source_id"),
        *columns("boolean", "is_supply_provided_locked", "is_supply_returned_locked"),
        *columns("boolean", "use_assignee_color", "do_not_send_webhook_notification"),
        *columns("datetime", "created", "updated"),
        *columns("object_id", "created_by", "updated_by"),
        *columns("string", "created_by_user", "updated_by_user"),
        OTHER,
    )

    def read(self) -> Iterator[list[Row]]:
        return self.tasks()


def _moment(moment: datetime) -> str:
    """A moment in the form that Arrivy takes; the client encodes the plus sign, once."""
    return moment.replace(microsecond=0).isoformat()


def _touches(row: Row, start: datetime, end: datetime) -> bool:
    """Whether a task is scheduled within a window, as far as it tells."""
    try:
        begins = dates.parse_datetime(row.get("start_datetime"))
        ends = dates.parse_datetime(row.get("end_datetime") or row.get("start_datetime"))
    except ValueError:
        return True
    return begins <= end and ends >= start
