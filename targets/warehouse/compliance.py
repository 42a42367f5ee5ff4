"""Whether sync_history keeps its own rules, and says what the tables and the rejects say.

What cannot be known is not judged: `Report.unknown` says which comparisons were left out, and why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from psycopg2 import sql

from warehouse.history import History, has_table
from warehouse.history_structure import TYPES, columns, flaws
from warehouse.runs import rows
from warehouse.table_counts import TableCounts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["Report", "Violation", "check"]

_METRICS: Final = (
    "duration_seconds", "records_per_second", "api_calls", "api_calls_per_record",
    "peak_memory_mb", "batches", "records_unchanged", "records_deduplicated", "records_deleted",
    "validation_warnings", "success_rate",
)  # fmt: skip
_SUM: Final = "records_created + records_updated + records_failed" + "".join(
    f" + CASE WHEN jsonb_typeof(performance_metrics -> '{name}') = 'number'"
    f" THEN (performance_metrics -> '{name}')::numeric ELSE 0 END"
    for name in ("records_unchanged", "records_deduplicated")
)


@dataclass(frozen=True)
class Rule:
    """What no row may be.

    Attributes:
        name: For programs.
        condition: SQL that is true for a row that breaks the rule.
        sentence: What is wrong with it; takes the row's columns, ``total`` and ``missing``.
    """

    name: str
    condition: str
    sentence: str


_RULES: Final = (
    Rule(
        "crm_source",
        "crm_source !~ '^[a-z0-9]+$'",
        "its crm_source '{crm_source}' is not lower case without separators",
    ),
    Rule(
        "sync_type",
        "sync_type ~* '_sync$' OR sync_type = ''",
        "its sync_type '{sync_type}' is not the plain name of a stream, without _sync",
    ),
    Rule(
        "status",
        "status NOT IN ('running', 'success', 'partial', 'failed')",
        "its status '{status}' is none of running, success, partial and failed",
    ),
    Rule(
        "negative",
        "least(records_processed, records_created, records_updated, records_failed) < 0",
        "one of its counters is negative",
    ),
    Rule(
        "processed",
        f"records_processed <> {_SUM}",
        "its records_processed is {records_processed}, but created, updated, unchanged,"
        " deduplicated and failed are {total} together",
    ),
    Rule(
        "end_time",
        "end_time IS NULL AND status <> 'running'",
        "it has status {status} but no end_time",
    ),
    Rule(
        "running",
        "end_time IS NOT NULL AND status = 'running'",
        "it has status running but an end_time",
    ),
    Rule("order", "end_time < start_time", "it ended before it started"),
    Rule(
        "failed",
        "status = 'success' AND records_failed > 0",
        "it has status success but {records_failed} failed records",
    ),
    Rule(
        "metrics",
        "NOT performance_metrics ?& %(metrics)s",
        "its performance_metrics have no {missing}",
    ),
)


@dataclass(frozen=True)
class Violation:
    """One rule broken; `history_id` is the row's, or None where no single row is at fault."""

    rule: str
    history_id: int | None
    sentence: str


@dataclass
class Report:
    """What was looked at and what was found.

    Attributes:
        runs: How many rows of sync_history there are.
        tables: How many tables were compared with the counters.
        violations: What is wrong.
        unknown: What could not be compared, and why; a sentence each.
    """

    runs: int = 0
    tables: int = 0
    violations: list[Violation] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.violations


def check(
    cursor: Cursor,
    schema: str,
    *,
    crms: Collection[str] = (),
    settings: Mapping[str, Any] | None = None,
    tables: bool = True,
) -> Report:
    """Check the history; only reads.

    Args:
        cursor: In a transaction of isolation level repeatable read, so that what is counted in
            one table goes with what is counted in the other while a sync is under way.
        schema: Where sync_history is.
        crms: Only these CRMs; default: all.
        settings: Of the loader: where tables are of runs that do not say it themselves.
        tables: Whether to compare with the tables, which are read for it.
    """
    report = Report()
    history = History(schema)
    if not history.exists(cursor):
        return report
    report.violations += [Violation("structure", None, flaw) for flaw in flaws(cursor, schema)]
    if missing := {*TYPES} - {*columns(cursor, schema)}:
        report.unknown.append(
            f"The rows of sync_history: the table has no {', '.join(sorted(missing))}."
        )
        return report
    chosen = sql.SQL("crm_source = ANY (%(crms)s)" if crms else "true")
    values = {"crms": [*crms], "metrics": [*_METRICS]}
    cursor.execute(
        sql.SQL("SELECT crm_source, count(*) AS runs FROM {} WHERE {} GROUP BY 1").format(
            history.table, chosen
        ),
        values,
    )
    by_crm = {row["crm_source"]: row["runs"] for row in rows(cursor)}
    report.runs = sum(by_crm.values())
    report.unknown += [f"{crm}: it has no runs." for crm in crms if crm not in by_crm]
    report.violations += _rows(cursor, history, chosen, values)
    report.violations += _rejects(cursor, schema, chosen, values, report.unknown)
    if tables:
        counts = TableCounts(cursor, schema, settings or {})
        for rule, history_id, sentence in counts.compare(crms):
            report.violations.append(Violation(rule, history_id, sentence))
        report.tables = counts.compared
        report.unknown += counts.unknown
    return report


def _rows(
    cursor: Cursor, history: History, chosen: sql.Composable, values: Mapping[str, Any]
) -> Iterator[Violation]:
    broken = sql.SQL(", ").join(
        sql.SQL("CASE WHEN {} THEN {} END").format(sql.SQL(rule.condition), sql.Literal(number))
        for number, rule in enumerate(_RULES)
    )
    cursor.execute(
        sql.SQL(
            "SELECT * FROM (SELECT id, crm_source, sync_type, status, records_processed,"
            " records_failed, {total} AS total, array_remove(ARRAY[{broken}], NULL) AS broken,"
            " array(SELECT name FROM unnest(%(metrics)s) AS name"
            " WHERE NOT performance_metrics ? name) AS missing"
            " FROM {table} WHERE {chosen}) AS judged WHERE cardinality(broken) > 0 ORDER BY id"
        ).format(total=sql.SQL(_SUM), broken=broken, table=history.table, chosen=chosen),
        values,
    )
    for row in rows(cursor):
        row["missing"] = ", ".join(row["missing"])
        for number in row["broken"]:
            rule = _RULES[number]
            yield Violation(rule.name, row["id"], f"{_named(row)} {rule.sentence.format(**row)}.")


def _rejects(
    cursor: Cursor,
    schema: str,
    chosen: sql.Composable,
    values: Mapping[str, Any],
    unknown: list[str],
) -> Iterator[Violation]:
    """Compare the rejects with the counters; fewer may be left, for they are replayed or purged."""
    if not has_table(cursor, schema, "sync_rejects"):
        return
    cursor.execute(
        sql.SQL(
            "SELECT id, crm_source, sync_type, records_failed, coalesce(waiting, 0) AS waiting"
            " FROM {history} LEFT JOIN (SELECT history_id, count(*) AS waiting FROM {rejects}"
            " GROUP BY 1) AS counted ON history_id = id"
            " WHERE {chosen} AND records_failed <> coalesce(waiting, 0) ORDER BY id"
        ).format(
            history=History(schema).table,
            rejects=sql.Identifier(schema, "sync_rejects"),
            chosen=chosen,
        ),
        values,
    )
    found = rows(cursor)
    for row in found:
        if row["waiting"] > row["records_failed"]:
            yield Violation(
                "rejects",
                row["id"],
                f"{_named(row)} it counts {row['records_failed']} failed records, but"
                f" {row['waiting']} of them are in sync_rejects.",
            )
    gone = [row for row in found if row["waiting"] < row["records_failed"]]
    if gone:
        count = sum(row["records_failed"] - row["waiting"] for row in gone)
        unknown.append(
            f"{count:,} failed records of {len(gone):,} runs: they are in sync_rejects no more, as"
            " after a replay or a purge."
        )


def _named(row: Mapping[str, Any]) -> str:
    return f"Run {row['id']} ({row['crm_source']} {row['sync_type']}):"
