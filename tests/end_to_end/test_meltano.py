"""The pipelines as users run them: real Meltano, in its own plugin environments."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg2
import psycopg2.extras
import pytest
from crm_sandbox.client import Sandbox
from lockfile import installed, locked
from meltano_project import ROOT, Project, cloned
from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEFINITION = ROOT / "plugins/extractors/tap-hubspot.meltano.yml"
STATE_ID = "development:tap-hubspot-to-target-warehouse"
DIVISIONS = "2-37000001"
TOKEN = "pat-na1-sandbox"


@pytest.fixture(scope="module")
def clone() -> Iterator[Path]:
    with cloned() as folder:
        yield folder


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(sizes={"contacts": 30, "deals": 10}) as running:
        running.no_limits()
        yield running


@pytest.fixture(scope="module")
def tap_settings(sandbox: Sandbox) -> dict[str, str]:
    return {
        "TAP_HUBSPOT_BASE_URL": sandbox.base_url(),
        "TAP_HUBSPOT_ACCESS_TOKEN": TOKEN,
        "TAP_HUBSPOT__SELECT": json.dumps(["contacts.*", "deals.*", "divisions.*", "owners.*"]),
        "TAP_HUBSPOT_ASSOCIATION_PAIRS": json.dumps(["deals:contacts"]),
    }


@pytest.fixture(scope="module")
def installed_clone(clone: Path) -> Path:
    """The clone with the plugins that these tests use; the others are installed alike."""
    Project(clone, {}).meltano("install", "tap-hubspot", "target-warehouse", "warehouse")
    return clone


@pytest.fixture
def project(installed_clone: Path, tap_settings: dict[str, str], database_url: str) -> Project:
    """The clone with a sandbox to read, an empty database to load, and no state."""
    (installed_clone / ".meltano/meltano.db").unlink(missing_ok=True)
    settings = {**tap_settings, "TARGET_WAREHOUSE_SQLALCHEMY_URL": database_url}
    return Project(installed_clone, settings)


def rows(url: str, query: str) -> list[dict[str, Any]]:
    connection = psycopg2.connect(url, cursor_factory=psycopg2.extras.RealDictCursor)
    try:
        cursor = connection.cursor()
        cursor.execute(query)
        return [dict(row) for row in cursor.fetchall()]
    finally:
        connection.close()


def execute(url: str, statement: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        connection.cursor().execute(statement)
    finally:
        connection.close()


def live(sandbox: Sandbox, kind: str, *names: str) -> list[dict[str, Any]]:
    """What the account has, as the warehouse should."""
    records = sandbox.command("records", record_type=kind)
    return [
        {"id": record["id"], **{name: record["properties"].get(name) or None for name in names}}
        for record in sorted(records, key=lambda record: record["id"])
    ]


def readme_queries() -> list[str]:
    """The SQL that README.md shows."""
    text = (ROOT / "README.md").read_text()
    found = re.findall(r"^    .*?(SELECT .+?;)$", text, re.DOTALL | re.MULTILINE)
    assert len(found) == 2
    return found


STORED = """
SELECT id, firstname, lastname, email FROM hubspot.contacts
WHERE _sdc_deleted_at IS NULL ORDER BY id COLLATE "C"
"""
COUNTS = """
SELECT sync_type, status, records_processed, records_created, records_updated, records_failed
FROM sync_history WHERE crm_source = 'hubspot' ORDER BY id
"""


def test_plugins_get_the_locked_versions(installed_clone: Path) -> None:
    environments = sorted((installed_clone / ".meltano").glob("*/*/venv"))
    names = [path.parent.name for path in environments]
    assert names == ["tap-hubspot", "target-warehouse", "warehouse"]
    for environment in environments:
        found = installed(environment / "bin/python")
        assert {"singer-sdk", "psycopg2-binary"} <= found.keys()
        assert found.items() <= locked().items()


def test_a_second_run_brings_what_changed(
    project: Project, sandbox: Sandbox, database_url: str
) -> None:
    sandbox.command("archive_type", record_type=DIVISIONS)
    project.meltano("run", "hubspot")
    assert rows(database_url, STORED) == live(sandbox, "contacts", "firstname", "lastname", "email")

    changed, archived = (one["id"] for one in live(sandbox, "contacts")[:2])
    change = {"record_type": "contacts", "record_id": changed, "properties": {"lastname": "Byron"}}
    sandbox.command("update", **change)
    sandbox.command("create", record_type="contacts", properties={"email": "ada@example.com"})
    sandbox.command("archive", record_type="contacts", ids=[archived])
    sandbox.command("archive_type", record_type=DIVISIONS, archived=False)
    project.meltano("run", "tap-hubspot", "target-warehouse")

    assert rows(database_url, STORED) == live(sandbox, "contacts", "firstname", "lastname", "email")
    assert [tuple(row.values()) for row in rows(database_url, COUNTS)] == [
        ("contacts", "success", 30, 30, 0, 0),
        ("deals", "success", 10, 10, 0, 0),
        ("owners", "success", 12, 12, 0, 0),
        ("contacts", "success", 4, 1, 2, 0),  # the look-back sees the newest of before again
        ("deals", "success", 1, 0, 0, 0),
        ("divisions", "success", 23, 23, 0, 0),
        ("owners", "success", 12, 0, 0, 0),
    ]
    state = json.loads(project.meltano("state", "get", STATE_ID))["singer_state"]
    (newest,) = rows(database_url, "SELECT max(updated_at) AS moment FROM hubspot.contacts")
    bookmark = state["bookmarks"]["contacts"]["replication_key_value"]
    assert list(state) == ["bookmarks"]
    assert datetime.fromisoformat(bookmark.replace("Z", "+00:00")) == newest["moment"]
    assert "contacts" in project.meltano("invoke", "warehouse:history")
    assert [rows(database_url, query) for query in readme_queries()].count([]) == 0


def test_without_a_url_the_data_is_in_the_embedded_postgres(
    installed_clone: Path, tap_settings: dict[str, str]
) -> None:
    project = Project(installed_clone, {**tap_settings, "TAP_HUBSPOT__SELECT": '["owners.*"]'})
    project.meltano("run", "hubspot")
    query = "SELECT count(*) FROM hubspot.owners"
    assert project.run("warehouse", "psql", "--tuples-only", "-c", query).strip() == "12"
    assert (installed_clone / ".warehouse/postgres/PG_VERSION").exists()


def test_bookmarks_can_be_kept_in_the_warehouse(project: Project, database_url: str) -> None:
    execute(database_url, "CREATE SCHEMA meltano")
    state_url = make_url(database_url).update_query_dict({"options": "-csearch_path=meltano"})
    project.environment |= {
        "MELTANO_DATABASE_URI": state_url.render_as_string(hide_password=False),
        "MELTANO_ENVIRONMENT": "production",
        "TAP_HUBSPOT__SELECT": json.dumps(["contacts.*"]),
    }
    project.meltano("run", "hubspot")
    project.meltano("run", "hubspot")
    assert not (project.folder / ".meltano/meltano.db").exists()
    (state,) = rows(database_url, "SELECT state_id, completed_state FROM meltano.state")
    assert state["state_id"] == STATE_ID.replace("development:", "production:")
    assert '"contacts"' in state["completed_state"]
    first, second = (row["records_processed"] for row in rows(database_url, COUNTS))
    assert second < first


OTHER_PROJECT = """\
default_environment: dev
send_anonymous_usage_stats: false
environments:
- name: dev
plugins:
  loaders:
  - name: target-jsonl
    namespace: target_jsonl
    pip_url: target-jsonl==0.1.4
    executable: target-jsonl
    config:
      destination_path: .
      do_timestamp_file: false
"""


def test_the_tap_works_in_an_empty_project_with_another_target(
    tmp_path: Path, clone: Path, sandbox: Sandbox, tap_settings: dict[str, str]
) -> None:
    (tmp_path / "meltano.yml").write_text(OTHER_PROJECT)
    other = Project(tmp_path, {**tap_settings, "CRM_WAREHOUSE_SOURCE": clone.as_uri()})
    other.meltano("add", "--from-ref", str(clone / DEFINITION.relative_to(ROOT)), "tap-hubspot")
    other.meltano("run", "tap-hubspot", "target-jsonl")
    lines = (tmp_path / "contacts.jsonl").read_text().splitlines()
    stored = [
        {key: record[key] for key in ("id", "email")}
        for record in map(json.loads, lines)
        if record["_sdc_deleted_at"] is None
    ]
    assert sorted(stored, key=lambda record: record["id"]) == live(sandbox, "contacts", "email")
