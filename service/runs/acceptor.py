"""Accepts runs: requests that come at the same time are stored together, by one statement and one commit.

A request is never held back for others: a batch is begun as soon as a writer is free, with what has come until then.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.database import DatabaseUnavailableError, autocommit, is_unavailable
from service.platform.failover import Patience, note_commit
from service.runs.insert import Accepted, KeyTakenError, Outcome, RunRequest, insert_runs

WRITERS = 2
"""Batches that are written at the same time by one process: while one commits, the next is made up."""

BATCH_RUNS = 256
"""A batch is closed when it has this many runs; a single request with more is a batch by itself."""

MOST_WAITING = 10_000
"""Requests beyond this find no place: they would wait for longer than callers do."""

WAIT_SECONDS = 30.0
"""The longest that a caller waits: for the batches before, a database that changes, and the commit."""

_STOP_SECONDS = 5.0

Store = Callable[[Sequence[RunRequest]], Awaitable[list[Outcome]]]
_Waiting = tuple[RunRequest, "asyncio.Future[Accepted | None]"]


class TooManyWaitingError(RuntimeError):
    """The process has no place for another request."""


class Acceptor:
    """One process' way of storing runs; ``start`` it in the loop that uses it."""

    def __init__(self, engine: AsyncEngine, patience: Patience, *, topic: str, audit: bool) -> None:
        self._engine = engine
        self._patience = patience
        self._topic = topic
        self._audit = audit
        self._waiting: deque[_Waiting] = deque()
        self._filled = asyncio.Event()
        self._writers: list[asyncio.Task[None]] = []
        self._asked: set[asyncio.Future[Accepted | None]] = set()

    def start(self) -> None:
        """Begin to write; needs a running loop."""
        self._writers = [asyncio.create_task(self._write(), name=f"acceptor-{number}") for number in range(WRITERS)]

    async def stop(self) -> None:
        """Write what waits, for a bounded time, and stop."""
        if self._asked:
            await asyncio.wait(self._asked, timeout=_STOP_SECONDS)
        for task in self._writers:
            task.cancel()
        await asyncio.gather(*self._writers, return_exceptions=True)
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(DatabaseUnavailableError("the service stops"))
        self._waiting.clear()

    async def accept(self, request: RunRequest) -> Accepted | None:
        """Store the request's runs; committed when this returns. None where there is no such workflow.

        Raises KeyTakenError, TooManyWaitingError, or what the database said. A caller that goes away does not undo it.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise TooManyWaitingError
        future: asyncio.Future[Accepted | None] = asyncio.get_running_loop().create_future()
        self._asked.add(future)
        future.add_done_callback(self._asked.discard)
        self._waiting.append((request, future))
        self._filled.set()
        # From here on nobody can say that the request changed nothing, so no layer above may repeat it.
        note_commit()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await future
        except TimeoutError as error:
            raise DatabaseUnavailableError("the run was not stored in time") from error

    async def _write(self) -> None:
        while True:
            await self._filled.wait()
            batch = self._take()
            if not batch:
                self._filled.clear()
                continue
            await self._settle(batch)

    def _take(self) -> list[_Waiting]:
        """The next requests; two with the same key are never in one batch, because the second has to see the first."""
        batch: list[_Waiting] = []
        keys: set[tuple[str, str]] = set()
        later: list[_Waiting] = []
        count = 0
        while self._waiting:
            request, future = self._waiting[0]
            if batch and count + len(request.runs) > BATCH_RUNS:
                break
            self._waiting.popleft()
            if future.done():
                # Its caller is gone, and nothing of it is stored yet.
                continue
            key = (request.actor, request.key) if request.key is not None else None
            if key in keys:
                later.append((request, future))
                continue
            if key is not None:
                keys.add(key)
            batch.append((request, future))
            count += len(request.runs)
        self._waiting.extendleft(reversed(later))
        return batch

    async def _settle(self, batch: list[_Waiting]) -> None:
        try:
            outcomes = await self._store([request for request, _ in batch])
        except asyncio.CancelledError:
            for _, future in batch:
                _refuse(future, DatabaseUnavailableError("the service stopped while it was stored"))
            raise
        except Exception as error:  # noqa: BLE001 - whoever asked gets it
            if len(batch) == 1 or is_unavailable(error):
                for _, future in batch:
                    _refuse(future, error)
                return
            # One request that can't be stored must not take its neighbours along.
            for each in batch:
                await self._settle([each])
            return
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, KeyTakenError):
                _refuse(future, outcome)
            elif not future.done():
                future.set_result(outcome)

    async def _store(self, requests: Sequence[RunRequest]) -> list[Outcome]:
        async def store() -> list[Outcome]:
            async with autocommit(self._engine) as connection:
                return await insert_runs(connection, requests, topic=self._topic, audit=self._audit)

        return await self._patience.repeat(store)


def _refuse(future: "asyncio.Future[Accepted | None]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
