"""A list of an account: its pages, its fields, the accounts that refuse it.

Sources: CallRail API v3 reference, "Pagination", "Field selection".
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from tapkit.errors import AccessDenied, BadRequest, NotFound
from tapkit.fields import Field
from tapkit.stream import Stream

from tap_callrail.client import pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tap_callrail.tap import TapCallRail

__all__ = ["ACCOUNT_ID", "COMPANY_ID", "PAGE_LIMIT", "AccountList", "Rows"]

Rows = list[dict[str, Any]]
ACCOUNT_ID = Field("account_id", "object_id", description="The account it belongs to")
COMPANY_ID = Field("company_id", "object_id")
PAGE_LIMIT = 250


class AccountList(Stream):
    """A list of each account; all of it is read in each run.

    Attributes:
        endpoint: Its path, with `{account_id}`.
        key: The list in the answer.
        order: Query parameters that keep pages from shifting.
        on_request: Fields that CallRail gives if they are asked for; `fields` has them too.
        page_limit: The most records that a page can have.
    """

    tap: TapCallRail
    primary_keys: ClassVar[tuple[str, ...]] = ("id",)
    endpoint: str
    key: ClassVar[str]
    order: ClassVar[Mapping[str, str]] = {}
    on_request: tuple[Field, ...] = ()
    page_limit = PAGE_LIMIT

    def __init__(self, tap: TapCallRail) -> None:
        super().__init__(tap)
        self.refused: set[str] = set()
        self._is_short = False

    def pages(self) -> Iterator[Rows]:
        for account in self.tap.account_ids:
            yield from self.guarded(account, self.of_account(account))
        if self.leaves_out:
            self.keep_unread()

    @property
    def leaves_out(self) -> bool:
        """Whether the setting account_ids leaves out accounts that earlier runs read."""
        return bool(self.config.get("account_ids") and self._known - {*self.tap.account_ids})

    @property
    def _known(self) -> set[str]:
        """The accounts of all runs before; those with a bookmark had another list earlier."""
        state = self.stream_state
        return {*state.get("known_accounts", state.get("accounts", ()))}

    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        if self.status.status != "failed":
            known = self._known | {*self.tap.account_ids}
            self.stream_state["known_accounts"] = sorted(known)
        super().finalize_state_progress_markers(state)

    def of_account(self, account: str) -> Iterator[Rows]:
        """Read one account's records."""
        return self.listed(account, self.order)

    def guarded(self, account: str, rows: Iterator[Rows]) -> Iterator[Rows]:
        """Leave out an account that refuses this list, unless all do.

        Raises:
            AccessDenied, NotFound: All accounts refuse it.
        """
        try:
            yield from rows
        except (AccessDenied, NotFound) as error:
            self.refused.add(account)
            if self.refused == {*self.tap.account_ids}:
                raise
            self.status.skip(f"account {account}: {error}")

    def listed(self, account: str, query: Mapping[str, Any]) -> Iterator[Rows]:
        """Read the numbered pages of a list; a record that slid onto the next page comes once."""
        size = min(self.config["page_size"], self.page_limit)
        before: set[Any] = set()
        count = most = 0  # rows that leave meanwhile make others slide onto pages read before
        for rows, _, total in pages(
            lambda number: self.ask(account, {**query, "page": number, "per_page": size}),
            self.key,
            size=size,
            workers=self.config["concurrent_pages"],
        ):
            if total and not count:
                self.expect(total)
            fresh = [{**row, "account_id": account} for row in rows if row["id"] not in before]
            before = {row["id"] for row in rows}
            count, most = count + len(fresh), max(most, total or 0)
            yield fresh
        if count < most:
            self._is_short = True
            self.status.skip(f"{most - count} of {most} records of account {account}")

    def ask(self, account: str, query: Mapping[str, Any], path: str = "") -> Any:
        """Ask for one page with the fields that are wanted; names that are refused are dropped."""
        path = path or self.endpoint.format(account_id=account)
        try:
            return self._get(path, account, query, self.requested)
        except BadRequest:
            refused = list(
                _guilty(
                    self.requested,
                    lambda names: self._refuses(path, account, {**query, "per_page": 1}, names),
                )
            )
            if not refused:
                raise
            self.logger.warning(
                "CallRail refuses these fields of %s, which stay empty: %s",
                *(self.name, ", ".join(refused)),
            )
            self.requested = [name for name in self.requested if name not in refused]
        return self._get(path, account, query, self.requested)

    @cached_property
    def requested(self) -> list[str]:
        """Names for the parameter `fields`: those of columns that are selected."""
        asked = {field.source for field in self.on_request}
        return [field.source for field in self.selected_fields if field.source in asked]

    def _get(self, path: str, account: str, query: Mapping[str, Any], names: list[str]) -> Any:
        fields = {"fields": ",".join(names)} if names else {}
        return self.tap.client.get(path, {**query, **fields}, limit=account)

    def _refuses(self, path: str, account: str, query: Mapping[str, Any], names: list[str]) -> bool:
        try:
            self._get(path, account, query, names)
        except BadRequest:
            return True
        return False


def _guilty(names: list[str], refuses: Callable[[list[str]], bool]) -> Iterator[str]:
    """Find the names because of which a request is refused, which takes a few requests."""
    if not names or refuses([]):
        return
    waiting = [names]
    while waiting:
        some = waiting.pop()
        if not refuses(some):
            continue
        if len(some) == 1:
            yield some[0]
        else:
            middle = len(some) // 2
            waiting += [some[middle:], some[:middle]]
