"""What the tests of relay, executor and agents share: a small web server, stored workflows, processes as tasks."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor.main import execute_until
from service.platform.database import transaction
from service.platform.ids import new_id
from service.platform.settings import Settings
from service.platform.tables import FINAL_RUN_STATUSES, outbox, run_steps, runs, workflow_versions, workflows
from service.relay.main import relay_until
from tests.service.servers import eventually, free_port

STOP_SECONDS = 20.0


@dataclass(frozen=True)
class Call:
    """A request that the web server got."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Answer = tuple[int, Mapping[str, str], bytes]
Handler = Callable[[Call], Awaitable[Answer]]


@dataclass
class WebServer:
    """Answers by its handler and remembers the calls."""

    port: int
    calls: list[Call] = field(default_factory=list)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """An address on this server."""
        return f"http://{host}:{self.port}{path}"


@asynccontextmanager
async def web_server(handler: Handler) -> AsyncIterator[WebServer]:
    """A server on a free loopback port while the block runs."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            call = Call(method, path, headers, body)
            found.calls.append(call)
            status, extra, content = await handler(call)
            lines = [f"HTTP/1.1 {status} Tested", f"Content-Length: {len(content)}", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in extra.items()]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + content)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    found = WebServer(int(server.sockets[0].getsockname()[1]))
    try:
        yield found
    finally:
        server.close()


def json_answer(value: Any, status: int = 200, **headers: str) -> Answer:
    """An answer with a JSON body."""
    return status, {"Content-Type": "application/json", **headers}, json.dumps(value).encode()


def step(
    step_id: str,
    kind: str = "noop",
    *,
    needs: Sequence[str] = (),
    step_input: Mapping[str, Any] | None = None,
    attempts: int = 3,
    backoff: float = 0.01,
    timeout: float = 30,
    when: str | None = None,
    for_each: Mapping[str, Any] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """A step as a stored definition holds it; ``settings`` are its agent's."""
    return {
        "id": step_id,
        "agent": {"name": kind, "kind": kind, "settings": settings},
        "needs": list(needs),
        "input": dict(step_input or {}),
        "retry": {"max_attempts": attempts, "backoff_seconds": backoff},
        "timeout_seconds": timeout,
        **{name: value for name, value in (("when", when), ("for_each", for_each)) if value is not None},
    }


async def add_workflow(engine: AsyncEngine, *steps: Mapping[str, Any], **whole: Any) -> UUID:
    """Store a workflow of these steps and return its id; ``whole`` is what its definition holds besides."""
    workflow_id = new_id()
    async with transaction(engine) as connection:
        await connection.execute(workflows.insert().values(id=workflow_id, name=str(workflow_id), current_version=1))
        await connection.execute(
            workflow_versions.insert().values(
                workflow_id=workflow_id,
                version=1,
                definition={"steps": list(steps)} | whole,
                content_hash="hash",
                created_by="test",
            )
        )
    return workflow_id


async def add_run(engine: AsyncEngine, workflow_id: UUID, run_input: Any = None, **columns: Any) -> UUID:
    """Store a queued run without any message."""
    run_id = new_id()
    async with transaction(engine) as connection:
        await connection.execute(
            runs.insert().values(
                id=run_id,
                workflow_id=workflow_id,
                workflow_version=1,
                input=run_input or {},
                correlation_id="req-test",
                requested_by="tester",
                **columns,
            )
        )
    return run_id


def message(run_id: UUID, message_id: str | None = None) -> dict[str, str]:
    """The message of a run on either topic."""
    return {"message_id": message_id or str(new_id()), "run_id": str(run_id), "correlation_id": "req-test"}


def whole_message(run_id: UUID, workflow_id: UUID, run_input: Any = None, message_id: str | None = None) -> Any:
    """The message of a run with all that an executor needs to compute it before it claims it."""
    what = {"workflow_id": str(workflow_id), "workflow_version": 1, "input": run_input or {}}
    return message(run_id, message_id) | what


async def add_message(engine: AsyncEngine, topic: str, payload: Any, *, key: str = "key") -> None:
    """Put a message into the outbox."""
    async with transaction(engine) as connection:
        await connection.execute(
            outbox.insert().values(topic=topic, key=key, headers={"correlation_id": "req-test"}, payload=payload)
        )


async def submit(
    engine: AsyncEngine, settings: Settings, workflow_id: UUID, run_input: Any = None, **columns: Any
) -> UUID:
    """Store a queued run with its message in the outbox."""
    run_id = await add_run(engine, workflow_id, run_input, **columns)
    await add_message(engine, settings.kafka_execution_topic, message(run_id), key=str(run_id))
    return run_id


async def read_run(engine: AsyncEngine, run_id: UUID) -> Any:
    """The run's row."""
    async with transaction(engine) as connection:
        return (await connection.execute(select(runs).where(runs.c.id == run_id))).one()


async def read_steps(engine: AsyncEngine, run_id: UUID) -> dict[str, Any]:
    """The run's journalled steps by id."""
    async with transaction(engine) as connection:
        rows = (await connection.execute(select(run_steps).where(run_steps.c.run_id == run_id))).all()
    return {row.step_id: row for row in rows}


async def finished(engine: AsyncEngine, run_id: UUID, *, seconds: float = 40.0) -> Any:
    """The run's row, once it is in a final state."""

    async def ended() -> bool:
        return (await read_run(engine, run_id)).status in FINAL_RUN_STATUSES

    await eventually(ended, f"run {run_id} to end", seconds=seconds)
    return await read_run(engine, run_id)


async def step_reached(engine: AsyncEngine, run_id: UUID, step_id: str, status: str) -> None:
    """Returns once the journal says so."""

    async def reached() -> bool:
        found = (await read_steps(engine, run_id)).get(step_id)
        return found is not None and found.status == status

    await eventually(reached, f"step {step_id} to be {status}", seconds=40)


@asynccontextmanager
async def _as_task(work: Callable[[asyncio.Event], Awaitable[None]]) -> AsyncIterator[asyncio.Event]:
    stopping = asyncio.Event()
    task = asyncio.ensure_future(work(stopping))
    try:
        yield stopping
    finally:
        stopping.set()
        async with asyncio.timeout(STOP_SECONDS):
            await task


def executing(settings: Settings, **changes: Any) -> contextlib.AbstractAsyncContextManager[asyncio.Event]:
    """An executor while the block runs; yields the event that stops it."""
    own = settings.model_copy(update={"worker_http_port": free_port(), "graceful_shutdown_seconds": 5, **changes})
    return _as_task(lambda stopping: execute_until(own, stopping))


def relaying(settings: Settings, **changes: Any) -> contextlib.AbstractAsyncContextManager[asyncio.Event]:
    """A relay while the block runs; yields the event that stops it."""
    own = settings.model_copy(update={"worker_http_port": free_port(), "graceful_shutdown_seconds": 5, **changes})
    return _as_task(lambda stopping: relay_until(own, stopping))
