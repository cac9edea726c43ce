"""Accepts runs: requests that come at the same time are stored together."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.coalescer import Coalescer
from service.platform.database import autocommit
from service.platform.failover import Patience, note_commit
from service.runs.insert import Accepted, Outcome, RunRequest, insert_runs

BATCH_RUNS = 256
"""A batch is closed when it has this many runs."""


class Acceptor:
    """One process' way of storing runs; ``stop`` it at the end."""

    def __init__(self, engine: AsyncEngine, patience: Patience, *, topic: str, audit: bool) -> None:
        self._engine = engine
        self._patience = patience
        self._topic = topic
        self._audit = audit
        self._coalescer = Coalescer[RunRequest, Accepted | None](
            "acceptor",
            self._store,
            most=BATCH_RUNS,
            weight=lambda request: len(request.runs),
            key=lambda request: None if request.key is None else (request.actor, request.key),
        )

    async def stop(self) -> None:
        """Store what waits, for a bounded time, and stop."""
        await self._coalescer.stop()

    async def accept(self, request: RunRequest) -> Accepted | None:
        """Store the request's runs; committed when this returns. None where there is no such workflow.

        Raises KeyTakenError, TooManyWaitingError, or what the database said. A caller that goes away does not undo it.
        """
        # From here on nobody can say that the request changed nothing, so no layer above may repeat it.
        note_commit()
        return await self._coalescer.ask(request)

    async def _store(self, requests: Sequence[RunRequest]) -> list[Outcome]:
        async def store() -> list[Outcome]:
            async with autocommit(self._engine) as connection:
                return await insert_runs(connection, requests, topic=self._topic, audit=self._audit)

        return await self._patience.repeat(store)
