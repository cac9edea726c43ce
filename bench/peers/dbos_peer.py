"""DBOS Transact in its own environment: `serve` is its server, `measure` prints what was measured of it as JSON.

It has no API of its own to start and read runs; the routes are those that its documentation shows.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import asyncpg

from bench.peers.measuring import measure, stop_in_order

PORT = int(os.environ.get("PEER_PORT", "8091"))
BASE = f"http://127.0.0.1:{PORT}"
_POLL_SECONDS = 0.005
_START_SECONDS = 60.0


def serve() -> None:
    """Its server process, which also does the work."""
    import uvicorn
    from dbos import DBOS
    from fastapi import FastAPI

    app = FastAPI()
    DBOS(
        config={
            "name": "bench",
            "system_database_url": os.environ["PEER_DATABASE"],
            "log_level": "WARNING",
            "application_version": "1",
        }
    )

    @DBOS.step()
    async def nothing(value: int) -> int:
        return value + 1

    @DBOS.step()
    def nothing_in_a_thread(value: int) -> int:
        return value + 1

    @DBOS.workflow(name="three")
    async def three(value: int) -> int:
        return await nothing(await nothing(await nothing(value)))

    @DBOS.workflow(name="three_in_a_thread")
    def three_in_a_thread(value: int) -> int:
        return nothing_in_a_thread(nothing_in_a_thread(nothing_in_a_thread(value)))

    @app.get("/")
    async def ready() -> dict[str, str]:
        return {}

    @app.post("/async", status_code=202)
    async def start() -> dict[str, str]:
        return {"id": (await DBOS.start_workflow_async(three, 1)).workflow_id}

    @app.post("/sync", status_code=202)
    def start_in_a_thread() -> dict[str, str]:
        return {"id": DBOS.start_workflow(three_in_a_thread, 1).workflow_id}

    @app.get("/runs/{run}")
    async def read(run: str) -> dict[str, str]:
        found = await DBOS.get_workflow_status_async(run)
        return {"id": found.workflow_id, "status": found.status}

    DBOS.launch()
    uvicorn.run(app, port=PORT, loop="uvloop", http="httptools", access_log=False, log_level="warning")


class _Dbos:
    def __init__(self, session: aiohttp.ClientSession, database: asyncpg.Connection, way: str) -> None:
        self._session, self._database, self._way = session, database, way

    async def submit(self) -> str:
        async with self._session.post(f"{BASE}/{self._way}") as answer:
            answer.raise_for_status()
            return str((await answer.json())["id"])

    async def wait(self, run: str) -> None:
        while (status := (await self._read(run))["status"]) != "SUCCESS":
            if status not in ("PENDING", "ENQUEUED", "DELAYED"):
                raise RuntimeError(f"a run is {status}")
            await asyncio.sleep(_POLL_SECONDS)

    async def completed(self) -> int:
        return int(await self._database.fetchval("SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'"))

    async def read(self, run: str) -> None:
        await self._read(run)

    async def _read(self, run: str) -> dict[str, str]:
        async with self._session.get(f"{BASE}/runs/{run}") as answer:
            answer.raise_for_status()
            return dict(await answer.json())


async def _measure(*, quick: bool) -> dict[str, dict[str, float]]:
    database = await asyncpg.connect(os.environ["PEER_DATABASE"])
    found = {}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                async with session.get(BASE):
                    break
            except aiohttp.ClientError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)
        for way in ("async", "sync"):
            found[f"DBOS, {way} workflow"] = (await measure(_Dbos(session, database, way), quick=quick)).fields()
    await database.close()
    return found


def main() -> None:
    """Serve, or measure a server that is started for it."""
    if sys.argv[1] == "serve":
        serve()
        return
    stop_in_order()
    with (Path(os.environ["PEER_FOLDER"]) / "dbos.log").open("wb") as log:
        server = subprocess.Popen([sys.executable, "-m", "bench.peers.dbos_peer", "serve"], stdout=log, stderr=log)
    try:
        found = asyncio.run(_measure(quick="--quick" in sys.argv))
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
