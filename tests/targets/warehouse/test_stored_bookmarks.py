"""Bookmarks made again from what is stored: never ahead of it, nor of what was read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from warehouse import stored_bookmarks
from warehouse.command import Refusal, Warehouse
from warehouse.stored_bookmarks import rebuilt, settable

if TYPE_CHECKING:
    from collections.abc import Callable

CHANGED = {"type": "string", "format": "date-time"}
MORNING, NOON = "2026-11-01T06:00:00.000000Z", "2026-11-01T12:00:00.000000Z"
FROM_HISTORY = "as the last run of sync_history left it"


def bookmark(value: Any, key: str = "changed") -> dict[str, Any]:
    return {"replication_key": key, "replication_key_value": value}


@pytest.fixture
def load(wh: Any, messages: Any) -> Callable[..., None]:
    """Loads records of the stream `calls`, and the bookmark that the tap gives with them."""

    def run(*records: dict[str, Any], after: Any = None, kind: Any = None) -> None:
        wh.load(
            messages.schema("calls", {"id": {"type": "integer"}, "changed": kind or CHANGED}),
            *(messages.record("calls", **fields) for fields in records),
            *([messages.state(calls=after)] if after is not None else []),
        )

    return run


@pytest.fixture
def warehouse(wh: Any) -> Warehouse:
    return Warehouse({"sqlalchemy_url": wh.url})


def after(warehouse: Warehouse, before: dict[str, Any] | None = None) -> tuple[Any, str]:
    (found,) = rebuilt(warehouse, "crm", {"calls": before} if before else {})
    assert found.stream == "calls"
    return found.after, found.why


def test_the_last_bookmark_of_the_history_comes_before_the_largest_value(
    load: Callable[..., None], warehouse: Warehouse
) -> None:
    """As a run that was interrupted may have stored new records before old ones."""
    left = {**bookmark(MORNING), "archived": {"until": MORNING}}
    load({"id": 1, "changed": MORNING}, after=left)
    load({"id": 9, "changed": NOON})
    assert after(warehouse) == (left, FROM_HISTORY)


def test_a_bookmark_ahead_of_the_rows_comes_back_to_them(
    load: Callable[..., None], warehouse: Warehouse, wh: Any
) -> None:
    load({"id": 1, "changed": MORNING}, {"id": 2, "changed": NOON}, after=bookmark(NOON))
    wh.query("DELETE FROM crm.calls WHERE id = 2")
    largest = "the largest changed that is stored"
    assert after(warehouse) == (bookmark(MORNING), largest)
    assert after(warehouse, bookmark(NOON)) == (bookmark(MORNING), largest)
    earlier = bookmark("2026-10-01T00:00:00.000000Z")
    assert after(warehouse, earlier) == (earlier, "it is there, and not ahead of what is stored")
    wh.query("DELETE FROM crm.calls")
    nothing = "nothing is stored: the next run reads everything"
    assert after(warehouse, bookmark(NOON)) == (None, nothing)


def test_streams_without_a_bookmark_have_none(
    load: Callable[..., None], warehouse: Warehouse
) -> None:
    load({"id": 1, "changed": NOON}, after={})
    assert after(warehouse) == (None, "it has no bookmark: each run reads everything")


def test_rows_of_a_first_run_that_did_not_end_make_no_bookmark(
    warehouse: Warehouse, wh: Any, messages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As there may be older records that it did not come to."""
    monkeypatch.setattr(stored_bookmarks, "catalog", lambda *_: {"calls": "changed"})
    wh.load(
        messages.schema("calls", {"id": {"type": "integer"}, "changed": CHANGED}),
        messages.record("calls", id=9, changed=NOON),
        messages.state(sync={"calls": messages.report("running")}),
    )
    assert [row["status"] for row in wh.history()] == ["failed"]
    unended = "no run of it has ended: the next run reads everything"
    assert after(warehouse) == (None, unended)


def test_bookmarks_of_another_form_are_those_of_the_history(
    load: Callable[..., None], warehouse: Warehouse
) -> None:
    load({"id": 1, "changed": NOON}, after={"page": 7})
    assert after(warehouse) == ({"page": 7}, FROM_HISTORY)


def test_without_a_history_the_tap_says_the_key(
    load: Callable[..., None],
    warehouse: Warehouse,
    wh: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load({"id": 1, "changed": MORNING}, {"id": 2, "changed": NOON}, after=bookmark(NOON))
    wh.query("DROP TABLE sync_history")
    keys: dict[str, str | None] = {"calls": "changed"}
    monkeypatch.setattr(stored_bookmarks, "catalog", lambda *_: keys)
    assert after(warehouse) == (bookmark(NOON), "the largest changed that is stored")
    keys["calls"] = "no_such_column"
    why = "its table has no value of no_such_column: the next run reads everything"
    assert after(warehouse) == (None, why)
    keys["calls"] = None
    assert after(warehouse) == (None, "it has no bookmark: each run reads everything")


@pytest.mark.parametrize(
    ("kind", "values", "ahead", "largest"),
    [
        ({"type": "string", "format": "date"}, ["2026-11-01", "2026-11-20"], "2027-01-01", None),
        ({"type": "integer"}, [9, 100], 101, None),
        ({"type": "string"}, ["a", "b"], "c", None),
        ({"type": "number"}, [9.5, 100.25], 200, "100.25"),
    ],
)
def test_bookmarks_of_any_type(
    load: Callable[..., None],
    warehouse: Warehouse,
    kind: dict[str, Any],
    values: list[Any],
    ahead: Any,
    largest: Any,
) -> None:
    records = [{"id": number, "changed": value} for number, value in enumerate(values)]
    load(*records, after=bookmark(values[0]), kind=kind)
    assert after(warehouse) == (bookmark(values[0]), FROM_HISTORY)
    load(after=bookmark(ahead), kind=kind)
    found = bookmark(values[-1] if largest is None else largest)
    assert after(warehouse) == (found, "the largest changed that is stored")


def test_a_bookmark_is_never_set_ahead_of_what_is_stored(
    load: Callable[..., None], warehouse: Warehouse
) -> None:
    load({"id": 1, "changed": NOON}, after=bookmark(NOON))
    load({"id": 2, "changed": "2026-11-01T18:00:00Z"})  # by a run that did not end
    assert settable(warehouse, "crm", "calls", "2026-11-01") == bookmark(
        "2026-11-01T00:00:00.000000Z"
    )
    assert settable(warehouse, "crm", "calls", "2026-11-01T13:00:00+01:00") == bookmark(NOON)
    for value, sentence in {
        "2026-11-01T12:00:01": f"ahead of what is stored without gaps: changed up to {NOON}",
        "yesterday": f"'yesterday' is no value of changed; write it like {NOON}",
    }.items():
        with pytest.raises(Refusal, match=sentence):
            settable(warehouse, "crm", "calls", value)
    with pytest.raises(Refusal, match="Nothing is stored of crm texts; there is: calls"):
        settable(warehouse, "crm", "texts", "2026-11-01")
