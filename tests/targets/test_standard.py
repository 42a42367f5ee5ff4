"""The SDK's own suite for targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import singer_sdk.testing
from singer_sdk.testing import get_target_test_class
from singer_sdk.testing.runners import TargetTestRunner
from singer_sdk.testing.suites import SingerTestSuite
from singer_sdk.testing.target_tests import TargetRecordMissingRequiredProperty
from target_warehouse.target import TargetWarehouse

more = SingerTestSuite(kind="target", tests=[TargetRecordMissingRequiredProperty])
_Suite: Any = get_target_test_class(TargetWarehouse, custom_suites=[more])


class TestStandard(_Suite):
    @pytest.fixture
    def runner(self, database_url: str) -> TargetTestRunner:
        config = {"sqlalchemy_url": database_url, "crm_source": "standard"}
        return TargetTestRunner(TargetWarehouse, config=config)


def test_multiple_state_messages(database_url):
    """The SDK's TargetMultipleStateMessages, which as it is compares parsed states with texts."""
    streams = Path(singer_sdk.testing.__file__).with_name("target_test_streams")
    config = {"sqlalchemy_url": database_url, "crm_source": "standard", "batch_size_rows": 3}
    runner = TargetTestRunner(TargetWarehouse, config=config)
    with (streams / "multiple_state_messages.singer").open() as messages:
        runner.target_input = messages
        runner.sync_all()
    a, b = (f"test_multiple_state_messages_{stream}" for stream in "ab")
    assert runner.state_messages == [{a: 1, b: 0}, {a: 3, b: 2}, {a: 5, b: 6}]
