from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from crm_sandbox.client import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = {
    "contacts": 300,
    "companies": 60,
    "deals": 40,
    "appointments": 25,
    **dict.fromkeys(("tickets", "leads", "line_items", "products", "quotes"), 8),
    **dict.fromkeys(("calls", "emails", "meetings", "notes", "tasks"), 8),
}


@pytest.fixture(scope="session")
def _server() -> Iterator[Sandbox]:
    with Sandbox(sizes=SIZES) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_server: Sandbox) -> Sandbox:
    """A HubSpot account of some hundred records, without rate limits."""
    _server.reset(seed=7, sizes=SIZES)
    _server.no_limits()
    return _server
