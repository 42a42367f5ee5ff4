"""What waits in ``sync_rejects``: found by filters, told without its values, and purged."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from warehouse.runs import rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

    from warehouse.rejects import Rejects

__all__ = ["Filter", "find", "obstacle", "purge", "reason", "record", "summary"]

# What jsonschema says begins with the value; what Postgres says ends with it.
_BROKEN_RULE: Final = re.compile(
    r"^(?:(?P<place>[^:'\"{\[]+): )?.*(?P<rule>"
    r"is not of type .*|is not one of .*|is not valid under .*|is not a (?:multiple of )?\S+|"
    r"is too (?:short|long)|is a required property|does not match .*|was expected|"
    r"is (?:less|greater) than .*|has (?:too (?:few|many)|non-unique) .*|should be .*|"
    r"(?:do|does) not have .*|were unexpected\)?|was unexpected\)?|is a dependency of .*)$",
    re.DOTALL,
)
_REQUIRED: Final = re.compile(r"^(?:[^:'\"]+: )?'[^']*' is a required property$")
_QUOTED_VALUE: Final = re.compile(r'^value ".*" (?=is out of range)', re.DOTALL)
_KNOWN: Final = re.compile(r"^(The key property |The record is not |\w+ in the record$)")
_CONDITIONS: Final = {
    "ids": sql.SQL("id = ANY (%(ids)s)"),
    "crm": sql.SQL("crm_source = %(crm)s"),
    "stream": sql.SQL("stream = %(stream)s"),
    "error_class": sql.SQL("error_class = %(error_class)s"),
    "since": sql.SQL("created_at >= %(since)s"),
    "before": sql.SQL("created_at < %(before)s"),
}
_LOST_BYTES: Final = "UnicodeDecodeError in the record"


@dataclass(frozen=True)
class Filter:
    """Which rejects are meant: those that fit all that is given."""

    ids: Sequence[int] = ()
    crm: str | None = None
    stream: str | None = None
    error_class: str | None = None
    since: datetime | None = None
    before: datetime | None = None

    @property
    def values(self) -> dict[str, Any]:
        """What is given."""
        given = {name: value for name, value in asdict(self).items() if value not in (None, ())}
        return given | ({"ids": [*self.ids]} if self.ids else {})

    @property
    def condition(self) -> sql.Composable:
        """The condition, of which `values` has the values."""
        return sql.SQL(" AND ").join(
            [_CONDITIONS[name] for name in self.values] or [sql.SQL("true")]
        )


def find(
    cursor: Cursor, rejects: Rejects, chosen: Filter, last: int | None = None
) -> list[dict[str, Any]]:
    """Return rejects, the newest first, without their records; none where there is no table.

    Each has its ``reason`` without values, the whole ``message``, and ``obstacle``: why it cannot
    be replayed, or None.
    """
    existing = rejects.existing(cursor)
    if "sync_rejects.id" not in existing:
        return []
    kept = "schema_hash" if "sync_rejects.schema_hash" in existing else "NULL::text AS schema_hash"
    cursor.execute(
        sql.SQL(
            "SELECT id, history_id, crm_source, stream, key, error_class, message, created_at, {}"
            " FROM {} WHERE {} ORDER BY id DESC LIMIT %(last)s"
        ).format(sql.SQL(kept), rejects.table, chosen.condition),
        chosen.values | {"last": last},
    )
    found = rows(cursor)
    for row in found:
        row["reason"] = reason(row["error_class"], row["message"])
        row["obstacle"] = obstacle(row)
    return found


def record(cursor: Cursor, rejects: Rejects, number: int) -> str:
    """Return a refused record as it was received."""
    cursor.execute(sql.SQL("SELECT record FROM {} WHERE id = %s").format(rejects.table), (number,))
    (text,) = cursor.fetchone() or ("",)
    return str(text)


def summary(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rejects by CRM, stream and reason, the most frequent first."""
    names = ("crm_source", "stream", "error_class", "reason")
    counts: Counter[tuple[Any, ...]] = Counter()
    first: dict[tuple[Any, ...], datetime] = {}
    last: dict[tuple[Any, ...], datetime] = {}
    replayable: Counter[tuple[Any, ...]] = Counter()
    for row in found:
        group = tuple(row[name] for name in names)
        moment = row["created_at"]
        counts[group] += 1
        replayable[group] += row["obstacle"] is None
        first[group] = min(moment, first.get(group, moment))
        last[group] = max(moment, last.get(group, moment))
    return [
        dict(zip(names, group, strict=True))
        | {
            "count": count,
            "replayable": replayable[group],
            "first": first[group],
            "last": last[group],
        }
        for group, count in counts.most_common()
    ]


def purge(cursor: Cursor, rejects: Rejects, chosen: Filter) -> int:
    """Delete rejects, and the SCHEMA messages that only they needed; return how many rejects."""
    existing = rejects.existing(cursor)
    if "sync_rejects.id" not in existing:
        return 0
    cursor.execute(
        sql.SQL("DELETE FROM {} WHERE {}").format(rejects.table, chosen.condition), chosen.values
    )
    purged = cursor.rowcount
    if purged and "sync_reject_schemas.hash" in existing:
        # No loader may count on one of them meanwhile.
        cursor.execute(
            sql.SQL(
                "LOCK TABLE {schemas} IN SHARE ROW EXCLUSIVE MODE;"
                " DELETE FROM {schemas} AS kept WHERE NOT EXISTS"
                " (SELECT FROM {table} WHERE schema_hash = kept.hash)"
            ).format(schemas=rejects.schemas, table=rejects.table)
        )
    return purged


def reason(error_class: str, message: str) -> str:
    """Return why a record was refused, without the values that the message may quote."""
    if error_class == "database":
        return _QUOTED_VALUE.sub("value ", message.partition(": ")[0])
    if _KNOWN.match(message):
        return message
    if error_class == "validation":
        if _REQUIRED.match(message):
            return message
        found = _BROKEN_RULE.match(message)
        place = found["place"] if found else None
        rule = found["rule"] if found else "The record breaks its schema"
        return f"{place}: {rule}" if place else rule
    try:
        issues = json.loads(message)
    except ValueError:
        return message  # of the loader's own, which quotes nothing
    return f"Values that do not fit: {', '.join(issues)}" if isinstance(issues, dict) else message


def obstacle(row: dict[str, Any]) -> str | None:
    """Return why a reject cannot be sent again, or None."""
    message = row["message"]
    if row["schema_hash"] is None:
        return "it was refused before SCHEMA messages were kept"
    if message == _LOST_BYTES:
        return "it was no UTF-8, and some of its bytes are lost"
    if message == "The record is not an object" or message.endswith(" in the record"):
        return "it is no JSON object"
    if message.startswith("The key property '") and message.endswith("' is null"):
        return "a part of its key is null"
    return None
