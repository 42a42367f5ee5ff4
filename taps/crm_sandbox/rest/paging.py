"""Pages that are asked for by number and size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

Item = TypeVar("Item")


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """One page of a list.

    Attributes:
        items: What is on it; nothing behind the last page.
        number: The page's number.
        size: Items on a full page.
        total: Items on all pages.
        pages: Number of pages, 0 for an empty list.
        has_more: Whether a page with items follows.
    """

    items: Sequence[Item]
    number: int
    size: int
    total: int
    pages: int
    has_more: bool


def page_of(rows: Sequence[Item], number: int, size: int, *, first: int = 1) -> Page[Item]:
    """Cut a page out of a list.

    Args:
        rows: The whole list, in its order.
        number: The page asked for.
        size: Items on a page.
        first: Number of the first page.
    """
    start = (number - first) * size
    return Page(
        items=rows[start : start + size],
        number=number,
        size=size,
        total=len(rows),
        pages=-(-len(rows) // size),
        has_more=start + size < len(rows),
    )


def whole_number(
    request: Request, name: str, default: int, *, low: int = 1, high: int | None = None
) -> int:
    """Return a query parameter that is a whole number.

    Args:
        request: The request.
        name: Name of the parameter.
        default: What it is where it is missing.
        low: The smallest value allowed.
        high: The largest one, any where None.

    Raises:
        ValueError: It is no number, or out of bounds; the text says so.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.removeprefix("-").isdecimal() or not low <= int(text) <= (high or int(text)):
        raise ValueError(f"Invalid {name}")
    return int(text)
