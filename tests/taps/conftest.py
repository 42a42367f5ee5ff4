from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from crm_sandbox.client import Sandbox


@pytest.fixture
def config(sandbox: Sandbox) -> dict[str, object]:
    return {"base_url": sandbox.base_url(), "access_token": "pat-na1-sandbox"}
