"""From lines of text to rows: CSV and JSON lines, each oddity treated as the layout says."""

from __future__ import annotations

import csv
import json
from abc import ABC, abstractmethod
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tapkit.errors import FileProblem
from tapkit.files.text import LONGEST, decompressed, lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

    from tapkit.files.layout import Layout

__all__ = ["EXTRA", "ROW", "CsvRows", "JsonRows", "Rows", "read"]

PAGE: Final = 2000
"""Rows handed over at once."""
ROW: Final = "source_row"
"""Key of a row's number in its file: the first row of data is 1."""
EXTRA: Final = "\0extra"
"""Key of what was odd about a row: field → {value, error}."""
NO_TABLES: Final = {
    "<!doctype": "a web page",
    "<html": "a web page",
    "<?xml": "XML",
    "version https://git-lfs.": "a pointer of Git LFS, which keeps the file elsewhere",
}
"""How files begin that come in place of what was asked for, with a status of success."""
SHOWN: Final = 20
"""Numbers of skipped lines that are told."""

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Rows(ABC):
    """The rows of one file.

    Args:
        name: What errors call the file.
        layout: How it is written.
        source: Its lines.

    Attributes:
        is_typed: Whether the values have types; else all are text.
        keys: CSV: what rows have their values under, one for each heading, None for what is left
            out. At first the headings.
        key: JSON lines: gives that of a heading.
        count: Rows so far, skipped ones included.
        skipped: Lines of rows that were skipped, as the layout wanted.
        replaced: Characters that stand for bytes that could not be decoded.
    """

    is_typed = False

    def __init__(self, name: str, layout: Layout, source: Iterator[str]) -> None:
        self.name = name
        self.layout = layout
        self.keys: Sequence[str | None] = ()
        self.key: Callable[[str], str | None] = str
        self.count = 0
        self.skipped: list[int] = []
        self.replaced = 0
        self._lines = self._watched(source) if layout.undecodable == "replace" else source

    @abstractmethod
    def headings(self) -> list[str] | None:
        """The file's headings, or None where each row has its own. Asked for once, first."""

    @abstractmethod
    def pages(self) -> Iterator[list[dict[str | None, Any]]]:
        """Read the rows, once."""

    def skips(self) -> str | None:
        """What was skipped, for people."""
        if not self.skipped:
            return None
        numbers = ", ".join(map(str, self.skipped[:SHOWN]))
        more = " …" if len(self.skipped) > SHOWN else ""
        return f"{len(self.skipped)} rows of {self.name} (lines {numbers}{more})"

    def problem(self, line: int, what: str) -> FileProblem:
        """An error in a line."""
        return FileProblem(f"{self.name}, line {line}: {what}")

    def _watched(self, source: Iterator[str]) -> Iterator[str]:
        for line in source:
            self.replaced += line.count("\ufffd")
            yield line


class CsvRows(Rows):
    """The rows of a CSV file."""

    def __init__(self, name: str, layout: Layout, source: Iterator[str]) -> None:
        super().__init__(name, layout, source)
        tabs = name.lower().split(".")[1:]
        delimiter = layout.delimiter or ("\t" if "tsv" in tabs else ",")
        csv.field_size_limit(LONGEST)
        for _ in range(layout.skip_lines):
            next(self._lines, None)
        self._reader = csv.reader(
            self._lines,
            delimiter=delimiter,
            quotechar=layout.quote,
            quoting=csv.QUOTE_MINIMAL if layout.quote else csv.QUOTE_NONE,
            escapechar=layout.escape,
            doublequote=layout.escape is None,
            strict=True,
        )

    @property
    def line(self) -> int:
        """Number of the line that was read last."""
        return self._reader.line_num + self.layout.skip_lines

    def headings(self) -> list[str]:
        if self.layout.headings is not None:
            return list(self.layout.headings)
        row = next(self._rows(), None)
        if row is None and self.layout.no_files == "fail":
            raise FileProblem(f"{self.name} is empty: it has no headings")
        return [heading.strip() for heading in row or []]

    def pages(self) -> Iterator[list[dict[str | None, Any]]]:
        keys = [*self.keys, ROW]
        width = len(keys) - 1
        nulls = frozenset(self.layout.null_values)
        only_empty = nulls == {""}
        page: list[dict[str | None, Any]] = []
        count = 0
        for row in self._rows():
            count += 1
            values: list[Any] | None = row
            odd = None
            if len(row) != width:
                values, odd = self._odd(row, width)
                if values is None:
                    continue
            if only_empty:
                values = [value or None for value in values or ()]
            elif nulls:
                values = [None if value in nulls else value for value in values or ()]
            record = dict(zip(keys, (*(values or ()), count), strict=True))
            if odd:
                record[EXTRA] = odd
            page.append(record)
            if len(page) >= PAGE:
                self.count = count
                yield page
                page = []
        self.count = count
        yield page

    def _rows(self) -> Iterator[list[str]]:
        """The rows that have any value; a blank line is none."""
        try:
            for row in self._reader:
                if row:
                    yield row
        except csv.Error as error:
            raise self.problem(
                self.line, f"not CSV as the settings describe it ({error})"
            ) from error

    def _odd(self, row: list[str], width: int) -> tuple[list[str] | None, dict[str, Any] | None]:
        """Treat a row with too few or too many values as the layout says."""
        line = self.line - sum(value.count("\n") for value in row)
        what = f"{len(row)} values, but {width} headings"
        short = len(row) < width
        policy = self.layout.short_rows if short else self.layout.long_rows
        if policy == "fail":
            raise self.problem(line, what)
        if policy == "skip":
            self.skipped.append(line)
            return None, None
        issue = {"value": row[width:] or None, "error": f"line {line}: {what}"}
        return [*row[:width], *[""] * (width - len(row))], {"source_row": issue}


class JsonRows(Rows):
    """The rows of a file of JSON objects, one to a line."""

    is_typed = True

    def headings(self) -> None:
        for _ in range(self.layout.skip_lines):
            next(self._lines, None)

    def pages(self) -> Iterator[list[dict[str | None, Any]]]:
        keys = _Keys(self.key)
        page: list[dict[str | None, Any]] = []
        seen = False
        for number, line in enumerate(self._lines, self.layout.skip_lines + 1):
            seen = True
            if not line.strip():
                continue
            self.count += 1
            row = self._object(line, number)
            if row is None:
                continue
            record = {keys[name]: value for name, value in row.items()}
            if len(record) < len(row):
                self._check(number, [keys[name] for name in row])
            record[ROW] = self.count
            page.append(record)
            if len(page) >= PAGE:
                yield page
                page = []
        if not seen and self.layout.no_files == "fail":
            raise FileProblem(f"{self.name} is empty")
        yield page

    def _check(self, number: int, keys: list[str | None]) -> None:
        """Refuse a row in which two names are one column; any number may be left out."""
        kept = [key for key in keys if key is not None]
        if twice := {key for key in kept if kept.count(key) > 1}:
            raise self.problem(number, f"two names are column '{twice.pop()}'")

    def _object(self, line: str, number: int) -> dict[str, Any] | None:
        try:
            row = _decode(line)
        except (msgspec.DecodeError, UnicodeEncodeError):
            row = _decode_slowly(line)
        if isinstance(row, dict):
            return row
        if self.layout.broken_rows == "fail":
            raise self.problem(number, "not a JSON object")
        self.skipped.append(number)
        return None


class _Keys(dict[str, "str | None"]):
    """Heading → key, found out once."""

    def __init__(self, key: Callable[[str], str | None]) -> None:
        super().__init__()
        self._key = key

    def __missing__(self, heading: str) -> str | None:
        self[heading] = self._key(heading)
        return self[heading]


def _decode_slowly(line: str) -> Any:
    """Decode what msgspec refuses but JSON in the wild has: lone surrogates, NaN."""
    try:
        return json.loads(line, parse_float=Decimal)
    except ValueError:
        return None


def read(stream: BinaryIO, name: str, layout: Layout) -> Rows:
    """Give the rows of an open file.

    Args:
        stream: The file, from its start.
        name: What errors call it.
        layout: How it is written.
    """
    errors = "strict" if layout.undecodable == "fail" else "replace"
    source = lines(decompressed(stream, layout.compression), name, layout.encoding, errors)
    head: list[str] = []
    for line in source:
        head.append(line)
        if line.strip():
            break
    start = "".join(head[-1:]).lstrip().lower()
    if what := next((what for begin, what in NO_TABLES.items() if start.startswith(begin)), None):
        raise FileProblem(f"{name} is {what}, and no table")
    kind = layout.format
    if kind == "auto":
        is_json = start.startswith(("{", "[")) and layout.headings is None
        kind = "jsonl" if is_json else "csv"
    return KINDS[kind](name, layout, chain(head, source))


KINDS: Final = {"csv": CsvRows, "jsonl": JsonRows}
