"""Configuration, credentials and schedules of the warehouse, in real runs of Meltano."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from crm_sandbox.client import Sandbox
from meltano_project import Project, cloned

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
        "WAREHOUSE_ENCRYPTION_KEY_FILE": str(wh.folder / "encryption.key"),
    }
    return Project(clone, settings)


def warehouse(project: Project, *arguments: str, stdin: str = "") -> str:
    done = subprocess.run(
        [BIN / "warehouse", *arguments], cwd=project.folder, env=project.environment,
        input=stdin, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


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


def test_meltano_takes_what_counts_most(project: Project) -> None:
    (project.folder / ".env").write_text("TAP_HUBSPOT_MAX_TRIES=2\nTAP_HUBSPOT_PAGE_SIZE=22\n")
    project.environment |= {"HUBSPOT_RETRY_DELAY": "3", "HUBSPOT_RETRY_COUNT": "33"}
    warehouse(project, "config", "set", "hubspot", "batch_size=44", "retry_count=44",
              "retry_delay=44", "concurrency=4",
              'field_mappings={"owners": {"mail": null}}')  # fmt: skip
    warehouse(project, "credentials", "set", "hubspot", "access_token", stdin=SECRET)
    done = subprocess.run(
        [sys.executable, "-c", PRINT], cwd=project.folder, env=project.environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (project.folder / ".env").unlink()
    found = json.loads(done.stdout)
    names = ("page_size", "max_tries", "retry_delay", "concurrency", "look_back")
    assert [found[name] for name in names] == [1, 2, 3, 4, 99]
    assert found["field_mappings"] == {"owners": {"mail": None, "first": "firstName"}}
    assert found["access_token"] == "*****"  # Meltano has it, and hides it


def test_credentials_are_tried_and_what_fails_is_said_without_them(
    project: Project, sandbox: Sandbox
) -> None:
    warehouse(project, "config", "set", "hubspot", f"base_url={sandbox.base_url()}")
    warehouse(project, "credentials", "set", "hubspot", "access_token", stdin="pat-na1-revoked")
    done = subprocess.run(
        [BIN / "warehouse", "credentials", "test", "hubspot", "--json"], cwd=project.folder,
        env=project.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["ok"], answer["stored"]) == (1, False, ["access_token"])
    (error,) = answer["errors"]
    assert error.startswith("The API refused the credentials (401, GET /hubspot/crm/")
    assert "pat-na1" not in done.stdout + done.stderr


def test_a_scheduled_job_runs_with_configuration_and_credentials(
    project: Project, sandbox: Sandbox, wh: Any
) -> None:
    warehouse(project, "config", "set", "hubspot", f"base_url={sandbox.base_url()}",
              "batch_size=5", "field_mappings={}", "association_pairs=[]")  # fmt: skip
    warehouse(project, "config", "set", "hubspot", "contacts", "batch_size=7",
              "schedule_enabled=yes", "schedule_cron=*/15 * * * *")  # fmt: skip
    said = warehouse(project, "credentials", "set", "hubspot", "access_token", stdin=SECRET)
    said += warehouse(project, "config", "apply")
    said += project.meltano("schedule", "run", "warehouse-hubspot-contacts")
    assert [
        (row["crm_source"], row["sync_type"], row["status"], row["records_created"])
        for row in wh.history()
    ] == [("hubspot", "contacts", "success", 12)]
    limits = [re.findall(r"limit=(\d+)", call["query"]) for call in sandbox.log("/contacts")]
    assert {limit for found in limits for limit in found} == {"7"}
    said += warehouse(project, "sync", "hubspot", "contacts", "--debug", "--no-progress")
    said += "".join(log.read_text() for log in project.folder.rglob("*.log"))
    assert "TAP_HUBSPOT_ACCESS_TOKEN='***'" in said or "TAP_HUBSPOT_ACCESS_TOKEN=***" in said
    assert SECRET not in said
    kept = [
        path
        for top in (".meltano", ".warehouse", "output")
        for path in (project.folder / top).rglob("*")
        if path.is_file() and "venv" not in path.parts and SECRET.encode() in path.read_bytes()
    ]
    assert kept == []

    warehouse(project, "config", "set", "hubspot", "contacts", "is_active=no")
    refused = subprocess.run(
        [BIN / "warehouse", "sync", "hubspot", "contacts"], cwd=project.folder,
        env=project.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert refused.returncode == 3
    assert re.search("hubspot contacts is switched off", refused.stderr)
    assert "removed: warehouse-hubspot-contacts" in warehouse(project, "config", "apply")
