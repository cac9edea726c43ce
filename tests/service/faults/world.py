"""All programs of the service as processes, over a real Postgres and Kafka, while a seeded hand kills and freezes them.

Postgres and Kafka are killed, too, and started again with what they had written; so they are servers of the test's own.

Each step of a run calls a web server of the test by the http agent, which sends the step's idempotency key: so the
effects outside can be counted, beside those in the journal.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from service.auth.roles import Role
from service.auth.tokens import issue_token
from service.platform.database import DatabaseUnavailableError, transaction
from service.platform.kafka import BoundedProducer, Record
from service.platform.settings import Settings
from tests.service.executor_support import Answer, Call, json_answer, web_server
from tests.service.faults.programs import Program, api, executor, programs, relay
from tests.service.servers import KafkaServer, PostgresServer, Server, eventually, free_port
from tests.service.support import add_user

LEASE_SECONDS = 3
STEPS = ("first", "second", "third")


@dataclass
class World:
    """What the hand acts on, and what is known of the runs that were accepted."""

    engine: AsyncEngine
    settings: Settings
    client: httpx.AsyncClient
    api: Program
    relay: Program
    executors: Sequence[Program]
    postgres: PostgresServer
    kafka: KafkaServer
    workflow_id: str = ""
    accepted: list[str] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)

    @property
    def all(self) -> list[Program]:
        """Every program."""
        return [self.api, self.relay, *self.executors]

    async def execute(self, name: str, runs: int) -> None:
        """Have so many runs accepted by one request; it is sent again, with its key, until it is answered."""
        body = {"runs": [{"input": {"n": number}} for number in range(runs)]}

        async def accepted() -> bool:
            path = f"/api/v1/workflows/{self.workflow_id}/execute-many"
            try:
                answer = await self.client.post(path, json=body, headers={"Idempotency-Key": name})
            except httpx.TransportError:
                return False
            assert answer.status_code in (202, 409, 503), answer.text
            if answer.status_code == 202:
                self.accepted += answer.json()["run_ids"]
            return answer.status_code == 202

        await eventually(accepted, "runs to be accepted", seconds=120)

    async def ended(self, seconds: float) -> None:
        """Returns when every accepted run has ended."""

        async def all_ended() -> bool:
            return not await self.query("SELECT 1 FROM runs WHERE finished_at IS NULL LIMIT 1")

        await eventually(all_ended, "all runs to end", seconds=seconds)

    async def query(self, statement: str, **values: Any) -> list[Any]:
        """Rows of the database, which may be just recovering."""
        found: list[Any] = []

        async def answered() -> bool:
            try:
                async with transaction(self.engine) as connection:
                    found[:] = (await connection.execute(text(statement), values)).all()
            except (DBAPIError, DatabaseUnavailableError):
                return False
            return True

        await eventually(answered, "the database to answer", seconds=60)
        return found

    async def send_nonsense(self, rng: random.Random) -> None:
        """Messages again, in another order; large ones, and ones that nobody can read."""
        topic = self.settings.kafka_execution_topic
        some = rng.sample(self.accepted, min(20, len(self.accepted)))
        again = [json.dumps({"message_id": f"again-{n}", "run_id": run_id}).encode() for n, run_id in enumerate(some)]
        values = [
            *again,
            *reversed(again),
            b"\xff\xfe",
            b"{",
            b"[" * 5000,
            b'{"message_id": "' + b"x" * 900_000 + b'"}',
        ]
        producer = BoundedProducer(self.settings, client_id="hand")
        try:
            await producer.send([Record(topic, f"key-{n}", value) for n, value in enumerate(values)])
        finally:
            await producer.stop()

    async def trouble(self, rng: random.Random, deaths: int, *, runs: int) -> None:
        """Have the runs accepted in as many parts as there are deaths, one during each: by kill -9 of a program, of one
        process of Postgres, of all of Postgres or of Kafka, or of an executor's time, for longer than its lease."""
        one, other = self.executors
        certain = [
            self.api.kill,
            one.kill,
            self.relay.kill,
            other.freeze,
            self.crash_database,
            partial(self._kill_server, self.kafka, rng),
            partial(self._kill_server, self.postgres, rng),
        ]
        for number in range(deaths):
            part = runs // deaths + (number < runs % deaths)
            executing = asyncio.ensure_future(self.execute(f"part-{number}", part))
            try:
                await asyncio.sleep(rng.uniform(0.0, 0.6))
                # Each of them at least once, before chance decides.
                await self._strike(certain[number] if number < len(certain) else rng.choice(certain))
                await executing
            finally:
                executing.cancel()

    async def _strike(self, strike: Callable[[], Any]) -> None:
        found = strike()
        if found is not None:
            await found
        for each in self.all:
            if strike == each.freeze:
                await asyncio.sleep(LEASE_SECONDS + 1.0)
                each.thaw()
            if each.process is None:
                each.start()
                await each.answers()

    async def crash_database(self) -> None:
        """Kill one process of Postgres, which then ends all others and recovers from its log."""
        (row,) = await self.query("SELECT pg_backend_pid() AS pid")
        code, output = await asyncio.to_thread(self.postgres.container.exec_run, ["sh", "-c", f"kill -9 {row.pid}"])
        assert code == 0, output

    async def _kill_server(self, server: Server, rng: random.Random) -> None:
        """Kill a whole server, which is away for a while."""
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(rng.uniform(0.0, 2.0))
        await asyncio.to_thread(server.start_again)


@asynccontextmanager
async def world(
    engine: AsyncEngine, settings: Settings, postgres: PostgresServer, kafka: KafkaServer, folder: Path
) -> AsyncIterator[World]:
    """An API, a relay and two executors, and a workflow of three calls."""
    async with transaction(engine) as connection:
        user_id = await add_user(connection, Role.ADMIN)
    token = issue_token(settings, user_id, Role.ADMIN)
    ports = [free_port() for _ in range(4)]
    calls: Counter[str] = Counter()

    async def answer(call: Call) -> Answer:
        calls[call.headers["idempotency-key"]] += 1
        # So that something is under way when somebody dies.
        await asyncio.sleep(0.1)
        return json_answer({"number": calls.total()})

    async with web_server(answer) as server:
        lease = {
            "EXECUTOR_LEASE_SECONDS": str(LEASE_SECONDS),
            "GRACEFUL_SHUTDOWN_SECONDS": "2",
            "HTTP_AGENT_ALLOWED_HOSTS": f"127.0.0.1:{server.port}",
        }
        address = f"http://127.0.0.1:{ports[0]}"
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=20) as client:
            found = World(
                engine,
                settings,
                client,
                api(settings, folder, ports[0], HTTP_AGENT_ALLOWED_HOSTS=lease["HTTP_AGENT_ALLOWED_HOSTS"]),
                relay(settings, folder, ports[1]),
                [executor(settings, folder, port, f"executor-{port}", **lease) for port in ports[2:]],
                postgres,
                kafka,
                calls=calls,
            )
            async with programs(*found.all):
                about = {"url": server.url(), "method": "POST"}
                made = await client.post("/api/v1/agents", json={"name": "call", "kind": "http", "settings": about})
                assert made.status_code == 201, made.text
                steps = [
                    {"id": name, "agent": "call", "needs": [STEPS[place - 1]] if place else []}
                    for place, name in enumerate(STEPS)
                ]
                made = await client.post("/api/v1/workflows", json={"name": "calls", "steps": steps})
                assert made.status_code == 201, made.text
                found.workflow_id = made.json()["id"]
                yield found


async def note_effects(engine: AsyncEngine) -> None:
    """From here on the database notes each step that becomes completed, and each change of a run that has ended."""
    async with transaction(engine) as connection:
        for statement in _NOTING:
            await connection.execute(text(statement))


def run_ids(found: World) -> list[UUID]:
    """The accepted runs."""
    return [UUID(each) for each in found.accepted]


_NOTING = (
    "CREATE TABLE effects (run_id uuid, step_id text)",
    "CREATE TABLE changed_ends (run_id uuid, before text, after text)",
    """
    CREATE FUNCTION note_effect() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.status = 'completed' THEN INSERT INTO effects VALUES (NEW.run_id, NEW.step_id); END IF;
        RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER effects AFTER INSERT OR UPDATE ON run_steps FOR EACH ROW EXECUTE FUNCTION note_effect()",
    """
    CREATE FUNCTION note_changed_end() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.finished_at IS NOT NULL THEN INSERT INTO changed_ends VALUES (OLD.id, OLD.status, NEW.status); END IF;
        RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER changed_ends BEFORE UPDATE ON runs FOR EACH ROW EXECUTE FUNCTION note_changed_end()",
)
