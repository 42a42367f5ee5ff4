"""The entities of a CRM that a user names: which streams they are, and what is selected of them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import click
from psycopg2 import sql

from warehouse import bookmarks, crms
from warehouse.history import has_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from warehouse.command import Warehouse

__all__ = ["narrowed", "resolved", "unknown_streams"]


def resolved(warehouse: Warehouse, crm: str, entities: Sequence[str]) -> list[str]:
    """Return the streams that a user names; text-messages is text_messages, too.

    Raises:
        click.UsageError: The CRM has no such streams; the message lists those that it has.
        Refusal: The CRM cannot be asked.
    """
    names = _names(warehouse, crm, entities)
    if unknown := [one for one in entities if _spelled(one) not in names]:
        there = ", ".join(sorted(names.values()))
        raise click.UsageError(f"{crm} has no {', '.join(unknown)}. There are: {there}.")
    return list(dict.fromkeys(names[_spelled(one)] for one in entities))


def unknown_streams(
    warehouse: Warehouse, crm: str, streams: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return those of some streams that a CRM does not have, and the ones that it has.

    Raises:
        Refusal: The CRM cannot be asked.
    """
    there = sorted(_names(warehouse, crm, streams).values())
    return [one for one in streams if one not in there], there


def _names(warehouse: Warehouse, crm: str, asked: Sequence[str]) -> dict[str, str]:
    """Return how a CRM's streams are spelled.

    The CRM itself is asked only if neither its tap nor sync_history knows one of them.
    """
    known = crms.known_streams(crms.tap_of(warehouse.project, crm)) + _read_before(warehouse, crm)
    names = _by_spelling(known)
    if names.keys() >= {*map(_spelled, asked)}:
        return names
    asked_and_known = {name: names[name] for name in map(_spelled, asked) if name in names}
    return _by_spelling(bookmarks.catalog(warehouse, crm)) | asked_and_known


def _by_spelling(names: Iterable[str]) -> dict[str, str]:
    return {_spelled(name): name for name in names}


def _spelled(name: str) -> str:
    return name.lower().replace("-", "_")


def _read_before(warehouse: Warehouse, crm: str) -> list[str]:
    with warehouse.connect() as connection, connection.cursor() as cursor:
        if not has_table(cursor, warehouse.history_schema, "sync_history"):
            return []
        cursor.execute(
            sql.SQL(
                "SELECT DISTINCT sync_type FROM {} WHERE crm_source = %s AND status <> 'failed'"
            ).format(sql.Identifier(warehouse.history_schema, "sync_history")),
            (crm,),
        )
        return [row[0] for row in cursor.fetchall()]


def narrowed(rules: Sequence[str], streams: Sequence[str]) -> list[str]:
    """Return what is selected of some streams, by the rules of which columns and which not."""
    result = []
    for stream in streams:
        about = [
            (rule.startswith("!"), *rule.lstrip("!").partition(".")[::2])
            for rule in rules
        ]  # fmt: skip
        mine = [(no, columns) for no, name, columns in about if fnmatchcase(stream, name)]
        if all(no for no, _ in mine):
            mine = [(False, "*"), *((no, columns) for no, columns in mine if columns != "*")]
        result += [f"{'!' if no else ''}{stream}.{columns}" for no, columns in mine]
    return result
