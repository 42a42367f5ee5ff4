"""Random columns of record values: deterministic, and fast enough for 200,000 records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from crm_sandbox.clock import DAY_MS
from crm_sandbox.words import (
    BAD_EMAILS,
    BAD_PHONES,
    COMPANY_KINDS,
    COMPANY_WORDS,
    DECIMALS,
    FIRST_NAMES,
    LAST_NAMES,
    PLACES,
    STREETS,
    TEXTS,
    URLS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from random import Random

Values = list[str | None]
Maker = Callable[["Columns"], Values]

_BAG = 256


class Columns:
    """The columns of one record type while they are being made, in order of definition.

    Attributes:
        random: The only source of chance.
        size: Number of records.
        now_ms: Newest time a value may have.
        values: The columns made so far.
    """

    def __init__(self, random: Random, size: int, now_ms: int) -> None:
        self.random = random
        self.size = size
        self.now_ms = now_ms
        self.values: dict[str, Values] = {}
        self._place: list[tuple[str, str, str]] = []

    def place(self, part: int) -> Values:
        """Return city, state or zip code, of one and the same place."""
        if not self._place:
            self._place = self.random.choices(PLACES, k=self.size)
        return [place[part] for place in self._place]


def pick(pool: Sequence[str], *, unset: float = 0.1, blank: float = 0.02) -> Maker:
    """Return values of a pool, some null and some empty."""
    bag: Values = [None] * round(_BAG * unset) + [""] * round(_BAG * blank)
    bag += [pool[index % len(pool)] for index in range(_BAG - len(bag))]
    # A byte for each record is several times faster than random.choices.
    return lambda columns: [bag[byte] for byte in columns.random.randbytes(columns.size)]


def always(pool: Sequence[str]) -> Maker:
    """Return values of a pool, none missing."""
    return pick(pool, unset=0, blank=0)


def several(pool: Sequence[str]) -> Maker:
    """Return lists of up to three values, joined by semicolons."""
    pairs = [f"{one};{two}" for one, two in pairwise(pool)]
    joined = [*pool, *pairs, ";".join(pool[:3])]
    return pick(joined, unset=0.3)


def integers(low: int, high: int, *, unset: float = 0.1) -> Maker:
    """Return whole numbers from low to high."""

    def make(columns: Columns) -> Values:
        numbers = columns.random.choices(range(low, high + 1), k=columns.size)
        return _thin(columns, map(str, numbers), unset)

    return make


def serial(prefix: str, start: int = 1) -> Maker:
    """Return a prefix with a running number: unique."""
    return lambda columns: [f"{prefix}{start + index}" for index in range(columns.size)]


def moments(days: int, *, ahead: int = 0, milliseconds: bool = True, unset: float = 0.2) -> Maker:
    """Return date-times between so many days back and so many ahead."""

    def make(columns: Columns) -> Values:
        first, last = columns.now_ms - days * DAY_MS, columns.now_ms + ahead * DAY_MS
        when = columns.random.choices(range(first, last), k=columns.size)
        written = iso_all(when) if milliseconds else [f"{text[:19]}Z" for text in iso_all(when)]
        return _thin(columns, written, unset)

    return make


def dates(days: int, *, unset: float = 0.2) -> Maker:
    """Return dates of the last days; one in 200 is no date."""

    def make(columns: Columns) -> Values:
        last = columns.now_ms // DAY_MS
        pool = [date.fromordinal(719_163 + last - back).isoformat() for back in range(days)]
        return _spoil(
            columns, columns.random.choices(pool, k=columns.size), ("2026-02-30", "soon"), unset
        )

    return make


def emails(columns: Columns) -> Values:
    """Return addresses made of the names; one in 200 is invalid."""
    first, last = columns.values["firstname"], columns.values["lastname"]
    made = [
        f"{_ascii(one)}.{_ascii(two)}{index}@example.com"
        for index, (one, two) in enumerate(zip(first, last, strict=True))
    ]
    return _spoil(columns, made, BAD_EMAILS, 0.05)


def phones(columns: Columns) -> Values:
    """Return phone numbers in several notations; one in 200 is invalid."""
    numbers = columns.random.choices(range(2_002_000_000, 9_899_999_999), k=columns.size)
    made = [
        f"+1{number}"
        if number % 3
        else f"({number // 10_000_000}) {number // 10_000 % 1000}-{number % 10_000:04}"
        for number in numbers
    ]
    return _spoil(columns, made, BAD_PHONES, 0.15)


def streets(columns: Columns) -> Values:
    """Return house number and street."""
    pool = [f"{number} {street}" for number in range(1, 400, 7) for street in STREETS]
    return _thin(columns, columns.random.choices(pool, k=columns.size), 0.1)


def companies(columns: Columns) -> Values:
    """Return company names; they repeat."""
    pool = [f"{word} {kind}" for word in COMPANY_WORDS for kind in COMPANY_KINDS]
    return columns.random.choices(pool, k=columns.size)


def coordinates(columns: Columns) -> Values:
    """Return latitude and longitude in one value."""
    pool = [f"{-90 + step * 0.37:.6f},{-180 + step * 0.73:.6f}" for step in range(480)]
    return _thin(columns, columns.random.choices(pool, k=columns.size), 0.6)


def cities(columns: Columns) -> Values:
    """Return the place's city."""
    return columns.place(0)


def states(columns: Columns) -> Values:
    """Return the place's state."""
    return columns.place(1)


def zip_codes(columns: Columns) -> Values:
    """Return the place's zip code."""
    return columns.place(2)


def copied(name: str, change: Callable[[str], str]) -> Maker:
    """Return a value calculated from another column, null where that has none."""
    return lambda columns: [change(one) if one else None for one in columns.values[name]]


first_names = always(FIRST_NAMES)
last_names = pick(LAST_NAMES, unset=0.02)
texts = pick(TEXTS, unset=0.3)
decimals = pick(DECIMALS)
urls = pick(URLS, unset=0.3)


def iso_all(moments_ms: Iterable[int]) -> list[str]:
    """Write many times in milliseconds as ISO date-times; faster than one by one."""
    days: dict[int, str] = {}
    written = []
    for moment in moments_ms:
        day, rest = divmod(moment, DAY_MS)
        seconds, millis = divmod(rest, 1000)
        minutes, second = divmod(seconds, 60)
        text = days.get(day)
        if text is None:
            text = days[day] = date.fromordinal(719_163 + day).isoformat()
        written.append(f"{text}T{minutes // 60:02}:{minutes % 60:02}:{second:02}.{millis:03}Z")
    return written


def _thin(columns: Columns, values: Iterable[str], unset: float) -> Values:
    bytes_ = columns.random.randbytes(columns.size)
    gone = round(_BAG * unset)
    return [None if byte < gone else value for byte, value in zip(bytes_, values, strict=True)]


def _spoil(columns: Columns, values: Iterable[str], bad: Sequence[str], unset: float) -> Values:
    thinned = _thin(columns, values, unset)
    for index in range(columns.random.randrange(200), columns.size, 200):
        thinned[index] = columns.random.choice(bad)
    return thinned


@lru_cache(maxsize=1024)
def _ascii(text: str | None) -> str:
    return "".join(letter for letter in (text or "x").lower() if "a" <= letter <= "z") or "x"
