"""What is around calls: companies, trackers, tags, users, and what else there is.

Source: CallRail API v3 reference, the chapter of each resource.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from tapkit.fields import Field

from tap_callrail.lists import ACCOUNT_ID, COMPANY_ID, AccountList

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_callrail.lists import Rows

__all__ = [
    "Accounts",
    "CallerIds",
    "Companies",
    "Integrations",
    "Leads",
    "Notifications",
    "Tags",
    "Trackers",
    "Users",
]

BY_NAME = {"sort": "name", "order": "asc"}
BY_CREATION = {"sort": "created_at", "order": "asc"}
CREATED_AT = Field("created_at", "datetime")
DISABLED_AT = Field("disabled_at", "datetime")


class Accounts(AccountList):
    """The accounts that the key can see, of those in the setting account_ids."""

    name = "accounts"
    endpoint = "/v3/a.json"
    key = "accounts"
    order: ClassVar = BY_NAME
    on_request = (Field("numeric_id", "integer"),)
    fields = (
        Field("id", "object_id"),
        Field("name"),
        Field("outbound_recording_enabled", "boolean"),
        Field("hipaa_account", "boolean"),
        *on_request,
    )

    @cached_property
    def requested(self) -> list[str]:
        return [field.source for field in self.on_request]  # as account_ids may hold it

    def pages(self) -> Iterator[Rows]:
        yield self.tap.accounts
        if self.leaves_out:
            self.keep_unread()


class Companies(AccountList):
    """Companies, disabled ones included."""

    name = "companies"
    endpoint = "/v3/a/{account_id}/companies.json"
    key = "companies"
    order: ClassVar = BY_NAME
    on_request = (Field("verified_caller_ids", "array"),)
    fields = (
        Field("id", "object_id"),
        ACCOUNT_ID,
        Field("name"),
        Field("status", description="active or disabled"),
        Field("time_zone"),
        CREATED_AT,
        DISABLED_AT,
        Field("dni_active", "boolean"),
        Field("script_url", "url"),
        Field("callscore_enabled", "boolean"),
        Field("lead_scoring_enabled", "boolean"),
        Field("callscribe_enabled", "boolean"),
        Field("keyword_spotting_enabled", "boolean"),
        Field("form_capture", "boolean"),
        Field("swap_exclude_jquery", "boolean"),
        Field("swap_ppc_override", "boolean"),
        Field("swap_landing_override"),
        Field("swap_cookie_duration", "integer"),
        Field("swap_cookie_duration_unit", description="days, weeks or months"),
        *on_request,
    )


class Trackers(AccountList):
    """Tracking numbers and what becomes of calls to them, disabled ones included."""

    name = "trackers"
    endpoint = "/v3/a/{account_id}/trackers.json"
    key = "trackers"
    order: ClassVar = BY_NAME
    on_request = (Field("campaign_name"), Field("swap_targets", "array"))
    fields = (
        Field("id", "object_id"),
        ACCOUNT_ID,
        Field("name"),
        Field("type", description="session or source"),
        Field("status", description="active or disabled"),
        Field("destination_number", "phone"),
        Field("tracking_numbers", "array"),
        Field("whisper_message"),
        Field("sms_enabled", "boolean"),
        Field("sms_supported", "boolean"),
        Field("company.id", "object_id"),
        Field("company.name"),
        Field("company", "object"),
        Field("call_flow", "object"),
        Field("source", "object"),
        Field("message_flow", "object"),
        CREATED_AT,
        DISABLED_AT,
        *on_request,
    )


class Tags(AccountList):
    """Tags of companies and accounts; deleted ones also leave the calls."""

    name = "tags"
    endpoint = "/v3/a/{account_id}/tags.json"
    key = "tags"
    order: ClassVar = BY_NAME
    fields = (
        Field("id", "integer"),
        ACCOUNT_ID,
        Field("name"),
        Field("tag_level", description="company or account"),
        Field("color"),
        Field("background_color"),
        COMPANY_ID,
        Field("status", description="enabled or disabled"),
        CREATED_AT,
    )


class Users(AccountList):
    """People with access to the account."""

    name = "users"
    endpoint = "/v3/a/{account_id}/users.json"
    key = "users"
    order: ClassVar = BY_CREATION
    fields = (
        Field("id", "object_id"),
        ACCOUNT_ID,
        Field("email", "email"),
        CREATED_AT,
        Field("role"),
        Field("first_name"),
        Field("last_name"),
        Field("name"),
        Field("accepted", "boolean"),
        Field("companies", "array"),
    )


class Leads(AccountList):
    """People who called, wrote or filled in a form (`person_id` of calls)."""

    name = "leads"
    selected_by_default = False
    endpoint = "/v3/a/{account_id}/leads.json"
    key = "leads"
    order: ClassVar = BY_CREATION
    fields = (
        Field("id", "object_id"),
        ACCOUNT_ID,
        Field("name"),
        Field("phone", "phone"),
        Field("email", "email"),
        CREATED_AT,
        COMPANY_ID,
        Field("company_name"),
    )


class Notifications(AccountList):
    """Who is told of what; some are for a tracker or a company, some for all."""

    name = "notifications"
    selected_by_default = False
    endpoint = "/v3/a/{account_id}/notifications.json"
    key = "notifications"
    fields = (
        Field("id", "object_id"),
        ACCOUNT_ID,
        COMPANY_ID,
        Field("tracker_id", "object_id"),
        Field("user_id", "object_id"),
        Field("name"),
        Field("email", "email"),
        Field("alert_type"),
        Field("call_enabled", "boolean"),
        Field("send_desktop", "boolean"),
        Field("send_email", "boolean"),
        Field("send_push", "boolean"),
        Field("sms_enabled", "boolean"),
    )


class CompanyList(AccountList):
    """A list of each company; CallRail refuses to give it for the whole account."""

    selected_by_default = False

    def of_account(self, account: str) -> Iterator[Rows]:
        for company in self.tap.company_ids(account):
            for rows in self.listed(account, {"company_id": company}):
                yield [{**row, "company_id": company} for row in rows]


class Integrations(CompanyList):
    """Connections of companies with other systems; without `config`, which may hold secrets."""

    name = "integrations"
    endpoint = "/v3/a/{account_id}/integrations.json"
    key = "integrations"
    fields = (
        Field("id", "object_id"),
        ACCOUNT_ID,
        COMPANY_ID,
        Field("type"),
        Field("state"),
    )


class CallerIds(CompanyList):
    """Numbers that companies call from."""

    name = "caller_ids"
    endpoint = "/v3/a/{account_id}/caller_ids.json"
    key = "caller_ids"
    fields = (
        Field("id", "object_id"),
        ACCOUNT_ID,
        COMPANY_ID,
        Field("phone_number", "phone"),
        Field("name"),
        Field("verified", "boolean"),
        CREATED_AT,
    )
