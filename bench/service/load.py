"""The callers: they send requests, and look into the database for what became of the runs."""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg

from bench.service.system import System

RUN_SECONDS = 180.0
"""How long runs may take to end once all are accepted."""


@dataclass(frozen=True)
class Spread:
    """Figures of one kind, in milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        """Of figures in seconds; at least one."""
        ordered = sorted(seconds)

        def at(share: float) -> float:
            return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)] * 1000, 2)

        return cls(at(0.5), at(0.95), at(0.99))

    def shown(self) -> str:
        """As a cell of the table."""
        return f"{self.p50:g} / {self.p95:g} / {self.p99:g} ms"


class Callers:
    """Callers that share one pool of connections to the API."""

    def __init__(self, session: aiohttp.ClientSession, database: asyncpg.Connection[Any]) -> None:
        self._session = session
        self._database = database

    async def post(self, path: str, body: object = None) -> Any:
        """What is answered. Raises aiohttp.ClientResponseError for an error."""
        async with self._session.post(f"/api/v1{path}", json=body) as answer:
            answer.raise_for_status()
            return await answer.json()

    def posting(self, path: str, body: object) -> Callable[[int], Awaitable[object]]:
        """A call that posts the same again and again."""
        return lambda _number: self.post(path, body)

    def getting(self, path: str) -> Callable[[int], Awaitable[object]]:
        """A call that reads the same again and again."""
        return lambda _number: self.get(path)

    async def get(self, path: str) -> bytes:
        """The body of an answer, unread."""
        async with self._session.get(path) as answer:
            answer.raise_for_status()
            return await answer.read()

    async def workflow(self, name: str, steps: int = 3) -> str:
        """The id of a new workflow of steps that do nothing, one after the other."""
        await self.post("/agents", {"name": f"{name}-nothing", "kind": "noop"})
        chain = [
            {"id": f"s{number}", "agent": f"{name}-nothing", "needs": [f"s{number - 1}"] if number else []}
            for number in range(steps)
        ]
        return str((await self.post("/workflows", {"name": name, "steps": chain}))["id"])

    async def completed(self, workflow_id: str, count: int) -> float:
        """Wait until so many runs have ended, all of them well; seconds from the first acceptance to the last end."""
        deadline = time.monotonic() + RUN_SECONDS
        # By the index of unfinished runs, which gets shorter: counting those that are done would take a core's share.
        while await self._database.fetchval(
            "SELECT count(*) FROM runs WHERE workflow_id = $1 AND status IN ('queued', 'running')", workflow_id
        ):
            if time.monotonic() > deadline:
                raise RuntimeError(f"not all of {count} runs ended within {RUN_SECONDS:g} s")
            await asyncio.sleep(0.1)
        row = await self._database.fetchrow(
            "SELECT count(*) AS done, max(finished_at) - min(created_at) AS took"
            " FROM runs WHERE workflow_id = $1 AND status = 'completed'",
            workflow_id,
        )
        if row["done"] != count:
            raise RuntimeError(f"{row['done']} of {count} runs ended well")
        return float(row["took"].total_seconds())

    async def stages(self, workflow_id: str) -> tuple[Spread, Spread]:
        """Accepted to claimed, and accepted to completed, as the database wrote it."""
        rows = await self._database.fetch(
            "SELECT started_at - created_at AS claimed, finished_at - created_at AS done FROM runs"
            " WHERE workflow_id = $1",
            workflow_id,
        )
        return (
            Spread.of([row["claimed"].total_seconds() for row in rows]),
            Spread.of([row["done"].total_seconds() for row in rows]),
        )

    async def execute_sql(self, statement: str, *arguments: object) -> None:
        """One statement in the database."""
        await self._database.execute(statement, *arguments, timeout=600)

    async def fetch_value(self, statement: str, *arguments: object) -> Any:
        """The first value that a statement gives."""
        return await self._database.fetchval(statement, *arguments, timeout=60)


@asynccontextmanager
async def callers(system: System, connections: int = 64) -> AsyncIterator[Callers]:
    """Callers with an administrator's token."""
    connector = aiohttp.TCPConnector(limit=connections)
    headers = {"Authorization": f"Bearer {system.token}"}
    timeout = aiohttp.ClientTimeout(total=60)
    database = await asyncpg.connect(system.database_url, timeout=10)
    try:
        async with aiohttp.ClientSession(system.url, connector=connector, headers=headers, timeout=timeout) as session:
            yield Callers(session, database)
    finally:
        await database.close(timeout=5)


async def closed_loop(count: int, at_once: int, call: Callable[[int], Awaitable[object]]) -> tuple[float, Spread]:
    """So many calls by so many callers, each of whom waits for the answer; calls a second, and how long each took."""
    numbers = iter(range(count))
    took: list[float] = []

    async def caller() -> None:
        for number in numbers:
            began = time.perf_counter()
            await call(number)
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(caller())
    return round(count / (time.perf_counter() - began), 1), Spread.of(took)


async def open_loop(rate: float, seconds: float, call: Callable[[int], Awaitable[object]]) -> int:
    """Calls when they are due, answered or not; how many there were. Raises what a call raised."""
    count = max(1, round(rate * seconds))
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            group.create_task(_as_coroutine(call(number)))
    return count


async def _as_coroutine(work: Awaitable[object]) -> None:
    await work


def median(values: Sequence[float]) -> float:
    """Their median, to two digits."""
    return round(statistics.median(values), 2)
