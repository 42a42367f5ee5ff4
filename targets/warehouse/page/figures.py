"""The page's charts, each with a sentence and a table that say the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from warehouse.page import charts
from warehouse.page.texts import duration, number, rate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from markupsafe import Markup

    from warehouse.page.queries import Activity

__all__ = ["Figure", "of_activity", "of_runs"]

_DAY: Final = "Day (UTC)"


def _hours(value: float | None) -> str:
    return f"{value:.3g} h"


def _minutes(value: float | None) -> str:
    return f"{value:.3g} min"


def _seconds(value: float | None) -> str:
    return f"{value:.3g} s"


_UNITS: Final = ((3600, _hours), (60, _minutes), (1, _seconds))


@dataclass(frozen=True)
class Figure:
    """A chart and the same in words.

    Attributes:
        title: Its heading.
        summary: What one sees in it, in a sentence.
        chart: The chart.
        first: Heading of the table's first column.
        names: Of the series, in the order of their colours.
        rows: Of the table, the newest first: label and a text per series.
    """

    title: str
    summary: str
    chart: Markup
    first: str
    names: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


def of_activity(activity: Activity) -> list[Figure]:
    """Return records per day, work per day, and throughput per day."""
    labels = [f"{day:%d %b}" for day in activity.days]
    days = [f"{day:%Y-%m-%d}" for day in activity.days]
    records = {name: activity.records[name] for name in ("created", "updated", "failed")}
    totals = ", ".join(f"{number(sum(values))} {name}" for name, values in records.items())
    busiest = max(range(len(days)), key=activity.records["processed"].__getitem__)
    seconds, dropped = _largest(activity.seconds)
    throughput = {name: activity.throughput[name] for name in seconds}
    work = sum(value or 0 for values in activity.seconds.values() for value in values)
    processed = sum(activity.records["processed"])
    return [
        _figure(
            "Records per day",
            f"{totals} in {len(days)} days; {number(processed)} were looked at,"
            f" most of them on {days[busiest]}.",
            charts.bars, labels, days, records, number,
        ),
        _of_durations(
            "Duration per day",
            f"{duration(work)} of work in {number(sum(activity.runs))} runs, of which"
            f" {number(sum(activity.runs_failed))} failed.{dropped}",
            labels, days, seconds,
        ),
        _figure(
            "Throughput per day",
            f"{rate(processed / work if work else 0)} on average.{dropped}",
            charts.lines, labels, days, throughput, rate,
        ),
    ]  # fmt: skip


def of_runs(runs: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Return duration and throughput of one stream's runs, the oldest first."""
    days = {run["start_time"].date() for run in runs}
    labels = [f"{run['start_time']:{'%d %b' if len(days) > 1 else '%H:%M'}}" for run in runs]
    moments = [f"{run['start_time']:%Y-%m-%d %H:%M:%S}" for run in runs]
    last = runs[-1]
    return [
        _of_durations(
            "Duration of its runs",
            f"{duration(last['seconds'])} this time; the longest of {len(runs)}"
            f" runs took {duration(max(run['seconds'] or 0 for run in runs))}.",
            labels, moments, {"duration": [run["seconds"] for run in runs]},
            first="Started (UTC)",
        ),
        _figure(
            "Throughput of its runs",
            f"{rate(last['rate'])} this time; the fastest of {len(runs)}"
            f" runs did {rate(max(run['rate'] or 0 for run in runs))}.",
            charts.lines, labels, moments, {"throughput": [run["rate"] for run in runs]}, rate,
            first="Started (UTC)",
        ),
    ]  # fmt: skip


def _largest(
    series: Mapping[str, Sequence[float | None]],
) -> tuple[dict[str, Sequence[float | None]], str]:
    """Keep as many series as there are colours, and say what is left out."""
    most = sorted(series, key=lambda name: -sum(value or 0 for value in series[name]))
    kept = sorted(most[: charts.COLOURS])
    dropped = len(series) - len(kept)
    text = f" The {dropped} with the least work are left out." if dropped else ""
    return {name: series[name] for name in kept}, text


def _of_durations(
    title: str,
    summary: str,
    labels: Sequence[str],
    moments: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    *,
    first: str = _DAY,
) -> Figure:
    """Draw in the unit that gives round numbers at the axis; the table has minutes and seconds."""
    longest = sum(max((value or 0 for value in values), default=0) for values in series.values())
    size, unit = next((one for one in _UNITS if longest >= 2 * one[0]), _UNITS[-1])

    def draw(title: str, labels: Sequence[str], series: Mapping[str, Any], _: Any) -> Markup:
        scaled = {
            name: [None if value is None else value / size for value in values]
            for name, values in series.items()
        }
        return charts.bars(title, labels, scaled, unit)

    return _figure(title, summary, draw, labels, moments, series, duration, first=first)


def _figure(
    title: str,
    summary: str,
    draw: Callable[..., Markup],
    labels: Sequence[str],
    moments: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    written: Callable[[float | None], str],
    *,
    first: str = _DAY,
) -> Figure:
    columns = list(series.values())
    rows = [
        (moment, [written(column[at]) for column in columns]) for at, moment in enumerate(moments)
    ]
    rows.reverse()
    chart = draw(f"{title}. {summary}", labels, series, written)
    return Figure(title, summary, chart, first, list(series), rows)
