"""What the state machine of a run's life acts on: the API and executors' repositories in one loop, and the database."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.app import create_app
from service.auth.roles import Role
from service.auth.tokens import issue_token
from service.executor.claims import ClaimedRun
from service.executor.messages import ExecutionRequest
from service.executor.progress import Progress, StepState
from service.executor.repository import RunRepository
from service.platform.database import create_engine, transaction
from service.platform.settings import Settings
from tests.service.support import add_user, running

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class RunRow:
    """What is looked at of a run."""

    status: str
    token: int
    owner: str | None
    attempt: int
    signals: int
    cancel: bool
    pause: bool
    output: str | None
    error: str | None
    finished: Any
    wake: Any


@dataclass(frozen=True)
class StepRow:
    """What is looked at of a journalled step."""

    status: str
    attempt: int
    output: str | None
    error: str | None
    token: int
    finished: Any


class LifeWorld:
    """Every method is a plain call: the loop stands still between them, as hypothesis wants it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: Settings) -> None:
        self._loop = loop
        self._settings = settings
        self._engine: AsyncEngine
        self._client: httpx.AsyncClient
        self.executors: list[RunRepository] = []
        self.workflow_id = ""

    def do(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Have it done within ten seconds."""
        return self._loop.run_until_complete(asyncio.wait_for(work, 10))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Start the API and make the workflow."""
        self._engine = create_engine(self._settings, application="test")
        async with transaction(self._engine) as connection:
            user_id = await add_user(connection, Role.ADMIN)
        token = issue_token(self._settings, user_id, Role.ADMIN)
        try:
            async with running(create_app(self._settings), Authorization=f"Bearer {token}") as self._client:
                self.executors = [
                    RunRepository(self._engine, owner=f"executor-{n}", lease_seconds=3600, audit=True) for n in range(3)
                ]
                for name, kind in (("ask", "approval"), ("nothing", "noop")):
                    settings = {"prompt": "may it?"} if kind == "approval" else {}
                    await self._made("/agents", name=name, kind=kind, settings=settings)
                steps = [{"id": "first", "agent": "ask"}, {"id": "second", "agent": "nothing", "needs": ["first"]}]
                self.workflow_id = (await self._made("/workflows", name="life", steps=steps))["id"]
                yield
                for executor in self.executors:
                    await executor.close()
        finally:
            await self._engine.dispose()

    async def _made(self, path: str, **body: Any) -> Any:
        answer = await self._client.post(f"/api/v1{path}", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        """A caller's request."""
        headers = {"Idempotency-Key": key} if key else {}
        return self.do(self._client.post(f"/api/v1{path}", json=body, headers=headers))

    def clear(self) -> None:
        """Forget all runs, with all that was told of them."""
        self._query("TRUNCATE runs, run_steps, signals, inbox, outbox, idempotency_keys, audit_log CASCADE")

    def expire(self, run_id: UUID) -> None:
        """Let the run's lease be over."""
        self._query(
            "UPDATE runs SET lease_expires_at = now() - interval '1 second' WHERE id = :id AND status = 'running'",
            id=run_id,
        )

    def requests(self) -> list[ExecutionRequest]:
        """All messages that ask for an execution, as they were committed."""
        topic = self._settings.kafka_execution_topic
        rows = self._query("SELECT payload FROM outbox WHERE topic = :topic ORDER BY id", topic=topic)
        return [ExecutionRequest.model_validate(row.payload) for row in rows]

    def sent(self) -> dict[UUID, int]:
        """How many messages ask for the execution of each run."""
        found: dict[UUID, int] = {}
        for request in self.requests():
            found[request.run_id] = found.get(request.run_id, 0) + 1
        return found

    def audited_ends(self) -> dict[UUID, int]:
        """How many audit entries tell the end of each run."""
        query = """
            SELECT subject_id, count(*) AS times FROM audit_log
            WHERE action IN ('run.completed', 'run.failed', 'run.cancelled') GROUP BY subject_id
        """
        return {UUID(row.subject_id): row.times for row in self._query(query)}

    def runs(self) -> dict[UUID, RunRow]:
        """The runs as they are stored."""
        query = """
            SELECT id, status, lease_token AS token, lease_owner AS owner, attempt, signals,
                   cancel_requested_at IS NOT NULL AS cancel, pause_requested_at IS NOT NULL AS pause,
                   output::text, error::text, finished_at AS finished, wake_at AS wake
            FROM runs
        """
        return {row.id: RunRow(**{k: v for k, v in row._mapping.items() if k != "id"}) for row in self._query(query)}

    def steps(self) -> dict[tuple[UUID, str], StepRow]:
        """The journal as it is stored."""
        query = """
            SELECT run_id, step_id, status, attempt, output::text, error::text, lease_token AS token,
                   finished_at AS finished
            FROM run_steps
        """
        return {(row[0], row[1]): StepRow(*row[2:]) for row in self._query(query)}

    def states(self, executor: RunRepository, run: ClaimedRun) -> dict[str, StepState]:
        """The steps as an executor begins with them."""
        return Progress(self.do(executor.definition(run)), run.input).states

    def _query(self, statement: str, **values: Any) -> list[Any]:
        async def ask() -> list[Any]:
            async with transaction(self._engine) as connection:
                result = await connection.execute(text(statement), values)
                return list(result.all()) if result.returns_rows else []

        return self.do(ask())


@contextmanager
def life_world(settings: Settings) -> Iterator[LifeWorld]:
    """A world with a loop of its own, over the settings' database."""
    loop = asyncio.new_event_loop()
    try:
        world = LifeWorld(loop, settings)
        opened = world.open()
        loop.run_until_complete(opened.__aenter__())
        try:
            yield world
        finally:
            loop.run_until_complete(opened.__aexit__(None, None, None))
    finally:
        loop.close()
