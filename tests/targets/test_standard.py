"""The SDK's own suite for targets."""

from __future__ import annotations

from typing import Any

import pytest
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
