"""What the API sheet leaves uncertain, each truth to be switched on, and the rate limits."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

NotNegative = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Switches(msgspec.Struct, forbid_unknown_fields=True):
    """How CallRail behaves where its documents are silent or sources disagree.

    Attributes:
        retry_after: Whether a 429 carries Retry-After.
        totals: Whether lists say how many pages and records there are.
        relative_pagination: Whether the list of calls knows it at all.
        relative_lists: Whether tags, keywords and milestones come filled on relative pages.
        relative_overlap: Calls of a relative page that come on the next one again.
        next_page_host: Which host a `next_page` leads to.
        unknown_fields: What an unknown name in `fields` does.
        withdrawn_fields: Documented names that are unknown all the same.
        shapes: Forms of values on which documents and clients disagree.
        default_range: The days that a list has where no dates are sent.
        user_time_zone: The zone of dates where none is sent.
        conversation_dates: What the dates of the list of conversations are about.
        day_ends: Whether the last moment of a day is 23:59:59.000 or just before midnight.
    """

    retry_after: bool = False
    totals: Literal["given", "missing", "zero"] = "given"
    relative_pagination: bool = True
    relative_lists: bool = True
    relative_overlap: NotNegative = 0
    next_page_host: Literal["own", "vendor", "foreign"] = "own"
    unknown_fields: Literal["ignored", "refused"] = "ignored"
    withdrawn_fields: list[str] = []
    shapes: Literal["documented", "seen"] = "documented"
    default_range: Literal["recent", "last_30_days", "all_time"] = "recent"
    user_time_zone: str = "America/New_York"
    conversation_dates: Literal["last_message", "created"] = "last_message"
    day_ends: Literal["last_second", "midnight"] = "last_second"


class Limits(msgspec.Struct, forbid_unknown_fields=True):
    """Requests that an account may get; null for any number.

    Attributes:
        per_hour: In any hour.
        per_day: In any 24 hours.
    """

    per_hour: Positive | None = 1_000
    per_day: Positive | None = 10_000
