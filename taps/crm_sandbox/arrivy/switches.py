"""The one place for what Arrivy's API sheet leaves uncertain: each truth can be switched on."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

NotNegative = Annotated[int, msgspec.Meta(ge=0)]


class Switches(msgspec.Struct, forbid_unknown_fields=True):
    """How the account behaves where nothing reliable is known.

    Attributes:
        retry_after: Whether a 429 says how long to wait.
        content_type: What JSON is announced as.
        envelope: Whether lists come in an object rather than bare.
        largest_page: Most rows on a page, whatever is asked for; 0 for any number.
        ignores_size: Whether `items_per_page` is ignored and pages have 500 rows.
        task_cap: Most tasks that one query gives, all its pages together; 0 for any number.
        order: Order of the lists.
        window: What `from` and `to` of tasks are about.
        dateless_are_unscheduled: Whether tasks without a date are among the unscheduled ones, too.
        status_filter: Whether `statuses` of tasks filters.
        details: Name of the field with the events that `show_details` adds; empty for none.
        id_lists: How lists of ids are written.
        numbers: Whether zip codes and phone numbers are numbers.
        moments: Whether rows tell when they were created and updated.
        customer_moments: Whether customers do.
        disabled_groups: Whether `get_disabled_groups` brings disabled groups.
        statuses: Whether there is `/statuses`.
        bookings: Whether there is `/bookings`, and whether it has pages.
        denied_status: Status of the answer to keys that may not read something.
    """

    retry_after: bool = False
    content_type: Literal["application/json", "text/plain"] = "application/json"
    envelope: bool = False
    largest_page: NotNegative = 0
    ignores_size: bool = False
    task_cap: NotNegative = 0
    order: Literal["created", "newest", "scattered"] = "created"
    window: Literal["scheduled", "created", "updated", "ignored"] = "scheduled"
    dateless_are_unscheduled: bool = False
    status_filter: bool = False
    details: str = "task_status"
    id_lists: Literal["array", "text"] = "array"
    numbers: bool = False
    moments: bool = True
    customer_moments: bool = False
    disabled_groups: bool = True
    statuses: bool = True
    bookings: Literal["pages", "whole", "missing"] = "pages"
    denied_status: Literal[400, 403] = 403


class Limits(msgspec.Struct, forbid_unknown_fields=True):
    """Calls in a minute; none is documented, others speak of 120 or 30."""

    per_minute: int | None = None
