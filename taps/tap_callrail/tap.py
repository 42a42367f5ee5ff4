"""tap-callrail: calls, forms and texts, and the accounts, companies and trackers they belong to."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

from singer_sdk import typing as th
from tapkit.errors import FatalAPIError
from tapkit.settings import common_settings, concurrent_pages, secret
from tapkit.tap import Tap

from tap_callrail import inbound, streams
from tap_callrail.calls import Calls
from tap_callrail.children import Messages, PageViews
from tap_callrail.client import CallRailClient, pages
from tap_callrail.lists import PAGE_LIMIT

if TYPE_CHECKING:
    from tapkit.stream import Stream

__all__ = ["TapCallRail"]

DAY = 86_400
STREAMS = (
    streams.Accounts,
    streams.Companies,
    streams.Trackers,
    streams.Tags,
    streams.Users,
    Calls,
    inbound.FormSubmissions,
    inbound.TextMessages,
    Messages,
    streams.Leads,
    streams.Notifications,
    streams.Integrations,
    streams.CallerIds,
    PageViews,
)


class TapCallRail(Tap):
    """Calls, forms, text messages, companies, trackers, tags, users."""

    name = "tap-callrail"
    field_tables: ClassVar = {stream.name: stream.fields for stream in STREAMS}
    default_streams = tuple(stream.name for stream in STREAMS if stream.selected_by_default)

    config_jsonschema = th.PropertiesList(
        secret(
            "api_key",
            "API key",
            "Of a CallRail user, from Account → Integrations → API keys; it sees what they do.",
            required=True,
        ),
        th.Property(
            "account_ids",
            th.ArrayType(th.StringType),
            title="Account ids",
            description="Accounts to read, as ACC… or by number; without it, all the key sees.",
        ),
        th.Property(
            "call_fields",
            th.ArrayType(th.StringType),
            title="Call fields",
            description=(
                "Names of the fields of calls to ask for beside those that always come; without "
                "it, all that are documented. Other names become columns of text."
            ),
        ),
        th.Property(
            "recording_access_keys",
            th.BooleanType,
            default=False,
            title="Access keys of recordings",
            description="Keep the keys in recordings' addresses, with which anybody can listen.",
        ),
        th.Property(
            "deep_look_back",
            th.IntegerType(minimum=0),
            default=90 * DAY,
            title="Deep look-back (seconds)",
            description=(
                "How far before the bookmark a run starts now and then, for later changes of tags, "
                "notes, values, lead status, transcripts; 0 for never."
            ),
        ),
        th.Property(
            "deep_look_back_every",
            th.IntegerType(minimum=0),
            default=7 * DAY,
            title="Time between deep look-backs (seconds)",
            description="How often that is.",
        ),
        th.Property(
            "window_days",
            th.IntegerType(minimum=1),
            default=30,
            title="Days per window",
            description="Calls are read so many days at a time; the bookmark moves after each.",
        ),
        th.Property(
            "hourly_limit",
            th.IntegerType(minimum=0),
            default=1000,
            title="Requests per hour",
            description="What CallRail allows an account; 95 % of it is used. 0 for any number.",
        ),
        th.Property(
            "daily_limit",
            th.IntegerType(minimum=0),
            default=10_000,
            title="Requests per day",
            description="Likewise; then a run ends, and the next one goes on. 0 for any number.",
        ),
        concurrent_pages(),
        *common_settings(
            base_url="https://api.callrail.com",
            page_size=PAGE_LIMIT,
            page_size_limit=PAGE_LIMIT,
            look_back=7 * DAY,
        ),
    ).to_dict()

    @cached_property
    def client(self) -> CallRailClient:  # type: ignore[override]
        """The client that all streams share."""
        return CallRailClient(self.config)

    def discover_streams(self) -> list[Stream]:
        return [stream(self) for stream in STREAMS]

    @cached_property
    def accounts(self) -> list[dict[str, Any]]:
        """The accounts to read.

        Raises:
            FatalAPIError: The setting account_ids names one that the key cannot see.
        """
        stream = cast("streams.Accounts", self.streams["accounts"])
        seen = [row for rows in stream.listed("", stream.order) for row in rows]
        wanted = self.config.get("account_ids")
        if not wanted:
            return seen
        named = [row for row in seen if {str(row["id"]), str(row.get("numeric_id"))} & {*wanted}]
        ids = {str(row[name]) for row in named for name in ("id", "numeric_id") if name in row}
        if missing := ", ".join(sorted({*wanted} - ids)):
            raise FatalAPIError(f"The key sees no account {missing} (setting account_ids).")
        return named

    @property
    def account_ids(self) -> list[str]:
        """Their ids."""
        return [str(row["id"]) for row in self.accounts]

    def company_ids(self, account: str) -> list[str]:
        """The companies of an account, disabled ones included."""
        if account not in self._company_ids:
            path = streams.Companies.endpoint.format(account_id=account)
            size = min(self.config["page_size"], PAGE_LIMIT)
            query = {**streams.BY_NAME, "per_page": size}
            answers = pages(
                lambda number: self.client.get(path, {**query, "page": number}, limit=account),
                streams.Companies.key,
                size=size,
                workers=self.config["concurrent_pages"],
            )
            self._company_ids[account] = [str(row["id"]) for rows, _, _ in answers for row in rows]
        return self._company_ids[account]

    @cached_property
    def _company_ids(self) -> dict[str, list[str]]:
        return {}
