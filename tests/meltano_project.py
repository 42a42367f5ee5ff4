"""Copies of this clone, and Meltano in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]


class Project:
    """A Meltano project and the settings that its runs get from the environment."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        foreign = ("MELTANO_", "TAP_", "TARGET_")
        inherited = {name: it for name, it in os.environ.items() if not name.startswith(foreign)}
        self.environment = {**inherited, "MELTANO_CLI_DISABLE_VERSION_CHECK": "1", **settings}

    def meltano(self, *arguments: str) -> str:
        """Run Meltano to success and return what it wrote to stdout."""
        return self.run("meltano", *arguments)

    def run(self, script: str, *arguments: str) -> str:
        """Run a command of this environment to success and return what it wrote to stdout."""
        done = subprocess.run(
            [Path(sys.executable).with_name(script), *arguments],
            check=False,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def cloned() -> Iterator[Path]:
    """A copy of this clone, without anything that was installed or stored in it.

    Not under pytest's own folder, which the next session on this machine closes to the user that
    the embedded Postgres runs as.
    """
    with TemporaryDirectory(prefix="crm-warehouse-tests-", ignore_cleanup_errors=True) as parent:
        folder = Path(parent) / "project"
        for name in filter(None, git("ls-files", "-z", "-co", "--exclude-standard").split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        yield folder


def git(*arguments: str) -> str:
    """What a git command in this clone says."""
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
