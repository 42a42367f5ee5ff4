"""The schedules of ``sync_configuration``, carried into Meltano's.

Meltano reads them from a file of their own, which nothing else writes, so that meltano.yml with its
comments stays as people wrote it. A scheduled job does not run the tap by itself: it runs
`warehouse sync`, which looks up the configuration and the credentials that hold at that time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from croniter import croniter
from ruamel.yaml import YAML

from warehouse.command import Refusal
from warehouse.configuration import ALL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from warehouse.configuration import Row

__all__ = ["FILE", "PREFIX", "Carried", "carry", "is_cron", "others"]

FILE: Final = Path(".warehouse", "schedules.meltano.yml")
PREFIX: Final = "warehouse-"
_PLUGIN: Final = "warehouse-schedules"
_HEADER: Final = (
    "# Written by `warehouse config apply` from sync_configuration; it is overwritten there.\n"
)
_ALIASES: Final = {
    f"@{name}"
    for name in ("hourly", "daily", "midnight", "weekly", "monthly", "yearly", "annually")
}
_FIELDS: Final = 5
_yaml = YAML(typ="safe", pure=True)
_yaml.default_flow_style = False
_yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]


@dataclass(frozen=True)
class Carried:
    """What became of Meltano's schedules, by name; `kept` are those that were right already."""

    added: list[str]
    changed: list[str]
    removed: list[str]
    kept: list[str]


def is_cron(text: str) -> bool:
    """Whether Meltano can schedule this: five fields, or @hourly and the like."""
    if text.startswith("@"):
        return text in _ALIASES
    return len(text.split()) == _FIELDS and croniter.is_valid(text)


def carry(project: Path, rows: Iterable[Row]) -> Carried:
    """Make the schedules in Meltano what the rows say: those of active CRMs and streams, enabled.

    Raises:
        Refusal: The project does not include the file or has no `warehouse` utility, or a row's
            schedule is none.
    """
    rows = list(rows)
    off = {row.crm_source for row in rows if row.sync_type == ALL and not row.is_active}
    wanted = {
        PREFIX + "-".join(row.words): row
        for row in rows
        if row.schedule_enabled and row.is_active and row.crm_source not in off
    }
    for row in wanted.values():
        if not is_cron(row.schedule_cron or ""):
            raise Refusal(f"{row.name} is scheduled, but schedule_cron is no time: "
                          f"{row.schedule_cron}")  # fmt: skip
    path = project / FILE
    before = _schedules(path)
    if wanted:
        _check(project)
        path.parent.mkdir(exist_ok=True)
        _write(path, _document(wanted))
    else:
        path.unlink(missing_ok=True)
    after = {name: row.schedule_cron for name, row in wanted.items()}
    both = before.keys() & after.keys()
    changed = {name for name in both if before[name] != after[name]}
    return Carried(
        added=sorted(after.keys() - before.keys()),
        changed=sorted(changed),
        removed=sorted(before.keys() - after.keys()),
        kept=sorted(both - changed),
    )


def others(project: Path, taps: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the schedules of meltano.yml that read a CRM, which stay as they are.

    Args:
        project: The Meltano project's folder.
        taps: CRM → its tap.
    """
    document = _yaml.load(project / "meltano.yml")
    tasks = {job["name"]: str(job.get("tasks")) for job in document.get("jobs") or ()}
    found = {
        crm: [
            one["name"]
            for one in document.get("schedules") or ()
            if re.search(rf"\b{re.escape(tap)}\b(?!-)", f"{one.get('extractor')} "
                         f"{tasks.get(one.get('job'))}")
        ]
        for crm, tap in taps.items()
    }  # fmt: skip
    return {crm: names for crm, names in found.items() if names}


def _document(wanted: Mapping[str, Row]) -> dict[str, Any]:
    """Return the file's contents: one command, job and schedule each, of one name."""
    commands = {
        name: {"args": " ".join(("sync", *row.words)), "description": f"Sync {row.name}."}
        for name, row in wanted.items()
    }
    plugin = {"name": _PLUGIN, "inherit_from": "warehouse", "commands": commands}
    return {
        "plugins": {"utilities": [plugin]},
        "jobs": [{"name": name, "tasks": [f"{_PLUGIN}:{name}"]} for name in wanted],
        "schedules": [
            {"name": name, "interval": row.schedule_cron, "job": name}
            for name, row in wanted.items()
        ],
    }


def _schedules(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    document = _yaml.load(path) or {}
    return {one["name"]: one["interval"] for one in document.get("schedules") or ()}


def _check(project: Path) -> None:
    document = _yaml.load(project / "meltano.yml")
    utilities = (document.get("plugins") or {}).get("utilities") or ()
    if not any(one["name"] == "warehouse" for one in utilities):
        raise Refusal("Add the utility to the project first: meltano add warehouse")
    patterns = document.get("include_paths") or ()
    if not any(Path(FILE).match(pattern) for pattern in patterns):
        raise Refusal(f"Add to meltano.yml, so that Meltano reads them: include_paths: [{FILE}]")


def _write(path: Path, document: Mapping[str, Any]) -> None:
    text = StringIO()
    text.write(_HEADER)
    _yaml.dump(document, text)
    new = path.with_suffix(".new")
    new.write_text(text.getvalue(), encoding="utf-8")
    new.replace(path)
