"""tap-salesrabbit: leads, their statuses and histories, users."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import typing as th
from tapkit.errors import NotFound
from tapkit.settings import common_settings, secret
from tapkit.tap import Tap

from tap_salesrabbit import streams
from tap_salesrabbit.client import SalesRabbitClient, read_list, records
from tap_salesrabbit.lists import PAGE_LIMIT, page_size

if TYPE_CHECKING:
    from tapkit.stream import Stream

    from tap_salesrabbit.client import Page

__all__ = ["TapSalesRabbit"]

STREAMS = (
    streams.LeadStatuses,
    streams.Users,
    streams.Leads,
    streams.LeadStatusHistories,
    streams.LeadStatusActivities,
)


class TapSalesRabbit(Tap):
    """Leads with their custom fields, status histories, activities of reps, users."""

    name = "tap-salesrabbit"
    field_tables: ClassVar = {stream.name: stream.fields for stream in STREAMS}
    config_jsonschema = th.PropertiesList(
        secret(
            "access_token",
            "API token",
            "From SalesRabbit, Integrations, API; Pro and Enterprise plans have it.",
            required=True,
        ),
        th.Property(
            "requests_per_minute",
            th.IntegerType(minimum=1),
            default=60,
            title="Requests per minute",
            description=(
                "The pace, evenly spread. SalesRabbit publishes no limit; one request per second "
                "ran without trouble."
            ),
        ),
        th.Property(
            "full_read_days",
            th.IntegerType(minimum=0),
            default=7,
            title="Days between two whole reads",
            description=(
                "Deleted records may vanish without a trace, and not every change is known to move "
                "a record's modified date. After so many days a run reads all of a list that is "
                "else read by changes. 0 reads all in every run."
            ),
        ),
        *common_settings(
            base_url="https://api.salesrabbit.com",
            page_size=PAGE_LIMIT,
            page_size_limit=PAGE_LIMIT,
            look_back=3600,
        ),
    ).to_dict()

    @cached_property
    def client(self) -> SalesRabbitClient:  # type: ignore[override]
        """The client that all streams share."""
        return SalesRabbitClient(self.config)

    def discover_streams(self) -> list[Stream]:
        return [stream(self) for stream in STREAMS]

    @cached_property
    def status_pages(self) -> list[Page]:
        """The account's own statuses of leads, which one stream is and another checks.

        Raises:
            NotFound: They are at neither of the two paths that clients have used.
        """
        try:
            return self._read_statuses("/leadStatuses")
        except NotFound:
            return self._read_statuses("/lead-statuses")

    def _read_statuses(self, path: str) -> list[Page]:
        size = page_size(self.config)

        def fetch(number: int | None) -> Any:
            return self.client.get(path, {"page": number, "perPage": size})

        return list(read_list(fetch, records, streams.LeadStatuses.key, page_size=size))
