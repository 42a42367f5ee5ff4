"""Pages of a table by the values of the last row: no OFFSET, which counts and misses rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, or_

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement

__all__ = ["behind"]


def behind(order: Sequence[ColumnElement[Any]], position: Sequence[Any]) -> ColumnElement[bool]:
    """The rows that are sorted behind a position.

    It is `(a, b) > (1, 2)` written as `a > 1 OR a = 1 AND b > 2`, which every database understands,
    and reads as ranges of an index.

    Args:
        order: What the rows are sorted by, ascending.
        position: Its values for the row before the page. None stands for a null that the terms
            before it tell apart: no row is sorted behind it by that term.
    """
    return or_(
        *(
            and_(
                *(it == value for it, value in zip(order[:place], position, strict=False)),
                it > position[place],
            )
            for place, it in enumerate(order)
            if position[place] is not None
        )
    )
