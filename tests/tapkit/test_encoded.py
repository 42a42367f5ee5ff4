"""Pages that are encoded already go out as they are, and are counted and bookmarked like others."""

from __future__ import annotations

import gzip
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from singer import run_tap
from singer_sdk import typing as th
from tapkit.encoded import EncodedPage
from tapkit.errors import FatalAPIError
from tapkit.fields import Field
from tapkit.settings import common_settings
from tapkit.stream import Stream
from tapkit.tap import Tap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

MOMENT = "2026-01-0{}T00:00:00.000000Z"
EXACT = "12345678901234567890.123456789"


class Rows(Stream):
    name = "rows"
    primary_keys = ("id",)
    replication_key = "at"
    is_encoded = True
    fields = (Field("id", "integer"), Field("at", "datetime"), Field("n", "decimal"))
    breaks_after: int | None = None

    def pages(self) -> Iterator[EncodedPage]:
        for number, first in enumerate((1, 3)):
            if number == self.breaks_after:
                raise FatalAPIError("the connection is gone")
            ids = (first, first + 1)
            wrong = {"n": {"value": "?", "error": "not a number"}}
            yield EncodedPage(
                [self.line(i, wrong if i == 4 else None) for i in ids],
                MOMENT.format(ids[-1]),
                {1: (wrong, {"id": 4})} if 4 in ids else {},
            )

    def line(self, place: int, issues: Any) -> bytes:
        at = MOMENT.format(place)
        number = "null" if issues else EXACT
        said = msgspec.json.encode(issues).decode()
        return f'{{"id":{place},"at":"{at}","n":{number},"sync_issues":{said}}}'.encode()


class SortedRows(Rows):
    is_sorted = True
    STATE_MSG_FREQUENCY = 2


class BrokenRows(SortedRows):
    breaks_after = 1


class TapRows(Tap):
    name = "tap-rows"
    stream: type[Rows] = Rows
    config_jsonschema = th.PropertiesList(
        *common_settings(base_url="", page_size=2, page_size_limit=2, look_back=0)
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        return [self.stream(self)]


class TapSortedRows(TapRows):
    stream = SortedRows


class TapBrokenRows(TapRows):
    stream = BrokenRows


ISSUE = {"n": {"value": "?", "error": "not a number"}}
RECORDS = [
    {"id": i, "at": MOMENT.format(i), "n": None if i == 4 else 1.2345678901234567e19}
    | {"sync_issues": ISSUE if i == 4 else None}
    for i in range(1, 5)
]


def bookmark(state: dict[str, Any]) -> str | None:
    value: str | None = state["bookmarks"].get("rows", {}).get("replication_key_value")
    return value


def test_pages_go_out_as_they_are_and_count(caplog: pytest.LogCaptureFixture) -> None:
    run = run_tap(TapRows, {})
    assert run.error is None
    kinds = [message["type"] for message in run.messages]
    assert kinds == ["STATE", "SCHEMA", *["RECORD"] * 4, "STATE", "ACTIVATE_VERSION", "STATE"]
    assert run.records("rows") == RECORDS
    assert f'"n":{EXACT},' in run.lines[2]
    (version,) = {m["version"] for m in run.messages if "version" in m}
    assert version == run.messages[-2]["version"]
    assert {"version", "time_extracted"} <= run.messages[2].keys()
    assert bookmark(run.state) == MOMENT.format(4)
    status = run.statuses["rows"]
    assert (status["status"], status["extracted"], status["warnings"]) == ("success", 4, 1)
    assert "Validation warning for field 'n' with value '?' (Record: id=4)" in caplog.text


def test_a_bookmark_of_sorted_pages_moves_on_the_way() -> None:
    run = run_tap(TapSortedRows, {})
    assert [bookmark(state) for state in run.states] == [
        None, *map(MOMENT.format, (2, 4, 4))
    ]  # fmt: skip


def test_a_page_that_cannot_be_read_leaves_the_bookmark_behind_it() -> None:
    run = run_tap(TapBrokenRows, {})
    assert [record["id"] for record in run.records("rows")] == [1, 2]
    assert bookmark(run.state) == MOMENT.format(2)
    assert run.statuses["rows"]["status"] == "failed"
    assert "ACTIVATE_VERSION" not in [message["type"] for message in run.messages]


def test_an_empty_page_can_move_the_bookmark(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a source that learns only at the end what all that it read is worth."""
    monkeypatch.setattr(Rows, "pages", lambda _: iter([EncodedPage([], MOMENT.format(9))]))
    run = run_tap(TapRows, {})
    assert (run.records("rows"), bookmark(run.state)) == ([], MOMENT.format(9))


def test_max_records_cuts_a_page_and_keeps_the_bookmark_behind_it() -> None:
    run = run_tap(TapSortedRows, {"max_records": 3})
    assert [record["id"] for record in run.records("rows")] == [1, 2, 3]
    assert bookmark(run.state) == MOMENT.format(2)
    status = run.statuses["rows"]
    assert (status["extracted"], status["warnings"]) == (3, 0)


def test_maps_get_the_records_decoded() -> None:
    run = run_tap(TapRows, {"stream_maps": {"rows": {"n": "n", "twice": "id * 2"}}})
    assert run.error is None
    assert [record["twice"] for record in run.records("rows")] == [2, 4, 6, 8]
    assert EXACT in run.lines[2]
    assert run.statuses["rows"]["extracted"] == 4


def test_batch_files_hold_the_same_records(tmp_path: Path) -> None:
    batches = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": tmp_path.as_uri()},
    }
    run = run_tap(TapRows, {"batch_config": batches})
    assert run.error is None
    (file,) = tmp_path.iterdir()
    lines = gzip.decompress(file.read_bytes()).splitlines()
    decode = msgspec.json.Decoder(float_hook=Decimal).decode
    assert [decode(line)["id"] for line in lines] == [1, 2, 3, 4]
    assert decode(lines[0])["n"] == Decimal(EXACT)
    assert run.statuses["rows"]["extracted"] == 4


def test_a_connection_test_reads_one_record() -> None:
    assert TapRows(config={}).run_connection_test()
