"""Compares what the runs of a table count with the rows it has.

Each row says when it was first stored and when it was last changed, by the clock of the server that
also says when a run began and ended. So, with runs that overlap taken together:

- No more rows were first stored during a run than it counts as created; rows can be deleted later,
  but none can be added.
- Rows missing from what a run created are rows that it or a later one has deleted, counted as
  deleted by runs that delete (others mark, and the row stays).
- No more rows were last changed during a run than it counts as created, updated and deleted.
- No row was stored when no run was under way; and all deletions counted are rows missing. Both can
  be said only where the run that made the table is known and no row of sync_history is gone since.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from warehouse.history import History
from warehouse.runs import rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["Finding", "TableCounts"]

Finding = tuple[str, int | None, str]
"""Rule, id of the row of sync_history (None: of no single one), sentence."""

_ENDLESS: Final = datetime.max.replace(tzinfo=timezone.utc)
_RUNS: Final = """
SELECT id, crm_source, sync_type, status, start_time, end_time,
    records_created AS created, records_updated AS updated,
    CASE WHEN jsonb_typeof(performance_metrics -> 'records_deleted') = 'number'
        THEN (performance_metrics -> 'records_deleted')::bigint ELSE 0 END AS deleted,
    CASE WHEN jsonb_typeof(configuration -> 'table') = 'object'
        THEN configuration -> 'table' ELSE '{{}}' END AS place
FROM {} ORDER BY id
"""
_STATE: Final = """
SELECT to_regclass(%(table)s)::oid::bigint AS oid,
    coalesce(has_table_privilege(to_regclass(%(table)s), 'SELECT'), false) AS readable,
    (SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass(%(table)s)
        AND attname IN ('sync_created_at', 'sync_updated_at')) = 2 AS dated
"""
_MOMENTS: Final = """
SELECT grouping(sync_created_at) = 0 AS is_creation,
    coalesce(sync_created_at, sync_updated_at) AS moment, count(*) AS count
FROM {} GROUP BY GROUPING SETS ((sync_created_at), (sync_updated_at))
"""


@dataclass
class _Span:
    """Runs that overlap, and the rows that were stored and changed while they ran."""

    start: datetime
    end: datetime
    runs: list[Mapping[str, Any]] = field(default_factory=list)
    stored: int = 0
    changed: int = 0

    def total(self, column: str) -> int:
        return sum(run[column] for run in self.runs)

    @property
    def ids(self) -> list[int]:
        return sorted(run["id"] for run in self.runs)

    @property
    def hard_deleted(self) -> int:
        return sum(run["deleted"] for run in self.runs if _deletes(run))

    def says(self, counted: str, of_table: str) -> str:
        """Return a sentence about the runs."""
        first = self.runs[0]
        ids = ", ".join(map(str, self.ids))
        several = len(self.runs) > 1
        return (
            f"{'Runs' if several else 'Run'} {ids} ({first['crm_source']} {first['sync_type']}):"
            f" {'they count' if several else 'it counts'} {counted}, but {of_table}."
        )


class TableCounts:
    """The comparison for all tables that sync_history knows of.

    Attributes:
        compared: How many tables were compared.
        unknown: What could not be compared, and why.
    """

    def __init__(self, cursor: Cursor, schema: str, settings: Mapping[str, Any]) -> None:
        """Read the runs.

        Args:
            cursor: See `compliance.check`.
            schema: Where sync_history is.
            settings: Of the loader, for runs that do not say where their table is.
        """
        self.compared = 0
        self.unknown: list[str] = []
        self._cursor = cursor
        self._default_schema = settings.get("default_target_schema")
        cursor.execute(sql.SQL(_RUNS).format(History(schema).table))
        self._runs = rows(cursor)
        self._ids = [run["id"] for run in self._runs]
        newest = {
            (run["crm_source"], run["sync_type"]): run["id"]
            for run in self._runs
            if run["status"] in {"success", "partial"}
        }
        self._successes = {*newest.values()}

    def compare(self, crms: Collection[str] = ()) -> Iterator[Finding]:
        """Yield what does not agree, in the tables of these CRMs or all."""
        tables: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for run in self._runs:
            tables.setdefault(self._place(run), []).append(run)
        for place, runs in sorted(tables.items()):
            if not crms or any(run["crm_source"] in crms for run in runs):
                yield from self._compare(place, runs)

    def _place(self, run: Mapping[str, Any]) -> tuple[str, str]:
        place = run["place"]
        default = self._default_schema or run["crm_source"]
        return str(place.get("schema", default)), str(place.get("name", run["sync_type"]))

    def _compare(
        self, place: tuple[str, str], runs: Sequence[Mapping[str, Any]]
    ) -> Iterator[Finding]:
        name = ".".join(place)
        table = sql.Identifier(*place)
        self._cursor.execute(_STATE, {"table": table.as_string(self._cursor)})
        state = rows(self._cursor)[0]
        if state["oid"] is None:
            yield from self._missing(name, runs)
        elif not (state["readable"] and state["dated"]):
            why = "it has no sync_created_at" if state["readable"] else "it may not be read"
            self.unknown.append(f"Table {name}: {why}.")
        else:
            current = [run for run in runs if _oid(run) in {None, state["oid"]}]
            if earlier := len(runs) - len(current):
                self.unknown.append(
                    f"Table {name}: {earlier:,} runs wrote a table of this name that is gone."
                )
            self.compared += 1
            yield from self._rows(name, table, current)

    def _missing(self, name: str, runs: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
        brought = [run for run in runs if run["id"] in self._successes]
        if not brought:
            self.unknown.append(f"Table {name}: it is not there, and no success says it should be.")
        for run in brought:
            yield (
                "table",
                run["id"],
                (
                    f"Run {run['id']} ({run['crm_source']} {run['sync_type']}): it has status"
                    f" {run['status']}, but there is no table {name}."
                ),
            )

    def _rows(
        self, name: str, table: sql.Identifier, runs: Sequence[Mapping[str, Any]]
    ) -> Iterator[Finding]:
        spans = _spans(runs)
        self._cursor.execute(sql.SQL(_MOMENTS).format(table))
        outside, undated = _assign(spans, rows(self._cursor))
        for span in spans:
            yield from _surplus(name, span)
        makers = [run["id"] for run in runs if run["place"].get("is_new")]
        known = bool(makers) and not self._gone_since(makers[0])
        if not known:
            why = (
                "rows of sync_history may be gone"
                if makers
                else "the run that made it is not in sync_history"
            )
            self.unknown.append(f"Table {name}: whether all its rows come from runs, for {why}.")
        yield from self._missing_rows(name, spans, known=known)
        strangers = outside * known + undated * bool(makers)
        if strangers:
            last = runs[-1]
            yield (
                "rows",
                None,
                (
                    f"Table {name} has {strangers:,} rows that were stored when none of its runs"
                    f" was under way; the last one is run {last['id']}."
                ),
            )

    def _missing_rows(self, name: str, spans: Sequence[_Span], *, known: bool) -> Iterator[Finding]:
        """Go from the newest rows to the oldest, with the deletions that can have met them."""
        deletes = any(_deletes(run) for span in spans for run in span.runs)
        deleted = 0
        for span in reversed(spans):
            if deletes and self._gone_since(span.ids[0]):
                self.unknown.append(
                    f"Table {name}: rows missing from runs up to {span.runs[-1]['id']}, for rows of"
                    " sync_history may be gone that counted their deletion."
                )
                return
            deleted += span.hard_deleted
            missing = max(span.total("created") - span.stored, 0)
            if missing > deleted:
                counted = f"{span.total('created'):,} created records"
                of_table = f"only {span.stored:,} rows of {name} were first stored meanwhile"
                if deletes:
                    of_table += f", and {deleted:,} can have been deleted since"
                yield "created", span.ids[-1], span.says(counted, of_table)
            deleted = max(deleted - missing, 0)
        if known and deleted and spans:
            last = spans[-1].ids[-1]
            yield (
                "deleted",
                last,
                (
                    f"The runs of {name} up to {last} count {deleted:,} deleted records more than"
                    " rows are missing from those they created."
                ),
            )

    def _gone_since(self, history_id: int) -> bool:
        """Tell whether ids after this one are missing; also where Postgres only left some out."""
        rest = self._ids[bisect_left(self._ids, history_id) :]
        return bool(len(rest) != rest[-1] - history_id + 1)


def _deletes(run: Mapping[str, Any]) -> bool:
    return bool(run["place"].get("deletes") == "hard")


def _oid(run: Mapping[str, Any]) -> int | None:
    oid: int | None = run["place"].get("oid")
    return oid


def _spans(runs: Iterable[Mapping[str, Any]]) -> list[_Span]:
    spans: list[_Span] = []
    for run in sorted(runs, key=lambda run: run["start_time"]):
        end = run["end_time"] or _ENDLESS
        if spans and run["start_time"] <= spans[-1].end:
            spans[-1].end = max(spans[-1].end, end)
        else:
            spans.append(_Span(run["start_time"], end))
        spans[-1].runs.append(run)
    return spans


def _assign(spans: Sequence[_Span], moments: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    """Give each span its rows; return how many were stored outside of all, and at no known time."""
    starts = [span.start for span in spans]
    outside = undated = 0
    for found in moments:
        moment, count = found["moment"], found["count"]
        place = bisect_right(starts, moment) - 1 if moment else -1
        if place >= 0 and moment <= spans[place].end:
            if found["is_creation"]:
                spans[place].stored += count
            else:
                spans[place].changed += count
        elif found["is_creation"]:
            outside += count if moment else 0
            undated += 0 if moment else count
    return outside, undated


def _surplus(name: str, span: _Span) -> Iterator[Finding]:
    created = span.total("created")
    if span.stored > created:
        of_table = f"{span.stored:,} rows of {name} were first stored meanwhile"
        yield "created", span.ids[-1], span.says(f"{created:,} created records", of_table)
        return
    changes = created + span.total("updated") + span.total("deleted")
    if span.changed > changes:
        counted = f"{changes:,} records created, updated and deleted"
        of_table = f"{span.changed:,} rows of {name} were last changed meanwhile"
        yield "updated", span.ids[-1], span.says(counted, of_table)
