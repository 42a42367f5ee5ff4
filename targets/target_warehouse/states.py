"""State that never runs ahead of what is committed."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Watermark"]


class Watermark:
    """Holds states back until every record before them is committed.

    Records are numbered as they are read. A state may go out when no record up to its number is
    still waiting in a buffer. Of several such states only the newest is of use.
    """

    def __init__(self, emit: Callable[[dict[str, Any]], None]) -> None:
        """Take what sends a state on."""
        self._emit = emit
        self._held: deque[tuple[int, dict[str, Any]]] = deque()
        self._sent: dict[str, Any] | None = None

    def add(self, read: int, value: Mapping[str, Any]) -> None:
        """Hold a state that came after `read` records.

        The extractor's reports (``sync``) are not state, and a state without bookmarks would wipe
        those that are stored; neither goes out.
        """
        state = {name: part for name, part in value.items() if name != "sync"}
        if not state or ("bookmarks" in state and not state["bookmarks"]):
            return
        if self._held and self._held[-1][0] == read:
            self._held.pop()
        self._held.append((read, state))

    def advance(self, committed: int) -> dict[str, Any] | None:
        """Send the newest state whose records are all among the first `committed`.

        Returns:
            The state that has become valid, whether or not it differs from the last one sent.
        """
        newest = None
        while self._held and self._held[0][0] <= committed:
            newest = self._held.popleft()[1]
        if newest is not None and newest != self._sent:
            self._emit(newest)
            self._sent = newest
        return newest
