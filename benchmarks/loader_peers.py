"""The loaders to compare: how each is installed, configured and started."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loader_process import LoaderFailedError, Usage, run_loader
from sqlalchemy.engine import make_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import URL

__all__ = ["LOADERS", "NO_PEERS", "OURS", "Loader"]

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
SCHEMA = "bench"
"""Database schema every loader is told to write to."""

MELTANOLABS = ("meltanolabs-target-postgres==0.8.1", "singer-sdk==0.54.9")
PIPELINEWISE = ("pipelinewise-target-postgres==2.1.2",)
DLT = ("dlt[postgres]==1.31.0",)


@dataclass(frozen=True)
class Loader:
    """A loader.

    Attributes:
        name: As the tables call it.
        program: Console script of its environment, or a script beside this file.
        settings: Makes its configuration from the database's address and a folder for its files.
        requirements: What its environment holds; empty: it runs in this project's.
    """

    name: str
    program: str
    settings: Callable[[URL, Path], dict[str, Any]]
    requirements: tuple[str, ...] = ()

    def install(self, folder: Path) -> None:
        """Make its environment, unless it is there.

        Raises:
            LoaderFailedError: It cannot be installed.
        """
        if not self.requirements:
            return
        environment = self._environment(folder)
        done = environment / "installed.txt"
        if done.exists() and done.read_text().split() == [*self.requirements]:
            return
        interpreter = environment / "bin" / "python"
        for command in (
            ("venv", "--quiet", "--clear", "--python", sys.executable, str(environment)),
            ("pip", "install", "--quiet", "--python", str(interpreter), *self.requirements),
        ):
            uv = subprocess.run([BIN / "uv", *command], capture_output=True, text=True, check=False)
            if uv.returncode:
                raise LoaderFailedError(f"not installed: {' '.join(uv.stderr.split())[-300:]}")
        done.write_text("\n".join(self.requirements))

    def load(self, messages: Path, url: str, folder: Path) -> Usage:
        """Load a file into a database.

        Args:
            messages: The file.
            url: Address of the database.
            folder: Of the benchmark; the loader's own files go below it.

        Raises:
            LoaderFailedError: It did not do its work.
        """
        address = make_url(url)
        own = folder / "work" / str(address.database)
        own.mkdir(parents=True, exist_ok=True)
        config = own / "config.json"
        config.write_text(json.dumps(self.settings(address, own)))
        # The first load of each loader compiles it, whatever the environment says of bytecode.
        env = os.environ | {
            "LOGLEVEL": "WARNING",
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        }
        command = [*self._command(folder), "--config", str(config)]
        return run_loader(command, messages=messages, env=env, folder=own)

    def _environment(self, folder: Path) -> Path:
        name = re.split(r"[^\w-]", self.requirements[0])[0]
        return folder / "environments" / name

    def _command(self, folder: Path) -> list[str]:
        scripts = self._environment(folder) / "bin" if self.requirements else BIN
        if self.program.endswith(".py"):
            return [str(scripts / "python"), str(HERE / self.program)]
        return [str(scripts / self.program)]


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _ours(url: URL, _: Path) -> dict[str, Any]:
    return {"sqlalchemy_url": _text(url), "crm_source": SCHEMA}


def _bare(url: URL, _: Path) -> dict[str, Any]:
    return {"url": _text(url), "schema": SCHEMA}


def _meltanolabs(url: URL, _: Path) -> dict[str, Any]:
    driver = url.set(drivername="postgresql+psycopg")
    return {"sqlalchemy_url": _text(driver), "default_target_schema": SCHEMA}


def _meltanolabs_copy(url: URL, folder: Path) -> dict[str, Any]:
    return _meltanolabs(url, folder) | {"use_copy": True, "validate_records": False}


def _pipelinewise(url: URL, _: Path) -> dict[str, Any]:
    return {
        "host": url.query["host"],
        "port": url.port or 5432,
        "user": url.username,
        "password": url.password or "none",
        "dbname": url.database,
        "default_target_schema": SCHEMA,
    }


def _dlt(url: URL, folder: Path) -> dict[str, Any]:
    # dlt insists on a host and a password; libpq takes the host of the query.
    address = _text(url.set(host="localhost", password=url.password or "none"))
    return {"url": address, "schema": SCHEMA, "folder": str(folder / "dlt")}


def _fingerprints(url: URL, folder: Path) -> dict[str, Any]:
    return _ours(url, folder) | {"fingerprints": True}


OURS = Loader("target-warehouse", "target-warehouse", _ours)
FINGERPRINTS = Loader("target-warehouse, fingerprints", "target-warehouse", _fingerprints)
BARE = Loader("bare script", "loader_bare.py", _bare)
NO_PEERS = (OURS, FINGERPRINTS, BARE)
LOADERS = (
    *NO_PEERS,
    Loader("MeltanoLabs", "target-postgres", _meltanolabs, MELTANOLABS),
    Loader("MeltanoLabs COPY, unvalidated", "target-postgres", _meltanolabs_copy, MELTANOLABS),
    Loader("PipelineWise", "target-postgres", _pipelinewise, PIPELINEWISE),
    Loader("dlt", "loader_dlt.py", _dlt, DLT),
)
