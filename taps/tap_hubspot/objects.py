"""CRM objects: contacts, companies, deals … and the account's own types, all read the same way.

Source: "CRM objects", "Search the CRM", "Properties" in HubSpot's documentation. What is special:

- A first load lists; the list has no filter, no cap and no order.
- An incremental run searches a fixed window of modification times. Search gives 10,000 rows at
  most, and rows leave the window while it is read; so each page asks for the ids after the last
  one (`hs_object_id GT`) rather than for an offset, and neither can lose a row or loop.
- Search never shows archived records; they are listed in full and sorted out here. Where one of
  them was restored, all live records are listed again.
- A merge removes records without a trace but the survivor's `hs_merged_object_ids`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from singer_sdk.exceptions import SyncError
from tapkit.dates import parse_datetime
from tapkit.errors import BadRequest, RunEnded
from tapkit.fields import at_least
from tapkit.paging import chunks, follow, ordered_map
from tapkit.stream import Stream

from tap_hubspot.archive import ArchiveTrail
from tap_hubspot.client import SEARCH, listed, next_after
from tap_hubspot.columns import RECORD_FIELDS, property_fields
from tap_hubspot.ids import IdLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from tap_hubspot.client import HubSpotClient
    from tap_hubspot.tap import TapHubSpot

__all__ = ["STANDARD_TYPES", "ObjectType", "Objects"]

LIST_LIMIT = 100
SEARCH_LIMIT = 200
BATCH_LIMIT = 100
URL_ROOM = 15_000
"""Characters of property names that go into a URL; HubSpot refuses URLs of some 16,000."""
SEARCH_ROOM = 1_000
"""Characters of a search body that surely are taken; the documents are of two minds about 3,000."""

MERGED_IDS = "hs_merged_object_ids"


@dataclass(frozen=True)
class ObjectType:
    """A type of CRM object.

    Attributes:
        name: The stream's name.
        id: What paths call it: HubSpot's name, or its id where there is no safe name.
        modified: The property that says when a record was modified.
        has_pipelines: Whether its records go through pipelines.
        checks: Property → business rule.
    """

    name: str
    id: str
    modified: str = "hs_lastmodifieddate"
    has_pipelines: bool = False
    checks: dict[str, Any] = field(default_factory=dict)


STANDARD_TYPES = (
    # Filtering contacts by hs_lastmodifieddate gives nothing, and no error.
    ObjectType("contacts", "contacts", modified="lastmodifieddate"),
    ObjectType("companies", "companies"),
    ObjectType("deals", "deals", has_pipelines=True, checks={"amount": at_least(0)}),
    ObjectType("tickets", "tickets", has_pipelines=True),
    ObjectType("leads", "leads", has_pipelines=True),
    ObjectType("line_items", "line_items"),
    ObjectType("products", "products"),
    ObjectType("quotes", "quotes"),
    ObjectType("appointments", "0-421", has_pipelines=True),
    ObjectType("calls", "calls"),
    ObjectType("emails", "emails"),
    ObjectType("meetings", "meetings"),
    ObjectType("notes", "notes"),
    ObjectType("tasks", "tasks"),
)
"""HubSpot's own types, in the order in which they are read."""


class Objects(Stream):
    """Records of one type of CRM object; one row is a record, archived ones included.

    Args:
        tap: The tap.
        object_type: Which objects.
        properties: Their properties, as the Properties API describes them.
        denied: Why the properties cannot be read, if so: then the stream fails with that.

    Attributes:
        denied: As given.
        ids: The records that this run saw.
        read_whole: Whether this run read them all.
        bookmark_before: The bookmark with which this run began.
    """

    primary_keys: ClassVar[tuple[str, ...]] = ("id",)
    replication_key = "updated_at"
    tap: TapHubSpot
    client: HubSpotClient

    def __init__(
        self,
        tap: TapHubSpot,
        object_type: ObjectType,
        properties: list[dict[str, Any]],
        denied: Exception | None = None,
    ) -> None:
        self.object_type = object_type
        self.client = tap.client
        self.endpoint = self.client.path("crm/objects", object_type.id)
        wanted = (tap.config.get("properties") or {}).get(object_type.name)
        self.fields = (*RECORD_FIELDS, *property_fields(properties, wanted, object_type.checks))
        self._always = {p["name"]: None for p in properties if p["name"] == MERGED_IDS}
        self.denied = denied
        self.ids = IdLog()
        self.read_whole = False
        self.bookmark_before: datetime | None = None
        super().__init__(tap, name=object_type.name)

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        if self.denied is not None:
            raise self.denied
        self.bookmark_before = self.bookmark()
        start, now = self.starting_point(), self.client.server_now()
        self.read_below(now)
        trail = ArchiveTrail(self.stream_state.get("archived"), now - self.look_back)
        if start is None:
            self._expect_all()
        elif start >= now:
            self.logger.warning("The bookmark of %s is not before HubSpot's clock", self.name)
        # Archived ones first: what is restored meanwhile comes again, and then as it is.
        for page in self._list(archived=True):
            trail.note(page)
            new = [_deleted(row) for row in page if _is_new(row, start)]
            self.expect(len(new))
            yield self._noted([*new, *self._absorbed(new)])
        self._trail = trail
        if start is None or trail.is_broken:
            live = self._list(archived=False)
        else:
            live = self._search(start, now)
        for page in live:
            yield self._noted([*page, *self._absorbed(page)])
        self.read_whole = start is None or trail.is_broken

    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        if self.status.status == "success" and not self.is_cut:
            self.stream_state["archived"] = self._trail.remember()
        super().finalize_state_progress_markers(state)

    def all_ids(self) -> Iterator[str]:
        """The ids of all live records, read anew."""
        for answer in self._list_answers(archived=False, properties="hs_object_id"):
            yield from (row["id"] for row in listed(answer))

    # First load, archived records

    def _list(self, *, archived: bool) -> Iterator[list[dict[str, Any]]]:
        names = ",".join(self._names)
        if len(quote(names)) <= URL_ROOM:
            for answer in self._list_answers(archived=archived, properties=names):
                yield listed(answer)
            return
        answers = self._list_answers(archived=archived, properties="hs_object_id")
        ids = (row["id"] for answer in answers for row in listed(answer))
        yield from ordered_map(
            lambda batch: self._batch_read(batch, archived=archived),
            chunks(ids, BATCH_LIMIT),
            workers=self.config["concurrency"],
        )

    def _list_answers(self, *, archived: bool, properties: str) -> Iterator[dict[str, Any]]:
        params = {
            "limit": min(self.config["page_size"], LIST_LIMIT),
            "properties": properties,
            "archived": "true" if archived else "false",
        }
        return follow(
            lambda after: self.client.get(str(self.endpoint), {**params, "after": after}),
            next_after,
        )

    def _batch_read(self, ids: list[str], *, archived: bool) -> list[dict[str, Any]]:
        """Read records with their property names in the body, where no URL limit applies."""
        query = "?archived=true" if archived else ""
        answer = self.client.post(
            f"{self.endpoint}/batch/read{query}",
            {"inputs": [{"id": record_id} for record_id in ids], "properties": self._names},
        )
        return listed(answer)

    def _expect_all(self) -> None:
        """Ask search, which alone can count, how many records there are."""
        try:
            answer = self._post_search({"limit": 1, "properties": ["hs_object_id"]})
        except RunEnded:
            raise
        except SyncError:
            return  # a count is not worth a failed stream
        if total := answer.get("total"):
            self.expect(total)

    # Incremental

    def _search(self, start: datetime, end: datetime) -> Iterator[list[dict[str, Any]]]:
        window = [
            {"propertyName": self.object_type.modified, "operator": operator, "value": value}
            for operator, value in (("GTE", _milliseconds(start)), ("LT", _milliseconds(end)))
        ]

        def fetch(last_id: str | None) -> dict[str, Any]:
            after = {"propertyName": "hs_object_id", "operator": "GT", "value": last_id}
            answer = self._search_page([*window, after] if last_id else window)
            if last_id is None:
                self.expect(answer["total"])
            return answer

        def advance(answer: dict[str, Any]) -> str | None:
            ids = answer["ids"]
            return ids[-1] if ids and len(ids) < answer["total"] else None

        for answer in follow(fetch, advance):
            yield listed(answer)

    def _search_page(self, filters: list[dict[str, Any]]) -> dict[str, Any]:
        """Search by id; where HubSpot takes no body of that length, names travel by batch read."""
        body = {
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": self._names,
            "limit": min(self.config["page_size"], SEARCH_LIMIT),
        }
        try:
            answer = self._post_search(body)
        except BadRequest:
            if len(str(body)) < SEARCH_ROOM:
                raise
        else:
            return {**answer, "ids": [row["id"] for row in listed(answer)]}
        answer = self._post_search({**body, "properties": ["hs_object_id"]})
        ids = [row["id"] for row in listed(answer)]
        found = [
            row
            for some in chunks(ids, BATCH_LIMIT)
            for row in self._batch_read(some, archived=False)
        ]
        return {**answer, "results": found, "ids": ids}

    def _post_search(self, body: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.post(f"{self.endpoint}/search", body, limit=SEARCH)
        return answer

    # Inside

    @property
    def _names(self) -> list[str]:
        """The properties to ask for: those of selected columns, and what the tap needs."""
        names = {
            item.source.removeprefix("properties."): None
            for item in self.table
            if item.source.startswith("properties.") and self.mask["properties", item.name]
        }
        return list(names | self._always)

    def _noted(self, page: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Remember which records this run saw: their associations are read again."""
        self.ids.extend((row["id"], bool(row.get("archived"))) for row in page)
        return page

    def _absorbed(self, page: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Deleted rows for the records that a merge made vanish."""
        for row in page:
            for absorbed in ((row.get("properties") or {}).get(MERGED_IDS) or "").split(";"):
                if absorbed and absorbed != row["id"]:
                    moment = row.get("updatedAt")
                    yield {
                        "id": absorbed,
                        "updatedAt": moment,
                        "archived": True,
                        "archivedAt": moment,
                    }


def _deleted(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "archived": True, "archivedAt": row.get("archivedAt") or row.get("updatedAt")}


def _is_new(row: dict[str, Any], start: datetime | None) -> bool:
    """Whether a record was archived since then; what tells no moment counts as new."""
    moment = row.get("archivedAt")
    return start is None or not moment or parse_datetime(moment) >= start


def _milliseconds(moment: datetime) -> str:
    """Filters take moments as epoch milliseconds, as text."""
    return str(int(moment.timestamp() * 1000))
