"""Names are the same in every run, whatever comes in which order."""

from __future__ import annotations

import pytest
from target_warehouse.names import assign, identifier


def test_snake_case():
    names = [
        "createdAt",
        "HTTPStatus",
        "Deal Stage",
        "a.b-c",
        "_sdc_deleted_at",
        "x2Y",
        "Größe",
        "",
    ]
    assert [identifier(name, "snake") for name in names] == [
        "created_at", "http_status", "deal_stage", "a_b_c", "_sdc_deleted_at", "x2_y", "größe", "_",
    ]  # fmt: skip


def test_who_gets_a_column_does_not_depend_on_the_order():
    fields = ["Name", "name", "NAME"]
    forth, back = assign(fields, "snake"), assign(fields[::-1], "snake")
    assert forth == back
    assert forth["name"] == "name"
    assert len({*forth.values()}) == 3
    assert assign(["xmin_", "xmin"], "preserve")["xmin_"] == "xmin_"


@pytest.mark.parametrize("first", ["Name", "name"])
def test_a_column_keeps_its_property(wh, messages, first):
    text = {"type": "string"}
    both = {"Id": {"type": "integer"}, "name": text, "Name": text}
    one = {"Id": {"type": "integer"}, first: text}
    wh.load(
        messages.schema("Big Deals", one, keys=("Id",)),
        messages.record("Big Deals", Id=1, **{first: "first"}),
        naming="snake",
    )
    assert wh.table("big_deals") == [{"id": 1, "name": "first"}]
    wh.load(
        messages.schema("Big Deals", both, keys=("Id",), bookmark_properties=["Id"]),
        messages.record("Big Deals", Id=1, name="lower", Name="upper"),
        naming="snake",
    )
    (row,) = wh.table("big_deals")
    assert row.pop("id") == 1
    assert row.pop("name") == {"Name": "upper", "name": "lower"}[first]
    ((other, value),) = row.items()
    assert other.startswith("name_")
    assert value == {"Name": "lower", "name": "upper"}[first]
    comments = wh.query(
        "SELECT attname, col_description(attrelid, attnum) AS said FROM pg_attribute"
        " WHERE attrelid = 'crm.big_deals'::regclass AND attname LIKE 'name%%' ORDER BY attnum"
    )
    second = {"Name": "name", "name": "Name"}[first]
    assert [r["said"] for r in comments] == [f"property: {first}", f"property: {second}"]


def test_two_streams_do_not_share_a_table(wh, messages):
    for stream in ("deals", "Deals"):
        lines = messages.schema(stream, {"id": {"type": "integer"}}), messages.record(stream, id=1)
        if stream == "deals":
            wh.load(*lines, naming="snake")
            continue
        with pytest.raises(Exception, match="belongs to stream deals, and stream Deals has"):
            wh.load(*lines, naming="snake")
    assert wh.table("deals") == [{"id": 1}]


def test_reserved_names_collide_with_nobody(wh, messages):
    text = {"type": "string"}
    wh.load(
        messages.schema("s", {"id": {"type": "integer"}, "xmin": text, "xmin_": text}),
        messages.record("s", id=1, xmin="a", xmin_="b"),
    )
    (row,) = wh.table("s")
    assert row.pop("xmin_") == "b"
    assert sorted(map(str, row.values())) == ["1", "a"]
