from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tapkit_fake_api import Api, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def api() -> Iterator[Api]:
    with serving() as api:
        yield api
