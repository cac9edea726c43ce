"""Reads single runs: those that are asked for at the same time are read together."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.coalescer import Coalescer
from service.platform.database import autocommit
from service.platform.failover import Patience
from service.runs.read import FoundRun, find_many

BATCH_RUNS = 64
"""Whole runs with their steps may be large, so fewer go together than are stored together."""


class Reader:
    """One process' way of reading runs; ``stop`` it at the end."""

    def __init__(self, engine: AsyncEngine, patience: Patience) -> None:
        self._engine = engine
        self._patience = patience
        self._coalescer = Coalescer[UUID, FoundRun | None]("reader", self._read, most=BATCH_RUNS)

    async def stop(self) -> None:
        """Read what waits, for a bounded time, and stop."""
        await self._coalescer.stop()

    async def find(self, run_id: UUID) -> FoundRun | None:
        """A run as it is now, with all steps of its version. Raises TooManyWaitingError, or what the database said."""
        return await self._coalescer.ask(run_id)

    async def _read(self, run_ids: Sequence[UUID]) -> list[FoundRun | None]:
        async def read() -> dict[UUID, FoundRun]:
            async with autocommit(self._engine) as connection:
                return await find_many(connection, run_ids)

        found = await self._patience.repeat(read)
        return [found.get(run_id) for run_id in run_ids]
