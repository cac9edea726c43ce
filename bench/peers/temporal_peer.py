"""Temporal in its own environment: `work` is its worker, `measure` starts the server and prints what was measured.

`PEER_BINARIES` is the folder with `server` and `sql`. All four services are one process.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import asyncpg
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.worker import Worker

from bench.peers.measuring import measure, stop_in_order
from bench.peers.temporal_workflow import Three, nothing

ADDRESS = "127.0.0.1:7233"
READING = "http://127.0.0.1:7243/api/v1/namespaces/default/workflows"
QUEUE = "bench"
START_SECONDS = 90.0
_RETENTION = timedelta(days=1)

_PORTS = {"frontend": (7233, 6933), "history": (7234, 6934), "matching": (7235, 6935), "worker": (7239, 6939)}


def _store(database: str, connections: int) -> dict[str, object]:
    address = urlsplit(os.environ["PEER_DATABASE"])
    return {
        "sql": {
            "pluginName": "postgres12",
            "databaseName": database,
            "connectAddr": f"{address.hostname}:{address.port}",
            "connectProtocol": "tcp",
            "user": address.username,
            "password": address.password,
            "maxConns": connections,
            "maxIdleConns": connections,
            "maxConnLifetime": "1h",
        }
    }


def _configuration(dynamic: Path) -> dict[str, object]:
    services: dict[str, dict[str, dict[str, object]]] = {
        name: {"rpc": {"grpcPort": port, "membershipPort": member, "bindOnIP": "127.0.0.1"}}
        for name, (port, member) in _PORTS.items()
    }
    services["frontend"]["rpc"]["httpPort"] = 7243
    cluster = {"enabled": True, "initialFailoverVersion": 1, "rpcName": "frontend", "rpcAddress": ADDRESS}
    return {
        "log": {"stdout": True, "level": "warn"},
        "persistence": {
            "defaultStore": "default",
            "visibilityStore": "visibility",
            "numHistoryShards": 4,
            "datastores": {"default": _store("temporal", 20), "visibility": _store("temporal_visibility", 10)},
        },
        "global": {"membership": {"maxJoinDuration": "30s", "broadcastAddress": "127.0.0.1"}},
        "services": services,
        "clusterMetadata": {
            "enableGlobalNamespace": False,
            "failoverVersionIncrement": 10,
            "masterClusterName": "active",
            "currentClusterName": "active",
            "clusterInformation": {"active": cluster},
        },
        "publicClient": {"hostPort": ADDRESS},
        "dynamicConfigClient": {"filepath": str(dynamic), "pollInterval": "60s"},
    }


def _make_tables(binaries: Path) -> None:
    address = urlsplit(os.environ["PEER_DATABASE"])
    words = [
        str(binaries / "sql"), "--plugin", "postgres12", "--ep", str(address.hostname), "-p", str(address.port),
        "-u", str(address.username),
    ]  # fmt: skip
    environment = {**os.environ, "SQL_PASSWORD": str(address.password)}
    for database, schema in (("temporal", "temporal"), ("temporal_visibility", "visibility")):
        for what in (["setup-schema", "-v", "0.0"], ["update-schema", "--schema-name", f"postgresql/v12/{schema}"]):
            subprocess.run(
                [*words, "--db", database, *what], env=environment, check=True, capture_output=True, timeout=120
            )


@contextmanager
def _process(words: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as stream:
        process = subprocess.Popen(words, stdout=stream, stderr=stream)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


async def _connected(server: subprocess.Popen[bytes]) -> Client:
    deadline = time.monotonic() + START_SECONDS
    while True:
        if server.poll() is not None:
            raise RuntimeError("Temporal's server has ended; see temporal.log")
        try:
            client = await Client.connect(ADDRESS)
            if await client.service_client.check_health():
                return client
        except Exception:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.1)


class _Temporal:
    def __init__(self, client: Client, visibility: asyncpg.Connection, session: aiohttp.ClientSession) -> None:
        self._client, self._visibility, self._session = client, visibility, session

    async def submit(self) -> str:
        run = uuid.uuid4().hex
        await self._client.start_workflow(Three.run, 1, id=run, task_queue=QUEUE)
        return run

    async def wait(self, run: str) -> None:
        async with asyncio.timeout(60):
            await self._client.get_workflow_handle(run).result()

    async def completed(self) -> int:
        return int(
            await self._visibility.fetchval(
                "SELECT count(*) FROM executions_visibility WHERE status = 2 AND workflow_type_name = 'Three'"
            )
        )

    async def read(self, run: str) -> None:
        async with self._session.get(f"{READING}/{run}") as answer:
            answer.raise_for_status()
            await answer.read()


async def _measure(server: subprocess.Popen[bytes], folder: Path, *, quick: bool) -> dict[str, dict[str, float]]:
    client = await _connected(server)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace="default", workflow_execution_retention_period=Duration(seconds=int(_RETENTION.total_seconds()))
        )
    )
    visibility = await asyncpg.connect(os.environ["PEER_DATABASE"].rpartition("/")[0] + "/temporal_visibility")
    with _process([sys.executable, "-m", "bench.peers.temporal_peer", "work"], folder / "temporal-worker.log"):
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
            subject = _Temporal(client, visibility, session)
            # Each of its services learns of a new namespace when it next looks.
            await _first_run(subject)
            found = await measure(subject, quick=quick)
    await visibility.close()
    return {"Temporal": found.fields()}


async def _first_run(subject: _Temporal) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            await subject.wait(await subject.submit())
        except Exception:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(1)
        else:
            return


async def work() -> None:
    """The worker's process."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client = await Client.connect(ADDRESS)
            await Worker(client, task_queue=QUEUE, workflows=[Three], activities=[nothing]).run()
        except Exception:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(1)
        else:
            return


def main() -> None:
    """Work, or measure a server that is started for it."""
    if sys.argv[1] == "work":
        asyncio.run(work())
        return
    stop_in_order()
    folder, binaries = Path(os.environ["PEER_FOLDER"]), Path(os.environ["PEER_BINARIES"])
    (folder / "dynamic.yaml").write_text("{}\n")
    configuration = folder / "temporal.yaml"
    configuration.touch(mode=0o600)
    # JSON is YAML too.
    configuration.write_text(json.dumps(_configuration(folder / "dynamic.yaml")))
    _make_tables(binaries)
    with _process(
        [str(binaries / "server"), "--config-file", str(configuration), "start"], folder / "temporal.log"
    ) as up:
        found = asyncio.run(_measure(up, folder, quick="--quick" in sys.argv))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
