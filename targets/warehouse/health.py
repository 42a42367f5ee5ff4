"""How well the pipelines do, by SyncHistory, the rejects, and the locks of those that run.

Only status success counts as succeeded in the share of successes: a partial run left something
out. For how old the data is a partial run counts too, because it read its stream to the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final, Literal

from warehouse import observations
from warehouse.expectation import Expectation
from warehouse.history import History
from warehouse.runs import rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

__all__ = ["Health", "Kind", "Problem", "Rules", "StreamHealth", "examine"]

Kind = Literal["never_run", "overdue", "rejects", "stuck", "success_share"]

_RETIRED: Final = timedelta(days=7)
"""A stream that its CRM's runs have left out for so long is not read any more."""


@dataclass(frozen=True)
class Rules:
    """What counts as well.

    Attributes:
        success_share: Least share of the ended runs that succeeded.
        period: For the share, and for rejects, which are compared with the period before.
        patience: How long a run may go without progress.
    """

    success_share: float = 0.8
    period: timedelta = timedelta(hours=24)
    patience: timedelta = timedelta(minutes=60)


@dataclass(frozen=True)
class Problem:
    """What is not well, of one stream or of a whole CRM (`sync_type` None)."""

    kind: Kind
    crm_source: str
    sync_type: str | None
    sentence: str


@dataclass
class StreamHealth:
    """One stream of one CRM.

    Attributes:
        crm_source: The CRM.
        sync_type: The stream.
        last_run: Its newest run: id, status, start_time, end_time, error_message.
        last_success: End of its newest run that read it to the end: success or partial.
        expected_hours: How old the last success may be; None: nothing is expected.
        expected_by: The schedule that says so, if one does.
        retired: Whether its CRM's runs leave it out by now; then it is never overdue.
        ended: Runs that ended within the period.
        succeeded: Those of them with status success.
        running: Rows with status running.
        stuck: Ids of those that are stuck: get no further, or their process is gone.
        gone: Ids of those whose process is gone.
        rejects: Records that wait in sync_rejects.
        rejects_new: Those of them refused within the period.
        rejects_before: Those of them refused in the period before it.
        problems: What is not well.
    """

    crm_source: str
    sync_type: str
    last_run: Mapping[str, Any]
    last_success: datetime | None = None
    expected_hours: float | None = None
    expected_by: str = ""
    retired: bool = False
    ended: int = 0
    succeeded: int = 0
    running: int = 0
    stuck: tuple[int, ...] = ()
    gone: tuple[int, ...] = ()
    rejects: int = 0
    rejects_new: int = 0
    rejects_before: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return not self.problems

    @property
    def success_share(self) -> float | None:
        """Share of runs that succeeded, 0 to 1; None where none ended."""
        return self.succeeded / self.ended if self.ended else None

    @property
    def newest(self) -> datetime:
        """When it was last read to the end, or last tried if it never was."""
        tried: datetime = self.last_run["end_time"] or self.last_run["start_time"]
        return self.last_success or tried

    def is_overdue(self, now: datetime) -> bool:
        """Tell whether its data is older than expected."""
        is_first = self.last_success is None and self.running > len(self.stuck)
        if self.expected_hours is None or self.retired or is_first:
            return False
        return self.newest < now - timedelta(hours=self.expected_hours)


@dataclass
class Health:
    """The state of all pipelines at a moment; `problems` are those of CRMs and of streams."""

    at: datetime
    streams: list[StreamHealth]
    problems: list[Problem]

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return not self.problems

    @property
    def crms(self) -> dict[str, list[StreamHealth]]:
        """CRM → its streams; also a CRM that has none because it never ran."""
        names = {s.crm_source for s in self.streams} | {p.crm_source for p in self.problems}
        return {
            name: [stream for stream in self.streams if stream.crm_source == name]
            for name in sorted(names)
        }


def examine(
    cursor: Cursor,
    schema: str,
    *,
    now: datetime | None = None,
    expected_hours: Mapping[str, float] | None = None,
    crms: Collection[str] = (),
    configured: Collection[str] = (),
    rules: Rules | None = None,
) -> Health:
    """Look at the state of the pipelines; only reads.

    Args:
        cursor: Of any kind.
        schema: Where sync_history is.
        now: The moment to judge by; default: the database's clock.
        expected_hours: CRM → hours within which a success is expected; `expectation.EVERY` for
            the CRMs that are not named.
        crms: Only these CRMs; each of them should have run. Default: all.
        configured: CRMs that should have run, beside those in sync_configuration.
        rules: What counts as well.
    """
    rules = rules or Rules()
    if now is None:
        cursor.execute("SELECT clock_timestamp() AS now")
        now = rows(cursor)[0]["now"]
    now = now.astimezone(timezone.utc)
    expectation = Expectation.read(cursor, schema, expected_hours or {})
    streams = _streams(cursor, schema, now, rules, crms) if History(schema).exists(cursor) else []
    for stream in streams:
        if expected := expectation.of(stream.crm_source, stream.sync_type, now):
            stream.expected_hours, stream.expected_by = expected.hours, expected.reason
    _retire(streams)
    wanted = {*crms} or {*configured, *expectation.configured}
    problems = [*_never_run(streams, wanted), *_overdue(streams, now)]
    for stream in streams:
        problems += _problems(stream, rules)
    for stream in streams:
        stream.problems = [
            problem
            for problem in problems
            if problem.crm_source == stream.crm_source
            and problem.sync_type in {stream.sync_type, None}
        ]
    return Health(now, streams, problems)


def _streams(
    cursor: Cursor, schema: str, now: datetime, rules: Rules, crms: Collection[str]
) -> list[StreamHealth]:
    history = History(schema)
    ended = observations.ended(cursor, history, now - rules.period, now)
    rejects = observations.rejects(cursor, schema, now, rules.period)
    running = observations.running(cursor, history)
    # A tap reads its streams one after the other, but some say of all that they run.
    progress: dict[str, datetime] = {}
    for row in running:
        crm = row["crm_source"]
        progress[crm] = max(row["progressed"], progress.get(crm, row["progressed"]))
    streams = []
    for row in observations.latest(cursor, history, crms):
        crm, name = key = row.pop("crm_source"), row.pop("sync_type")
        own = [run for run in running if (run["crm_source"], run["sync_type"]) == key]
        stream = StreamHealth(crm, name, row, row.pop("last_success"), running=len(own))
        stream.ended, stream.succeeded = ended.get(key, (0, 0))
        stream.rejects, stream.rejects_new, stream.rejects_before = rejects.get(key, (0, 0, 0))
        is_still = crm in progress and progress[crm] < now - rules.patience
        stream.stuck = tuple(run["id"] for run in own if is_still or not run["alive"])
        stream.gone = tuple(run["id"] for run in own if not run["alive"])
        streams.append(stream)
    return streams


def _retire(streams: Iterable[StreamHealth]) -> None:
    """Tell the streams that are left out from those that are late with their whole CRM."""
    newest: dict[str, datetime] = {}
    for stream in streams:
        started = stream.last_run["start_time"]
        newest[stream.crm_source] = max(started, newest.get(stream.crm_source, started))
    for stream in streams:
        left_out = max(_RETIRED, timedelta(hours=2 * (stream.expected_hours or 0)))
        stream.retired = stream.last_run["start_time"] < newest[stream.crm_source] - left_out


def _never_run(streams: Iterable[StreamHealth], wanted: Collection[str]) -> Iterator[Problem]:
    for crm in sorted({*wanted} - {stream.crm_source for stream in streams}):
        yield Problem("never_run", crm, None, f"{crm} has never run.")


def _overdue(streams: Iterable[StreamHealth], now: datetime) -> Iterator[Problem]:
    """Yield one problem per CRM of which everything is late, else one per stream."""
    by_crm: dict[str, list[StreamHealth]] = {}
    for stream in streams:
        if stream.expected_hours is not None and not stream.retired:
            by_crm.setdefault(stream.crm_source, []).append(stream)
    for crm, members in by_crm.items():
        late = [stream for stream in members if stream.is_overdue(now)]
        if late and len(late) == len(members):
            last = max(late, key=lambda stream: stream.newest)
            yield Problem("overdue", crm, None, _late(crm, last, now))
        else:
            for stream in late:
                name = f"{crm} {stream.sync_type}"
                yield Problem("overdue", crm, stream.sync_type, _late(name, stream, now))


def _late(name: str, stream: StreamHealth, now: datetime) -> str:
    hours = (now - stream.newest).total_seconds() / 3600
    by = f" ({stream.expected_by})" if stream.expected_by else ""
    happened = "last succeeded" if stream.last_success else "never succeeded and was last tried"
    return (
        f"{name} {happened} {hours:,.1f} hours ago;"
        f" a success is expected within {stream.expected_hours:,.1f} hours{by}."
    )


def _problems(stream: StreamHealth, rules: Rules) -> Iterator[Problem]:
    name = f"{stream.crm_source} {stream.sync_type}"
    hours = rules.period.total_seconds() / 3600

    def problem(kind: Kind, sentence: str) -> Problem:
        return Problem(kind, stream.crm_source, stream.sync_type, f"{name}: {sentence}")

    share = stream.success_share
    if share is not None and share < rules.success_share:
        yield problem(
            "success_share",
            f"{stream.succeeded} of {stream.ended} runs that ended in the last {hours:g} hours"
            f" succeeded ({share:.0%}); at least {rules.success_share:.0%} should.",
        )
    if gone := ", ".join(map(str, stream.gone)):
        yield problem("stuck", f"run {gone} says it is running, but its process is gone.")
    elif stuck := ", ".join(map(str, stream.stuck)):
        minutes = rules.patience.total_seconds() / 60
        yield problem("stuck", f"run {stuck} got no further for {minutes:g} minutes.")
    if stream.rejects_new > stream.rejects_before:
        yield problem(
            "rejects",
            f"{stream.rejects_new:,} records were refused in the last {hours:g} hours,"
            f" {stream.rejects_before:,} in the {hours:g} hours before;"
            f" {stream.rejects:,} wait in sync_rejects.",
        )
