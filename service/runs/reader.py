"""Reads single runs: those that are asked for at the same time are read together."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.coalescer import Coalescer
from service.platform.failover import Patience
from service.runs.written import WrittenRun, write_many

BATCH_RUNS = 64
"""Whole runs with their steps may be large, so fewer go together than are stored together."""

_CROWD = 32


class Reader:
    """One process' way of reading runs; ``stop`` it at the end."""

    def __init__(self, engine: AsyncEngine, patience: Patience) -> None:
        self._engine = engine
        self._patience = patience
        self._coalescer = Coalescer[UUID, WrittenRun | None]("reader", self._read, most=BATCH_RUNS, crowd=_CROWD)

    async def stop(self) -> None:
        """Read what waits, for a bounded time, and stop."""
        await self._coalescer.stop()

    async def find(self, run_id: UUID) -> WrittenRun | None:
        """A run as it is now, with all steps of its version. Raises TooManyWaitingError, or what the database said."""
        return await self._coalescer.ask(run_id)

    async def _read(self, run_ids: Sequence[UUID]) -> list[WrittenRun | None]:
        found = await self._patience.repeat(lambda: write_many(self._engine, run_ids))
        return [found.get(run_id) for run_id in run_ids]
