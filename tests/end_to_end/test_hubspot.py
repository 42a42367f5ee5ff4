"""HubSpot into Postgres with real processes: the tables end right, and sync_history tells why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pipeline import Pipeline
from singer import Row, select
from tap_hubspot.tap import TapHubSpot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crm_sandbox.client import Sandbox

COUNTERS = ("created", "updated", "unchanged", "deduplicated", "failed")


@pytest.fixture
def config(sandbox: Sandbox) -> Row:
    return {
        "base_url": sandbox.base_url(),
        "access_token": "pat-na1-sandbox",
        "associations_refresh_days": 0,
    }


@pytest.fixture
def pipeline(database_url: str, tmp_path: Path, config: Row) -> Pipeline:
    return Pipeline("tap-hubspot", database_url, tmp_path, config)


@pytest.fixture
def full_load(other_database_url: str, tmp_path: Path) -> Any:
    """The tables that one full load into an empty database gives."""

    def load(like: Pipeline) -> dict[str, list[Row]]:
        fresh = Pipeline(
            like.tap, other_database_url, tmp_path / "full", like.tap_config, {}, like.catalog
        )
        fresh.folder.mkdir()
        assert fresh.run() == (0, 0)
        return fresh.tables()

    return load


def test_three_rounds_of_changes_end_where_a_full_load_does(
    pipeline: Pipeline, sandbox: Sandbox, full_load: Callable[[Pipeline], Any]
) -> None:
    assert pipeline.run() == (0, 0)
    for seed in range(3):
        sandbox.mutate(seed, change=40, add=12, archive=10, restore=4, associate=20, dissociate=20)
        sandbox.advance(120)
        assert pipeline.run() == (0, 0)
    tables = pipeline.tables()
    assert len(tables) == 25
    _same(tables, full_load(pipeline))

    history = pipeline.history()
    assert len(history) == 4 * 25
    assert {row["status"] for row in history} == {"success"}
    _check_counters(history)
    last = next(row for row in history[-25:] if row["sync_type"] == "contacts")
    assert last["records_updated"] > 0

    # A run without changes changes nothing, and the tables keep every byte.
    before = pipeline.query("SELECT *, xmin::text FROM hubspot.contacts ORDER BY id")
    sandbox.stats(clear=True)
    assert pipeline.run() == (0, 0)
    changed = [
        (row["sync_type"], row["records_created"], row["records_updated"])
        for row in pipeline.history()[-25:]
        if row["records_created"] or row["records_updated"]
    ]
    assert changed == []
    assert pipeline.query("SELECT *, xmin::text FROM hubspot.contacts ORDER BY id") == before
    assert sandbox.stats()["kinds"]["hubspot.objects.search"] == 18  # one page each


class TestTrouble:
    """After any of it the next run makes the tables right, and history says what happened."""

    @pytest.fixture
    def pipeline(self, pipeline: Pipeline, config: Row) -> Pipeline:
        pipeline.catalog = select(TapHubSpot, config, "contacts", "companies", "associations")
        pipeline.target_config = {"batch_size_rows": 20}
        pipeline.tap_config = {**config, "page_size": 10, "max_tries": 4}
        return pipeline

    @pytest.fixture
    def begun(self, pipeline: Pipeline, sandbox: Sandbox) -> Any:
        """A first load that is under way: some contacts are stored, more are to come."""

        def begin() -> Any:
            sandbox.faults(latency_ms=60)
            running = pipeline.start()
            running.until(lambda: 20 <= _stored(pipeline) < 100)
            return running

        return begin

    @staticmethod
    def heal(pipeline: Pipeline, sandbox: Sandbox, full_load: Callable[[Pipeline], Any]) -> None:
        sandbox.faults(latency_ms=0)
        assert pipeline.run() == (0, 0)
        _same(pipeline.tables(), full_load(pipeline))
        history = pipeline.history()
        assert all(row["status"] != "running" and row["end_time"] for row in history)
        assert [row["status"] for row in history[-3:]] == ["success"] * 3
        _check_counters(history)

    def test_target_killed(
        self, begun: Any, pipeline: Pipeline, sandbox: Sandbox, full_load: Any
    ) -> None:
        running = begun()
        running.target.kill()
        tap, target = running.wait()
        assert (tap != 0, target) == (True, -9)
        self.heal(pipeline, sandbox, full_load)
        first = pipeline.history()[0]
        assert (first["sync_type"], first["status"]) == ("contacts", "failed")
        assert "process" in first["error_message"]

    def test_tap_killed(
        self, begun: Any, pipeline: Pipeline, sandbox: Sandbox, full_load: Any
    ) -> None:
        running = begun()
        running.tap.kill()
        assert running.wait()[0] == -9
        first = pipeline.history()[0]
        assert (first["status"], first["error_message"]) == (
            "failed",
            "extractor stopped before the stream was complete",
        )
        assert "replication_key_value" not in str(pipeline.state)
        self.heal(pipeline, sandbox, full_load)

    def test_both_terminated(
        self, begun: Any, pipeline: Pipeline, sandbox: Sandbox, full_load: Any
    ) -> None:
        running = begun()
        running.target.terminate()
        running.tap.terminate()
        tap, target = running.wait()
        assert tap != 0
        assert target != 0
        assert pipeline.history()[0]["status"] == "failed"
        self.heal(pipeline, sandbox, full_load)

    def test_token_revoked(
        self, begun: Any, pipeline: Pipeline, sandbox: Sandbox, full_load: Any
    ) -> None:
        running = begun()
        sandbox.revoke()
        assert running.wait()[0] == 1
        (first,) = pipeline.history()
        assert (first["sync_type"], first["status"]) == ("contacts", "failed")
        assert "401" in first["error_message"]
        assert "access_token" in first["error_message"]
        sandbox.token("pat-na1-sandbox")
        self.heal(pipeline, sandbox, full_load)

    def test_storm_of_429_and_cut_bodies(
        self, pipeline: Pipeline, sandbox: Sandbox, full_load: Any
    ) -> None:
        """They cost time but neither records nor a status."""
        pipeline.tap_config["max_tries"] = 10
        sandbox.faults(
            {"kind": "status", "status": 429, "every": 2, "count": 40, "retry_after": "0.05"},
            {"kind": "cut", "every": 9, "count": 8},
        )
        assert pipeline.run() == (0, 0)
        assert sandbox.fault_hits() == [40, 8]
        _same(pipeline.tables(), full_load(pipeline))
        assert {row["status"] for row in pipeline.history()} == {"success"}

    def test_bodies_that_stay_cut(
        self, pipeline: Pipeline, sandbox: Sandbox, full_load: Any
    ) -> None:
        sandbox.faults({"kind": "cut", "path": "objects/2026-09/companies"})
        tap, target = pipeline.run()
        assert (tap, target) == (1, 0)
        by_stream = {row["sync_type"]: row for row in pipeline.history()}
        assert by_stream["contacts"]["status"] == "success"
        assert by_stream["companies"]["status"] == "failed"
        assert by_stream["companies"]["error_message"]
        assert by_stream["associations"]["status"] == "partial"
        sandbox.faults()
        self.heal(pipeline, sandbox, full_load)

    def test_postgres_restarted(
        self, begun: Any, pipeline: Pipeline, sandbox: Sandbox, full_load: Any, own_server: Any
    ) -> None:
        """The target waits for the server, connects again and goes on."""
        pipeline.database_url = own_server.get_uri()
        running = begun()
        own_server.stop()
        own_server.ensure_postgres_running()
        assert running.wait() == (0, 0)
        assert {row["status"] for row in pipeline.history()} == {"success"}
        self.heal(pipeline, sandbox, full_load)


def _same(tables: dict[str, list[Row]], expected: dict[str, list[Row]]) -> None:
    """Compare table by table, so that a difference can be read."""
    assert tables.keys() == expected.keys()
    for name, rows in tables.items():
        only_here = [row for row in rows if row not in expected[name]]
        only_there = [row for row in expected[name] if row not in rows]
        assert (name, only_here) == (name, only_there)
        assert len(rows) == len(expected[name])


def _stored(pipeline: Pipeline) -> int:
    (found,) = pipeline.query("SELECT to_regclass('sync_history') IS NOT NULL AS found")
    if not found["found"]:
        return 0
    return sum(row["records_processed"] for row in pipeline.history())


def _check_counters(history: list[Row]) -> None:
    for row in history:
        counts = {**row["performance_metrics"], **row}
        parts = [counts[f"records_{name}"] for name in COUNTERS]
        assert row["records_processed"] == sum(parts)
