"""Calls, and what each call has of its own.

Source: CallRail API v3 reference, "Listing all calls", "Relative pagination". What is special:

- Relative pages have no numbers: each answer has the address of the next. Pages overlap where calls
  come in meanwhile.
- The address carries a flag by which lists inside a call might be left out. Whether they are is not
  documented, so the first page of a window is compared with a numbered one until some came filled.
- The order is not relied on: the bookmark moves when all days of a window were read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from tapkit.fields import Field, at_least
from tapkit.paging import follow

from tap_callrail.client import records
from tap_callrail.dated import DatedList
from tap_callrail.lists import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_callrail.lists import Rows
    from tap_callrail.tap import TapCallRail

__all__ = ["Calls"]

ARRAYS = ("tags", "keywords_spotted")
INNER_LISTS = (*ARRAYS, "milestones")
"""What a call has several of, in tables of their own at CallRail's."""
LISTS = (*INNER_LISTS, "call_highlights", "keypad_entries", "waveforms", "zip_code")


class Calls(DatedList):
    """Phone calls; one row is one call, in or out.

    Attribution (source, medium, campaign, …) is that of the first touch, the others are in
    milestones. Transcripts, sentiment and the like depend on the account's plan.
    """

    name = "calls"
    replication_key = window = "start_time"
    endpoint = "/v3/a/{account_id}/calls.json"
    key = "calls"
    order: ClassVar = {"sort": "start_time", "order": "asc"}
    default = (
        Field("id", "object_id"),
        ACCOUNT_ID,
        Field("answered", "boolean"),
        Field("business_phone_number", "phone"),
        Field("customer_city"),
        Field("customer_country"),
        Field("customer_name"),
        Field("customer_phone_number", "phone"),
        Field("customer_state"),
        Field("direction", description="inbound or outbound"),
        Field("duration", "integer", description="Seconds", check=at_least(0)),
        Field("recording", "url", description="The recording's address in the API"),
        Field("recording_duration", description="Seconds, as text"),
        Field("recording_player", "url", description="Without access key, unless a setting says"),
        Field("start_time", "datetime"),
        Field("tracking_phone_number", "phone"),
        Field("voicemail", "boolean"),
    )
    on_request: tuple[Field, ...] = (
        Field("agent_email", "email"),
        Field("call_highlights", "json"),
        Field("call_summary", description="Where CallRail gives an array: its JSON"),
        Field("call_type"),
        Field("campaign"),
        Field("company_id", "object_id"),
        Field("company_name"),
        Field("company_time_zone"),
        Field("created_at", "datetime"),
        Field("custom", "json"),
        Field("device_type"),
        Field("fbclid"),
        Field("first_call", "boolean"),
        Field("formatted_business_phone_number"),
        Field("formatted_call_type"),
        Field("formatted_customer_location"),
        Field("formatted_customer_name"),
        Field("formatted_customer_name_or_phone_number"),
        Field("formatted_customer_phone_number"),
        Field("formatted_duration"),
        Field("formatted_tracking_phone_number"),
        Field("formatted_tracking_source"),
        Field("formatted_value"),
        Field("ga"),
        Field("gclid"),
        Field("good_lead_call_id", "object_id"),
        Field("good_lead_call_time", "datetime"),
        Field("keypad_entries", "json", description="Text is put into an array"),
        Field("keywords"),
        Field("keywords_spotted", "json"),
        Field("landing_page_url"),
        Field("last_requested_url"),
        Field("lead_explanation"),
        Field("lead_score"),
        Field("lead_status"),
        Field("medium"),
        Field("milestones", "json", description="first_touch, lead_created, qualified, last_touch"),
        Field("msclkid"),
        Field("note"),
        Field("person_id", "object_id"),
        Field("prior_calls", "integer"),
        Field("referrer_domain"),
        Field("referring_url"),
        Field("sentiment"),
        Field("session_uuid"),
        Field("source"),
        Field("source_name"),
        Field("speaker_percent", "json"),
        Field("tags", "json", description="Names, or objects with them"),
        Field("timeline_url", "url"),
        Field("total_calls", "integer"),
        Field("tracker_id", "object_id"),
        Field("transcription"),
        Field("utm_campaign"),
        Field("utm_content"),
        Field("utm_medium"),
        Field("utm_source"),
        Field("utm_term"),
        Field("value", "decimal", description="In the company's currency"),
        Field("voice_assist_message", "json"),
        Field("waveforms", "json"),
        Field("zip_code", "json"),
    )
    fields = (*default, *on_request)

    def __init__(self, tap: TapCallRail) -> None:
        if (wanted := tap.config.get("call_fields")) is not None:
            known = {field.source: field for field in self.on_request}
            self.on_request = tuple(known.get(name) or Field(name) for name in wanted)
            self.fields = (*self.default, *self.on_request)
        super().__init__(tap)
        self.window_days = self.config["window_days"]
        self._is_relative = True
        self._has_lists = False
        self._seen: dict[str, set[str]] = {}

    def of_window(self, account: str, dated: Mapping[str, str]) -> Iterator[Rows]:
        before, now = self._seen.get(account, set()), set[str]()
        self._seen[account] = now
        for rows in self._read(account, {**dated, **self.order}):
            fresh = {row["id"]: row for row in rows if row["id"] not in now}
            now.update(fresh)
            yield [
                self._normal({**row, "account_id": account})
                for row in fresh.values()
                if row["id"] not in before
            ]

    def _read(self, account: str, query: Mapping[str, str]) -> Iterator[Rows]:
        if self._is_relative:
            for number, answer in enumerate(self._relative(account, query)):
                rows = records(answer, self.key)
                if not number and not self._is_trusted(account, query, answer):
                    self._is_relative = False
                    break
                yield rows
        if not self._is_relative:
            yield from self.listed(account, query)

    def _relative(self, account: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Follow the addresses of next pages."""
        client = self.tap.client
        size = min(self.config["page_size"], self.page_limit)
        first = {**query, "relative_pagination": "true", "per_page": size}

        def page(address: str | None) -> dict[str, Any]:
            if address is None:
                answer = self.ask(account, first)
            else:
                answer = client.get(client.path(address), limit=account)
            records(answer, self.key)
            return answer  # type: ignore[no-any-return]

        def following(answer: dict[str, Any]) -> str | None:
            return answer["next_page"] if answer.get("has_next_page") else None

        return follow(page, following)

    def _is_trusted(
        self, account: str, query: Mapping[str, str], answer: Mapping[str, Any]
    ) -> bool:
        """Whether relative pages are what they should be: relative, with the lists in each call."""
        if "has_next_page" not in answer:
            return False
        rows = records(answer, self.key)
        self._has_lists |= any(row.get(name) for row in rows for name in ARRAYS)
        empty = [name for name in INNER_LISTS if not any(row.get(name) for row in rows)]
        if self._has_lists or not rows or not {*empty} & {*self.requested}:
            return True
        size = min(self.config["page_size"], self.page_limit)
        numbered = self.ask(account, {**query, "page": 1, "per_page": size})
        if any(row.get(name) for row in records(numbered, self.key) for name in empty):
            self.logger.info("Relative pages lack lists inside calls; reading numbered pages")
            return False
        return True

    def _normal(self, row: dict[str, Any]) -> dict[str, Any]:
        """Bring the forms that CallRail's answers are known to have into one."""
        for name in LISTS:
            if isinstance(text := row.get(name), str) and text[:1] not in {"[", "{"}:
                row[name] = [text] if text else None
        if not self.config["recording_access_keys"]:
            for name in ("recording", "recording_player"):
                if "access_key" in (address := row.get(name) or ""):
                    row[name] = _without_access_key(address)
        return row


def _without_access_key(address: str) -> str:
    parts = urlsplit(address)
    query = [item for item in parse_qsl(parts.query) if item[0] != "access_key"]
    return urlunsplit(parts._replace(query=urlencode(query)))
