"""What every tap has to do, whatever it reads: one list of checks over all of them."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from singer import Row, Run, Tables, run_tap
from singer_sdk.testing import SuiteConfig, TapTestRunner
from singer_sdk.testing.suites import (
    AttributeIsObjectTest,
    StreamReturnsRecordTest,
    tap_stream_attribute_tests,
    tap_stream_tests,
    tap_tests,
)
from tap_arrivy.tap import TapArrivy
from tap_callrail.tap import TapCallRail
from tap_hubspot.tap import TapHubSpot
from tap_salesrabbit.tap import TapSalesRabbit

if TYPE_CHECKING:
    from crm_sandbox.client import Control
    from tapkit.tap import Tap


@dataclass
class Case:
    """A tap and the CRM in the sandbox that it reads.

    Attributes:
        tap: The tap.
        credentials: The settings that let it in.
        first_stream: The stream that the checks on one stream look at; the paths of its requests
            contain `first_path`, which is the same by default.
        needs_others: Streams that give nothing where the others were cut short.
        unpaced: Module attribute → value that makes the tap not wait between requests.
        busy: Settings with which a run takes more than 50 requests.
        settings: Settings of every run, such as those with which a bookmark moves only at the end.
        half_way: Requests of such a run after which something was read, and not everything.
    """

    tap: type[Tap]
    credentials: Row
    first_stream: str
    first_path: str = ""
    needs_others: list[str] = field(default_factory=list)
    unpaced: Row = field(default_factory=dict)
    busy: Row = field(default_factory=dict)
    settings: Row = field(default_factory=dict)
    half_way: int = 20

    @property
    def crm(self) -> str:
        return self.tap.name.removeprefix("tap-")

    def run(self, sandbox: Control, state: Row | None = None, **settings: Any) -> Run:
        config = {"base_url": sandbox.base_url(), **self.credentials, **self.settings, **settings}
        return run_tap(self.tap, config, state)


CASES = [
    Case(
        TapArrivy,
        {"auth_key": "arrivy-sandbox-key", "auth_token": "arrivy-sandbox-token"},
        "tasks",
        first_path="/tasks$",
        busy={"page_size": 7},
        settings={"high_performance": True},
        half_way=60,
    ),
    Case(
        TapCallRail,
        {"api_key": "callrail-sandbox"},
        "calls",
        busy={"page_size": 1},
        settings={"window_days": 1000},
        half_way=40,
    ),
    Case(
        TapHubSpot,
        {"access_token": "pat-na1-sandbox"},
        "contacts",
        needs_others=["associations"],
        unpaced={"tap_hubspot.client.SEARCH_SPACING": 1},
        half_way=100,
    ),
    Case(
        TapSalesRabbit,
        {"access_token": "salesrabbit-sandbox"},
        "leads",
        first_path="/leads$",
        unpaced={"tap_salesrabbit.client.MINUTE": 60},
        busy={"page_size": 1},
    ),
]


@pytest.fixture(params=CASES, ids=lambda case: case.tap.name)
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Case:
    case: Case = request.param
    monkeypatch.setattr("tapkit.client._backoff", lambda _: 0.01)
    for name, value in case.unpaced.items():
        monkeypatch.setattr(name, value)
    return case


@pytest.fixture
def sandbox(case: Case, sandbox: Control) -> Control:
    """The case's CRM, without rate limits."""
    crm = sandbox.of(case.crm)
    crm.no_limits()
    return crm


def test_small_pages_give_the_same_records(case: Case, sandbox: Control) -> None:
    small, large = case.run(sandbox, page_size=7), case.run(sandbox)
    assert small.error is large.error is None
    assert Tables().load(small).rows == Tables().load(large).rows


def test_messages_are_well_formed(case: Case, sandbox: Control) -> None:
    """Schemas first, no undeclared field, keys filled and unique, counts true, no early state."""
    run = case.run(sandbox)
    schemas: dict[str, Row] = {}
    keys: dict[str, Counter[tuple[Any, ...]]] = defaultdict(Counter)
    unfinished: set[str] = set()
    for message in run.messages:
        if message["type"] == "SCHEMA":
            schemas[message["stream"]] = message
            unfinished.add(message["stream"])
        elif message["type"] == "RECORD":
            schema = schemas[message["stream"]]
            assert message["record"].keys() == schema["schema"]["properties"].keys()
            key = tuple(message["record"][name] for name in schema["key_properties"])
            assert None not in key
            keys[message["stream"]][key] += 1
        elif message["type"] == "STATE":
            statuses = message["value"]["sync"]
            unfinished -= {name for name in statuses if statuses[name]["status"] == "success"}
            for stream in unfinished:
                assert "replication_key_value" not in message["value"]["bookmarks"][stream]
    assert unfinished == set()
    assert {stream: max(counts.values()) for stream, counts in keys.items()} == dict.fromkeys(
        keys, 1
    )
    extracted = {name: status["extracted"] for name, status in run.statuses.items()}
    assert {stream: counts.total() for stream, counts in keys.items()} == {
        stream: count for stream, count in extracted.items() if count
    }


def test_a_second_run_starts_at_the_bookmark_and_changes_nothing(
    case: Case, sandbox: Control
) -> None:
    first = case.run(sandbox)
    tables = Tables().load(first)
    second = case.run(sandbox, first.state)
    assert second.error is None
    assert not tables.load(second).changed
    marks = [
        {name: mark.get("replication_key_value") for name, mark in run.state["bookmarks"].items()}
        for run in (first, second)
    ]
    assert marks[0] == marks[1]
    assert len(second.records(case.first_stream)) < len(first.records(case.first_stream))


def test_passing_faults_lose_nothing(case: Case, sandbox: Control) -> None:
    whole = Tables().load(case.run(sandbox)).rows
    sandbox.faults(
        {"kind": "status", "status": 429, "retry_after": "0.05", "every": 31},
        {"kind": "status", "status": 502, "every": 37},
        {"kind": "cut", "every": 41},
        {"kind": "malformed", "every": 43},
        {"kind": "reset", "every": 47},
    )
    run = case.run(sandbox, **case.busy)
    assert all(sandbox.fault_hits())
    assert run.error is None
    assert Tables().load(run).rows == whole


def test_a_repeated_cursor_ends_the_stream_not_the_world(case: Case, sandbox: Control) -> None:
    sandbox.faults({"kind": "repeat_cursor", "path": case.first_path or case.first_stream})
    run = case.run(sandbox, page_size=7)
    assert run.statuses[case.first_stream]["status"] == "failed"
    assert "Paging does not end" in run.statuses[case.first_stream]["error"]
    assert "replication_key_value" not in run.state["bookmarks"][case.first_stream]


def test_a_refused_credential_is_fatal_at_once(case: Case, sandbox: Control) -> None:
    sandbox.stats(clear=True)
    run = case.run(sandbox, **dict.fromkeys(case.credentials, "wrong"))
    assert "refused the credentials (401" in str(run.error)
    assert sandbox.stats()["requests"] <= 4  # as many as were under way


def test_a_refusal_half_way_keeps_what_is_complete(case: Case, sandbox: Control) -> None:
    sandbox.faults({"kind": "status", "status": 401, "after": case.half_way})
    run = case.run(sandbox, **case.busy)
    assert run.error is not None
    for name, status in run.statuses.items():
        if status["status"] != "success":
            assert "replication_key_value" not in run.state["bookmarks"][name]


def test_logs_hold_no_secret_and_no_record(
    case: Case, sandbox: Control, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sandbox.faults({"kind": "status", "status": 500, "every": 50})
    run = case.run(sandbox, **case.busy)
    text = caplog.text
    assert text
    for secret in case.credentials.values():
        assert secret not in text
    words = {
        value
        for record in run.records(case.first_stream)
        for name, value in record.items()
        if "name" in name and isinstance(value, str) and len(value) > 6
    }
    assert words
    assert not [word for word in words if word in text]


@pytest.mark.filterwarnings("ignore:No records were available to test")
def test_the_sdk_suite(case: Case, sandbox: Control) -> None:
    config = {"base_url": sandbox.base_url(), **case.credentials, **case.settings}
    runner = TapTestRunner(
        tap_class=case.tap,
        config=config,
        suite_config=SuiteConfig(ignore_no_records_for_streams=case.needs_others),
        parse_env_config=False,
    )
    runner.sync_all()
    common: Row = {
        "config": runner.suite_config,
        "resource": None,
        "runner": runner,
    }
    ran = 0
    for test in tap_tests.tests:
        test().run(**common)
        ran += 1
    for stream in runner.new_tap().streams.values():
        if not stream.selected:
            continue  # the SDK's checks are for what a run without a catalog reads
        for test in tap_stream_tests.tests:
            if test is StreamReturnsRecordTest and stream.name in case.needs_others:
                continue
            test().run(**common, stream=stream)
            ran += 1
        properties = stream.stream_maps[-1].transformed_schema["properties"]
        for test in tap_stream_attribute_tests.tests:
            for name, schema in properties.items():
                if test is AttributeIsObjectTest and "array" in schema["type"]:
                    continue  # the SDK's test takes 'object or array' for 'object'
                if test.evaluate(stream=stream, property_name=name, property_schema=schema):
                    test().run(**common, stream=stream, attribute_name=name)
                    ran += 1
    assert ran > len(tap_tests.tests) + len(tap_stream_tests.tests)
