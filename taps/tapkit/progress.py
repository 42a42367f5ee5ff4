"""Shows how far a stream is: a bar on a terminal, a log line now and then elsewhere."""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import TYPE_CHECKING

from tqdm import tqdm
from typing_extensions import Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Progress"]

LOG_EVERY = 30.0
"""Seconds between two log lines where there is no terminal, unless the variable says otherwise."""
LOG_EVERY_VARIABLE = "TAPKIT_PROGRESS_SECONDS"

logger = logging.getLogger(__name__)


class Progress:
    """Counts the records of one stream for whoever watches.

    Args:
        label: What is being read, e.g. `acme contacts`.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._begun = False
        self._count = 0
        self._logged_at = time.monotonic()
        self._every = float(os.environ.get(LOG_EVERY_VARIABLE) or LOG_EVERY)
        self._bar = tqdm(desc=label, unit=" records", leave=False, disable=not sys.stderr.isatty())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()

    def expect(self, expected: int | None) -> None:
        """Learn how many records there will be in all, or that nobody knows; more may come."""
        if not self._begun:
            self._begun = True
            count = "" if expected is None else f" with {expected} records"
            logger.info("Starting %s sync%s", self._label, count)
        self._bar.total = expected

    def advance(self, records: int) -> None:
        """Count records that were read."""
        self._count += records
        self._bar.update(records)
        if self._bar.disable and time.monotonic() - self._logged_at >= self._every:
            self._logged_at = time.monotonic()
            of = f" of {self._bar.total}" if self._bar.total is not None else ""
            logger.info("Reading %s: %d%s records so far", self._label, self._count, of)
