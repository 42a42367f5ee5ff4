"""Meltano as a child process: which one, in which environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from warehouse import handover
from warehouse.command import PREFIX, Refusal, Warehouse
from warehouse.project import loader_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["environment", "executable", "run"]

_OVERRIDE: Final = "WAREHOUSE_MELTANO"
_OUTER: Final = re.compile(
    r"MELTANO_(UTILITY|UTILIZE|EXTRACTOR|EXTRACT|LOADER|LOAD|RUN|STATE_ID|JOB_TRIGGER"
    r"|PARENT_CONTEXT|USER_AGENT)(_|$)|VIRTUAL_ENV$"
)
"""What `meltano invoke` says to its plugin about itself. What else it hands over is the project's
settings as they hold for the environment in use, so that they are right for the inner one, too."""
_ADDRESS: Final = ("host", "port", "user", "password", "database")


def executable(warehouse: Warehouse) -> str:
    """Return the path of Meltano.

    That is what the variable WAREHOUSE_MELTANO says, else the one beside this Python, the project's
    own in ``.venv``, or the first on PATH.

    Raises:
        Refusal: There is none.
    """
    if named := warehouse.variables.get(_OVERRIDE):
        if found := shutil.which(named):
            return found
        raise Refusal(f"The variable {_OVERRIDE} names no program: {named}")
    for place in (Path(sys.executable).parent, warehouse.project / ".venv/bin"):
        if os.access(path := place / "meltano", os.X_OK):
            return str(path)
    if found := shutil.which("meltano", path=_clean().get("PATH")):
        return found
    raise Refusal(
        "Meltano is not installed here. Install it (uv tool install meltano), or name it in the"
        f" variable {_OVERRIDE}."
    )


def environment(
    warehouse: Warehouse,
    crm: str | None = None,
    streams: Sequence[str] = (),
) -> dict[str, str]:
    """Return the environment of a Meltano that the user could have started by hand.

    It has the user's variables without what an outer `meltano invoke` put there. Meltano itself
    reads the project's ``.env`` beneath them. For a CRM, what the warehouse's tables say comes to
    that (see `warehouse.handover`).

    Args:
        warehouse: Where the project and its database are.
        crm: The CRM that is to be read, if one is.
        streams: Those of its streams that the run reads; none for all.

    Raises:
        Refusal: The tables cannot be read, or a credential in them not opened.
    """
    result = {
        **_clean(),
        "MELTANO_PROJECT_ROOT": str(warehouse.project),
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
        "NO_COLOR": "1",
    }
    if url := warehouse.settings.get("sqlalchemy_url"):  # perhaps from the command line
        said = loader_settings(warehouse.project, warehouse.variables)
        for name in _ADDRESS:
            variable = f"{PREFIX}{name.upper()}"
            if name not in warehouse.settings and (name in said or variable in warehouse.variables):
                result[variable] = ""
        if url != warehouse.variables.get(f"{PREFIX}SQLALCHEMY_URL"):
            result[f"{PREFIX}SQLALCHEMY_URL"] = str(url)
    return result | (handover.environment(warehouse, crm, streams) if crm else {})


def run(
    warehouse: Warehouse,
    *arguments: str,
    environment: Mapping[str, str],
    stdin: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run Meltano to its end, whatever that is, and return what it wrote.

    Raises:
        Refusal: There is no Meltano.
    """
    return subprocess.run(  # noqa: S603 - our own pipelines
        [executable(warehouse), *arguments],
        cwd=warehouse.project,
        env=dict(environment),
        input=stdin if stdin is not None else "",
        capture_output=True,
        text=True,
        check=False,
    )


def _clean() -> dict[str, str]:
    """Return this process's environment, as it would be without an outer Meltano."""
    if "MELTANO_PARENT_CONTEXT_UUID" not in os.environ:
        return dict(os.environ)
    result = {name: value for name, value in os.environ.items() if not _OUTER.match(name)}
    if result.get("PYTHONWARNINGS") == "once":
        del result["PYTHONWARNINGS"]
    own = os.path.join(os.environ.get("VIRTUAL_ENV", ""), "bin")  # noqa: PTH118 - "" stays relative
    path = [one for one in result.get("PATH", "").split(os.pathsep) if one != own]
    return result | {"PATH": os.pathsep.join(path)}
