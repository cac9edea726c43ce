"""A consumer that no longer does its work without saying so is replaced, and the runs go on."""

import asyncio
import json
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.errors import CommitFailedError
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor import consumer as executor_consumer
from service.executor import lag
from service.platform.kafka import BoundedProducer, Record
from service.platform.settings import Settings
from tests.service.executor_support import add_run, add_workflow, executing, finished, message, step
from tests.service.servers import eventually

pytestmark = pytest.mark.ring("service")

LEASE_SECONDS = 600
"""So long that no sweep helps out."""


@pytest.fixture
def consumers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The consumers that the executor made, the newest last; it looks at them often."""
    made: list[Any] = []
    create = executor_consumer.create_consumer

    def creating(*given: Any, **options: Any) -> Any:
        made.append(create(*given, **options))
        return made[-1]

    monkeypatch.setattr(executor_consumer, "create_consumer", creating)
    monkeypatch.setattr(lag, "LOOK_SECONDS", 1.0)
    monkeypatch.setattr(lag, "STALLED_SECONDS", 2.0)
    return made


@pytest_asyncio.fixture
async def accepted(engine: AsyncEngine, settings: Settings) -> Any:
    """Stores a run and sends its message; returns its id."""
    workflow_id = await add_workflow(engine, step("a"))
    producer = BoundedProducer(settings, client_id="test")

    async def accept() -> Any:
        run_id = await add_run(engine, workflow_id)
        value = json.dumps(message(run_id)).encode()
        await producer.send([Record(settings.kafka_execution_topic, str(run_id), value)])
        return run_id

    yield accept
    await producer.stop()


async def test_a_consumer_whose_questions_are_never_answered_is_replaced(
    engine: AsyncEngine, settings: Settings, consumers: list[Any], accepted: Any
) -> None:
    asked = asyncio.Event()

    async def never(*_: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with executing(settings, executor_lease_seconds=LEASE_SECONDS):
        await finished(engine, await accepted())
        consumers[0]._fetcher._proc_fetch_request = never
        async with asyncio.timeout(20):
            await asked.wait()
        await finished(engine, await accepted(), seconds=60)
    assert len(consumers) == 2


async def test_a_consumer_that_can_never_commit_is_replaced(
    engine: AsyncEngine, settings: Settings, consumers: list[Any], accepted: Any
) -> None:
    async def refused(*_: Any) -> None:
        raise CommitFailedError

    async def replaced() -> bool:
        await finished(engine, await accepted())
        return len(consumers) == 2

    async with executing(settings, executor_lease_seconds=LEASE_SECONDS):
        await finished(engine, await accepted())
        consumers[0].commit = refused
        await eventually(replaced, "the consumer to be replaced", seconds=60)
        await finished(engine, await accepted())
    assert len(consumers) == 2
