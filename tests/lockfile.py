"""What requirements.lock pins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"


def pins() -> list[Requirement]:
    """All pins; a package may have several, for different Pythons or platforms."""
    lines = LOCK.read_text().splitlines()
    return [Requirement(it.removesuffix("\\").strip()) for it in lines if not it.startswith(" ")]


def version(pin: Requirement) -> str:
    return next(iter(pin.specifier)).version


def locked() -> dict[str, str]:
    """Package → version, for the Python and platform that this runs on."""
    return {
        canonicalize_name(pin.name): version(pin)
        for pin in pins()
        if pin.marker is None or pin.marker.evaluate()
    }


def installed(python: str | Path) -> dict[str, str]:
    """Package → version in the environment of a Python, without this project."""
    listed = subprocess.run(
        [Path(sys.executable).with_name("uv"), "pip", "freeze", "--python", python],
        check=True,
        capture_output=True,
        text=True,
    )
    found = (line.split("==") for line in listed.stdout.splitlines() if "==" in line)
    return {canonicalize_name(name): version for name, version in found}
