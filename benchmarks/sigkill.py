"""Kills the loader at random moments, and looks whether a record was lost, doubled or miscounted.

    python benchmarks/sigkill.py [--records 500000] [--kills 100] [--seed 1]

Each round loads the same file into an empty database, sends SIGKILL at a moment chosen at random
between the loader's start and its end, compares the tables with what the loader had said, and loads
the file again.
"""

from __future__ import annotations

import fcntl
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import psycopg2
from loader_data import SingerFile
from loader_server import Server
from psycopg2 import sql

FOLDER = Path(__file__).resolve().parents[1] / ".warehouse" / "sigkill"
TARGET = Path(sys.executable).with_name("target-warehouse")
STREAM = "contacts"
TABLE = f"crm.{STREAM}"
BOOKKEEPING = ("sync_created_at", "sync_updated_at")  # differ from load to load
CONTENTS = """
SELECT count(*), count(DISTINCT id), sum(hash_record_extended(ROW({columns}), 0)::numeric)
FROM {table}
"""
HISTORY = """
SELECT status, records_processed, records_created, records_updated, records_failed,
    coalesce((performance_metrics ->> 'records_unchanged')::bigint, 0)
FROM sync_history ORDER BY id
"""


class WrongError(Exception):
    """The warehouse does not hold what it should; the message says what."""


def check(what: str, found: Any, expected: Any) -> None:
    """Compare.

    Raises:
        WrongError: They differ.
    """
    if found != expected:
        raise WrongError(f"{what}: {found} instead of {expected}")


class Rounds:
    """One file, and the databases it is loaded into."""

    def __init__(self, records: int, chance: random.Random) -> None:
        self.records, self.chance = records, chance
        self.file = SingerFile(records).write(FOLDER / "data")
        self.server = Server(FOLDER / "postgres")
        url = self.server.new_database()
        self.seconds = self.load(url)
        """How long the last whole load took."""
        self.contents = self.whole(url)
        check("records of a load that nobody killed", self.contents[0][:2], (records, records))
        self.server.drop(url)

    def start(self, url: str) -> subprocess.Popen[bytes]:
        config = FOLDER / "config.json"
        config.write_text(json.dumps({"sqlalchemy_url": url, "crm_source": "crm"}))
        with (
            self.file.open("rb") as messages,
            (FOLDER / "states").open("wb") as states,
            (FOLDER / "log").open("wb") as log,
        ):
            command = [TARGET, "--config", config]
            return subprocess.Popen(command, stdin=messages, stdout=states, stderr=log)

    def load(self, url: str) -> float:
        started = time.monotonic()
        check("exit code", self.start(url).wait(), 0)
        return time.monotonic() - started

    def kill(self) -> tuple[str, float]:
        """Kill a load on its way; return its database and after how many seconds."""
        while True:
            url = self.server.new_database()
            process = self.start(url)
            after = self.chance.uniform(0, self.seconds)
            try:
                process.wait(after)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self.server.wait_for_quiet(url)
                return url, after
            self.server.drop(url)  # it was faster than the one before

    def ask(self, url: str, statement: str | sql.Composable, *values: Any) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(url)
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            rows = cursor.fetchall()
        connection.close()
        return rows

    def whole(self, url: str) -> list[tuple[Any, ...]]:
        """Return what two tables with the same rows have in common."""
        columns = [
            sql.Identifier(name)
            for (name,) in self.ask(
                url,
                "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0"
                " AND attname <> ALL (%s) ORDER BY attname",
                TABLE,
                [*BOOKKEEPING],
            )
        ]
        table = sql.Identifier(*TABLE.split("."))
        return self.ask(
            url, sql.SQL(CONTENTS).format(columns=sql.SQL(", ").join(columns), table=table)
        )

    def stored(self, url: str, condition: str = "true") -> int:
        if self.ask(url, f"SELECT to_regclass('{TABLE}')") == [(None,)]:
            return 0
        statement = f"SELECT count(*) FROM {TABLE} WHERE {condition}"  # noqa: S608 - no input
        return int(self.ask(url, statement)[0][0])

    def said(self) -> int:
        """Return how many records the states that the loader sent claim to be stored."""
        *_, last = (FOLDER / "states").read_bytes().splitlines() or [b""]
        return json.loads(last)["bookmarks"][STREAM]["place"] + 1 if last else 0

    def history(self, url: str) -> list[tuple[Any, ...]]:
        if self.ask(url, "SELECT to_regclass('sync_history')") == [(None,)]:
            return []
        return self.ask(url, HISTORY)

    def round(self) -> tuple[float, int, int]:
        """Kill, look, load again, look.

        Returns:
            Seconds until the kill, records stored by then, records that states claimed by then.

        Raises:
            WrongError: Something was lost, double or miscounted.
        """
        url, after = self.kill()
        stored, said = self.stored(url), self.said()
        check("stored of the records that a state claims", self.stored(url, f"id < {said}"), said)
        history = self.history(url)
        counted = [(stored, stored, 0, 0, 0)] if history else []
        check("history of the killed load", [run[1:] for run in history], counted)
        self.seconds = self.load(url)
        check("contents after the load again", self.whole(url), self.contents)
        check("states of the load again", self.said(), self.records)
        new = self.records - stored
        check(
            "history in the end",
            self.history(url),
            [("failed" if run[0] == "running" else run[0], *run[1:]) for run in history]
            + [("success", self.records, new, 0, 0, stored)],
        )
        self.server.drop(url)
        return after, stored, said


@click.command()
@click.option("--records", default=500_000, show_default=True, help="Of about 1 KB each.")
@click.option("--kills", default=100, show_default=True)
@click.option("--seed", default=1, show_default=True, help="Of the moments.")
@click.option("--minutes", type=float, help="Begin no round after so many.")
def main(records: int, kills: int, seed: int, minutes: float | None) -> None:
    """Kill the loader again and again."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + minutes * 60 if minutes else float("inf")
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.ClickException("It is running already; wait for it.") from None
        done = repeat(Rounds(records, random.Random(seed)), kills, end)  # noqa: S311 - repeatable
    click.echo(
        f"{done} kills of a load of {records:,} records: none lost or double, counters right"
    )


def repeat(rounds: Rounds, kills: int, end: float) -> int:
    """Return how many rounds there were, all without a fault."""
    done = 0
    try:
        while done < kills and time.monotonic() < end:
            after, stored, said = rounds.round()
            done += 1
            click.echo(
                f"{done:4}: killed after {after:6.2f} s, {stored:9,} stored, {said:9,} claimed"
            )
    except WrongError as wrong:
        raise click.ClickException(f"Round {done + 1}: {wrong}") from None
    finally:
        rounds.server.stop()
    return done


if __name__ == "__main__":
    main()
