"""The lists: which records, in which order, which of their fields, which page."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from crm_sandbox.callrail.dates import TooFarBack, from_ms, oldest, span
from crm_sandbox.callrail.fields import DATED, FILTERS, HIDDEN, ON_REQUEST, SORTABLE
from crm_sandbox.callrail.shapes import as_seen
from crm_sandbox.clock import from_iso
from crm_sandbox.crm import json_response
from crm_sandbox.rest import page_of, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response

    from crm_sandbox.callrail.crm import CallRail
    from crm_sandbox.rest import Record

__all__ = ["Lists"]

KEYS = {"text_messages": "conversations"}
"""Record type → the list in answers, where it has another name."""
PER_COMPANY = {"integrations", "caller_ids"}
MOST, DEFAULT = 250, 100
ASSOCIATIONS = ("tags", "keywords_spotted", "milestones")
VENDOR = "https://api.callrail.com"
FOREIGN = "https://calls.example.net"


class Lists:
    """The endpoints of one CallRail."""

    def __init__(self, crm: CallRail) -> None:
        self._crm = crm

    async def accounts(self, request: Request) -> Response:
        """List the accounts that the key sees."""
        rows = [row for row in self._crm.rows("accounts") if self._crm.sees(request, row["id"])]
        return self._numbered(request, "accounts", rows)

    def lister(self, record_type: str) -> Callable[[Request], Any]:
        """Return the endpoint of a list."""

        async def endpoint(request: Request) -> Response:
            query = request.query_params
            account = self._crm.account(request)
            if record_type in PER_COMPANY and "company_id" not in query:
                raise self._crm.error(400, "company_id is required")
            rows = [row for row in self._crm.rows(record_type) if row["account_id"] == account]
            rows = self._filtered(request, record_type, rows)
            relative = query.get("relative_pagination") == "true"
            if relative and record_type == "calls" and self._crm.switches.relative_pagination:
                return self._relative(request, rows)
            return self._numbered(request, record_type, rows)

        return endpoint

    async def messages(self, request: Request) -> Response:
        """Give one conversation with its texts."""
        record = self._own(request, "text_messages")
        shown = self._shown(request, "text_messages", [record])[0]
        return self._page(request, "messages", record["messages"], most=100, beside=shown)

    async def page_views(self, request: Request) -> Response:
        """List what the caller looked at."""
        return self._page(request, "page_views", self._own(request, "calls")["page_views"])

    def _own(self, request: Request, record_type: str) -> Record:
        record = self._crm.find(record_type, request.path_params["id"])
        if record["account_id"] != self._crm.account(request):
            raise self._crm.error(404, "Not found")
        return record

    def _filtered(self, request: Request, record_type: str, rows: list[Record]) -> list[Record]:
        query = request.query_params
        for name in FILTERS.get(record_type, set()) & {*query}:
            rows = [row for row in rows if str(row.get(name)) == query[name]]
        if record_type in DATED:
            rows = self._dated(request, record_type, rows)
        if query.get("sort") in SORTABLE.get(record_type, set()):
            name, descending = query["sort"], query.get("order") == "desc"
            if name != DATED.get(record_type):
                rows.sort(key=lambda row: str(row.get(name)), reverse=descending)
            elif descending:
                rows.reverse()  # they are in the order of their dates
        elif record_type in DATED:
            rows.reverse()
        return rows

    def _dated(self, request: Request, record_type: str, rows: list[Record]) -> list[Record]:
        field = DATED[record_type]
        if (
            record_type == "text_messages"
            and self._crm.switches.conversation_dates == "last_message"
        ):
            field = "last_message_at"
        now = from_ms(self._crm.now())
        try:
            first, last = span(request.query_params, now, self._crm.switches)
        except TooFarBack:
            raise self._crm.error(400, "Dates must be within the last 25 months") from None
        dated = [(_moment(row[field]), row) for row in rows]
        begin = max(first or oldest(now), oldest(now))
        kept = [pair for pair in dated if begin <= pair[0] <= last]
        return [row for _, row in sorted(kept, key=lambda pair: pair[0])]

    # Answers

    def _shown(self, request: Request, record_type: str, rows: Sequence[Record]) -> list[Record]:
        """Records as the list shows them, with the fields that were asked for."""
        known = ON_REQUEST.get(record_type, [])
        asked = {*filter(None, request.query_params.get("fields", "").split(","))}
        unknown = (asked - {*known}) | (asked & {*self._crm.switches.withdrawn_fields})
        if unknown and self._crm.switches.unknown_fields == "refused":
            raise self._crm.error(400, f"Invalid fields: {', '.join(sorted(unknown))}")
        hidden = HIDDEN | ({*known} - (asked - unknown))
        if record_type == "text_messages":
            hidden |= {"created_at"}
        if record_type == "trackers":
            hidden |= {"company_id"}
        shown = [{key: row[key] for key in row if key not in hidden} for row in rows]
        if record_type == "text_messages":
            for row, record in zip(shown, rows, strict=True):
                texts = record["messages"][-2:]
                row["recent_messages"] = [
                    {name: one[name] for name in one if name not in {"id", "status", "user"}}
                    for one in texts
                ]
        return [as_seen(row) for row in shown] if self._crm.switches.shapes == "seen" else shown

    def _numbered(self, request: Request, record_type: str, rows: list[Record]) -> Response:
        key = KEYS.get(record_type, record_type)
        return self._page(
            request, key, rows, show=lambda items: self._shown(request, record_type, items)
        )

    def _page(
        self,
        request: Request,
        key: str,
        rows: list[Record],
        *,
        most: int = MOST,
        beside: Record | None = None,
        show: Callable[[Sequence[Record]], list[Record]] = list,
    ) -> Response:
        number = self._whole(request, "page", 1)
        size = min(self._whole(request, "per_page", DEFAULT), most)
        page = page_of(rows, number, size)
        answer = {**(beside or {}), "page": number, "per_page": size, key: show(page.items)}
        if self._crm.switches.totals != "missing":
            known = self._crm.switches.totals == "given"
            answer["total_pages"] = page.pages * known
            answer["total_records"] = page.total * known
        return json_response(answer)

    def _relative(self, request: Request, rows: list[Record]) -> Response:
        index = self._whole(request, "offset", 0, low=0)
        size = min(self._whole(request, "per_page", DEFAULT), MOST)
        start = max(index * (size - self._crm.switches.relative_overlap), 0)
        items = self._shown(request, "calls", rows[start : start + size])
        if not self._crm.switches.relative_lists:
            for row in items:
                row.update({name: [] for name in ASSOCIATIONS if name in row})
        answer: Record = {"calls": items, "has_next_page": start + size < len(rows)}
        following = {**request.query_params, "format": "json", "offset": str(index + 1)}
        following |= {"page": "1", "no_one_to_many_associations": "true"}
        path = request.url.path.removesuffix(".json")
        host = {"vendor": VENDOR, "foreign": FOREIGN}.get(self._crm.switches.next_page_host)
        path = path.removeprefix(f"/{self._crm.name}") if host else path
        host = host or f"{request.url.scheme}://{request.url.netloc}"
        address = f"{host}{path}?{urlencode(following)}"
        answer["next_page"] = address if answer["has_next_page"] else None
        return json_response(answer)

    def _whole(self, request: Request, name: str, default: int, low: int = 1) -> int:
        """Read a number; a bad one is ignored, as CallRail does."""
        try:
            return whole_number(request, name, default, low=low)
        except ValueError:
            return default


@lru_cache(maxsize=1 << 18)
def _moment(text: str) -> datetime:
    """Read the date of a record, of which a list reads all at each request."""
    return from_ms(from_iso(text))
