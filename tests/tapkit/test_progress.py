"""Log lines of progress, where there is no terminal."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tapkit.progress import LOG_EVERY_VARIABLE, Progress

if TYPE_CHECKING:
    import pytest


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.INFO, "tapkit.progress"), Progress("acme people") as progress:
        progress.expect(20)
        progress.advance(9)
        progress.advance(2)
    return [record.getMessage() for record in caplog.records]


def test_whoever_watches_hears_more_often(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = "Starting acme people sync with 20 records"
    assert said(caplog) == [start]
    monkeypatch.setenv(LOG_EVERY_VARIABLE, "0.000001")
    assert said(caplog) == [
        start,
        "Reading acme people: 9 of 20 records so far",
        "Reading acme people: 11 of 20 records so far",
    ]
