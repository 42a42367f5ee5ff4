"""Lists that are read by the date of their records.

Source: CallRail API v3 reference, "Date filters". What is special:

- Nothing tells what changed. Records are read again for a while after their date: `look_back`
  before the bookmark in each run, `deep_look_back` every `deep_look_back_every` seconds.
- Without dates CallRail answers with the last week only, and dates alone are read in the time zone
  of the key's user: both ends and the zone are always sent.
- What is older than 25 months is gone, and asking for it is an error.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dateutil.relativedelta import relativedelta
from tapkit import dates

from tap_callrail.lists import AccountList

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date, datetime

    from tap_callrail.lists import Rows

__all__ = ["RETENTION", "WHOLE", "DatedList", "end_of", "windows"]

RETENTION = relativedelta(months=25, days=-1)
"""How long CallRail keeps calls, forms and texts, minus a day for the zones of the world."""
WHOLE = timedelta(days=800)
"""More than that."""


class DatedList(AccountList):
    """A list of each account that is read by the date of its records.

    State beside the bookmark: `accounts`, those that were read up to it; another one is read from
    its beginning. `deep_read_at`, when the last deep look back was.

    Attributes:
        window_days: Days that are asked for at once, None for all. The bookmark moves after each.
    """

    window_days: int | None = None

    @property
    def reads_everything(self) -> bool:
        return False  # what is older than 25 months stays in the warehouse

    @property
    def look_back(self) -> timedelta:
        return max(self.deep_look_back, super().look_back) if self.is_due else super().look_back

    @property
    def deep_look_back(self) -> timedelta:
        """How far before the bookmark a deep look back starts."""
        return timedelta(seconds=self.config["deep_look_back"])

    @cached_property
    def began_at(self) -> datetime:
        """When this stream began, by the API's clock."""
        return self.tap.client.server_now()

    @cached_property
    def is_due(self) -> bool:
        """Whether the last deep look back is too long ago."""
        every = timedelta(seconds=self.config["deep_look_back_every"])
        last = self.stream_state.get("deep_read_at")
        if not self.config["deep_look_back"]:
            return False
        return not last or self.began_at - dates.parse_datetime(last) >= every

    def pages(self) -> Iterator[Rows]:
        passed = None
        for first, last, starts in self.stretches():
            if passed:
                self.pass_by(passed)
            for account, start in starts.items():
                if account not in self.refused:
                    dated = self.dated(max(first, start), last)
                    yield from self.guarded(account, self.of_window(account, dated))
            passed = end_of(last)
        is_whole = not (self._is_short or self.refused or self.leaves_out)
        self.note_accounts(self.began_at)
        if self.window and is_whole:
            # A day later than asked for, so that no zone and no fraction of a second matters.
            begin = end_of(max(self._starts.values(), default=self.began_at.date()))
            self.status.complete_since = dates.text(begin)

    def stretches(self) -> Iterator[tuple[date, date, dict[str, date]]]:
        """The windows to read, with the accounts that begin before their ends, and where."""
        accounts = self.tap.account_ids  # asked first, as the answer tells the API's clock
        today = self.began_at.date()
        starts = self._starts = self.starts()
        if self.tap.start_date and self.tap.start_date < self.began_at - RETENTION:
            self.logger.warning("CallRail keeps 25 months: %s starts there", self.name)
        for first, last in windows(min(starts.values(), default=today), today, self.window_days):
            yield first, last, {name: starts[name] for name in accounts if starts[name] <= last}

    def of_window(self, account: str, dated: Mapping[str, str]) -> Iterator[Rows]:
        """Read one account's records of some days."""
        return self.listed(account, {**dated, **self.order})

    def starts(self) -> dict[str, date]:
        """The day from which on each account is asked for."""
        return {account: self.since(account).date() for account in self.tap.account_ids}

    def since(self, account: str) -> datetime:
        """The moment from which on an account is read; not before CallRail's memory begins."""
        start, oldest = self.starting_point(), self.began_at - RETENTION
        covered = self.stream_state.get("accounts")
        is_new = covered is not None and account not in covered and self.tap.start_date is None
        return oldest if start is None or is_new else max(start, oldest)

    def dated(self, first: date, last: date) -> dict[str, str]:
        """The query parameters for some days, both included."""
        return {
            "start_date": first.isoformat(),
            "end_date": last.isoformat(),
            "time_zone": "Etc/UTC",
        }

    def pass_by(self, moment: datetime) -> None:
        """Keep the bookmark: all accounts were read up to a moment."""
        self.note_accounts(moment)
        if not self._is_short and self.get_batch_config(self.config) is None:  # files may wait
            self._move_bookmark()
            self.state_manager.is_flushed = False
            self._write_state_message()

    def note_accounts(self, moment: datetime) -> None:
        """Note which accounts were read up to the bookmark, if they were, by a moment."""
        bookmark, start = self.bookmark(), self.tap.start_date
        has_gap = bookmark and start and start > bookmark
        if not self._is_short and not has_gap and (bookmark is None or bookmark <= moment):
            read = [name for name in self.tap.account_ids if name not in self.refused]
            self.stream_state["accounts"] = read

    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        ended = self.status.status in {"success", "partial"} and not self.is_cut
        if ended and not self._is_short:
            self._move_bookmark()  # also past an account that refused, which is not noted
            if self.is_due and self.tap.start_date is None:
                self.stream_state["deep_read_at"] = dates.text(self.began_at)
        super().finalize_state_progress_markers(state)


def end_of(day: date) -> datetime:
    """The midnight that ends a day, in UTC."""
    return dates.parse_datetime(f"{day + timedelta(days=1)}T00:00:00Z")


def windows(first: date, last: date, days: int | None) -> Iterator[tuple[date, date]]:
    """Cut a span of days into windows, each beginning with the last day of the one before.

    So that no fraction of midnight's second falls between two of them.
    """
    while days and first + timedelta(days=days) < last:
        yield first, first + timedelta(days=days)
        first += timedelta(days=days)
    yield first, last
