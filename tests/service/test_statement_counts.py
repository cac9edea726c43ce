"""What a run costs, counted instead of timed: statements that journal its steps, and messages that carry it.

The statements of the API's requests are counted in ``test_run_acceptance.py`` and ``test_run_again.py``.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from service.app import create_app
from service.auth.roles import Role
from service.auth.tokens import issue_token
from service.platform.database import transaction
from service.platform.kafka import create_consumer, stop_consumer
from service.platform.settings import Settings
from service.platform.tables import run_steps, runs
from tests.service.executor_support import executing, relaying
from tests.service.servers import eventually
from tests.service.support import add_user, running

pytestmark = pytest.mark.ring("service")

STEPS = 3


@pytest.fixture
def journalling() -> Iterator[list[str]]:
    """The statements of every pool of this process that write steps."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "INSERT INTO run_steps" in statement:
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


async def _do(settings: Settings, engine: AsyncEngine, count: int) -> None:
    """Have so many runs done that are asked for by the API, each of ``STEPS`` steps one after the other."""
    async with transaction(engine) as connection:
        token = issue_token(settings, await add_user(connection, Role.OPERATOR), Role.OPERATOR)
    async with running(create_app(settings), Authorization=f"Bearer {token}") as client:
        await client.post("/api/v1/agents", json={"name": "nothing", "kind": "noop"})
        chain = [
            {"id": f"s{number}", "agent": "nothing", "needs": [f"s{number - 1}"] if number else []}
            for number in range(STEPS)
        ]
        workflow = (await client.post("/api/v1/workflows", json={"name": "chain", "steps": chain})).json()
        path = f"/api/v1/workflows/{workflow['id']}/execute"
        answers = await asyncio.gather(*(client.post(path, json={}) for _ in range(count)))
        assert {answer.status_code for answer in answers} == {202}

    async def done() -> bool:
        async with transaction(engine) as connection:
            completed = select(func.count()).select_from(runs).where(runs.c.status == "completed")
            return await connection.scalar(completed) == count

    async with relaying(settings), executing(settings):
        await eventually(done, f"{count} runs to complete", seconds=60)
    async with transaction(engine) as connection:
        assert await connection.scalar(select(func.count()).select_from(run_steps)) == count * STEPS


async def _messages(settings: Settings) -> int:
    """How many messages there ever were on the topics of this test."""
    topics = (settings.kafka_execution_topic, settings.kafka_cancellation_topic)
    consumer = create_consumer(settings, topics=topics, group=None, client_id="test")
    try:
        async with asyncio.timeout(20):
            await consumer.start()
            return sum((await consumer.end_offsets(list(consumer.assignment()))).values())
    finally:
        await stop_consumer(consumer)


async def test_the_steps_of_a_run_alone_are_journalled_by_fewer_statements_than_there_are_steps(
    settings: Settings, engine: AsyncEngine, journalling: list[str]
) -> None:
    await _do(settings, engine, 1)
    assert 0 < len(journalling) < STEPS, journalling


async def test_runs_at_the_same_time_are_journalled_by_fewer_statements_than_there_are_runs(
    settings: Settings, engine: AsyncEngine, journalling: list[str]
) -> None:
    await _do(settings, engine, 50)
    assert 0 < len(journalling) < 50, len(journalling)


async def test_a_run_costs_one_message(settings: Settings, engine: AsyncEngine) -> None:
    await _do(settings, engine, 5)
    assert await _messages(settings) == 5
