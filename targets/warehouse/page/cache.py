"""Answers kept for a moment, so that many viewers cost no more than one."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from starlette.concurrency import run_in_threadpool

from warehouse.page.database import CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

__all__ = ["Cache"]

T = TypeVar("T")

_MOST: Final = 200


class _Answer(Generic[T]):
    """One answer, or the one that is being worked out; `renewal` is to take its place."""

    def __init__(self, making: Coroutine[Any, Any, T]) -> None:
        self.began = time.monotonic()
        self.task = asyncio.create_task(making)
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        self.renewal: _Answer[T] | None = None

    @property
    def age(self) -> float:
        """Seconds since its making began; 0 while it is under way."""
        return time.monotonic() - self.began if self.task.done() else 0.0


class Cache(Generic[T]):
    """What `make` returned, by key, for some seconds.

    Asked for by many at once it is made once. Asked for in the second half of its time it is made
    again meanwhile, so that nobody waits for what is asked for all the time.
    """

    def __init__(self, seconds: float) -> None:
        """Begin empty.

        Args:
            seconds: How old an answer may be; counted from when its making began.
        """
        self.seconds = seconds
        self._kept: OrderedDict[Hashable, _Answer[T]] = OrderedDict()
        self._at_once = asyncio.Semaphore(CONNECTIONS)

    async def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the answer to `key`, from a thread where it has to be made; errors are not kept.

        Args:
            key: What is asked for.
            make: Called without arguments; may block.
        """
        answer = self._kept.get(key)
        if answer and answer.renewal and (answer.renewal.task.done() or answer.age >= self.seconds):
            answer = self._keep(key, answer.renewal)
        if answer is None or answer.age >= self.seconds:
            answer = self._keep(key, _Answer(self._make(make)))
        elif answer.age >= self.seconds / 2 and not answer.renewal:
            answer.renewal = _Answer(self._make(make))
        try:
            # Whoever came first may go: the others still wait.
            return await asyncio.shield(answer.task)
        except Exception:
            if self._kept.get(key) is answer:
                del self._kept[key]
            raise

    def _keep(self, key: Hashable, answer: _Answer[T]) -> _Answer[T]:
        self._kept[key] = answer
        self._kept.move_to_end(key)
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return answer

    async def _make(self, make: Callable[[], T]) -> T:
        async with self._at_once:
            return await run_in_threadpool(make)
