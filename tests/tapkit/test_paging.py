from __future__ import annotations

import threading
import time

import pytest
from tapkit.errors import PageLoop
from tapkit.paging import chunks, follow, numbered, ordered_map


def test_pages_are_followed_to_the_last() -> None:
    pages: dict[int | None, tuple[str, int | None]] = {None: ("a", 1), 1: ("b", 2), 2: ("c", None)}
    walked = follow(pages.__getitem__, lambda page: page[1])
    assert [page[0] for page in walked] == ["a", "b", "c"]


def test_the_next_page_is_fetched_while_this_one_is_used() -> None:
    asked: list[int | None] = []
    second_asked = threading.Event()

    def fetch(cursor: int | None) -> int:
        asked.append(cursor)
        if cursor == 1:
            second_asked.set()
        return (cursor or 0) + 1

    walked = follow(fetch, lambda page: page if page < 3 else None)
    assert next(walked) == 1
    assert second_asked.wait(5)
    assert list(walked) == [2, 3]
    assert asked == [None, 1, 2]


def test_a_circle_of_pages_is_an_error_after_every_page_was_given() -> None:
    circle = {None: 1, 1: 2, 2: 1}
    walked = follow(circle.__getitem__, lambda page: page)
    given = []
    with pytest.raises(PageLoop, match="same cursor twice"):
        given.extend(iter(lambda: next(walked), None))
    walked = follow(circle.__getitem__, lambda page: page)
    assert [next(walked), next(walked)] == [1, 2]


def test_an_error_of_a_later_page_reaches_the_caller() -> None:
    def fetch(cursor: int | None) -> int:
        if cursor == 2:
            raise ConnectionError
        return (cursor or 0) + 1

    walked = follow(fetch, lambda page: page)
    assert [next(walked), next(walked)] == [1, 2]
    with pytest.raises(ConnectionError):
        next(walked)


@pytest.mark.parametrize("workers", [1, 4])
def test_numbered_pages_of_a_known_total_are_asked_for_once_each(workers: int) -> None:
    asked: list[int] = []

    def fetch(number: int) -> dict[str, int]:
        asked.append(number)
        return {"page": number, "total_pages": 9}

    walked = numbered(fetch, lambda number, page: number >= page["total_pages"], workers=workers)
    assert [page["page"] for page in walked] == list(range(1, 10))
    assert sorted(asked) == list(range(1, 10))


@pytest.mark.parametrize("workers", [1, 4])
def test_numbered_pages_of_an_unknown_total_end_with_a_short_one(workers: int) -> None:
    asked: list[int] = []

    def fetch(number: int) -> list[int]:
        asked.append(number)
        return [number] * (2 if number < 5 else 1 if number == 5 else 0)

    walked = numbered(fetch, lambda _, page: len(page) < 2, workers=workers)
    assert list(walked) == [[1, 1], [2, 2], [3, 3], [4, 4], [5]]
    assert max(asked) <= 5 + (0 if workers == 1 else 2 * workers)


def test_a_numbered_page_that_comes_again_is_an_error() -> None:
    walked = numbered(lambda _: ["same"], lambda _, page: not page, workers=2)
    assert next(walked) == ["same"]
    with pytest.raises(PageLoop, match="pages 1 and 2 are the same"):
        next(walked)


@pytest.mark.parametrize("workers", [1, 4])
def test_work_done_at_once_keeps_its_order(workers: int) -> None:
    at_once = peak = 0
    lock = threading.Lock()

    def work(item: int) -> int:
        nonlocal at_once, peak
        with lock:
            at_once += 1
            peak = max(peak, at_once)
        time.sleep(0.01 * (5 - item % 5))
        with lock:
            at_once -= 1
        return item * item

    assert list(ordered_map(work, range(20), workers=workers)) == [i * i for i in range(20)]
    assert peak == workers


def test_items_are_drawn_only_as_needed() -> None:
    drawn: list[int] = []

    def items() -> object:
        for item in range(1000):
            drawn.append(item)
            yield item

    results = ordered_map(lambda item: item, items(), workers=2)  # type: ignore[arg-type,misc]
    next(results)
    assert len(drawn) <= 5
    results.close()  # type: ignore[attr-defined]


def test_chunks() -> None:
    assert list(chunks("abcde", 2)) == [["a", "b"], ["c", "d"], ["e"]]
