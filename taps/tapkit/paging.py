"""Walking through pages: cursors, read-ahead, several requests at once with their order kept."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from tapkit.errors import PageLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

__all__ = ["chunks", "follow", "numbered", "ordered_map"]

Page = TypeVar("Page")
Cursor = TypeVar("Cursor", bound="Hashable")
Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_PAGES = 10_000_000
"""More pages than any CRM has; reaching it means that paging never ends."""


def follow(
    fetch: Callable[[Cursor | None], Page],
    advance: Callable[[Page], Cursor | None],
) -> Iterator[Page]:
    """Yield page after page, the next one being fetched while the caller works on this one.

    Args:
        fetch: Gets the page of a cursor; None asks for the first page.
        advance: Gives the cursor of the page after this one, or None after the last.

    Raises:
        PageLoop: A cursor came a second time.
    """
    seen: set[int] = set()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as reader:
        page = fetch(None)
        while (cursor := advance(page)) is not None:
            if hash(cursor) in seen or len(seen) > MAX_PAGES:
                msg = (
                    f"Paging does not end: the API gave the same cursor twice, after {len(seen)} "
                    "pages. Nothing was skipped; run again, or report it to the vendor."
                )
                raise PageLoop(msg)
            seen.add(hash(cursor))
            following = reader.submit(fetch, cursor)
            yield page
            page = following.result()
        yield page


def numbered(
    fetch: Callable[[int], Page],
    is_last: Callable[[int, Page], bool],
    *,
    workers: int,
    first: int = 1,
) -> Iterator[Page]:
    """Yield the pages that have numbers, in order, several requests being under way at once.

    Args:
        fetch: Gets the page of a number.
        is_last: Whether a number is that of the last page, going by an answer. Where answers tell
            the total, no page behind the last one is asked for; else as many as are under way.
        workers: Requests at once; 1 fetches each page when it is wanted.
        first: The first page's number.

    Raises:
        PageLoop: Two pages in a row are the same.
    """
    page = fetch(first)
    yield page

    def following() -> Iterator[int]:
        number = first
        while not is_last(number, page):
            number += 1
            yield number

    if is_last(first, page):
        return
    for number, answer in enumerate(ordered_map(fetch, following(), workers=workers), first + 1):
        if answer == page and not is_last(number, answer):
            msg = (
                f"Paging does not end: pages {number - 1} and {number} are the same. Nothing was "
                "skipped; run again, or report it to the vendor."
            )
            raise PageLoop(msg)
        page = answer
        yield page
        if is_last(number, page):
            return


def ordered_map(
    work: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Iterator[Result]:
    """Apply `work` to items in several threads and yield the results in the items' order.

    At most twice `workers` results wait in memory; items are drawn only as they are needed.
    """
    if workers <= 1:
        yield from map(work, items)
        return
    source = iter(items)
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="request") as pool:
        waiting: deque[Future[Result]] = deque(
            pool.submit(work, item) for item in islice(source, workers * 2)
        )
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(work, item) for item in islice(source, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Cut items into lists of `size`; the last one may be shorter."""
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk
