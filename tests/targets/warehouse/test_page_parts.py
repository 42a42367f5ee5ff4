"""How the page writes numbers and moments, keeps answers, and draws."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest
from warehouse.page import charts, texts
from warehouse.page.cache import Cache
from warehouse.page.filters import Filters

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (None, texts.NOTHING), (0, "0 s"), (0.04, "0.0 s"), (0.44, "0.4 s"), (9.96, "10.0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"), (75, "1 min 15 s"), (3600, "1 h 00 min"), (93_600, "1 d 2 h"),
    ],
)  # fmt: skip
def test_durations(seconds, written):
    assert texts.duration(seconds) == written


@pytest.mark.parametrize(
    ("passed", "written"),
    [
        (-3, "now"), (0.2, "now"), (42, "42 s ago"), (60, "1 min ago"), (7199, "1 h ago"),
        (172_799, "47 h ago"), (172_800, "2 d ago"),
    ],
)  # fmt: skip
def test_ages(passed, written):
    assert texts.ago(NOW - timedelta(seconds=passed), NOW) == written
    assert texts.ago(None, NOW) == "never"


def test_numbers_rates_and_keys():
    assert [texts.number(value) for value in (None, 0, 1234567)] == [
        texts.NOTHING,
        "0",
        "1,234,567",
    ]
    rates = [texts.rate(value) for value in (None, 0, 0.25, 12345.6)]
    assert rates == [texts.NOTHING, "0 rec/s", "0.2 rec/s", "12,346 rec/s"]
    keys = [texts.key(value) for value in (None, {"id": "ä"}, {"a": 1, "b": [None]}, 7)]
    assert keys == [texts.NOTHING, "ä", "a=1, b=[null]", "7"]
    assert texts.moment(NOW.astimezone(timezone(timedelta(hours=5)))) == "2026-01-02 03:04:05"


def test_addresses_keep_the_filters():
    wanted = Filters.of({"crm": " a&b ", "status": "failed", "page": "3", "other": "x"})
    assert wanted.link(page=4) == "?crm=a%26b&status=failed&page=4"
    assert wanted.link(page=1, crm=None) == "?status=failed"
    assert Filters().link() == "?"
    assert not Filters(page=2, days=7).is_set


def test_what_many_ask_for_is_made_once_and_errors_are_not_kept():
    made: list[int] = []
    wait = threading.Event()

    def make() -> int:
        made.append(1)
        wait.wait(5)
        return len(made)

    def fail() -> int:
        made.append(0)
        raise LookupError

    async def ask() -> None:
        cache: Cache[int] = Cache(0.2)
        first = asyncio.create_task(cache.get("a", make))
        others = [asyncio.create_task(cache.get("a", make)) for _ in range(20)]
        await asyncio.sleep(0.3)  # longer than it is kept, but it is still being made
        others.append(asyncio.create_task(cache.get("a", make)))
        first.cancel()  # whoever asked first has gone
        wait.set()
        assert await asyncio.gather(*others) == [1] * 21
        assert await cache.get("a", make) == 2
        assert await cache.get("a", make) == 2
        await asyncio.sleep(0.15)  # in the second half of its time it is renewed beside
        assert await cache.get("a", make) == 2
        await asyncio.sleep(0.04)
        assert await cache.get("a", make) == 3
        await asyncio.sleep(0.25)
        assert await cache.get("a", make) == 4
        for _ in range(2):
            with pytest.raises(LookupError):
                await cache.get("b", fail)
        for number in range(500):
            await cache.get(number, lambda: 0)
        assert len(cache._kept) == 200

    asyncio.run(ask())
    assert made == [1, 1, 1, 1, 0, 0]


def test_charts_are_text_and_shapes_only():
    began = time.perf_counter()
    svg = charts.bars(
        "<i>", ["a", "a", "<b>"], {'x"': [1, None, 3], "y": [2, 2, None]}, texts.number
    )
    once = time.perf_counter() - began
    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg" class="pygal-chart"')
    assert 'role="img" aria-label="&lt;i&gt;"' in svg
    assert set(re.findall(r"<(\w+)", svg)) == {"svg", "g", "rect", "path", "text", "title"}
    assert not re.search(r' (style|id|on\w+|href)="', svg)
    assert "<title>&lt;b&gt;: 3</title>" in svg
    began = time.perf_counter()
    again = charts.bars(
        "<i>", ["a", "a", "<b>"], {'x"': [1, None, 3], "y": [2, 2, None]}, texts.number
    )
    assert again is svg
    assert time.perf_counter() - began < once
    assert "No data" in charts.lines("", [], {}, texts.rate)
