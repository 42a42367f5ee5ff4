"""The base of streams that are files: which of them to read, and what became of them."""

from __future__ import annotations

import hashlib
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from tapkit import dates
from tapkit.encoded import EncodedPage
from tapkit.errors import FatalAPIError, FileProblem, RetriableAPIError, SkippableAPIError
from tapkit.fields import ISSUES, Field
from tapkit.files.layout import Layout
from tapkit.files.places import shown
from tapkit.files.plan import Plan, make_plan
from tapkit.files.rows import EXTRA, ROW, read
from tapkit.files.text import readable
from tapkit.issues import PRINTED
from tapkit.stream import DELETED_AT, Stream
from tapkit.writer import encode_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from singer_sdk.helpers.types import Record

    from tapkit.files.places import FileInfo, Files, Place
    from tapkit.files.rows import Rows
    from tapkit.tap import Tap

__all__ = ["FILE", "FILE_FIELDS", "TROUBLES", "FileStream"]

FILE = "source_file"
FILE_FIELDS = (
    Field(FILE, description="The file that the row is in"),
    Field(ROW, "integer", description="Its number in the file; the first row of data is 1"),
    DELETED_AT,
)
"""The columns of a stream whose rows have no key of their own."""
ENDPOINT_LENGTH = 200
TROUBLES = (FatalAPIError, RetriableAPIError, SkippableAPIError)


class FileStream(Stream):
    """The rows of some files.

    State: `files`, name → {version, modified, size, rows} of what was read; `layout`, a checksum
    of the settings that it was read with. Files that are not in it or have another version are
    read, each from its start. It moves when all that had to be read was read to its end.

    What vanished from a replaced file, or with it:

    - Where file and row number are the key, a file stands for itself: its rows are replaced, and
      those beyond its end and those of removed files marked deleted.
    - Where rows have a key of their own, no file tells what another one holds: once one was
      replaced or removed all are read, and the target marks the rows that did not come.
    - Later files win over earlier ones. What follows a changed file is read again, so that it
      still does.

    Attributes:
        layout: How the files are written.
    """

    is_encoded = True
    layout: Layout = Layout()

    def __init__(
        self, tap: Tap, paths: Sequence[str], files: Files, name: str | None = None
    ) -> None:
        self._paths = paths
        self._files = files
        self._revised: Plan | None = None
        self._odd_rows = 0
        self._early_calls = 0
        super().__init__(tap, name=name)
        self.status.endpoint = self._shown[:ENDPOINT_LENGTH]

    # For subclasses

    def key(self, heading: str) -> str | None:
        """Tell under which key a row has a heading's value; None leaves it out."""
        return heading

    def keys(self, headings: list[str]) -> Sequence[str | None]:
        """Tell the same for all headings of a file, and whether they are what the stream needs.

        Raises:
            FileProblem: They do not fit.
        """
        always = {*self.table.fields} if self.layout.missing_headings == "fail" else set()
        needed = always | {*self.primary_keys}
        wanted = {field.source for field in self.table if field.name in needed}
        if missing := wanted - {FILE, ROW, DELETED_AT.name, *headings}:
            raise FileProblem(f"headings are missing: {', '.join(sorted(missing))}")
        if twice := {heading for heading in headings if headings.count(heading) > 1}:
            raise FileProblem(f"headings that come twice: {', '.join(sorted(twice))}")
        return list(map(self.key, headings))

    def convert(
        self,
        page: list[dict[str | None, Any]],
        *,
        is_typed: bool,  # noqa: ARG002
    ) -> tuple[list[Record], dict[int, Any]]:
        """Turn rows into records.

        Args:
            page: The rows; they may be changed.
            is_typed: Whether the file has types of its own; else all values are text.

        Returns:
            The records, and place → what was wrong in it (field → {value, error}).
        """
        converted = [self.table.convert(row) for row in page]  # type: ignore[arg-type]
        issues = {place: found for place, (_, found) in enumerate(converted) if found}
        return [record for record, _ in converted], issues

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What makes rows look different once it is changed, beside the layout."""
        return {"key": list(self.primary_keys), "fields": [[f.name, f.type] for f in self.fields]}

    # What to read

    @cached_property
    def known(self) -> dict[str, dict[str, Any]]:
        """The files that runs before read, unless they were to be read differently."""
        state = self.stream_state
        files = state.get("files") if state.get("layout") == self._checksum else None
        return dict(files or {})

    @property
    def plan(self) -> Plan:
        """What this run reads.

        Raises:
            FatalAPIError: A place cannot be reached, or holds no file.
        """
        return self._revised or self._first_plan

    @cached_property
    def _first_plan(self) -> Plan:
        start = self.tap.start_date
        return make_plan(
            [self._files.place(path) for path in self._paths],
            {name: entry.get("version") for name, entry in self.known.items()},
            may_be_empty=self.layout.no_files == "allow",
            deletes=self.layout.vanished_rows == "delete" and start is None,
            alone=self.is_numbered,
            start=dates.text(start) if start else "",
        )

    def read_all(self) -> None:
        """Begin anew, with all files, and forget what was read."""
        whole = self.layout.vanished_rows == "delete" and not self.tap.start_date
        self._revised = replace(self.plan, read=self.plan.files, whole=whole)
        self.known.clear()
        self.stream_state.pop("files", None)

    @property
    def is_numbered(self) -> bool:
        """Whether file and row number are the key."""
        return tuple(self.primary_keys) == (FILE, ROW)

    @property
    def reads_everything(self) -> bool:
        try:
            return self.plan.whole
        except TROUBLES:
            return False  # `pages` meets it again, and says so

    # Reading

    def pages(self) -> Iterator[EncodedPage]:
        plan = self.plan
        for place, file in plan.read:
            yield from self._pages_of(place, file)
        if self.layout.vanished_rows == "delete" and self.is_numbered and not plan.whole:
            for name in plan.gone:
                yield from self._vanished(name, 0)
        for name in plan.gone:
            self.known.pop(name)

    @contextmanager
    def opened(self, place: Place, file: FileInfo) -> Iterator[tuple[Rows, FileInfo]]:
        """Open a file; its headings are checked, its rows still to be read."""
        stream, file = place.open(file)
        with closing(stream), readable(file.name):
            rows = read(stream, file.name, self.layout)
            rows.key = self.key
            headings = rows.headings()
            if headings is not None:
                rows.keys = self.keys(headings)
            yield rows, file

    def _pages_of(self, place: Place, file: FileInfo) -> Iterator[EncodedPage]:
        with self.opened(place, file) as (rows, opened):
            for page in rows.pages():
                if FILE in self.table.fields:
                    for row in page:
                        row[FILE] = opened.name
                odd = {n: row.pop(EXTRA) for n, row in enumerate(page) if EXTRA in row}
                records, issues = self.convert(page, is_typed=rows.is_typed)
                for number, found in odd.items():
                    self._note_row(opened.name, records[number], found)
                yield self._encoded(records, issues)
            if not place.is_current(opened):
                raise FileProblem(f"{opened.name} was changed while it was read")
            self._note(rows)
        if self.is_numbered and not self.plan.whole and self.layout.vanished_rows == "delete":
            yield from self._vanished(opened.name, rows.count)
        entry = asdict(opened)
        del entry["name"], entry["address"]
        self.known[opened.name] = {**entry, "rows": rows.count}

    def _encoded(self, records: list[Record], issues: Mapping[int, Any]) -> EncodedPage:
        found: dict[int, tuple[Mapping[str, Any], Mapping[str, Any]]]
        found = {number: (it, dict(records[number])) for number, it in issues.items()}
        for name in self._deselected:
            for record in records:
                record.pop(name, None)
        return EncodedPage(encode_lines(records), issues=found)

    def _note_row(self, name: str, record: Record, found: Mapping[str, Any]) -> None:
        """Tell what was odd about the form of a row."""
        record[ISSUES] = {**(record[ISSUES] or {}), **found}
        self.status.warnings += len(found)
        for issue in found.values():
            self._odd_rows += 1
            if self._odd_rows <= PRINTED:
                self.logger.warning("%s, %s", name, issue["error"])

    def _note(self, rows: Rows) -> None:
        """Tell what was not as it should be in a file."""
        if skips := rows.skips():
            self.logger.warning("Skipped %s", skips)
            self.status.skip(skips)
        if rows.replaced:
            self.status.warnings += rows.replaced
            self.logger.warning(
                "%s has %d characters that could not be decoded", rows.name, rows.replaced
            )

    def _vanished(self, name: str, rows: int) -> Iterator[EncodedPage]:
        """Mark as deleted the rows that a file had beyond a number."""
        before = self.known.get(name, {}).get("rows", 0)
        moment = dates.text(dates.now())
        for start in range(rows + 1, before + 1, 1000):
            gone: list[dict[str | None, Any]] = [
                {FILE: name, ROW: number, DELETED_AT.name: moment}
                for number in range(start, min(start + 1000, before + 1))
            ]
            yield self._encoded(*FileStream.convert(self, gone, is_typed=True))

    def finalize_state_progress_markers(self, state: dict[str, Any] | None = None) -> None:
        self.status.api_calls += self._early_calls
        if self.status.status in {"success", "partial"} and not self.is_cut:
            self.stream_state["files"] = self.known
            self.stream_state["layout"] = self._checksum
            self.remember(self.stream_state)
        super().finalize_state_progress_markers(state)

    def remember(self, state: dict[str, Any]) -> None:
        """Add to the state of a stream that was read."""

    @property
    def _shown(self) -> str:
        return ", ".join(map(shown, self._paths))

    @cached_property
    def _checksum(self) -> str:
        said = [asdict(self.layout), self.fingerprint]
        return hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()[:16]
