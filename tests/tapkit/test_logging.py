"""What a tap logs for debugging."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from singer_sdk import typing as th
from tapkit.tap import WIRE, Tap

if TYPE_CHECKING:
    from tapkit.stream import Stream


class TapSilent(Tap):
    name = "tap-silent"
    config_jsonschema = th.PropertiesList().to_dict()

    def discover_streams(self) -> list[Stream]:
        return []


@pytest.mark.parametrize("library", WIRE)
def test_debugging_does_not_tell_what_goes_over_the_wire(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(library), "level", logging.NOTSET)
    monkeypatch.setattr(logging.getLogger(), "level", logging.DEBUG)
    TapSilent(config={})
    assert logging.getLogger(library).getEffectiveLevel() == logging.INFO
