"""Finds the workflows that steps execute."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Row

from service.executor.kinds.workflow import Callee
from service.executor.transient import is_transient
from service.platform.logging import get_logger
from service.platform.worker_loop import Backoff

log = get_logger(__name__)

Read = Callable[[UUID, str, int | None], Awaitable[Sequence[Row[Any]]]]


class StoredCallees:
    """Reads them from the database; while that is away it keeps trying, until the step's timeout ends it."""

    def __init__(self, read: Read) -> None:
        self._read = read

    async def find(self, run_id: UUID, workflow: str, version: int | None) -> Callee:
        """The workflow by its id or else its name, in this version or else the current one."""
        backoff = Backoff(0.05, 2.0)
        while True:
            try:
                rows = await self._read(run_id, workflow, version)
                break
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("The database is away, trying again", reason=type(error).__name__)
            await asyncio.sleep(backoff.failed())
        if not rows:
            return Callee(None, None, None, None, 0)
        (row,) = rows
        return Callee(row.workflow_id, row.name, row.version, row.input_schema, row.depth)
