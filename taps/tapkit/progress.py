"""Shows how far a stream is: a bar on a terminal, a log line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
import time

from tqdm import tqdm

__all__ = ["Progress"]

LOG_EVERY = 30.0
"""Seconds between two log lines where there is no terminal."""

logger = logging.getLogger(__name__)


class Progress:
    """Counts the records of one stream for whoever watches.

    Args:
        label: What is being read, e.g. `hubspot contacts`.
        expected: How many records there will be, where that is known.
    """

    def __init__(self, label: str, expected: int | None = None) -> None:
        self._label = label
        self._count = 0
        self._expected = expected
        self._logged_at = time.monotonic()
        self._bar = tqdm(
            desc=label,
            total=expected,
            unit=" records",
            leave=False,
            disable=not sys.stderr.isatty(),
        )

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()

    def expect(self, expected: int) -> None:
        """Learn how many records there will be in all."""
        self._expected = self._bar.total = expected

    def advance(self, records: int) -> None:
        """Count records that were read."""
        self._count += records
        self._bar.update(records)
        if self._bar.disable and time.monotonic() - self._logged_at >= LOG_EVERY:
            self._logged_at = time.monotonic()
            of = f" of {self._expected}" if self._expected is not None else ""
            logger.info("Reading %s: %d%s records so far", self._label, self._count, of)
