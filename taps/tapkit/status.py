"""What a tap tells the target about each stream beside its records (ARCHITECTURE, section 5)."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from singer_sdk.helpers._state import StateWriter

if TYPE_CHECKING:
    from singer_sdk.helpers.types import TapState
    from singer_sdk.singerlib.encoding.base import GenericSingerWriter

__all__ = ["SYNC", "Status", "StatusWriter"]

SYNC = "sync"
"""The key of a STATE value, beside `bookmarks`, under which the statuses travel."""


@dataclass
class Status:
    """How a stream is doing; `status` is one of running, success, partial, failed.

    `complete_since`: all that there is from that value of the stream's `window` on was read.
    """

    status: str = "running"
    extracted: int = 0
    expected: int | None = None
    api_calls: int = 0
    warnings: int = 0
    endpoint: str | None = None
    error: str | None = None
    complete_since: str | None = None

    def finish(self, api_calls: int) -> None:
        """The stream was read to its end, unless something in it had failed already."""
        self.api_calls = api_calls
        if self.status == "running":
            self.status = "success"

    def skip(self, what: str) -> None:
        """Something in the stream could not be read; the rest was."""
        self.status = "partial"
        self.error = f"{self.error}; {what}" if self.error else f"not read: {what}"

    def fail(self, error: str, api_calls: int) -> None:
        """The stream ended early."""
        self.status, self.error, self.api_calls = "failed", error, api_calls


class StatusWriter(StateWriter):
    """Adds the statuses to each STATE message."""

    def __init__(
        self, message_writer: GenericSingerWriter[Any, Any], statuses: dict[str, Status]
    ) -> None:
        super().__init__(message_writer)
        self._statuses = statuses

    def write_state(self, state: TapState) -> None:
        statuses = {name: _plain(status) for name, status in self._statuses.items()}
        super().write_state(cast("TapState", {**copy.deepcopy(state), SYNC: statuses}))


def _plain(status: Status) -> dict[str, Any]:
    """A status as it travels; most streams have no window to speak of."""
    return {
        name: value
        for name, value in asdict(status).items()
        if value is not None or name != "complete_since"
    }
