"""The CRMs of a Meltano project: its extractors, their settings, and their streams."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import click

from warehouse import project as project_file
from warehouse.command import Refusal, Warehouse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "crm_source",
    "crms",
    "environment_name",
    "known_streams",
    "named",
    "selected",
    "state_id_suffix",
    "tap_of",
    "tap_settings",
    "written",
]


def crm_source(tap: str) -> str:
    """Return a CRM's name as sync_history has it, from its tap's: `tap-hub-spot` is hubspot."""
    return "".join(filter(str.isalnum, tap.lower().removeprefix("tap-")))[:50]


def crms(project: Path) -> dict[str, str]:
    """Return crm_source → tap name, for the extractors of the project's meltano.yml, by name.

    Raises:
        Refusal: The folder is no Meltano project, or its meltano.yml cannot be read.
    """
    names = (
        one["name"]
        for document in project_file.documents(project)
        for one in ((document.get("plugins") or {}).get("extractors") or ())
    )
    return {crm_source(name): name for name in sorted(names)}


def tap_of(project: Path, crm: str) -> str:
    """Return the tap that reads a CRM.

    Raises:
        Refusal: The project has none.
    """
    found = crms(project)
    if crm not in found:
        raise Refusal(f"There is no CRM {crm} in meltano.yml; there are: {', '.join(found)}.")
    return found[crm]


def named(project: Path, text: str) -> tuple[str, str]:
    """Return the CRM that somebody names, however it is spelt, and its tap.

    Raises:
        UsageError: The project has none of this name.
        Refusal: See `crms`.
    """
    found = crms(project)
    if (crm := crm_source(text)) not in found:
        raise click.UsageError(f"There is no CRM {text}. There are: {', '.join(found)}.")
    return crm, found[crm]


def tap_settings(tap: str) -> Mapping[str, Mapping[str, Any]]:
    """Return setting → its JSON schema; none for taps that are not of this distribution."""
    schema: Mapping[str, Any] = getattr(_class(tap), "config_jsonschema", {})
    return dict(schema.get("properties", {}))


def known_streams(tap: str) -> list[str]:
    """Return the streams a tap says it has without asking the CRM, which may have more."""
    found = _class(tap)
    names = {*getattr(found, "default_streams", ()), *getattr(found, "field_tables", ())}
    return sorted(name for name in names if name.isidentifier())  # others stand for several


def written(project: Path, tap: str, environment: str | None = None) -> dict[str, Any]:
    """Return a tap's settings in meltano.yml, those of the environment above the others.

    Raises:
        Refusal: See `crms`.
    """
    return {
        name: value
        for plugin in project_file.plugins(project, "extractors", tap, environment)
        for name, value in (plugin.get("config") or {}).items()
    }


def selected(warehouse: Warehouse, tap: str) -> list[str]:
    """Return the rules by which a tap's columns are selected, as the user wrote them; or none.

    Raises:
        Refusal: See `crms`, or a variable with such rules is no list.
    """
    name = f"{tap}__select".replace("-", "_").upper()
    if text := warehouse.variables.get(name):
        try:
            return [str(rule) for rule in json.loads(text)]
        except (ValueError, TypeError):
            raise Refusal(f'The variable {name} is no list like ["contacts.*"].') from None
    rules: list[str] = []
    found = environment_name(warehouse)
    for plugin in project_file.plugins(warehouse.project, "extractors", tap, found):
        rules = plugin.get("select") or rules
    return rules


def environment_name(warehouse: Warehouse) -> str | None:
    """Return the Meltano environment in use, if one is.

    Raises:
        Refusal: See `crms`.
    """
    return project_file.environment_name(warehouse.project, warehouse.variables)


def state_id_suffix(warehouse: Warehouse, environment: str) -> str | None:
    """Return what the names of an environment's states end in, if anything.

    Raises:
        Refusal: See `crms`.
    """
    found = {
        one["name"]: one.get("state_id_suffix")
        for document in project_file.documents(warehouse.project)
        for one in document.get("environments") or ()
    }
    return warehouse.variables.get("MELTANO_RUN_STATE_ID_SUFFIX") or found.get(environment)


def _class(tap: str) -> Any:
    found = entry_points(group="crm_warehouse.taps", name=tap)
    return next(iter(found)).load() if found else None
