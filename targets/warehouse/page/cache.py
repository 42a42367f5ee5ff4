"""Answers kept for a moment, so that many viewers cost no more than one."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from starlette.concurrency import run_in_threadpool

from warehouse.page.database import CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Cache"]

T = TypeVar("T")

_MOST: Final = 200


class Cache(Generic[T]):
    """What `make` returned, by key, for some seconds; asked for by many at once it is made once."""

    def __init__(self, seconds: float) -> None:
        """Begin empty.

        Args:
            seconds: How old an answer may be; counted from when its making began.
        """
        self.seconds = seconds
        self._kept: OrderedDict[Hashable, tuple[float, asyncio.Task[T]]] = OrderedDict()
        self._at_once = asyncio.Semaphore(CONNECTIONS)

    async def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the answer to `key`, from a thread where it has to be made; errors are not kept.

        Args:
            key: What is asked for.
            make: Called without arguments; may block.
        """
        began, task = self._kept.get(key, (0.0, None))
        if task is None or (task.done() and time.monotonic() - began >= self.seconds):
            task = asyncio.create_task(self._make(make))
            self._kept[key] = (time.monotonic(), task)
            self._kept.move_to_end(key)
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        try:
            # Whoever came first may go: the others still wait.
            return await asyncio.shield(task)
        except Exception:
            if self._kept.get(key, (0.0, None))[1] is task:
                del self._kept[key]
            raise

    async def _make(self, make: Callable[[], T]) -> T:
        async with self._at_once:
            return await run_in_threadpool(make)
