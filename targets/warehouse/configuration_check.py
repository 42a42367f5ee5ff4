"""What is wrong with ``sync_configuration``, as sentences."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft202012Validator

from warehouse.command import Refusal
from warehouse.configuration import ALL, TAP_SETTINGS, Configuration
from warehouse.credentials import is_secret
from warehouse.crms import crms, tap_settings
from warehouse.entities import unknown_streams
from warehouse.handover import settings_of
from warehouse.schedules import is_cron

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from warehouse.command import Warehouse
    from warehouse.configuration import Row

__all__ = ["all_problems", "problems"]

_MOST: Final = {"batch_size": 1_000_000, "retry_count": 100, "retry_delay": 3600}
_FILLED_BY: Final = {
    **{setting: column for column, setting in TAP_SETTINGS.items()},
    "field_mappings": "field_mappings",
}


def all_problems(warehouse: Warehouse) -> list[str]:
    """Return what is wrong with any row, or with the variables that go before it.

    A stream that is not known is asked of the CRM, through the tap.

    Raises:
        Refusal: The warehouse cannot be reached, or there is no project.
    """
    taps = crms(warehouse.project)
    with warehouse.connect() as connection:
        rows = Configuration(connection, warehouse.history_schema).rows()
    found = []
    for row in rows:
        if row.crm_source not in taps:
            found.append(f"{row.name}: no tap in meltano.yml reads {row.crm_source}.")
        else:
            found += problems(row, taps[row.crm_source])
    found += _unknown_streams(warehouse, taps, rows)
    return [*found, *(said for crm in taps if (said := _refusal(warehouse, crm)))]


def problems(row: Row, tap: str) -> list[str]:
    """Return what is wrong with one row, by the tap's own description of its settings."""
    schema = tap_settings(tap)
    return [
        f"{row.name}: {problem}"
        for problem in (
            *_columns(row, tap, schema),
            *_fields(row),
            *_settings(row, tap, schema),
            *_schedule(row),
        )
    ]


def _refusal(warehouse: Warehouse, crm: str) -> str | None:
    """Return what keeps a run of a CRM from being told its settings."""
    try:
        settings_of(warehouse, crm)
    except Refusal as refusal:
        return f"{crm}: {refusal}"
    return None


def _columns(row: Row, tap: str, schema: Mapping[str, Any]) -> Iterator[str]:
    for column, setting in TAP_SETTINGS.items():
        value = getattr(row, column)
        if value is None:
            continue
        if schema and setting not in schema:
            yield f"{tap} has no setting {setting}, so {column} does nothing."
        elif wrong := _mismatch(value + (column == "retry_count"), schema.get(setting, {})):
            yield f"{column} {wrong}."
        if value is not None and value > _MOST[column]:
            yield f"{column} {value} is more than {_MOST[column]}."


def _fields(row: Row) -> Iterator[str]:
    """Check the form that the taps ask of field_mappings."""
    said = row.field_mappings if row.sync_type == ALL else {row.sync_type: row.field_mappings}
    for stream, mapping in said.items():
        if not isinstance(mapping, dict):
            yield f"field_mappings of {stream} is no object of columns and their sources."
            continue
        for column, source in mapping.items():
            is_object = isinstance(source, dict) and isinstance(source.get("source"), str)
            if not (source is None or isinstance(source, str) or is_object):
                yield (
                    f"field_mappings: column '{column}' of {stream} needs a source path, null, or"
                    " an object with source and type."
                )


def _settings(row: Row, tap: str, schema: Mapping[str, Any]) -> Iterator[str]:
    for name, value in row.api_settings.items():
        if name in _FILLED_BY:
            yield f"api_settings has {name}, which is the column {_FILLED_BY[name]}."
        elif schema and name not in schema:
            close = difflib.get_close_matches(name, schema, 1)
            hint = f" Is {close[0]} meant?" if close else ""
            yield f"{tap} has no setting {name}.{hint}"
        elif is_secret(name, schema):
            yield (
                f"{name} is a credential: warehouse credentials set {row.crm_source} {name}, and"
                f" warehouse config unset {row.name} {name}."
            )
        elif wrong := _mismatch(value, schema.get(name, {})):
            yield f"{name} {wrong}."


def _schedule(row: Row) -> Iterator[str]:
    if row.schedule_cron is not None and not is_cron(row.schedule_cron):
        yield (
            f"schedule_cron '{row.schedule_cron}' is no schedule; it needs cron's five fields, as"
            " '*/15 * * * *', or @hourly, @daily, @weekly, @monthly, @yearly."
        )
    if row.schedule_enabled and not row.schedule_cron:
        yield "it is scheduled, but schedule_cron does not say when."


def _mismatch(value: Any, schema: Mapping[str, Any]) -> str | None:
    for error in Draft202012Validator(schema).iter_errors(value):
        return f"does not fit: {error.message}"
    return None


def _unknown_streams(
    warehouse: Warehouse, taps: Mapping[str, str], rows: list[Row]
) -> Iterator[str]:
    for crm in taps:
        named = [row.sync_type for row in rows if row.crm_source == crm and row.sync_type != ALL]
        if not named:
            continue
        try:
            unknown, known = unknown_streams(warehouse, crm, named)
        except Refusal as refusal:
            yield f"{crm}: which streams it has cannot be asked. {refusal}"
            continue
        for stream in unknown:
            close = difflib.get_close_matches(stream, known, 1)
            hint = f" Is {close[0]} meant?" if close else ""
            yield f"{crm} {stream}: {crm} has no such stream.{hint}"
