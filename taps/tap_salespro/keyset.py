"""Windows of a table by the value of the last row: no OFFSET, no row numbers.

Rows that are equal in all that is sorted by come together, as a group. A group at the end of a
window may not be whole, and is left to the next window, so that none is lost between two of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, select, text
from tapkit.errors import PageLoop
from tapkit.keyset import behind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import ColumnElement, FromClause

    from tap_salespro.database import Database, Row

__all__ = ["groups"]


def groups(
    database: Database,
    source: FromClause,
    order: Sequence[ColumnElement[Any]],
    condition: ColumnElement[bool],
    size: int,
    place: Callable[[Row], tuple[Any, ...]],
) -> Iterator[list[Row]]:
    """Read the rows that meet a condition, sorted, as groups of rows with the same place.

    Args:
        database: Where they are.
        source: The table, called `t`.
        order: What they are sorted by. Where it is null, what is before it is the same for all
            rows with a null there and for no other.
        condition: Which rows.
        size: Rows of one query.
        place: Gives the values of `order` for a row.

    Raises:
        PageLoop: The database sorts otherwise than it compares.
    """
    after: tuple[Any, ...] | None = None
    while True:
        where = condition if after is None else and_(condition, behind(order, after))
        query = select(text("t.*")).select_from(source).where(where).order_by(*order).limit(size)
        count = 0
        group: list[Row] = []
        here: tuple[Any, ...] | None = None
        before = after
        for rows in database.stream(query):
            for row in rows:
                count += 1
                at = place(row)
                if at != here:
                    if group:
                        yield group
                        after = here
                    group, here = [], at
                group.append(row)
        if count < size:
            if group:
                yield group
            return
        if after == before:
            # All rows of the window are equal in what is sorted by: it takes a larger one.
            size *= 2
            if size > 1 << 24:
                raise PageLoop("Paging does not end: too many rows with the same place")
