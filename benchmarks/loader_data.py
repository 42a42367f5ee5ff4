"""Singer files to load: the same at every run, records of about 1 KB with everything CRMs send."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STREAMS = ("contacts", "companies", "deals", "tickets", "leads")
STATE_EVERY = 10_000
CHANGED_EVERY = 10
NULLS = 0.06
WORDS = (  # noqa: SIM905 - one word to a line otherwise
    "account agreement budget call café contract customer Zürich demo discount e-mail follow-up"
    " invoice 株式会社 meeting Müller naïve O'Brien offer onboarding order partner pipeline price"
    " project proposal quarter renewal Søren support 🚀 team trial upgrade \\server workshop"
).split()

Maker = tuple[dict[str, Any], "Callable[[random.Random, int], Any]"]
"""JSON schema of a column, and what makes its value from a source of chance and a row's number."""


def _words(few: int, many: int) -> Maker:
    return (
        {"type": ["string", "null"]},
        lambda chance, _: " ".join(chance.choices(WORDS, k=chance.randint(few, many))),
    )


def _lines(chance: random.Random, _: int) -> str:
    return "\n".join(" ".join(chance.choices(WORDS, k=8)) for _ in range(3)) + "\tend"


def _moment(chance: random.Random, _: int) -> str:
    moment = datetime(2024, 1, 1) + timedelta(seconds=chance.randint(0, 40_000_000))  # noqa: DTZ001
    return f"{moment.isoformat()}.{chance.randint(0, 999):03d}Z"


def _day(chance: random.Random, _: int) -> str:
    return (date(1950, 1, 1) + timedelta(days=chance.randint(0, 20_000))).isoformat()


def _object(chance: random.Random, number: int) -> dict[str, Any]:
    return {
        "street": f"{chance.choice(WORDS)} {number}",
        "geo": {"lat": round(chance.uniform(-90, 90), 5), "lon": round(chance.uniform(0, 180), 5)},
    }


_STRING = {"type": ["string", "null"]}
_INTEGER: Maker = ({"type": ["integer", "null"]}, lambda chance, _: chance.randint(0, 10**9))
_NUMBER: Maker = ({"type": ["number", "null"]}, lambda chance, _: round(chance.uniform(0, 1e6), 2))
_BOOLEAN: Maker = ({"type": ["boolean", "null"]}, lambda chance, _: chance.random() < 0.5)  # noqa: PLR2004
_MOMENT: Maker = ({"type": ["string", "null"], "format": "date-time"}, _moment)
_MIX = (_words(2, 6), _INTEGER, _words(1, 2), _NUMBER, _words(3, 8), _BOOLEAN, _MOMENT)

COLUMNS: dict[str, Maker] = {
    "email": (_STRING, lambda chance, number: f"{chance.choice(STREAMS)}.{number}@example.com"),
    "phone": (_STRING, lambda chance, _: f"+49 30 {chance.randint(10**6, 10**8)}"),
    "first_name": _words(1, 1),
    "last_name": _words(1, 2),
    "company": _words(2, 3),
    "job_title": _words(1, 3),
    "street": _words(2, 3),
    "city": _words(1, 1),
    "country": _words(1, 1),
    "life_cycle": _words(1, 1),
    "lead_source": _words(1, 3),
    "website": (_STRING, lambda _, number: f"https://www.example.com/{number}?a=1&b=%20"),
    "description": _words(5, 15),
    "notes": (_STRING, _lines),
    "employees": _INTEGER,
    "visits": _INTEGER,
    "amount": _NUMBER,
    "score": _NUMBER,
    "probability": _NUMBER,
    "is_active": _BOOLEAN,
    "is_subscribed": _BOOLEAN,
    "created_at": _MOMENT,
    "birthday": ({"type": ["string", "null"], "format": "date"}, _day),
    "address": ({"type": ["object", "null"]}, _object),
    "tags": (
        {"type": ["array", "null"], "items": {"type": ["string", "null"]}},
        lambda chance, _: chance.choices(WORDS, k=chance.randint(0, 4)),
    ),
}


@dataclass(frozen=True)
class SingerFile:
    """A file of Singer messages.

    Attributes:
        records: Number of records, spread evenly and in turn over the streams.
        columns: Number of columns; the first are id, revision, updated_at.
        streams: Number of streams.
        changed: Whether every tenth record is newer than in the file that has this false.
    """

    records: int
    columns: int = len(COLUMNS) + 3
    streams: int = 1
    changed: bool = False

    def expected(self) -> dict[str, tuple[int, int]]:
        """By stream: rows of the table once the file is loaded, and the sum of their revisions."""
        rows = self.records // self.streams
        more = -(-rows // CHANGED_EVERY) if self.changed else 0
        return dict.fromkeys(STREAMS[: self.streams], (rows, rows + more))

    def write(self, folder: Path) -> Path:
        """Write the file, unless it is there, and return its path."""
        version = zlib.crc32(Path(__file__).read_bytes())
        kind = "changed" if self.changed else "base"
        name = f"{self.records}x{self.columns}x{self.streams}-{kind}-{version:08x}.jsonl"
        path = folder / name
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".part")
            with unfinished.open("wb") as file:
                file.writelines(
                    msgspec.json.encode(message) + b"\n" for message in self._messages()
                )
            unfinished.rename(path)
        return path

    def _makers(self) -> dict[str, Maker]:
        named = dict(list(COLUMNS.items())[: self.columns - 3])
        more = self.columns - 3 - len(named)
        return named | {f"column_{i:03d}": _MIX[i % len(_MIX)] for i in range(more)}

    def _messages(self) -> Iterator[dict[str, Any]]:
        makers = self._makers()
        properties = {
            "id": {"type": "integer"},
            "revision": {"type": "integer"},
            "updated_at": {"type": "string", "format": "date-time"},
        }
        for stream in STREAMS[: self.streams]:
            yield {
                "type": "SCHEMA",
                "stream": stream,
                "schema": {
                    "type": "object",
                    "properties": properties | {name: maker[0] for name, maker in makers.items()},
                },
                "key_properties": ["id"],
                "bookmark_properties": ["updated_at"],
            }
        chance = random.Random(20)  # noqa: S311 - a seed is the point
        for place in range(self.records):
            number, turn = divmod(place, self.streams)
            yield self._record(STREAMS[turn], number, chance, makers)
            if (place + 1) % STATE_EVERY == 0 or place + 1 == self.records:
                marks = {stream: {"place": place} for stream in STREAMS[: self.streams]}
                yield {"type": "STATE", "value": {"bookmarks": marks}}

    def _record(
        self, stream: str, number: int, chance: random.Random, makers: dict[str, Maker]
    ) -> dict[str, Any]:
        values = {}
        for name, (_, make) in makers.items():
            value = make(chance, number)
            values[name] = None if chance.random() < NULLS else value
        newer = self.changed and number % CHANGED_EVERY == 0
        if newer:
            values["notes"] = f"Changed\n{number}"
        record = {
            "id": number,
            "revision": 2 if newer else 1,
            "updated_at": "2025-07-01T00:00:00Z" if newer else "2025-06-01T12:30:15.250Z",
        }
        return {
            "type": "RECORD",
            "stream": stream,
            "record": record | values,
            "time_extracted": "2025-07-02T08:00:00.123456+00:00",
        }
