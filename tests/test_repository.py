"""What holds for the repository as a whole: who may import whom, generated files, lock, docs."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from lockfile import installed, locked, pins, version
from meltano_project import ROOT, git
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = {path.parent.name: path.parent for path in ROOT.glob("ta[pr]*/*/__init__.py")}
SCRIPTS = sorted(PYPROJECT["project"]["scripts"])
PLUGINS = [name for name in SCRIPTS if name.startswith(("tap-", "target-"))]
TAPS = sorted(entry.name for entry in entry_points(group="crm_warehouse.taps"))
SECRET = re.compile(r"token|secret|password|api_key|private_key|credentials|sqlalchemy_url")

MAY_IMPORT = {
    "crm_sandbox": {"warehouse"},  # the demo looks at the warehouse; both serve alike
    "target_warehouse": {"warehouse"},
    "tapkit": set(),
    "warehouse": set(),
}
"""Beside itself; a tap may import tapkit only."""


def tracked(*patterns: str) -> list[Path]:
    names = git("ls-files", "-z", *patterns).split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name(script), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_a_package_imports_only_what_it_may(package: str) -> None:
    allowed = MAY_IMPORT.get(package, {"tapkit"}) | {package}
    taken = {
        path.relative_to(ROOT).as_posix(): sorted(crossing)
        for path in PACKAGES[package].rglob("*.py")
        if (crossing := (imported(path) & PACKAGES.keys()) - allowed)
    }
    assert taken == {}


def test_tapkit_names_no_crm() -> None:
    names = {tap.removeprefix("tap-") for tap in TAPS} - {"files"}  # which is no CRM's
    crms = re.compile("|".join(name.replace("-", ".?") for name in names), re.IGNORECASE)
    named = [
        path.name for path in PACKAGES["tapkit"].rglob("*.py") if crms.search(path.read_text())
    ]
    assert named == []


def test_each_tap_is_an_entry_point_and_a_console_script_of_one_name() -> None:
    project = PYPROJECT["project"]
    assert project["entry-points"]["crm_warehouse.taps"] == {
        name: target.removesuffix(".cli")
        for name, target in project["scripts"].items()
        if name.startswith("tap-")
    }
    assert sorted(project["entry-points"]["crm_warehouse.taps"]) == TAPS


@pytest.mark.parametrize("script", sorted({*SCRIPTS} - {*PLUGINS}))
def test_each_command_has_help(script: str) -> None:
    done = run(script, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage:" in done.stdout


@pytest.fixture(scope="module")
def about() -> dict[str, dict[str, Any]]:
    """What each plugin says about itself."""
    return {name: json.loads(run(name, "--about", "--format", "json").stdout) for name in PLUGINS}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_each_plugin_says_who_it_is(plugin: str, about: dict[str, dict[str, Any]]) -> None:
    assert about[plugin]["name"] == plugin
    assert about[plugin]["version"] == PYPROJECT["project"]["version"]
    assert about[plugin]["description"]


@pytest.mark.parametrize("plugin", PLUGINS)
def test_settings_are_explained_and_secrets_marked(
    plugin: str, about: dict[str, dict[str, Any]]
) -> None:
    settings = about[plugin]["settings"]["properties"]
    unexplained = [
        name for name, it in settings.items() if not (it.get("title") and it.get("description"))
    ]
    unmarked = [
        name for name, it in settings.items() if SECRET.search(name) and not it.get("secret")
    ]
    assert (unexplained, unmarked) == ([], [])


def test_generated_files_are_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "plugins/generate.py", "--check"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_environment_file_names_only_settings_that_exist(
    about: dict[str, dict[str, Any]],
) -> None:
    known = {
        f"{plugin}_{setting}".replace("-", "_").upper()
        for plugin in PLUGINS
        for setting in about[plugin]["settings"]["properties"]
    }
    text = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"^(?:# ?)?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE))
    assert {"TAP_HUBSPOT_ACCESS_TOKEN", "TARGET_WAREHOUSE_SQLALCHEMY_URL"} <= named
    known |= set(re.findall(r"\$([A-Z][A-Z0-9_]+)", (ROOT / "meltano.yml").read_text()))
    for path in PACKAGES["warehouse"].rglob("*.py"):
        known |= set(re.findall(r'"(WAREHOUSE_[A-Z_]+)"', path.read_text()))
    assert {name for name in named - known if not name.startswith("MELTANO_")} == set()


def test_the_lock_covers_what_pyproject_asks_for() -> None:
    project = PYPROJECT["project"]
    asked = [
        *project["dependencies"],
        *(text for extra in project["optional-dependencies"].values() for text in extra),
        *PYPROJECT["dependency-groups"]["dev"],
    ]
    wrong = []
    for requirement in map(Requirement, asked):
        name = canonicalize_name(requirement.name)
        versions = [version(pin) for pin in pins() if canonicalize_name(pin.name) == name]
        if not versions or not all(requirement.specifier.contains(it) for it in versions):
            wrong.append(f"{requirement}: {versions}")
    assert wrong == []


def test_the_lock_has_hashes_and_no_addresses() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert re.findall(r"^-.*|://|--index|--find", text, re.MULTILINE) == []
    entries = re.split(r"\n(?=\S)", text.strip())
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_lock_is_what_is_installed() -> None:
    """So that a result on this machine is one on the next."""
    assert locked().items() <= installed(sys.executable).items()


def test_the_docs_name_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        name
        for path in tracked("*.md")
        for name in re.findall(r"\bmake ([a-z]+)\b(?=[`\n ]*(?:`|\n|#| ARGS))", path.read_text())
    }
    assert {"demo", "test", "check", "psql"} <= named
    assert named - targets == set()


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 230


def test_links_in_the_docs_lead_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {link}"
        for path in tracked("*.md")
        for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text())
        if "://" not in link and not link.startswith("#")
        if not (path.parent / link.partition("#")[0]).exists()
    ]
    assert broken == []


def test_no_file_names_a_machine_or_a_package_registry() -> None:
    forbidden = re.compile(rb"(?<![\w.*])/(?:work|root|home|Users)/\w|py[p]i\.org|python[h]osted")
    naming = [
        f"{path.relative_to(ROOT)}: {found.group().decode()}"
        for path in tracked()
        if (found := forbidden.search(path.read_bytes()))
    ]
    assert naming == []
