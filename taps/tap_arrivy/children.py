"""What tasks and crew members have of their own, at a request for each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tapkit import dates
from tapkit.errors import NotFound
from tapkit.fields import Field
from tapkit.paging import ordered_map

from tap_arrivy.client import listed
from tap_arrivy.lists import OTHER, Listing, columns
from tap_arrivy.tasks import STATUS_TYPES, TaskReader

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from datetime import datetime

    from tap_arrivy.client import Row
    from tap_arrivy.tap import TapArrivy

__all__ = ["EntityReadings", "TaskEstimates", "TaskRatings", "TaskStatuses"]

LATEST = 10
"""How many events a task brings along with `show_details`."""


class Children(Listing):
    """Rows that belong to a parent; a subclass says which, and what the parent's are."""

    def parents(self) -> Iterator[list[Row]]:
        """Read the parents, a page at a time."""
        raise NotImplementedError

    def children(self, parent: Row) -> list[Row]:
        """Ask for what a parent has."""
        raise NotImplementedError

    def __init__(self, tap: TapArrivy) -> None:
        super().__init__(tap)
        self._asked: set[Any] = set()

    def _reading(self) -> Generator[list[Row], None, set[Any]]:
        """Read the parents, and what those have that another reading did not give already."""
        ids: set[Any] = set()
        for page in self.parents():
            fresh = {row["id"]: row for row in page if row["id"] not in self._asked}
            self._asked.update(fresh)
            ids.update(row["id"] for row in page)
            for rows in ordered_map(self._of, fresh.values(), workers=self.client.workers):
                yield self._normal(rows)
        return ids

    def _of(self, parent: Row) -> list[Row]:
        try:
            return self.children(parent)
        except NotFound:
            return []  # deleted meanwhile


class TaskChildren(TaskReader, Children):
    """Rows that belong to a task; read are those of the tasks of a window, as tasks are."""

    def parents(self) -> Iterator[list[Row]]:
        return self.tasks()

    def starting_point(self) -> datetime | None:
        if self.compares:
            return None
        if self.tap.start_date is not None:
            return self.tap.start_date
        last = self.stream_state.get("read_at")
        return dates.parse_datetime(last) - self.look_back if last else None

    def pages(self) -> Iterator[list[Row]]:
        self._read_at = dates.text(self.client.server_now())
        return super().pages()

    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        is_whole = self.status.status == "success" and not self.is_cut
        if is_whole and self.tap.start_date is None:
            self.stream_state["read_at"] = self._read_at
        super().finalize_state_progress_markers(state)


class TaskStatuses(TaskChildren):
    """What happened to a task, and who reported it.

    A task brings its latest ten along where it is asked for details; only where there may be more,
    or Arrivy leaves them out, each task costs a request.
    """

    name = "task_statuses"
    endpoint = "/tasks/{id}/status"
    task_query: ClassVar = {"show_details": "true"}
    fields = (
        *columns("object_id", "id", "task_id"),
        *columns("string", "type", "title", "type_title"),
        *columns("datetime", "time"),
        Field("time_original_iso_str", description="With the offset of the place"),
        *columns("string", "reporter_name"),
        *columns("object_id", "reporter_id"),
        Field("source", description="web, email, sms or app"),
        *columns("json", "extra_fields"),
        *columns("string", "color", "url_safe_id"),
        OTHER,
    )

    def __init__(self, tap: TapArrivy) -> None:
        super().__init__(tap)
        self._details = ""

    def parents(self) -> Iterator[list[Row]]:
        held: list[list[Row]] = []  # until a task with events shows where they are
        for page in super().parents():
            self._details = self._details or next(filter(None, map(_events_field, page)), "")
            held.append([_lists(row) for row in page])
            if self._details:
                yield from held
                held.clear()
        if held and any(held):
            self.logger.warning(
                "Tasks bring no events along, so each costs requests; if that takes too long, "
                "deselect %s",
                self.name,
            )
        yield from held

    def children(self, parent: Row) -> list[Row]:
        events = parent.get(self._details)
        if not isinstance(events, list) or len(events) >= LATEST:
            path = f"/tasks/{parent['id']}/status"
            events = [row for page in self.client.pages(path, workers=1) for row in page]
        return [{**event, "task_id": parent["id"]} for event in events]


class TaskRatings(TaskChildren):
    """How customers rated a task; with the setting ratings_and_estimates."""

    name = "task_ratings"
    endpoint = "/tasks/{id}/rating"
    primary_keys = ("task_id", "id")
    fields = (
        *columns("object_id", "task_id"),
        Field("id", "object_id", description="Where Arrivy gives none: the time of the rating"),
        *columns("number", "rating"),
        *columns("string", "text"),
        *columns("datetime", "time"),
        *columns("string", "time_original_iso_str"),
        *columns("string", "customer_first_name", "customer_last_name"),
        *columns("string", "customer_city", "customer_state", "customer_country"),
        OTHER,
    )

    def children(self, parent: Row) -> list[Row]:
        answer = self.client.one(f"/tasks/{parent['id']}/rating")
        ratings = [answer] if isinstance(answer, dict) and "rating" in answer else listed(answer)
        return [
            {"id": rating.get("time") or "", **rating, "task_id": parent["id"]}
            for rating in ratings
        ]


class TaskEstimates(TaskChildren):
    """When the crew is expected; with the setting ratings_and_estimates. It changes by itself."""

    name = "task_estimates"
    endpoint = "/tasks/{id}/estimate"
    primary_keys = ("task_id",)
    fields = (
        *columns("object_id", "task_id"),
        Field("estimate", description="In words, such as 40 minutes"),
        OTHER,
    )

    def children(self, parent: Row) -> list[Row]:
        estimate = self.client.one(f"/tasks/{parent['id']}/estimate")
        return [{**estimate, "task_id": parent["id"]}] if estimate else []


class EntityReadings(Children):
    """Where crew members were, and when; with the setting positions. All of it in each run."""

    name = "entity_readings"
    endpoint = "/entities/{id}/readings"
    primary_keys = ("entity_id", "time")
    fields = (
        *columns("object_id", "entity_id"),
        *columns("datetime", "time"),
        *columns("number", "lat", "lng"),
        *columns("string", "street", "city", "country"),
        OTHER,
    )

    def parents(self) -> Iterator[list[Row]]:
        return self.client.pages("/entities")

    def children(self, parent: Row) -> list[Row]:
        path = f"/entities/{parent['id']}/readings"
        readings = (row for page in self.client.pages(path, workers=1) for row in page)
        return [{**reading, "entity_id": parent["id"]} for reading in readings]


def _lists(task: Row) -> Row:
    """Of a task its id, and what may be its events."""
    return {name: it for name, it in task.items() if name == "id" or isinstance(it, list)}


def _events_field(task: Row) -> str:
    """The field in which a task brings its events along; what it is called is not documented."""
    for name, value in task.items():
        if isinstance(value, list) and value and any(map(_is_event, value)):
            return name
    return ""


def _is_event(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and {"id", "time"} <= value.keys()
        and str(value.get("type")).upper() in STATUS_TYPES
    )
