"""The one place for what the API sheet leaves uncertain: each truth can be switched on."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

NotNegative = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Switches(msgspec.Struct, forbid_unknown_fields=True):
    """How the account behaves where HubSpot's documents are silent or disagree.

    Attributes:
        batch_status: Status of a batch answer that holds errors.
        to_object_id: JSON type of `toObjectId` in associations.
        association_page_size: Targets of one record in one association answer.
        single_direction_pairs: Whether leads→deals is not readable from deals.
        unset: How a property without value is written.
        list_order: Whether the list endpoint goes by id or in some other stable order.
        search_lag_seconds: How long a write takes to reach the search index.
        iso_dates_in_filters: Whether a search filter takes ISO dates besides epoch milliseconds.
        search_body_limit: Longest search body in characters; 0 is any length.
        archive_moves_modified: Whether archiving sets the modified date.
        restore_moves_modified: Whether restoring sets it.
        merge_new_id: Whether a merge gives a new record instead of keeping the survivor's id.
        merged_id_answers: What batch read and single GET give for an absorbed id.
        retry_after: Whether a 429 carries Retry-After, in seconds.
        expired_category: Category of the 401 for an expired token.
        malformed_token_status: Status for a token of the wrong format.
        rotate_refresh_token: Whether each refresh ends the refresh token and gives a new one.
    """

    batch_status: Literal[200, 207] = 207
    to_object_id: Literal["string", "number"] = "string"
    association_page_size: Positive = 500
    single_direction_pairs: bool = True
    unset: Literal["null", "empty"] = "null"
    list_order: Literal["id", "scattered"] = "id"
    search_lag_seconds: NotNegative = 0
    iso_dates_in_filters: bool = False
    search_body_limit: NotNegative = 0
    archive_moves_modified: bool = True
    restore_moves_modified: bool = False
    merge_new_id: bool = False
    merged_id_answers: Literal["missing", "survivor"] = "missing"
    retry_after: bool = False
    expired_category: Literal["EXPIRED_AUTHENTICATION", "INVALID_AUTHENTICATION"] = (
        "EXPIRED_AUTHENTICATION"
    )
    malformed_token_status: Literal[401, 530] = 401
    rotate_refresh_token: bool = False


class Limits(msgspec.Struct, forbid_unknown_fields=True):
    """The rate limits; null switches one off.

    Attributes:
        search_per_second: Searches in one second, per account.
        per_ten_seconds: Other calls in ten seconds with a static token.
        oauth_per_ten_seconds: The same with an OAuth token.
        daily: Calls from midnight to midnight in the account's time zone.
    """

    search_per_second: Positive | None = 5
    per_ten_seconds: Positive | None = 190
    oauth_per_ten_seconds: Positive | None = 110
    daily: Positive | None = 625_000
