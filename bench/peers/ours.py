"""The service itself, measured like its peers."""

from __future__ import annotations

import asyncio
import json

from bench.peers.measuring import Measured, measure
from bench.service.load import Callers, callers
from bench.service.system import system

_POLL_SECONDS = 0.005


class _Ours:
    def __init__(self, calling: Callers, workflow: str) -> None:
        self._calling = calling
        self._workflow = workflow

    async def submit(self) -> str:
        answer = await self._calling.post(f"/workflows/{self._workflow}/execute", {})
        return str(answer["run_id"])

    async def wait(self, run: str) -> None:
        while (status := json.loads(await self._calling.get(f"/api/v1/runs/{run}"))["status"]) != "completed":
            if status not in ("queued", "running"):
                raise RuntimeError(f"a run is {status}")
            await asyncio.sleep(_POLL_SECONDS)

    async def completed(self) -> int:
        return int(await self._calling.fetch_value("SELECT count(*) FROM runs WHERE status = 'completed'"))

    async def read(self, run: str) -> None:
        await self._calling.get(f"/api/v1/runs/{run}")


def measured(*, quick: bool) -> dict[str, Measured]:
    """By the name in the table."""

    async def work() -> Measured:
        async with callers(running) as calling:
            return await measure(_Ours(calling, await calling.workflow("beside-peers")), quick=quick)

    with system() as running:
        return {"ours": asyncio.run(work())}
