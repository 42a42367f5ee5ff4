"""What people were told of the pipelines' health, so that they hear of changes, each once.

A problem opens a row of ``sync_alerts``, its end resolves it; ``told_opened`` and ``told_resolved``
name the channels that have taken the news. What a channel did not take is told it at the next call,
unless it has passed by then. Calls at the same time take turns, so that nothing is told twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from warehouse.delivery import DeliveryError
from warehouse.history import ensure_schema, has_table, take_turns
from warehouse.runs import rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

    from warehouse.delivery import Channel
    from warehouse.health import Health

__all__ = ["Alerts", "News"]

_DDL: Final = """
CREATE TABLE {table} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind varchar(20) NOT NULL,
    crm_source varchar(50) NOT NULL,
    sync_type varchar(100),
    sentence text NOT NULL,
    opened timestamptz NOT NULL DEFAULT now(),
    resolved timestamptz,
    told_opened text[] NOT NULL DEFAULT '{{}}',
    told_resolved text[] NOT NULL DEFAULT '{{}}'
);
CREATE UNIQUE INDEX ON {table} (kind, crm_source, coalesce(sync_type, ''))
    WHERE resolved IS NULL;
"""
_UNHEARD: Final = """
SELECT id, sentence, resolved FROM {table}
WHERE (resolved IS NULL AND NOT %(channel)s = ANY (told_opened))
    OR (resolved IS NOT NULL AND %(channel)s = ANY (told_opened)
        AND NOT %(channel)s = ANY (told_resolved))
ORDER BY id
"""


@dataclass(frozen=True)
class News:
    """What one channel has not heard of yet; `open` problems are there, the new ones included."""

    new: list[str]
    solved: list[str]
    open: int

    @property
    def subject(self) -> str:
        """The state in a line."""
        if not self.open:
            return "crm-warehouse is healthy again"
        changes = [f"{len(self.new)} new"] * bool(self.new)
        changes += [f"{len(self.solved)} solved"] * bool(self.solved)
        problems = "problem" if self.open == 1 else "problems"
        return f"crm-warehouse is unhealthy: {self.open} {problems} ({', '.join(changes)})"

    @property
    def body(self) -> str:
        """A line for each change."""
        lines = [f"New: {sentence}" for sentence in self.new]
        lines += [f"Solved: {sentence}" for sentence in self.solved]
        if still := self.open - len(self.new):
            lines.append(f"As before: {still} more; `warehouse health` shows all.")
        return "\n".join(lines)


class Alerts:
    """Rows of ``sync_alerts`` in one schema. Every method works in the caller's transaction."""

    def __init__(self, schema: str = "public") -> None:
        """Name the schema that holds the table."""
        self.schema = schema
        self.table = sql.Identifier(schema, "sync_alerts")

    def take_turn(self, cursor: Cursor) -> None:
        """Wait until no other call is between looking and telling; create what is missing."""
        ensure_schema(cursor, self.schema)
        take_turns(cursor, f"alerts in {self.schema}")
        if not has_table(cursor, self.schema, "sync_alerts"):
            cursor.execute(sql.SQL(_DDL).format(table=self.table))

    def update(self, cursor: Cursor, health: Health, crms: Collection[str] = ()) -> None:
        """Open and resolve alerts, so that the open ones are the problems there are.

        Args:
            cursor: After `take_turn`.
            health: As examined after it.
            crms: The CRMs that were examined; none for all.
        """
        open_alerts = {
            (row["kind"], row["crm_source"], row["sync_type"]): row["id"]
            for row in self._open(cursor)
            if not crms or row["crm_source"] in crms
        }
        for problem in health.problems:
            known = open_alerts.pop((problem.kind, problem.crm_source, problem.sync_type), None)
            if known is None:
                self._insert(cursor, vars(problem))
            else:
                cursor.execute(
                    sql.SQL("UPDATE {} SET sentence = %s WHERE id = %s").format(self.table),
                    (problem.sentence, known),
                )
        cursor.execute(
            sql.SQL("UPDATE {} SET resolved = now() WHERE id = ANY (%s)").format(self.table),
            ([*open_alerts.values()],),
        )

    def tell(self, cursor: Cursor, channels: Iterable[Channel]) -> list[str]:
        """Tell each channel what it has not heard of.

        Returns:
            Why some could not be told, a sentence each; they are told at the next call.
        """
        failures = []
        for channel in channels:
            cursor.execute(sql.SQL(_UNHEARD).format(table=self.table), {"channel": channel.name})
            unheard = rows(cursor)
            if not unheard:
                continue
            news = News(
                [row["sentence"] for row in unheard if row["resolved"] is None],
                [row["sentence"] for row in unheard if row["resolved"] is not None],
                len(self._open(cursor)),
            )
            try:
                channel.send(news.subject, news.body)
            except DeliveryError as error:
                failures.append(str(error))
            else:
                self._note(cursor, channel.name, unheard)
        return failures

    def _open(self, cursor: Cursor) -> list[dict[str, Any]]:
        cursor.execute(sql.SQL("SELECT * FROM {} WHERE resolved IS NULL").format(self.table))
        return rows(cursor)

    def _insert(self, cursor: Cursor, values: dict[str, Any]) -> None:
        cursor.execute(
            sql.SQL(
                "INSERT INTO {} (kind, crm_source, sync_type, sentence)"
                " VALUES (%(kind)s, %(crm_source)s, %(sync_type)s, %(sentence)s)"
            ).format(self.table),
            values,
        )

    def _note(self, cursor: Cursor, channel: str, heard: Iterable[dict[str, Any]]) -> None:
        for row in heard:
            column = "told_opened" if row["resolved"] is None else "told_resolved"
            cursor.execute(
                sql.SQL("UPDATE {table} SET {column} = {column} || %s WHERE id = %s").format(
                    table=self.table, column=sql.Identifier(column)
                ),
                ([channel], row["id"]),
            )
