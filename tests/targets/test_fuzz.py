"""Random schemas and records: what the target stores is what a slow model says it should.

The model knows nothing of the target but its README. `FUZZ_EXAMPLES=2000` looks longer.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

UTC = timezone.utc
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
FAR = Decimal(10) ** 400


class BadError(Exception):
    """The schema does not allow the value."""


class NoteError(Exception):
    """The value cannot be stored as it is; the argument is what is."""


@dataclass(frozen=True)
class Kind:
    """A type of property: its schema, likely values, and what is stored of any value."""

    schema: dict[str, Any]
    values: st.SearchStrategy[Any]
    store: Callable[[Any], Any]


def must(allowed: bool) -> None:  # noqa: FBT001
    if not allowed:
        raise BadError


def clean(value: Any) -> Any:
    """What Postgres can hold of a nested value, numbers exact."""
    if isinstance(value, str):
        return UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {clean(k): clean(v) for k, v in value.items()}
    if isinstance(value, list):
        return [clean(v) for v in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return Decimal(repr(value)) if isinstance(value, float) else value


def noted(value: Any) -> Any:
    """The value as it can be stored; raises `NoteError` where it had to be changed."""
    stored = clean(value)
    if json.dumps(stored, default=str) != json.dumps(clean_numbers(value), default=str):
        raise NoteError(stored)
    return stored


def clean_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: clean_numbers(v) for k, v in value.items()}
    if isinstance(value, list):
        return [clean_numbers(v) for v in value]
    return Decimal(repr(value)) if isinstance(value, float) else value


def integer(value: Any) -> Any:
    must(isinstance(value, (int, float)) and not isinstance(value, bool))
    must(value == value and abs(value) != float("inf") and value == int(value))  # noqa: PLR0124
    return Decimal(repr(value))


def number(value: Any) -> Any:
    must(isinstance(value, (int, float)) and not isinstance(value, bool))
    if abs(value) == float("inf"):
        raise NoteError(None)
    return "NaN" if value != value else Decimal(repr(value))  # noqa: PLR0124


def boolean(value: Any) -> Any:
    must(isinstance(value, bool) or (value in (0, 1) and isinstance(value, int)))
    return bool(value)


def string(value: Any) -> Any:
    must(isinstance(value, str))
    return noted(value)


def short(value: Any) -> Any:
    must(isinstance(value, str) and len(value) <= 3)
    return noted(value)


def either(value: Any) -> Any:
    must(isinstance(value, (str, int)) and not isinstance(value, bool))
    return noted(value) if isinstance(value, str) else str(value)


def nested(of: type) -> Callable[[Any], Any]:
    def store(value: Any) -> Any:
        must(isinstance(value, of))
        return noted(value)

    return store


def listed(value: Any) -> Any:
    must(isinstance(value, str) and value in {"a", "b"})
    return value


def octets(value: Any) -> Any:
    must(isinstance(value, str))
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        raise NoteError(None) from None


def known(table: dict[str, Any]) -> Callable[[Any], Any]:
    def store(value: Any) -> Any:
        must(isinstance(value, str))
        if table.get(value) is None:
            raise NoteError(None)
        return table[value]

    return store


EAST = timezone(timedelta(hours=5, minutes=30))
MOMENTS = {
    "2024-01-01T00:00:00Z": datetime(2024, 1, 1, tzinfo=UTC),
    "2024-02-29 10:00:00.123456+05:30": datetime(2024, 2, 29, 10, 0, 0, 123456, tzinfo=EAST),
    "20240101T000000": datetime(2024, 1, 1, tzinfo=UTC),
    "2024-01-01": datetime(2024, 1, 1, tzinfo=UTC),
    "0001-01-01T00:00:00Z": datetime(1, 1, 1, tzinfo=UTC),
    **dict.fromkeys(("2024-02-30T00:00:00Z", "0000-00-00", "now", "", "20190-01-01T00:00:00Z")),
}
DAYS = {
    "2024-02-29": date(2024, 2, 29),
    "2024-01-01T00:00:00Z": date(2024, 1, 1),
    **dict.fromkeys(("2023-02-29", "2024-01-01T10:00:00Z", "today", "")),
}
HOURS = {
    "10:00": time(10),
    "10:00:00.5Z": time(10, 0, 0, 500000),
    **dict.fromkeys(("25:00", "10:00+02:00", "noon")),
}
texts = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(
    ["", "NULL", "null", r"\N", "\0", "\ud83d", "\x1d\x1e\x1f", "a\tb\r\n", "\\", '"', ",", "😀"]
)
ints = st.integers(-9, 9) | st.integers(-(2**70), 2**70)
floats = st.floats() | st.sampled_from([0.1, -0.0, 5.0, 1e300, 1e22])
anything = st.recursive(
    st.none() | st.booleans() | ints | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(texts, anything, max_size=3)
KINDS = {
    "integer": Kind({"type": "integer"}, ints, integer),
    "number": Kind({"type": "number"}, ints | floats, number),
    "boolean": Kind({"type": "boolean"}, st.booleans() | st.sampled_from([0, 1]), boolean),
    "string": Kind({"type": "string"}, texts, string),
    "short": Kind({"type": "string", "maxLength": 3}, texts, short),
    "either": Kind({"type": ["string", "integer"]}, texts | ints, either),
    "moment": Kind(
        {"type": "string", "format": "date-time"}, st.sampled_from([*MOMENTS]), known(MOMENTS)
    ),
    "day": Kind({"type": "string", "format": "date"}, st.sampled_from([*DAYS]), known(DAYS)),
    "hour": Kind({"type": "string", "format": "time"}, st.sampled_from([*HOURS]), known(HOURS)),
    "object": Kind({"type": "object"}, objects, nested(dict)),
    "array": Kind({"type": "array"}, st.lists(anything, max_size=3), nested(list)),
    "any": Kind({}, anything, noted),
    "enum": Kind({"type": "string", "enum": ["a", "b"]}, st.sampled_from("ab"), listed),
    "bytes": Kind(
        {"type": "string", "contentEncoding": "base64"},
        st.binary(max_size=4).map(lambda b: base64.b64encode(b).decode()) | st.just("?"),
        octets,
    ),
}


@dataclass(frozen=True)
class Property:
    kind: str
    nullable: bool
    required: bool

    @property
    def schema(self) -> dict[str, Any]:
        schema = dict(KINDS[self.kind].schema)
        if self.nullable and "type" in schema:
            types = schema["type"]
            schema["type"] = [*([types] if isinstance(types, str) else types), "null"]
        if self.nullable and "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
        return schema


properties = st.builds(Property, st.sampled_from([*KINDS]), st.booleans(), st.booleans())
streams = st.dictionaries(
    st.sampled_from(["a", "B", 'c"%s', "ü", "x" * 70]), properties, min_size=1, max_size=5
)


@st.composite
def loads(draw: st.DrawFn) -> tuple[dict[str, Property], list[list[dict[str, Any]]]]:
    """A stream's properties, and the records of two loads."""
    stream = draw(streams)
    fields = {}
    for name, it in stream.items():
        values = KINDS[it.kind].values
        fields[name] = values | st.none() if it.nullable else values
    key, at = st.integers(1, 4), st.integers(0, 5)
    fitting = st.fixed_dictionaries(
        {"id": key, "at": at, **{n: v for n, v in fields.items() if stream[n].required}},
        optional={n: v for n, v in fields.items() if not stream[n].required},
    )
    odd = st.fixed_dictionaries(
        {"id": key | st.none() | st.just("x")},
        optional={"at": at, "undeclared": anything, **dict.fromkeys(fields, anything)},
    )
    records = st.lists(fitting | fitting | fitting | odd, max_size=8)
    return stream, [draw(records), draw(records)]


class Model:
    """What the table should hold."""

    def __init__(self, stream: dict[str, Property]) -> None:
        self.stream = stream
        self.rows: dict[int, dict[str, Any]] = {}
        self.notes: dict[int, set[str]] = {}
        self.times: dict[int, int] = {}
        self.refused = 0
        self.undecided: set[int] = set()

    def take(self, record: dict[str, Any]) -> None:
        try:
            row, notes = self.row(record)
        except BadError:
            self.refused += 1
            return
        key = int(row["id"])
        self.times[key] = self.times.get(key, 0) + 1
        stored = self.rows.get(key, {}).get("at")
        if row["at"] is not None and stored is None and key in self.rows:
            self.undecided.add(key)  # whether it counts what was before the record without one
        if row["at"] is None or stored is None or row["at"] >= stored:
            self.rows[key], self.notes[key] = row, notes

    def row(self, record: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
        row: dict[str, Any] = {"id": integer(record["id"] if record["id"] is not None else "x")}
        row["at"] = Decimal(record["at"]) if "at" in record else None
        notes = set()
        for name, it in self.stream.items():
            must(name in record or not it.required)
            value = record.get(name)
            if value is None:
                must(name not in record or it.nullable or it.kind == "any")
                row[name] = None
                continue
            try:
                row[name] = KINDS[it.kind].store(value)
            except NoteError as note:
                (row[name],) = note.args
                notes.add(name)
        return row, notes


def plain(value: Any) -> Any:
    """A value so that equal ones compare equal, whether read from Postgres or from the model."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float, Decimal)):
        number = Decimal(repr(value) if isinstance(value, float) else value)
        return "NaN" if number.is_nan() else str(number.normalize()) if number else "0"
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("batch_size_rows", [1, 3, 100])
def test_the_model_agrees(wh, messages, batch_size_rows):
    @settings(
        max_examples=int(os.environ.get("FUZZ_EXAMPLES", "12")),
        deadline=None,
        suppress_health_check=[*HealthCheck],
    )
    @given(loads())
    def compare(case):
        stream, parts = case
        declared = {name: it.schema for name, it in stream.items()}
        head = messages.schema(
            "s",
            {"id": {"type": "integer"}, "at": {"type": ["integer", "null"]}, **declared},
            bookmark_properties=["at"],
        )
        head["schema"]["required"] = [name for name, it in stream.items() if it.required]
        wh.query("DROP SCHEMA IF EXISTS crm CASCADE")
        wh.query("DROP TABLE IF EXISTS sync_history, sync_rejects")
        model = Model(stream)
        for records in parts:
            for record in records:
                model.take(record)
            wh.load(
                head,
                *(messages.record("s", **record) for record in records),
                batch_size_rows=batch_size_rows,
            )
        check(wh, model, sum(map(len, parts)))

    compare()


def check(wh, model: Model, records: int) -> None:
    columns = {name: name if len(name) < 63 else None for name in model.stream}
    (long,) = {name for name in wh.types("s") if name.startswith("x" * 50)} or {None}
    columns = {name: column or long for name, column in columns.items()}
    expected = {
        key: {columns.get(name, name): plain(value) for name, value in row.items()}
        for key, row in model.rows.items()
    }
    found = {int(row["id"]): {k: plain(v) for k, v in row.items()} for row in exact(wh)}
    assert found.keys() == expected.keys()
    for key in expected.keys() - model.undecided:
        assert found[key] == expected[key]
    issues = {int(key): {*found} for key, found in wh.issues("s").items()}
    for key, notes in model.notes.items():
        if model.times[key] == 1:  # a record that changes nothing but its notes writes nothing
            assert issues.get(key, set()) == notes
    runs = wh.history()
    assert len(wh.rejects()) == model.refused == sum(run["records_failed"] for run in runs)
    assert sum(run["records_processed"] for run in runs) == records
    assert sum(run["records_created"] for run in runs) == len(model.rows)


def exact(wh) -> list[dict[str, Any]]:
    """The table's rows, jsonb with all digits."""
    types = wh.types("s")
    rows = []
    for row in wh.table("s"):
        text = wh.query("SELECT to_jsonb(s)::text AS row FROM crm.s WHERE id = %s", row["id"])
        parsed = json.loads(text[0]["row"], parse_float=Decimal)
        rows.append({k: parsed[k] if types[k] == "jsonb" else v for k, v in row.items()})
    return rows
