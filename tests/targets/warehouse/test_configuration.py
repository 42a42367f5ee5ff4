"""sync_configuration: what is kept, what counts when, what is wrong with it, what is scheduled."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML
from warehouse.cli import main
from warehouse.command import Refusal, Warehouse
from warehouse.configuration import Row, effective
from warehouse.handover import environment, switched_off
from warehouse.schedules import is_cron

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = """\
# A comment that stays.
default_environment: development
include_paths: [.warehouse/schedules.meltano.yml]
environments:
- name: development
  config: {plugins: {extractors: [{name: tap-hubspot, config: {look_back: 600}}]}}
- name: production
  config:
    plugins:
      extractors:
      - name: tap-hubspot
        config: {look_back: 900}
plugins:
  extractors:
  - name: tap-hubspot
    config:
      page_size: 150
      look_back: 300
      field_mappings: {contacts: {email: properties.email, phone: properties.phone}}
  - name: tap-files
  - name: tap-foreign
  utilities:
  - name: warehouse
jobs:
- {name: hubspot, tasks: [tap-hubspot target-warehouse]}
schedules:
- {name: hubspot-hourly, interval: '@hourly', job: hubspot}
"""
SCHEMA = {"page_size": {"default": 200}, "max_tries": {}, "retry_delay": {}, "look_back": {}}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wh: Any) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "meltano.yml").write_text(PROJECT)
    for name in [name for name in os.environ if name.startswith(("TAP_", "HUBSPOT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MELTANO_PROJECT_ROOT", str(folder))
    monkeypatch.setenv("TARGET_WAREHOUSE_SQLALCHEMY_URL", wh.url)
    return folder


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["config", *arguments])


def done(*arguments: str) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def told(*streams: str) -> dict[str, Any]:
    """What a run of HubSpot is told by the tables: setting → value."""
    handed = environment(Warehouse.of_project(), "hubspot", streams)
    return {
        name.removeprefix("TAP_HUBSPOT_").lower(): json.loads(value)
        for name, value in handed.items()
    }


def test_a_row_is_kept_as_it_was_said(project: Path, wh: Any) -> None:
    assert done("show") == "Nothing is configured; all is as meltano.yml says.\n"
    done("set", "hubspot", "batch_size=50", "retry_count=3", "retry_delay=2", "concurrency=8")
    done("set", "hubspot", "contacts", "is_active=no", "schedule_cron=*/15 * * * *",
         'field_mappings={"email": null}', "api_version=2026-03")  # fmt: skip
    done("set", "tap-HubSpot", "retry_count=4")
    rows = wh.query("SELECT * FROM sync_configuration ORDER BY sync_type")
    times = [(row.pop("created_at"), row.pop("updated_at")) for row in rows]
    assert rows == [
        {
            "crm_source": "hubspot",
            "sync_type": "all",
            "is_active": True,
            "batch_size": 50,
            "retry_count": 4,
            "retry_delay": 2,
            "field_mappings": {},
            "api_settings": {"concurrency": 8},
            "schedule_enabled": False,
            "schedule_cron": None,
        },
        {
            "crm_source": "hubspot",
            "sync_type": "contacts",
            "is_active": False,
            "batch_size": None,
            "retry_count": None,
            "retry_delay": None,
            "field_mappings": {"email": None},
            "api_settings": {"api_version": "2026-03"},
            "schedule_enabled": False,
            "schedule_cron": "*/15 * * * *",
        },
    ]
    assert [changed > created for created, changed in times] == [True, False]
    assert [json.loads(line) for line in done("show", "--json").splitlines()] == rows
    done("unset", "hubspot", "contacts", "is_active", "api_version")
    done("unset", "hubspot")
    (row,) = map(json.loads, done("show", "--json").splitlines())
    assert row == {**rows[1], "is_active": True, "api_settings": {}}
    assert call("unset", "hubspot").exit_code == 1


def test_taps_get_their_own_names_for_it(project: Path) -> None:
    settings = {"association_pairs": ["deals:contacts"], "skip_validation": True}
    done("set", "hubspot", "batch_size=50", "retry_count=3", "retry_delay=2", "concurrency=8",
         f"api_settings={json.dumps(settings)}")  # fmt: skip
    assert told() == {
        "page_size": 50,
        "max_tries": 4,
        "retry_delay": 2,
        "concurrency": 8,
        "association_pairs": ["deals:contacts"],
        "skip_validation": True,
    }


def test_a_streams_row_is_about_a_run_of_it_alone_and_its_fields_always(project: Path) -> None:
    done("set", "hubspot", "batch_size=50", 'field_mappings={"deals": {"amount": "a"}}')
    done("set", "hubspot", "contacts", "batch_size=5",
         'field_mappings={"email": "e", "town": {"source": "t", "type": "string"}}')  # fmt: skip
    fields = {
        "contacts": {
            "email": "e", "phone": "properties.phone", "town": {"source": "t", "type": "string"}
        },
        "deals": {"amount": "a"},
    }  # fmt: skip
    assert told() == {"page_size": 50, "field_mappings": fields}
    assert told("contacts") == {"page_size": 5, "field_mappings": fields}
    assert told("contacts", "deals") == told("deals") == told()


def test_streams_that_are_switched_off_are_left_out(project: Path) -> None:
    done("set", "hubspot", "deals", "is_active=false")
    done("set", "hubspot", "calls", "is_active=off")
    assert told() == {"_select_filter": ["!calls", "!deals"]}
    warehouse = Warehouse.of_project()
    assert switched_off(warehouse, "hubspot") == set()
    assert switched_off(warehouse, "hubspot", ["contacts", "deals"]) == {"deals"}
    done("set", "hubspot", "is_active=false")
    assert switched_off(warehouse, "hubspot", ["contacts"]) == {"all"}
    assert switched_off(warehouse, "files") == set()


LAYERS = [
    ("default", 200),
    ("meltano.yml", 150),
    ("sync_configuration all", 50),
    ("sync_configuration contacts", 5),
    ("HUBSPOT_BATCH_SIZE", 77),
    ("TAP_HUBSPOT_PAGE_SIZE", "9"),
]


@pytest.mark.parametrize("count", range(1, len(LAYERS) + 1))
def test_what_counts_is_what_is_said_nearest_to_the_run(count: int) -> None:
    said = dict(LAYERS[:count])
    rows = [
        Row("hubspot", batch_size=said.get("sync_configuration all")),
        Row("hubspot", "contacts", batch_size=said.get("sync_configuration contacts")),
    ]
    found = effective(
        "tap-hubspot",
        SCHEMA,
        rows,
        crm="hubspot",
        streams=["contacts"],
        variables={name: str(value) for name, value in said.items() if name.isupper()},
        written={"page_size": said["meltano.yml"]} if "meltano.yml" in said else {},
    )
    origin, value = LAYERS[count - 1]
    assert (found["page_size"].origin, found["page_size"].value) == (origin, value)
    ours = {"HUBSPOT_BATCH_SIZE"} | {name for name in said if name.startswith("sync_")}
    assert found["page_size"].is_ours is (origin in ours)


def test_the_users_environment_and_env_file_win(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done("set", "hubspot", "batch_size=50", "retry_count=3", "look_back=1")
    (project / ".env").write_text("TAP_HUBSPOT_PAGE_SIZE=9\nHUBSPOT_RETRY_COUNT=0\n")
    assert told() == {"max_tries": 1, "look_back": 1}
    done("unset", "hubspot", "look_back")
    assert '{"setting": "look_back", "value": 600, "origin": "meltano.yml"}' in done(
        "show", "hubspot", "--json"
    )
    monkeypatch.setenv("MELTANO_ENVIRONMENT", "production")
    shown = [json.loads(line) for line in done("show", "hubspot", "--json").splitlines()]
    values = {one["setting"]: (one["value"], one["origin"]) for one in shown}
    assert values["look_back"] == (900, "meltano.yml")
    assert values["page_size"] == ("9", "TAP_HUBSPOT_PAGE_SIZE")
    assert values["max_tries"] == (1, "HUBSPOT_RETRY_COUNT")
    assert values["concurrency"] == (4, "default")
    monkeypatch.setenv("HUBSPOT_RETRY_COUNT", "many")
    with pytest.raises(Refusal, match="HUBSPOT_RETRY_COUNT must be a whole number from 0"):
        told()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["batch_size=0"], "batch_size does not fit: 0 is less than the minimum of 1."),
        (["batch_size=ten"], "batch_size needs a whole number."),
        (["retry_count=101"], "retry_count 101 is more than 100."),
        (["retry_delay=-1"], "retry_delay does not fit"),
        (["is_active=maybe"], "is_active needs true or false."),
        (["field_mappings=[]"], "field_mappings needs a JSON object."),
        (['field_mappings={"contacts": 1}'], "no object of columns"),
        (['field_mappings={"contacts": {"a": 1}}'], "column 'a' of contacts needs a source path"),
        (["concurency=3"], "tap-hubspot has no setting concurency. Is concurrency meant?"),
        (["concurrency=99"], "concurrency does not fit: 99 is greater than the maximum of 32."),
        (["page_size=3"], "api_settings has page_size, which is the column batch_size."),
        (["access_token=s3cret"], "warehouse credentials set hubspot access_token"),
        (["schedule_cron=61 * * * *"], "schedule_cron '61 * * * *' is no schedule"),
        (["schedule_cron=* * * * * *"], "is no schedule"),
        (["schedule_enabled=yes"], "schedule_cron does not say when"),
        (["contacts", "batch_size"], "'batch_size' is no NAME=VALUE."),
        (["contacts"], "Give at least one NAME=VALUE."),
    ],
)
def test_what_is_wrong_is_refused(project: Path, wh: Any, words: list[str], said: str) -> None:
    result = call("set", "hubspot", *words)
    assert (result.exit_code, said in result.output) == (2, True), result.output
    assert "s3cret" not in result.output
    assert wh.query("SELECT to_regclass('sync_configuration') AS made") == [{"made": None}]


def test_validate_has_one_sentence_per_problem(
    project: Path, wh: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert done("validate") == "All is well.\n"
    done("set", "hubspot", "owners", "batch_size=5")
    assert done("validate") == "All is well.\n"
    wh.query(
        "INSERT INTO sync_configuration (crm_source, sync_type, batch_size, api_settings,"
        " schedule_enabled) VALUES ('nobody', 'all', NULL, '{}', false),"
        " ('files', 'all', 10, '{}', false),"
        """ ('hubspot', 'all', 10, '{"refresh_token": "s3cret", "x": 1}', true),"""
        """ ('foreign', 'all', 10, '{"x": 1, "api_token": "s3cret"}', false)"""
    )
    monkeypatch.setenv("HUBSPOT_BATCH_SIZE", "0")
    result = call("validate")
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "files: tap-files has no setting page_size, so batch_size does nothing.",
        (
            "foreign: api_token is a credential: warehouse credentials set foreign api_token, and"
            " warehouse config unset foreign api_token."
        ),
        "hubspot: tap-hubspot has no setting x.",
        (
            "hubspot: refresh_token is a credential: warehouse credentials set hubspot"
            " refresh_token, and warehouse config unset hubspot refresh_token."
        ),
        "hubspot: it is scheduled, but schedule_cron does not say when.",
        "nobody: no tap in meltano.yml reads nobody.",
        "hubspot: The variable HUBSPOT_BATCH_SIZE must be a whole number from 1 on.",
    ]
    assert json.loads(call("validate", "--json").output)["ok"] is False
    monkeypatch.delenv("HUBSPOT_BATCH_SIZE")
    shown = [done("show"), done("show", "hubspot", "--json"), done("show", "foreign")]
    assert "s3cret" not in "".join(shown)
    assert "(hidden)" in shown[2]


def schedules(project: Path) -> dict[str, str]:
    """Job of each scheduled name → what its command runs, by the file that Meltano includes."""
    path = project / ".warehouse/schedules.meltano.yml"
    if not path.exists():
        return {}
    document = YAML(typ="safe").load(path)
    (plugin,) = document["plugins"]["utilities"]
    jobs = {job["name"]: job["tasks"] for job in document["jobs"]}
    commands = {f"{plugin['name']}:{name}": it["args"] for name, it in plugin["commands"].items()}
    return {
        f"{one['name']} {one['interval']}": commands[task]
        for one in document["schedules"]
        for task in jobs[one["job"]]
    }


def test_schedules_are_carried_into_meltano_and_out_again(project: Path) -> None:
    assert done("apply") == "Nothing is scheduled.\n"
    assert not (project / ".warehouse").exists()
    done("set", "hubspot", "schedule_enabled=yes", "schedule_cron=@daily")
    done("set", "hubspot", "deals", "schedule_enabled=yes", "schedule_cron=*/5 * * * *")
    done("set", "files", "schedule_enabled=no", "schedule_cron=@daily")
    first = json.loads(done("apply", "--json"))
    assert first == {
        "added": ["warehouse-hubspot", "warehouse-hubspot-deals"],
        "changed": [],
        "removed": [],
        "kept": [],
        "others": {"hubspot": ["hubspot-hourly"]},
    }
    assert schedules(project) == {
        "warehouse-hubspot @daily": "sync hubspot",
        "warehouse-hubspot-deals */5 * * * *": "sync hubspot deals",
    }
    path = project / ".warehouse/schedules.meltano.yml"
    written = path.read_text()
    again = json.loads(done("apply", "--json"))
    assert (again["kept"], path.read_text()) == (first["added"], written)
    done("set", "hubspot", "schedule_cron=30 4 * * *")
    done("set", "hubspot", "deals", "is_active=no")
    changed = json.loads(done("apply", "--json"))
    assert (changed["changed"], changed["removed"]) == (
        ["warehouse-hubspot"], ["warehouse-hubspot-deals"]
    )  # fmt: skip
    assert schedules(project) == {"warehouse-hubspot 30 4 * * *": "sync hubspot"}
    done("set", "hubspot", "is_active=no")
    assert "removed: warehouse-hubspot\n" in done("apply")
    assert schedules(project) == {}
    assert (project / "meltano.yml").read_text() == PROJECT


@pytest.mark.parametrize(
    ("taken_out", "said"),
    [
        ("include_paths: [.warehouse/schedules.meltano.yml]\n", "Add to meltano.yml"),
        ("  utilities:\n  - name: warehouse\n", "meltano add warehouse"),
    ],
)
def test_a_project_that_lacks_something_for_schedules_is_told(
    project: Path, taken_out: str, said: str
) -> None:
    (project / "meltano.yml").write_text(PROJECT.replace(taken_out, ""))
    done("set", "hubspot", "schedule_enabled=yes", "schedule_cron=@daily")
    result = call("apply")
    assert (result.exit_code, said in result.output) == (3, True), result.output
    assert schedules(project) == {}


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("0 * * * *", True),
        ("*/15 8-18 * * mon-fri", True),
        ("@hourly", True),
        ("@reboot", False),
        ("@once", False),
        ("0 * * *", False),
        ("0 0 * * * *", False),
        ("0 25 * * *", False),
        ("", False),
    ],
)
def test_which_schedules_there_are(text: str, fits: bool) -> None:  # noqa: FBT001
    assert is_cron(text) is fits


def test_first_rows_are_what_is_usual_in_an_environment(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(*arguments: str) -> list[tuple[Any, ...]]:
        names = ("crm_source", "batch_size", "retry_count", "schedule_enabled", "schedule_cron")
        found = map(json.loads, done("init", "--json", *arguments).splitlines())
        return [tuple(row[name] for name in names) for row in found]

    assert rows() == [
        ("files", None, 2, False, None),
        ("foreign", None, None, False, None),
        ("hubspot", 100, 2, False, None),
    ]
    assert done("init") == "Every CRM has a row already.\n"
    done("unset", "hubspot")
    monkeypatch.setenv("MELTANO_ENVIRONMENT", "production")
    assert rows() == [("hubspot", None, None, True, "0 * * * *")]
    done("unset", "hubspot")
    assert rows("hubspot", "--environment", "staging") == [
        ("hubspot", None, None, True, "0 3 * * *")
    ]
    assert done("validate") == "All is well.\n"
    monkeypatch.setenv("MELTANO_ENVIRONMENT", "elsewhere")
    assert call("init").exit_code == 2
