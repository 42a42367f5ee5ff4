"""One stream of tap-files: some files of one kind are one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from singer_sdk.streams import Stream as SDKStream
from tapkit.field_types import TYPES
from tapkit.fields import ISSUES, Field, FieldTable
from tapkit.files.layout import Layout
from tapkit.files.rows import EXTRA, ROW
from tapkit.files.stream import FILE, FILE_FIELDS, TROUBLES, FileStream
from tapkit.issues import IssueLog

from tap_files.columns import Columns
from tap_files.inference import FITS, FITS_TYPED, join, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from singer_sdk.helpers.types import Record
    from tapkit.encoded import EncodedPage
    from tapkit.files.places import Files
    from tapkit.files.rows import Rows
    from tapkit.tap import Tap

__all__ = ["Table"]

SAMPLE = 1000
"""Rows of a file from which types are inferred, unless a setting says otherwise."""


TEXT: Final[dict[str, Callable[[Any], Any]]] = {
    "boolean": "true".__eq__,
    "datetime": TYPES["datetime"].convert,
    "integer": int,
    "number": lambda text: msgspec.Raw(text.encode()),
}
"""Inferred type → what makes the value of a text of which it was inferred."""
TYPED: Final[dict[str, Callable[[Any], Any]]] = {
    "datetime": TYPES["datetime"].convert,
    "string": TYPES["string"].convert,
}
"""The same for values that have a type already."""


class StartOver(Exception):
    """A column became text; rows that were sent before have to be sent as text."""


class Table(FileStream):
    """The rows of files, in columns that the settings declare or that their values show.

    Types that nobody declared are inferred from a sample and kept in the state. A later value that
    does not fit makes its column wider for good: whole numbers become fractions as they are; once
    a column becomes text all files are read again, so that each value is the text in its file.

    State: `columns`, column → inferred type.
    """

    def __init__(self, tap: Tap, settings: Mapping[str, Any], files: Files) -> None:
        self.settings = settings
        self.layout = Layout.from_settings(settings)
        self._columns = Columns(settings, self.layout)
        self._key = self._columns.keys
        self.fields = self._fields()
        paths = settings["path"]
        super().__init__(tap, [paths] if isinstance(paths, str) else paths, files, settings["name"])
        self._learn()

    @property
    def primary_keys(self) -> Sequence[str]:
        return self._key

    @primary_keys.setter
    def primary_keys(self, new_value: Sequence[str]) -> None:
        """Leave it as it is: settings say what the key is, not a catalog of an older day."""

    @property
    def fingerprint(self) -> dict[str, Any]:
        asked = ("key", "columns", "naming", "infer_types")
        return {name: self.settings.get(name) for name in asked}

    def key(self, heading: str) -> str | None:
        return self._columns.name(heading)

    def keys(self, headings: list[str]) -> Sequence[str | None]:
        return self._columns.names(headings)

    def convert(
        self, page: list[dict[str | None, Any]], *, is_typed: bool
    ) -> tuple[list[Record], dict[int, Any]]:
        """Turn rows into records whose columns hold all their values.

        Raises:
            StartOver: Rows that were sent already have to be sent again.
        """
        self._make_room(page, is_typed=is_typed)
        for name, kind in self._columns.inferred.items():
            convert = (TYPED if is_typed else TEXT).get(kind or "")
            if convert is not None:
                for row in page:
                    if (value := row.get(name)) is not None:
                        row[name] = convert(value)
        issues: dict[int, Any] = {}
        if self._declared.fields:
            for place, row in enumerate(page):
                converted, found = self._declared.convert(row)  # type: ignore[arg-type]
                row.update(converted)
                if found:
                    issues[place] = found
        for surplus in {None, ROW} - self._empty.keys():
            for row in page:
                row.pop(surplus, None)
        return [{**self._empty, **row} for row in page], issues

    def pages(self) -> Iterator[EncodedPage]:
        try:
            yield from super().pages()
        except StartOver:
            self.read_all()
        else:
            return
        version = (self._stream_version or self._initialized_at) + 1
        whole = self.reads_everything and self.get_batch_config(self.config) is None
        self._stream_version = version if whole else None
        self._announce()
        yield from self.pages()  # once more for each column at most

    def remember(self, state: dict[str, Any]) -> None:
        state["columns"] = self._columns.kinds

    # Inside

    def _make_room(self, page: list[dict[str | None, Any]], *, is_typed: bool) -> None:
        """Make the columns hold the values of a page, and tell the target if they did not."""
        before = dict(self._columns.kinds)
        self._widen(page, is_typed=is_typed)
        if self._columns.kinds == before:
            return
        self._adopt()
        if (self.status.extracted or self.known) and self._became_text(before):
            raise StartOver
        self._announce()

    def _learn(self) -> None:
        """Learn the columns: from the runs before, and from a sample of what is to be read now."""
        if self.known:
            self._columns.kinds.update(self.stream_state.get("columns") or {})
        before, calls = dict(self._columns.kinds), self.tap.api_calls
        try:
            read = self.plan.read
            for place, file in [*read[:1], *read[1:][-1:]]:
                with self.opened(place, file) as (rows, _):
                    self._sample(rows)
        except TROUBLES as error:
            self.logger.warning("%s could not be sampled: %s", self.name, error)
        self._early_calls = self.tap.api_calls - calls
        self._adopt()
        if self._became_text(before):
            self.read_all()

    def _sample(self, rows: Rows) -> None:
        size = self.settings.get("sample_rows") or SAMPLE
        sample: list[dict[str | None, Any]] = []
        for page in rows.pages():
            sample += page[: size - len(sample)]
            if len(sample) >= size:
                break
        kinds = self._columns.kinds
        for key in rows.keys:
            if key is not None:
                kinds.setdefault(key, None)
        self._widen(sample, is_typed=rows.is_typed)

    def _widen(self, rows: list[dict[str | None, Any]], *, is_typed: bool) -> None:
        """Make the columns' types as wide as some rows need."""
        kinds = self._columns.kinds
        for key in dict.fromkeys(key for row in rows for key in row):
            if key is not None and key not in {FILE, ROW, EXTRA}:
                kinds.setdefault(key, None)
        for name, kind in self._columns.inferred.items():
            if kind == "string":
                continue
            values = [value for row in rows if (value := row.get(name)) is not None]
            if kind is not None and all(map((FITS_TYPED if is_typed else FITS)[kind], values)):
                continue
            kinds[name] = join(kind, self._kind(values, is_typed=is_typed))

    def _kind(self, values: Iterable[Any], *, is_typed: bool) -> str | None:
        if not self.settings.get("infer_types", True):
            return "string"
        kind: str | None = None
        for value in values:
            kind = join(kind, kind_of(value, is_typed=is_typed))
            if kind == "string":
                break
        return kind

    def _became_text(self, before: Mapping[str, str | None]) -> bool:
        """Whether a column that had another type is text now."""
        now = self._columns.inferred
        return any(kind != "string" and now.get(name) == "string" for name, kind in before.items())

    def _fields(self) -> list[Field]:
        own = [field for field in FILE_FIELDS if self.is_numbered or field.name in self._key]
        return [*self._columns.fields, *own]

    def _adopt(self) -> None:
        """Have the columns as they are known now."""
        self._columns.settle()
        self.fields = self._fields()
        self.table = FieldTable(self.fields)
        self._declared = FieldTable(self._columns.declared_fields)
        self._empty = dict.fromkeys([*self.table.fields, ISSUES])
        self.issues = IssueLog(self.tap.crm_source, self.table, self.primary_keys, self.logger)

    def _announce(self) -> None:
        """Tell the target of the columns, between two records."""
        self.tap.mapper.register_raw_stream_schema(self.name, self.schema, self.primary_keys)
        self._stream_maps = []
        SDKStream._write_schema_message(self)  # noqa: SLF001  # ours begins the stream
        self._prepare_writing()
