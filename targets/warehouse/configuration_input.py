"""What is typed at ``warehouse config set`` and ``unset``, as a row of ``sync_configuration``."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final

import click

from warehouse.configuration import COLUMNS, TAP_SETTINGS, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["changed_row", "without"]

_SWITCH: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def changed_row(row: Row, texts: Mapping[str, str], schema: Mapping[str, Any]) -> Row:
    """Return a row with what was given as NAME=VALUE.

    Raises:
        UsageError: A value is of another type than its column.
    """
    columns: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    for name, text in texts.items():
        if name in COLUMNS:
            columns[name] = _value(name, text)
        else:
            settings[name] = _setting(text, schema.get(name, {}))
    api_settings = {**columns.get("api_settings", row.api_settings), **settings}
    return replace(row, **{**columns, "api_settings": api_settings})


def _value(column: str, text: str) -> Any:
    """Read a column's value.

    Raises:
        UsageError: It is of another type.
    """
    kind, read = _KINDS.get(column, ("text", str))
    try:
        return read(text)
    except (ValueError, KeyError):
        raise click.UsageError(f"{column} needs {kind}.") from None


def _object(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(text)
    return found


def _switch(text: str) -> bool:
    return _SWITCH[text.lower()]


_WHOLE: Final = ("a whole number", int)
_KINDS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    **dict.fromkeys(TAP_SETTINGS, _WHOLE),
    **dict.fromkeys(("is_active", "schedule_enabled"), ("true or false", _switch)),
    **dict.fromkeys(("field_mappings", "api_settings"), ("a JSON object", _object)),
}
"""Column → what it takes, and how that is read; the others take text."""


def _setting(text: str, schema: Mapping[str, Any]) -> Any:
    """Read a tap's setting: as JSON, unless it takes text."""
    types = schema.get("type", [])
    if "string" in ([types] if isinstance(types, str) else types):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def without(row: Row, names: tuple[str, ...]) -> Row:
    """Return a row in which some settings say nothing."""
    usual = {one.name: getattr(Row(row.crm_source), one.name) for one in fields(Row)}
    kept = {name: it for name, it in row.api_settings.items() if name not in names}
    columns = {name: usual[name] for name in names if name in COLUMNS}
    return replace(row, **{"api_settings": kept, **columns})
