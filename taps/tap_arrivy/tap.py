"""tap-arrivy: tasks, their history, customers, crews, equipment and settings of an account."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from singer_sdk import typing as th
from tapkit.errors import ConfigValidationError
from tapkit.settings import common_settings, concurrent_pages, secret
from tapkit.tap import Tap

from tap_arrivy import children, streams
from tap_arrivy.client import PAGE_LIMIT, ArrivyClient
from tap_arrivy.tasks import STATUS_TYPES, Tasks

if TYPE_CHECKING:
    from tapkit.stream import Stream

    from tap_arrivy.lists import Listing

__all__ = ["TapArrivy"]

DAY = 86_400

STREAMS: tuple[type[Listing], ...] = (
    streams.Groups,
    streams.Templates,
    streams.Statuses,
    streams.Entities,
    streams.Resources,
    streams.Customers,
    streams.Bookings,
    Tasks,
    children.TaskStatuses,
)
ON_REQUEST: dict[str, tuple[type[Listing], ...]] = {
    "ratings_and_estimates": (children.TaskRatings, children.TaskEstimates),
    "positions": (children.EntityReadings,),
}
"""Setting → streams that are there only with it."""


class TapArrivy(Tap):
    """Tasks and their statuses, customers, crew members, groups, resources, bookings."""

    name = "tap-arrivy"
    field_tables: ClassVar = {
        stream.name: stream.fields  # type: ignore[misc]  # classes have the name, too
        for stream in (*STREAMS, *sum(ON_REQUEST.values(), ()))
    }

    config_jsonschema = th.PropertiesList(
        secret("auth_key", "Auth key", "X-Auth-Key, from the account's API page.", required=True),
        secret(
            "auth_token", "Auth token", "X-Auth-Token, from the account's API page.", required=True
        ),
        th.Property(
            "company_id",
            th.StringType,
            title="Company id",
            description="A sub-company to read, where Arrivy allowed that.",
        ),
        th.Property(
            "task_status",
            th.StringType,
            title="Task status",
            description=(
                "Only tasks of this status, or of several with commas between, such as "
                "CONFIRMED,COMPLETE. Deletions are not looked for then."
            ),
        ),
        th.Property(
            "booking_status",
            th.StringType,
            title="Booking status",
            description="Only bookings of this status, or of several with commas between.",
        ),
        th.Property(
            "comparison_days",
            th.IntegerType(minimum=0),
            title="Days between two comparisons",
            description=(
                "Arrivy tells of no deletion. The first run, and one after so many days, reads "
                "everything twice and has what is gone marked as deleted; 0 does so in every run. "
                "Without it no deletion is found."
            ),
        ),
        th.Property(
            "positions",
            th.BooleanType,
            default=False,
            title="Positions of crew members",
            description=(
                "Read where crew members are: the column last_reading of entities, and the stream "
                "entity_readings, at a request for each of them."
            ),
        ),
        th.Property(
            "ratings_and_estimates",
            th.BooleanType,
            default=False,
            title="Ratings and estimates",
            description=(
                "Read the streams task_ratings and task_estimates, at a request for each task."
            ),
        ),
        concurrent_pages(),
        th.Property(
            "requests_per_minute",
            th.IntegerType(minimum=1, maximum=100_000),
            default=120,
            title="Requests per minute",
            description=(
                "The most that are sent. Arrivy documents no limit; others speak of 120, or of 30."
            ),
        ),
        th.Property(
            "high_performance",
            th.BooleanType,
            default=False,
            title="High performance",
            description=(
                "At least eight requests at once and no limit of requests per minute but what "
                "Arrivy itself refuses."
            ),
        ),
        *common_settings(
            base_url="https://app.arrivy.com/api",
            page_size=PAGE_LIMIT,
            page_size_limit=PAGE_LIMIT,
            look_back=90 * DAY,
        ),
    ).to_dict()

    @cached_property
    def client(self) -> ArrivyClient:  # type: ignore[override]
        """The client that all streams share."""
        return ArrivyClient(self.config)

    @property
    def task_statuses(self) -> frozenset[str]:
        """The setting task_status; empty for all.

        Raises:
            ConfigValidationError: It has a status that Arrivy does not.
        """
        wanted = _names(self.config.get("task_status"))
        if unknown := wanted - STATUS_TYPES:
            what = (
                f"Setting task_status has {', '.join(sorted(unknown))}; Arrivy knows "
                f"{', '.join(sorted(STATUS_TYPES))}."
            )
            raise ConfigValidationError(what, errors=[what])
        return wanted

    @property
    def booking_statuses(self) -> frozenset[str]:
        """The setting booking_status; empty for all."""
        return _names(self.config.get("booking_status"))

    def discover_streams(self) -> list[Stream]:
        _ = self.task_statuses  # refused before the first request
        extra = [kind for name, kinds in ON_REQUEST.items() if self.config[name] for kind in kinds]
        return [kind(self) for kind in (*STREAMS, *extra)]


def _names(setting: str | None) -> frozenset[str]:
    return frozenset(part.strip().upper() for part in (setting or "").split(",") if part.strip())
