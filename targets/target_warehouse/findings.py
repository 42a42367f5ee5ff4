"""Says in the log what had to be changed in records, without flooding it."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

from target_warehouse.jsontext import loads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from target_warehouse.encoder import Item

__all__ = ["Findings"]

logger = logging.getLogger("target-warehouse")

_WARNED: Final = 20


class Findings:
    """The findings in one stream: of each field the first are said, the others counted."""

    def __init__(self, crm_source: str, stream: str, key_fields: Sequence[str]) -> None:
        """Name the stream, and the fields by which its records are told apart."""
        self.crm_source, self.stream, self.key_fields = crm_source, stream, key_fields
        self._counts: Counter[str] = Counter()

    def say(self, items: Sequence[Item], found: Iterable[tuple[int, str, str]]) -> None:
        """Warn of what was found in a batch: (place, field, reason)."""
        for place, name, reason in found:
            self._counts[name] += 1
            if self._counts[name] > _WARNED:
                continue
            item = items[place]
            record = item if isinstance(item, dict) else loads(bytes(item))
            key = _printable(", ".join(f"{field}={record.get(field)}" for field in self.key_fields))
            value = _printable(str(record.get(name)))
            if reason == "Failed to parse datetime value":
                logger.warning(
                    "%s: '%.20s' in field '%s' for %s %s",
                    reason, value, name, self.crm_source, key.removeprefix("id="),
                )  # fmt: skip
            else:
                logger.warning(
                    "Validation warning for field '%s' with value '%.3s…' (Record: %s): %s",
                    name, value, key, reason,
                )  # fmt: skip

    def finish(self) -> None:
        """Say how many were only counted."""
        for name, count in self._counts.items():
            if count > _WARNED:
                logger.warning(
                    "%d more warnings for field '%s' of %s", count - _WARNED, name, self.stream
                )
        self._counts.clear()


def _printable(text: str) -> str:
    """Escape lone surrogates, which no log file can hold."""
    return text.encode("utf-8", "backslashreplace").decode()
