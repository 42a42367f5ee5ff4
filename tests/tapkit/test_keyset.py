"""Pages by the values of the last row find each row once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    String,
    Table,
    column,
    create_engine,
    insert,
    select,
)
from tapkit.keyset import behind


def test_pages_of_any_size_have_each_row_once() -> None:
    things = Table("things", MetaData(), *(Column(name, Integer) for name in "ab"))
    things.append_column(Column("c", String))
    rows = [(a, b, c) for a in (1, 2, 3) for b in (1, 2) for c in ("", "x", "y")]
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        things.create(connection)
        connection.execute(insert(things), [dict(zip("abc", row, strict=True)) for row in rows])
        for size in (1, 2, 4, 5, 18, 19):
            found: list[Any] = []
            query = select(things).order_by(*things.columns).limit(size)
            page = connection.execute(query).all()
            while page:
                found += map(tuple, page)
                after = query.where(behind([*things.columns], page[-1]))
                page = connection.execute(after).all()
            assert found == rows


def test_no_row_is_behind_a_null_by_that_term() -> None:
    is_null, value, key = (column(name) for name in ("is_null", "value", "key"))
    text = str(behind([is_null, value, key], [1, None, "k"]).compile())
    assert text == (
        "is_null > :is_null_1 OR is_null = :is_null_2 AND value IS NULL AND key > :key_1"
    )
