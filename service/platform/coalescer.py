"""What is asked of the database at the same time is done together, by one statement and one commit.

Nothing is held back for others: a batch is begun as soon as a worker is free, with what has come until then. So a lone
item costs what it costs alone, and under load the cost of a statement, and of its commit, is shared.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

from service.platform.database import DatabaseUnavailableError, is_unavailable

MOST_WAITING = 10_000
"""Items beyond this find no place: they would wait for longer than anybody does."""

WAIT_SECONDS = 30.0
"""The longest that an item waits: for the batches before, for a database that changes, and for the commit."""

_STOP_SECONDS = 5.0

_LONG_SECONDS = 0.02
"""A batch that takes longer than this is not waited for by those who come after it."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Work = Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]]
"""Does a batch, all of it or nothing; answers each item, in their order, or has an error of its own for it."""


class TooManyWaitingError(RuntimeError):
    """There is no place for another item."""


class Coalescer(Generic[Item, Answer]):
    """One process' way of doing one kind of work; ``stop`` it at the end.

    ``weight`` says how much of a batch, which holds ``most`` (a heavier item is a batch by itself), an item takes. Two
    items with the same ``key`` are never in one batch, because the second has to see what the first has done. While a
    batch is done, a second one is begun only when ``crowd`` items wait, or when the first takes long: where a statement
    costs much more than an item of it, few large batches are cheaper than many small ones.
    """

    def __init__(
        self,
        name: str,
        work: Work[Item, Answer],
        *,
        most: int,
        workers: int = 2,
        crowd: int = 1,
        weight: Callable[[Item], int] = lambda _item: 1,
        key: Callable[[Item], Hashable] = lambda _item: None,
    ) -> None:
        self._name = name
        self._work = work
        self._most = most
        self._count = workers
        self._crowd = crowd
        self._begun = 0.0
        self._weight = weight
        self._key = key
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._busy = 0
        self._workers: set[asyncio.Task[None]] = set()
        self._asked: set[asyncio.Future[Answer]] = set()

    async def stop(self) -> None:
        """Do what waits, for a bounded time, and stop."""
        if self._asked:
            await asyncio.wait(self._asked, timeout=_STOP_SECONDS)
        for task in self._workers:
            task.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for _, future in self._waiting:
            _refuse(future, DatabaseUnavailableError("the service stops"))
        self._waiting.clear()

    async def ask(self, item: Item) -> Answer:
        """Have the item done; committed when this returns.

        Raises TooManyWaitingError, DatabaseUnavailableError when it takes too long, or what the batch said of the item.
        Who goes away before its batch is begun takes the item along; later nothing is undone.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise TooManyWaitingError
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._asked.add(future)
        future.add_done_callback(self._asked.discard)
        self._waiting.append((item, future))
        if self._wants_worker(loop.time()):
            self._busy += 1
            # In a context of its own: what it does is for many callers.
            worker = asyncio.create_task(self._work_all(), name=self._name, context=Context())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        # Cheaper than a timeout around the wait, and it may end only what waits.
        late = loop.call_later(WAIT_SECONDS, _give_up, future)
        try:
            return await future
        finally:
            late.cancel()

    def _wants_worker(self, now: float) -> bool:
        if self._busy == 0:
            return True
        return self._busy < self._count and (len(self._waiting) >= self._crowd or now - self._begun > _LONG_SECONDS)

    async def _work_all(self) -> None:
        try:
            while batch := self._take():
                self._begun = asyncio.get_running_loop().time()
                await self._settle(batch)
                # Who has asked in the meantime, and is not heard yet, comes along: fewer and larger batches.
                await asyncio.sleep(0)
        finally:
            self._busy -= 1

    def _take(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        batch: list[tuple[Item, asyncio.Future[Answer]]] = []
        later: list[tuple[Item, asyncio.Future[Answer]]] = []
        keys: set[Hashable] = set()
        weight = 0
        while self._waiting:
            item, future = self._waiting[0]
            if batch and weight + self._weight(item) > self._most:
                break
            self._waiting.popleft()
            if future.done():
                continue
            key = self._key(item)
            if key is not None and key in keys:
                later.append((item, future))
                continue
            keys.add(key)
            batch.append((item, future))
            weight += self._weight(item)
        self._waiting.extendleft(reversed(later))
        return batch

    async def _settle(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._work([item for item, _ in batch])
        except asyncio.CancelledError:
            for _, future in batch:
                _refuse(future, DatabaseUnavailableError("the service stopped while it was done"))
            raise
        except Exception as error:  # noqa: BLE001 - whoever asked gets it
            if len(batch) == 1 or is_unavailable(error):
                for _, future in batch:
                    _refuse(future, error)
                return
            # One item that can't be done must not take its neighbours along.
            for each in batch:
                await self._settle([each])
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if isinstance(answer, Exception):
                _refuse(future, answer)
            elif not future.done():
                future.set_result(answer)


def _give_up(future: "asyncio.Future[Answer]") -> None:
    _refuse(future, DatabaseUnavailableError("it was not done in time"))


def _refuse(future: "asyncio.Future[Answer]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
