"""Where credentials are taken from: a prompt, stdin, a file; never the command line."""

from __future__ import annotations

import json
from io import StringIO
from typing import IO, Any

import click
from dotenv import dotenv_values

__all__ = ["asked", "read"]


def read(file: IO[str], settings: tuple[str, ...]) -> dict[str, str]:
    """Read one setting's value, or names and values as JSON or lines.

    Raises:
        UsageError: It is neither, or lacks one of the settings.
    """
    text = file.read()
    if len(settings) == 1:
        value = text.rstrip("\r\n")
        return {settings[0]: value} if value else {}
    try:
        given: Any = json.loads(text)
    except ValueError:
        given = dotenv_values(stream=StringIO(text), interpolate=False)
    if not isinstance(given, dict):
        raise click.UsageError("Give a JSON object, or lines SETTING=VALUE.")
    if missing := [name for name in settings if not given.get(name)]:
        raise click.UsageError(f"There is no value of {', '.join(missing)}.")
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in given.items()
        if value and (not settings or name in settings)
    }


def asked(settings: tuple[str, ...]) -> dict[str, str]:
    """Ask for each value without showing it; those left empty stay as they are.

    Raises:
        UsageError: There is nothing to ask for.
    """
    if not settings:
        raise click.UsageError("Name the settings.")
    answers = {
        name: click.prompt(f"{name} (empty: leave it)", hide_input=True, default="",
                           show_default=False)
        for name in settings
    }  # fmt: skip
    return {name: value for name, value in answers.items() if value}
