"""Logs what was wrong in records: one line each, and after twenty of a field only their number."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from tapkit.field_types import TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tapkit.fields import FieldTable

__all__ = ["PRINTED", "IssueLog"]

PRINTED = 20
"""Lines per field; more are only counted."""
MOMENTS = {"date", "datetime", "time"}


class IssueLog:
    """The warnings of one stream.

    Args:
        crm_source: The CRM, for the text.
        table: The stream's fields, for their types.
        keys: The key columns, to name the record.
        logger: Where the lines go.
    """

    def __init__(
        self, crm_source: str, table: FieldTable, keys: Sequence[str], logger: logging.Logger
    ) -> None:
        self._crm_source = crm_source
        self._table = table
        self._keys = keys
        self._logger = logger
        self._counts: Counter[str] = Counter()

    def report(self, issues: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """Log the issues of one record (field → {value, error})."""
        for name, issue in issues.items():
            self._counts[name] += 1
            if self._counts[name] > PRINTED:
                continue
            kind = self._table.fields[name].type
            value = self._shown(issue["value"], personal=TYPES[kind].personal)
            if kind in MOMENTS:
                ids = ", ".join(str(record.get(key)) for key in self._keys)
                self._logger.warning(
                    "Failed to parse %s value: '%s' in field '%s' for %s %s",
                    *(kind, value, name, self._crm_source, ids),
                )
            else:
                ids = ", ".join(f"{key}={record.get(key)}" for key in self._keys)
                self._logger.warning(
                    "Validation warning for field '%s' with value '%s' (Record: %s): %s",
                    *(name, value, ids, issue["error"]),
                )

    def summarize(self) -> None:
        """Log how many warnings were not printed."""
        for name, count in self._counts.items():
            if count > PRINTED:
                self._logger.warning(
                    "%d more validation warnings for field '%s'", count - PRINTED, name
                )
        self._counts.clear()

    def _shown(self, value: Any, *, personal: bool) -> str:
        """A value as it may stand in a log: what identifies a person is cut, unless debugging."""
        text = str(value).encode(errors="backslashreplace").decode()
        if self._logger.isEnabledFor(logging.DEBUG):
            return text
        room = 3 if personal else 40
        return text if len(text) <= room else f"{text[:room]}…"
