"""How one executor's statements get to the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor import statements
from service.platform.database import autocommit


class StatementRunner:
    """Executes statements on behalf of ``owner``, so many at a time."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        owner: str,
        lease_seconds: float,
        audit: bool,
        connections: int = 5,
        execution_topic: str | None = None,
        cancellation_topic: str | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """``wake`` is called when there is something in the outbox. Without topics nobody is told anything."""
        self._engine = engine
        self._topics = {"execution_topic": execution_topic, "cancellation_topic": cancellation_topic}
        self._wake = wake
        self._owner = owner
        self._lease_seconds = lease_seconds
        self.audit = audit
        # Queueing here is cheaper than the pool's overflow, whose connections are made anew each time, and does not
        # end in the pool's timeout when many runs write at once.
        self._connections = asyncio.Semaphore(connections)

    @property
    def actor(self) -> str:
        """Who this is in the audit log."""
        return f"executor:{self._owner}"

    def lease(self) -> dict[str, Any]:
        """What a claim says of who claims."""
        return {"owner": self._owner, "lease": self._lease_seconds}

    async def write(
        self, statement: TextClause, lines: Mapping[UUID, str | None], *, tells: bool = False, **values: Any
    ) -> Sequence[Row[Any]]:
        """Execute a statement that writes steps, with the lines that runs have logged."""
        logged = {run_id: text for run_id, text in lines.items() if text is not None}
        if logged:
            statement = statements.with_lines(statement)
            values |= {"logging_ids": list(logged), "lines": list(logged.values())}
        return await (self.tell if tells else self.execute)(statement, **values)

    async def tell(self, statement: TextClause, **values: Any) -> Sequence[Row[Any]]:
        """Execute a statement that may tell other executors something."""
        rows = await self.execute(statement, **values, **self._topics, audit=self.audit, actor=self.actor)
        if rows:
            self._wake()
        return rows

    async def execute(self, statement: TextClause, **values: Any) -> Sequence[Row[Any]]:
        """Execute a statement in a transaction of its own; returns its rows."""
        async with self._connections, autocommit(self._engine) as connection:
            result = await connection.execute(statement, values)
            return result.all() if result.returns_rows else []
