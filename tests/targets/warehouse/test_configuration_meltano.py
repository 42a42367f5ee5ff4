"""Configuration, credentials and schedules of the warehouse, in real runs of Meltano."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
from crm_sandbox.client import Sandbox
from meltano_project import Project, cloned
from warehouse.configuration import Configuration, Row
from warehouse.credentials import Credentials
from warehouse.encryption import Keys

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN = Path(sys.executable).parent
SECRET = "pat-na1-sandbox"
CONFIG = """\
    config:
      page_size: 99
      max_tries: 99
      retry_delay: 99
      concurrency: 9
      look_back: 99
      field_mappings: {owners: {mail: email, first: firstName}}
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(sizes={"contacts": 12, "deals": 4}) as running:
        running.no_limits()
        yield running


@pytest.fixture(scope="module")
def clone() -> Iterator[Path]:
    with cloned() as folder:
        path = folder / "meltano.yml"
        name = "  - name: tap-hubspot\n    variant: crm-warehouse\n"
        assert name in path.read_text()
        path.write_text(path.read_text().replace(name, f"{name}{CONFIG}"))
        Project(folder, {}).meltano("install", "tap-hubspot", "target-warehouse", "warehouse")
        yield folder


@pytest.fixture
def project(clone: Path, wh: Any) -> Project:
    (clone / ".meltano/meltano.db").unlink(missing_ok=True)
    settings = {
        "TARGET_WAREHOUSE_SQLALCHEMY_URL": wh.url,
        "WAREHOUSE_MELTANO": str(BIN / "meltano"),
        "WAREHOUSE_ENCRYPTION_KEY_FILE": str(wh.folder / ".warehouse/encryption.key"),
    }
    return Project(clone, settings)


def told(wh: Any, *rows: Row, token: str = SECRET) -> None:
    """Fill the tables, as `warehouse config set` and `warehouse credentials set` do."""
    keys = Keys.create({}, wh.folder)
    with closing(psycopg2.connect(wh.url)) as connection, connection:
        for row in rows:
            Configuration(connection).put(row)
        table = Credentials("public", lambda: keys)
        table.put(connection.cursor(), "hubspot", {"access_token": token})


def run(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, cwd=project.folder, env=project.environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


PRINT = """
import json, sys
from warehouse import meltano
from warehouse.command import Warehouse
warehouse = Warehouse.of_project()
environment = meltano.environment(warehouse, "hubspot")
environment["TAP_HUBSPOT_PAGE_SIZE"] = "1"  # as the flag --batch-size does
done = meltano.run(warehouse, "config", "print", "tap-hubspot", environment=environment)
sys.exit(done.stderr) if done.returncode else print(done.stdout)
"""


def test_meltano_takes_what_counts_most(project: Project, wh: Any) -> None:
    told(
        wh,
        Row("hubspot", batch_size=44, retry_count=44, retry_delay=44,
            field_mappings={"owners": {"mail": None}}, api_settings={"concurrency": 4}),
    )  # fmt: skip
    (project.folder / ".env").write_text("TAP_HUBSPOT_MAX_TRIES=2\nTAP_HUBSPOT_PAGE_SIZE=22\n")
    project.environment |= {"HUBSPOT_RETRY_DELAY": "3", "HUBSPOT_RETRY_COUNT": "33"}
    done = run(project, sys.executable, "-c", PRINT)
    (project.folder / ".env").unlink()
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    names = ("page_size", "max_tries", "retry_delay", "concurrency", "look_back")
    assert [found[name] for name in names] == [1, 2, 3, 4, 99]
    assert found["field_mappings"] == {"owners": {"mail": None, "first": "firstName"}}
    assert found["access_token"] == "*****"  # Meltano has it, and hides it


def test_credentials_are_tried_and_what_fails_is_said_without_them(
    project: Project, sandbox: Sandbox, wh: Any
) -> None:
    account = {"base_url": sandbox.base_url()}
    told(wh, Row("hubspot", api_settings=account), token="pat-na1-revoked")
    done = run(project, str(BIN / "warehouse"), "credentials", "test", "hubspot", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["ok"], answer["stored"]) == (1, False, ["access_token"])
    (error,) = answer["errors"]
    assert error.startswith("The API refused the credentials (401, GET /hubspot/crm/")
    assert "pat-na1" not in done.stdout + done.stderr


def test_a_scheduled_job_runs_with_configuration_and_credentials(
    project: Project, sandbox: Sandbox, wh: Any
) -> None:
    settings = {"base_url": sandbox.base_url(), "association_pairs": []}
    told(
        wh,
        Row("hubspot", batch_size=5, api_settings=settings),
        Row("hubspot", "contacts", batch_size=7, schedule_enabled=True, schedule_cron="@hourly"),
        Row("hubspot", "deals", is_active=False),
    )
    project.environment["TAP_HUBSPOT_LOGLEVEL"] = "DEBUG"
    applied = run(project, str(BIN / "warehouse"), "config", "apply")
    assert applied.stdout.startswith("added: warehouse-hubspot-contacts\n"), applied.stderr
    done = run(project, str(BIN / "meltano"), "schedule", "run", "warehouse-hubspot-contacts")
    assert done.returncode == 0, done.stderr
    assert [
        (row["crm_source"], row["sync_type"], row["status"], row["records_created"])
        for row in wh.history()
    ] == [("hubspot", "contacts", "success", 12)]
    limits = [re.findall(r"limit=(\d+)", call["query"]) for call in sandbox.log("/contacts")]
    assert {limit for found in limits for limit in found} == {"7"}
    assert SECRET not in done.stdout + done.stderr
    kept = [
        path
        for top in (".meltano", ".warehouse", "output")
        for path in (project.folder / top).rglob("*")
        if path.is_file() and "venv" not in path.parts and SECRET.encode() in path.read_bytes()
    ]
    assert kept == []
    refused = run(project, str(BIN / "warehouse"), "sync", "hubspot", "deals")
    assert refused.returncode == 3
    assert "hubspot deals is switched off" in refused.stderr
