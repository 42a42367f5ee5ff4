"""The one place for what the API sheet leaves uncertain: each truth can be switched on."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Positive = Annotated[int, msgspec.Meta(ge=1)]


class Switches(msgspec.Struct, forbid_unknown_fields=True):
    """How the account behaves where nothing is documented or clients disagree.

    Attributes:
        meta: Whether lists have `meta`.
        totals: Whether `meta` has `total`.
        max_per_page: The most rows on a page, whatever `perPage` says.
        unmodified: Answer to a list that has nothing new: 304 without a body, or an empty list.
        modified_since: Whether a record of the very second of `If-Modified-Since` is listed.
        order: Order of lists of leads.
        sorting: What `sortBy` and `order` do.
        users_paging: Whether `/users` has pages, gives all on each, claims more, or counts from 0.
        users_filtered: Whether `If-Modified-Since` has an effect on users.
        history_scope: Whether a changed lead's histories are all its events, or the new ones.
        history_pages: Whether the pages of histories differ, or are the first one again and again.
        activities_header: The header that filters activities.
        activities_show: Whether activities show their lead as it is, or as it was then.
        disposition_id: Whether the id of an activity is its own, or repeats.
        statuses_path: Where the account's statuses are.
        status: What a lead's status is.
        deletion: Whether deleted leads stay with `deletedAt`, modified or not, or are gone.
        owner_moves_modified: Whether a change of the owner alone moves `dateModified`.
        empty_object: How an object without keys is written.
        nested_address: Whether leads have `address` and `coordinates` in place of flat fields.
        appointment: What an appointment is.
        retry_after: Whether a 429 carries Retry-After, in seconds.
        rate_headers: Whether answers carry X-RateLimit-Limit, -Remaining and -Reset (seconds).
    """

    meta: bool = True
    totals: bool = False
    max_per_page: Positive = 2000
    unmodified: Literal[304, 200] = 304
    modified_since: Literal["inclusive", "later"] = "inclusive"
    order: Literal["id", "modified", "newest", "scattered"] = "id"
    sorting: Literal["ignored", "honoured", "refused"] = "ignored"
    users_paging: Literal["whole", "claims_more", "paged", "from_0"] = "whole"
    users_filtered: bool = False
    history_scope: Literal["lead", "event"] = "lead"
    history_pages: Literal["differ", "repeat"] = "differ"
    activities_header: Literal["If-Status-Modified-Since", "If-Modified-Since"] = (
        "If-Status-Modified-Since"
    )
    activities_show: Literal["now", "then"] = "now"
    disposition_id: Literal["unique", "repeats"] = "unique"
    statuses_path: Literal["leadStatuses", "lead-statuses", "none"] = "leadStatuses"
    status: Literal["name", "abbreviation"] = "name"
    deletion: Literal["marked", "marked_silently", "gone"] = "marked"
    owner_moves_modified: bool = True
    empty_object: Literal["object", "array"] = "object"
    nested_address: bool = False
    appointment: Literal["text", "object"] = "text"
    retry_after: bool = False
    rate_headers: bool = False


class Limits(msgspec.Struct, forbid_unknown_fields=True):
    """The rate limit, of which nothing is published; null switches it off.

    Attributes:
        per_minute: Calls in any minute.
    """

    per_minute: Positive | None = 60
