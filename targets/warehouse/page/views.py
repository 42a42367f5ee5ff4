"""The views: what each address shows, from one look at the database to its HTML."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from warehouse import runs
from warehouse.history import History
from warehouse.observations import running
from warehouse.page import figures, freshness, metrics, queries, refused, texts
from warehouse.page.filters import PERIODS, STATUSES, Filters

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

    from warehouse.health import Health
    from warehouse.page.database import Database

__all__ = ["STATIC", "Missing", "Views"]

STATIC: Final = Path(__file__).with_name("static")
PER_PAGE: Final = 50
_LATEST: Final = 10  # runs on the overview


class Missing(Exception):
    """There is no such run or reject; the message says so."""


class Views:
    """HTML of a warehouse, as text.

    Attributes:
        database: Where it is read.
        shows_records: Whether the records of rejects are shown too; they hold personal data.
    """

    def __init__(
        self,
        database: Database,
        examine: Callable[[Cursor], Health],
        *,
        shows_records: bool = False,
    ) -> None:
        """Read nothing yet.

        Args:
            database: See the attribute.
            examine: Judges the pipelines, as `warehouse health` does.
            shows_records: See the attribute.
        """
        self.database, self.shows_records = database, shows_records
        self.schema = database.schema
        self._examine = examine
        self._environment = Environment(
            loader=PackageLoader("warehouse.page"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            name: getattr(texts, name) for name in texts.__all__ if name not in {"NOTHING", "ago"}
        }
        self._environment.globals |= {"ago": texts.ago, "periods": PERIODS}

    def _html(self, template: str, now: datetime, **values: Any) -> str:
        return self._environment.get_template(template).render(
            {"now": now, "is_file": False, "shows_records": self.shows_records, **values}
        )

    # Addresses

    def overview(self, refresh: bool = False) -> str:  # noqa: FBT001, FBT002 - as in the address
        """Return everything at a glance.

        Args:
            refresh: Whether the browser is to load it again and again; for those without scripts.
        """
        with self.database.reading() as cursor:
            values = self._all(cursor, latest=_LATEST)
        return self._html("overview.html", **values, refresh=refresh)

    def running(self) -> str:
        """Return the part of the overview that says what runs now."""
        with self.database.reading() as cursor:
            now = _now(cursor)
            return self._html("_running.html", now, running=self._running(cursor))

    def runs(self, wanted: Filters) -> str:
        """Return a page of the history."""
        with self.database.reading() as cursor:
            found = runs.runs(
                cursor,
                self.schema,
                crm=wanted.crm,
                stream=wanted.stream,
                status=wanted.status,
                since=wanted.begins,
                until=wanted.ends,
                last=PER_PAGE + 1,
                offset=(wanted.page - 1) * PER_PAGE,
            )
            return self._html(
                "runs.html",
                _now(cursor),
                runs=found[:PER_PAGE],
                more=len(found) > PER_PAGE,
                first=(wanted.page - 1) * PER_PAGE + 1,
                wanted=wanted,
                streams=queries.streams(cursor, self.schema),
                statuses=STATUSES,
            )

    def run(self, history_id: int) -> str:
        """Return one run in detail.

        Raises:
            Missing: There is none.
        """
        with self.database.reading() as cursor:
            run = runs.run(cursor, self.schema, history_id)
            if run is None:
                raise Missing(f"There is no run {history_id}.")
            return self._html(
                "run.html",
                _now(cursor),
                run=run,
                rejects=self._rejects_of(cursor, history_id),
                figures=figures.of_runs(queries.neighbours(cursor, self.schema, run)),
            )

    def activity(self, wanted: Filters) -> str:
        """Return the charts, of one CRM by stream or of all by CRM."""
        with self.database.reading() as cursor:
            return self._html(
                "activity.html",
                _now(cursor),
                figures=self._figures(cursor, wanted),
                wanted=wanted,
                streams=queries.streams(cursor, self.schema),
            )

    def rejects(self, wanted: Filters) -> str:
        """Return a page of the records that were refused."""
        with self.database.reading() as cursor:
            found = refused.rejects(
                cursor,
                self.schema,
                vars(wanted),
                last=PER_PAGE + 1,
                offset=(wanted.page - 1) * PER_PAGE,
            )
            return self._html(
                "rejects.html",
                _now(cursor),
                rejects=found[:PER_PAGE],
                more=len(found) > PER_PAGE,
                first=(wanted.page - 1) * PER_PAGE + 1,
                reasons=refused.reasons(cursor, self.schema),
                counted=refused.COUNTED,
                wanted=wanted,
                streams=queries.streams(cursor, self.schema),
                classes=refused.CLASSES,
            )

    def reject(self, reject_id: int) -> str:
        """Return one refused record: why, and itself only where that is on.

        Raises:
            Missing: There is none.
        """
        with self.database.reading() as cursor:
            found = refused.reject(cursor, self.schema, reject_id, with_record=self.shows_records)
            if found is None:
                raise Missing(f"There is no reject {reject_id}; perhaps it was replayed.")
            return self._html("reject.html", _now(cursor), reject=found)

    def tables(self) -> str:
        """Return how fresh each table is."""
        with self.database.reading() as cursor:
            return self._html(
                "tables.html", _now(cursor), tables=freshness.tables(cursor, self.schema)
            )

    def report(self) -> str:
        """Return everything in one file that needs no other: no scripts, no links."""
        style = (STATIC / "page.css").read_text(encoding="utf-8")
        with self.database.reading() as cursor:
            values = self._all(cursor, latest=PER_PAGE)
            values |= {
                "rejects": refused.rejects(cursor, self.schema, {}, last=PER_PAGE),
                "is_file": True,
                "style": Markup(style),  # noqa: S704 - our own
                "style_hash": base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
            }
        return self._html("report.html", **values)

    def metrics(self) -> bytes:
        """Return the metrics for Prometheus."""
        return metrics.exposition(self.database, self._examine)

    def error(self, title: str, sentence: str) -> str:
        """Return a page that says what went wrong; reads nothing."""
        now = datetime.now(timezone.utc)
        return self._html("error.html", now, title=title, sentence=sentence)

    # What several of them show

    def _all(self, cursor: Cursor, latest: int) -> dict[str, Any]:
        health_now = self._examine(cursor)
        return {
            "now": health_now.at,
            "running": self._running(cursor),
            "health": health_now,
            "figures": self._figures(cursor, Filters()),
            "calls": queries.api_calls(cursor, self.schema),
            "runs": runs.runs(cursor, self.schema, last=latest),
            "reasons": refused.reasons(cursor, self.schema, most=5),
            "counted": refused.COUNTED,
            "tables": freshness.tables(cursor, self.schema),
        }

    def _running(self, cursor: Cursor) -> list[dict[str, Any]]:
        history = History(self.schema)
        if not history.exists(cursor):
            return []
        alive = {row["id"]: row["alive"] for row in running(cursor, history)}
        found = runs.runs(cursor, self.schema, status="running", last=PER_PAGE)
        return [row | {"alive": alive.get(row["id"], True)} for row in found]

    def _figures(self, cursor: Cursor, wanted: Filters) -> list[figures.Figure]:
        if not History(self.schema).exists(cursor):
            return []
        found = queries.activity(cursor, self.schema, wanted.days, wanted.crm)
        return figures.of_activity(found) if found else []

    def _rejects_of(self, cursor: Cursor, history_id: int) -> dict[str, int]:
        if not queries.may_read(cursor, self.schema, "sync_rejects", "error_class"):
            return {}
        return runs.rejects_of(cursor, self.schema, history_id)


def _now(cursor: Cursor) -> datetime:
    cursor.execute("SELECT clock_timestamp() AS now")
    now: datetime = runs.rows(cursor)[0]["now"]
    return now
