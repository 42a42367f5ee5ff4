"""What comes in beside calls: forms, and conversations by text.

Source: CallRail API v3 reference, "Form submissions", "Text messages".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tapkit.fields import Field

from tap_callrail.dated import WHOLE, DatedList
from tap_callrail.lists import ACCOUNT_ID, COMPANY_ID

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["FormSubmissions", "TextMessages"]


class FormSubmissions(DatedList):
    """Forms that visitors sent."""

    name = "form_submissions"
    replication_key = window = "submitted_at"
    endpoint = "/v3/a/{account_id}/form_submissions.json"
    key = "form_submissions"
    order: ClassVar = {"sort": "submitted_at", "order": "asc"}
    on_request = (
        Field("company_name"),
        Field("form_name"),
        Field("lead_status"),
        Field("milestones", "json"),
        Field("note"),
        Field("tags", "json"),
        Field("timeline_url", "url"),
        Field("utm_campaign"),
        Field("utm_medium"),
        Field("utm_source"),
        Field("value", "decimal"),
    )
    fields = (
        Field("id", "object_id"),
        ACCOUNT_ID,
        COMPANY_ID,
        Field("person_id", description="Or the word anonymous"),
        Field("form_data", "json", description="What was filled in, by field of the form"),
        Field("form_url"),
        Field("landing_page_url"),
        Field("referrer"),
        Field("referring_url"),
        Field("submitted_at", "datetime"),
        Field("first_form", "boolean"),
        Field("customer_phone_number", "phone"),
        Field("customer_name"),
        Field("customer_email", "email"),
        Field("formatted_customer_phone_number"),
        Field("formatted_customer_name"),
        Field("source"),
        Field("keywords"),
        Field("campaign"),
        Field("medium"),
        *on_request,
    )


class TextMessages(DatedList):
    """Text conversations, which is what CallRail's `text-messages` are; their texts: `messages`.

    Whether CallRail's dates are those of the last text is not documented. So a deep look back reads
    all conversations, which finds an old one with a new text either way.
    """

    name = "text_messages"
    replication_key = "last_message_at"
    endpoint = "/v3/a/{account_id}/text-messages.json"
    key = "conversations"
    on_request = (Field("lead_status"), Field("source"))
    fields = (
        Field("id", "object_id"),
        ACCOUNT_ID,
        COMPANY_ID,
        Field("initial_tracker_id", "object_id"),
        Field("current_tracker_id", "object_id"),
        Field("customer_name"),
        Field("customer_phone_number", "phone"),
        Field("initial_tracking_number", "phone"),
        Field("current_tracking_number", "phone"),
        Field("last_message_at", "datetime"),
        Field("state", description="active or archived"),
        Field("company_time_zone"),
        Field("formatted_customer_phone_number"),
        Field("formatted_initial_tracking_number"),
        Field("formatted_current_tracking_number"),
        Field("formatted_customer_name"),
        Field("recent_messages", "array", description="The last two texts at most"),
        *on_request,
    )

    @property
    def deep_look_back(self) -> timedelta:
        return WHOLE
