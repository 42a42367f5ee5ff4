"""How a command says that it could not be carried out."""

from __future__ import annotations

import click

__all__ = ["Refusal"]


class Refusal(click.ClickException):
    """Says what to set, start or install instead of a traceback; the exit code is 3."""

    exit_code = 3
