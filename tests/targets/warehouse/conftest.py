"""The command `warehouse` on a test's own database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from warehouse.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def command(wh: Any) -> Callable[..., Result]:
    """Runs the command within this process, on the database of `wh`."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["--database", wh.url, *arguments])

    return run
