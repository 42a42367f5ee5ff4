"""Pages whose records are JSON already, for sources that can give whole rows as such."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["EncodedPage"]

_decode = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode

Issues: TypeAlias = "tuple[Mapping[str, Any], Mapping[str, Any]]"
"""What was wrong with a record (field → {value, error}), and its keys."""


@dataclass
class EncodedPage:
    """Records of one stream, each a JSON object on one line as the target is to get it.

    Nothing looks into them again: they have the stream's columns and types, `sync_issues` too, and
    lack the columns that are not selected.

    Attributes:
        lines: The records, without line breaks.
        high: The largest replication value among them, in the form of `dates.text`.
        issues: Place in the page → what was wrong there; it is in the record as well.
    """

    lines: list[bytes]
    high: str | None = None
    issues: dict[int, Issues] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, part: slice) -> EncodedPage:
        """The page up to some record; nobody knows the largest value in a part of it."""
        if part.stop is None or part.stop >= len(self):
            return self
        issues = {place: it for place, it in self.issues.items() if place < part.stop}
        return EncodedPage(self.lines[part], issues=issues)

    def records(self) -> Iterator[dict[str, Any]]:
        """Decode the records, for those who have to look into them."""
        return map(_decode, self.lines)
