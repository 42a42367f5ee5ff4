"""What CallRail gives for one record at a time: the texts of a conversation, the pages of a caller.

Each record costs a request, and a thousand an hour is what an account may ask for. So a record is
asked for only when its date has moved since the last run, oldest first; where the daily limit ends
a run, the next one goes on from there.
"""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from tapkit import dates
from tapkit.errors import FatalAPIError, NotFound
from tapkit.fields import Field
from tapkit.paging import chunks, ordered_map

from tap_callrail.client import pages, records, whole
from tap_callrail.dated import RETENTION, DatedList, end_of
from tap_callrail.lists import ACCOUNT_ID, PAGE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date, datetime

    from tap_callrail.lists import Rows
    from tap_callrail.tap import TapCallRail

__all__ = ["Messages", "PageViews"]

LATE = timedelta(minutes=30)
"""How late CallRail may show a record: some are complete only after 20 minutes."""
KEPT_EVERY = 100
"""Parents after which the bookmark is kept."""


class Parent(NamedTuple):
    """A record that has children."""

    moment: datetime
    account: str
    id: str


class Children(DatedList):
    """The children of another list's records, which it reads for itself.

    Attributes:
        endpoint: Path of one record's children, with `{account_id}` and `{parent_id}`.
        parents: Path, key and date field of the parents' list.
        order: Query parameters of the parents' list.
    """

    parents: ClassVar[tuple[str, str, str]]

    def __init__(self, tap: TapCallRail) -> None:
        super().__init__(tap)
        self._gone: list[Parent] = []
        self._answers = False

    @property
    def look_back(self) -> timedelta:
        """A deep one finds what became of children, such as that a text could not be sent."""
        return LATE + timedelta(seconds=self.config["deep_look_back_every"] * self.is_due)

    def pages(self) -> Iterator[Rows]:
        passed, before = None, set[Parent]()
        for first, last, starts in self.stretches():
            waiting = set[Parent]()
            for account, start in starts.items():
                if account not in self.refused:
                    dated = self.dated(max(first, start), last)
                    for found in self.guarded(account, self.parents_of(account, dated)):  # type: ignore[arg-type]
                        waiting.update(found)  # type: ignore[arg-type]
            if waiting:
                self.logger.info("%s: %d requests, one each, are to come", self.name, len(waiting))
            if passed:
                self.pass_by(passed)
            yield from self._children(sorted(waiting - before))
            before = waiting
            passed = end_of(last)
        if not self._answers and len(self._gone) > 1:
            raise FatalAPIError(f"CallRail knows none of {len(self._gone)} that it listed (404).")
        self.note_accounts(self.began_at)

    def _children(self, parents: list[Parent]) -> Iterator[Rows]:
        passed = None
        for some in chunks(parents, KEPT_EVERY):
            if passed:
                self.pass_by(passed)
            answers = ordered_map(self.of_parent, some, workers=self.config["concurrency"])
            for parent, rows in zip(some, answers, strict=True):
                # What came to a parent since it was listed is ahead of the other parents.
                self.read_below(parent.moment + timedelta(microseconds=1))
                yield rows
            passed = some[-1].moment

    def parents_of(self, account: str, dated: Mapping[str, str]) -> Iterator[list[Parent]]:
        """The parents of some days whose date has moved since the last run."""
        path, key, moment = self.parents
        size = min(self.config["page_size"], PAGE_LIMIT)
        query = {**dated, **self.order, "per_page": size}
        since = self.since(account)
        address = path.format(account_id=account)
        for rows, _, _ in pages(
            lambda number: self.tap.client.get(address, {**query, "page": number}, limit=account),
            key,
            size=size,
            workers=self.config["concurrent_pages"],
        ):
            found = (
                Parent(dates.parse_datetime(it[moment] or self.began_at), account, str(it["id"]))
                for it in rows
            )
            yield [parent for parent in found if parent.moment >= since]

    def of_parent(self, parent: Parent) -> Rows:
        """The children of one parent; none where it is gone meanwhile."""
        path = self.endpoint.format(account_id=parent.account, parent_id=parent.id)
        rows: Rows = []
        size, number, is_last = min(self.config["page_size"], self.page_limit), 0, False
        while not is_last:
            number += 1
            query = {"page": number, "per_page": size}
            try:
                answer = self.tap.client.get(path, query, limit=parent.account)
            except NotFound:  # deleted since it was listed
                self._gone.append(parent)
                return []
            found = records(answer, self.key)
            self._answers = True
            total = whole(answer.get("total_pages"))
            is_last = number >= total if total else len(found) < size
            rows += found
        return [self.row(parent, position, row) for position, row in enumerate(rows, 1)]

    @abstractmethod
    def row(self, parent: Parent, position: int, row: dict[str, Any]) -> dict[str, Any]:
        """A child with what ties it to its parent."""


class Messages(Children):
    """The texts of conversations (`text_messages`); one row is one text."""

    name = "messages"
    primary_keys: ClassVar = ("conversation_id", "id")
    replication_key = "created_at"
    endpoint = "/v3/a/{account_id}/text-messages/{parent_id}.json"
    key = "messages"
    page_limit = 100
    parents: ClassVar = (
        "/v3/a/{account_id}/text-messages.json",
        "conversations",
        "last_message_at",
    )
    fields = (
        Field("conversation_id", "object_id"),
        Field("id", "object_id"),
        ACCOUNT_ID,
        Field("content"),
        Field("created_at", "datetime"),
        Field("direction", description="incoming or outgoing"),
        Field("status", description="sent, error or nothing"),
        Field("type", description="sms or mms"),
        Field("media_urls", "array"),
        Field("user.id", "object_id"),
        Field("user.name"),
    )

    def starts(self) -> dict[str, date]:
        """All conversations are listed in a deep look back (see `TextMessages`)."""
        if self.is_due:
            return dict.fromkeys(self.tap.account_ids, (self.began_at - RETENTION).date())
        return super().starts()

    def row(self, parent: Parent, position: int, row: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        return {**row, "account_id": parent.account, "conversation_id": parent.id}


class PageViews(Children):
    """The pages that callers looked at; only for calls to trackers of type session."""

    name = "page_views"
    selected_by_default = False
    primary_keys: ClassVar = ("call_id", "position")
    replication_key = "call_start_time"
    endpoint = "/v3/a/{account_id}/calls/{parent_id}/page_views.json"
    key = "page_views"
    order: ClassVar = {"sort": "start_time", "order": "asc"}
    parents: ClassVar = ("/v3/a/{account_id}/calls.json", "calls", "start_time")
    fields = (
        Field("call_id", "object_id"),
        Field("position", "integer", description="1 for the first in CallRail's answer"),
        ACCOUNT_ID,
        Field("call_start_time", "datetime"),
        Field("page_url"),
        Field("referrer_url"),
        Field("created_at", "datetime"),
    )

    def __init__(self, tap: TapCallRail) -> None:
        super().__init__(tap)
        self.window_days = self.config["window_days"]

    def row(self, parent: Parent, position: int, row: dict[str, Any]) -> dict[str, Any]:
        return {
            **row,
            "account_id": parent.account,
            "call_id": parent.id,
            "call_start_time": dates.text(parent.moment),
            "position": position,
        }
