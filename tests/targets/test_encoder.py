"""The compiled encoder and the exact one agree on every record."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from target_warehouse.columns import Column, kind_of, storage_for
from target_warehouse.encoder import Encoder

PROPERTIES: dict[str, Any] = {
    "id": {"type": "integer"},
    "text": {"type": ["string", "null"]},
    "short": {"type": ["string", "null"], "maxLength": 3},
    "kind": {"type": ["string", "null"], "enum": ["a", "b", None]},
    "whole": {"type": ["integer", "null"], "minimum": -5},
    "number": {"type": ["number", "null"]},
    "decimal": {"type": ["string", "null"], "format": "x-singer.decimal"},
    "flag": {"type": ["boolean", "null"]},
    "at": {"type": ["string", "null"], "format": "date-time"},
    "day": {"type": ["string", "null"], "format": "date"},
    "hour": {"type": ["string", "null"], "format": "time"},
    "object": {"type": ["object", "null"]},
    "list": {"type": ["array", "null"], "items": {"type": "integer"}},
    "deep": {
        "type": ["object", "null"],
        "properties": {"a": {"type": "string"}, "b": {"type": ["integer", "null"]}},
        "required": ["a"],
    },
    "any": {},
    "required": {"type": "string"},
}
SCHEMA = {"type": "object", "properties": PROPERTIES, "required": ["required"]}

texts = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    [
        "",
        "a",
        "null",
        "\\N",
        "\\.",
        "\0",
        "\x01",
        "\x1f",
        "\x7f",
        "\n",
        "\r\n",
        "\\",
        "\\u0000",
        '"',
        ",",
        "😀",
    ]
)
moments = st.sampled_from(
    ["2024-01-01T00:00:00Z", "2024-02-30T00:00:00Z", "0000-00-00", "2024-01-01", "now", "",
     "2024-01-01 10:00:00.1234567+05:30", "20240101T000000", "10:00", "10:00:00Z", "24:00",
     "2024-01-01T00:00:00+16:00", "2024-01-01T24:00:00Z", "2024-12-31T23:59:60Z"]
)  # fmt: skip
numbers = (
    st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, 1, -0.0, 1.0, 2**63, 1e300])
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts | moments,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
fitting: dict[str, st.SearchStrategy[Any]] = {
    "id": st.integers(0, 3),
    "text": texts | st.none(),
    "short": texts | st.none(),
    "kind": st.sampled_from(["a", "b", None]),
    "whole": numbers | st.none(),
    "number": numbers | st.none(),
    "decimal": st.sampled_from(["1.50", "-7", "1e5", "x", ""]) | st.none(),
    "flag": st.booleans() | st.none(),
    "at": moments | st.none(),
    "day": moments | st.none(),
    "hour": moments | st.none(),
    "object": st.dictionaries(texts, values, max_size=3) | st.none(),
    "list": st.lists(st.integers(), max_size=3) | st.none(),
    "deep": st.fixed_dictionaries({"a": texts}, optional={"b": st.integers() | st.none()}),
    "any": values,
    "required": texts,
}
records = st.fixed_dictionaries(
    {"id": fitting["id"], "required": fitting["required"]},
    optional={k: v for k, v in fitting.items() if k not in {"id", "required"}},
) | st.fixed_dictionaries(
    {"id": st.integers(0, 3) | st.none() | texts},
    optional={k: values for k in fitting if k != "id"} | {"undeclared": values},
)


def encoded(batch: list[bytes], *, compiled: bool, strict: bool) -> Any:
    columns = [Column(k, k, kind_of(v), storage_for(kind_of(v))) for k, v in PROPERTIES.items()]
    encoder = Encoder(
        SCHEMA, columns, ["id"], validate=True, strict=strict, on_undeclared=lambda _: None
    )
    assert encoder._decode is not None
    if not compiled:
        encoder._decode = None
    result = encoder.encode([msgspec.Raw(line) for line in batch])
    csv = "\n".join([*(blob.decode() for blob in result.blobs), ""])
    lines = re.findall(r'(?:[^"\n]|"(?:[^"\\]|\\.)*")+\n', csv, re.DOTALL)
    assert "".join(lines) == csv
    assert len(lines) == result.rows
    found = sorted(result.found)
    rows = sorted(map(normal, lines), key=repr)
    return rows, result.keys, result.rejects, found, result.overflowed


def number(text: str) -> Decimal:
    return Decimal(text).normalize()


def normal(line: str) -> list[Any]:
    """Return a row of CSV with numbers and JSON by value, for their text may differ."""
    kinds = ["integer", *(kind_of(v) for v in PROPERTIES.values()), "json"]
    fields: list[Any] = []
    for quoted, plain in re.findall(r'(?:"((?:[^"\\]|\\.)*)"|([^",\n]+))[,\n]', line, re.DOTALL):
        assert "\\" not in re.sub(r"\\[\"\\]", "", quoted)
        text = re.sub(r"\\(.)", r"\1", quoted)
        fields.append(None if plain == "null" else plain or text)
    return [
        field
        if field is None or kind not in {"number", "json", "boolean"}
        else field[0]
        if kind == "boolean"
        else str(json.loads(field, parse_float=number, parse_int=number))
        for kind, field in zip(kinds, fields, strict=True)
    ]


@given(st.lists(records, max_size=6), st.booleans())
def test_both_encoders_agree(batch, strict):
    lines = [json.dumps(record).encode() for record in batch]
    fast = encoded(lines, compiled=True, strict=strict)
    assert fast == encoded(lines, compiled=False, strict=strict)


def test_ordinary_records_stay_on_the_fast_path(monkeypatch):
    columns = [Column(k, k, kind_of(v), storage_for(kind_of(v))) for k, v in PROPERTIES.items()]
    encoder = Encoder(
        SCHEMA, columns, ["id"], validate=True, strict=False, on_undeclared=pytest.fail
    )
    monkeypatch.setattr(encoder, "_encode_one", pytest.fail)
    ordinary = {
        "text": "tab\t newline\n \\ é 😀", "kind": "a", "whole": 5, "number": 1.5,
        "decimal": "2.50", "flag": True, "at": "2024-01-01T00:00:00.123+02:00",
        "day": "2024-01-01", "hour": "10:00",
        "object": {"a": "\u00e9\n😀"}, "list": [1], "deep": {"a": "x", "c": [1]}, "any": 5,
        "required": "",
    }  # fmt: skip
    lines = [json.dumps({"id": i, **ordinary}).encode() for i in range(600)]
    lines += [json.dumps({"id": 600, "required": ""}).encode()]
    batch = encoder.encode([msgspec.Raw(line) for line in lines])
    assert batch.rows == len(batch.keys) == 601
