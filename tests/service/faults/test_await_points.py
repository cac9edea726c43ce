"""Relay and executor die at each of their awaits; whoever comes after them ends the runs, each effect recorded once."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import func, text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor import ahead, cancellations, consumer
from service.executor.kinds.workflow import child_id
from service.platform.database import connect, transaction
from service.platform.settings import Settings
from service.webhooks import loop as webhooks
from tests.service.executor_support import (
    Answer,
    Call,
    WebServer,
    add_message,
    add_run,
    add_workflow,
    json_answer,
    message,
    read_run,
    step,
    submit,
    web_server,
    whole_message,
)
from tests.service.faults.machinery import PARTS, Machinery
from tests.service.faults.memory_kafka import MemoryConsumer, NoLagWatch
from tests.service.schedule_support import add_schedule, runs_of
from tests.service.webhook_support import add_webhook

SHORT_POINTS = 16

# Every time that a step becomes completed, whoever does it.
_EFFECTS = """
CREATE TABLE effects (run_id uuid, step_id text, output jsonb);
CREATE FUNCTION note_effect() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status = 'completed' THEN INSERT INTO effects VALUES (NEW.run_id, NEW.step_id, NEW.output); END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER effects AFTER INSERT OR UPDATE ON run_steps FOR EACH ROW EXECUTE FUNCTION note_effect();
"""

_EFFECTS_OF = "SELECT step_id, output FROM effects WHERE run_id = :id"
_ENDS_OF = """
SELECT action FROM audit_log
WHERE action IN ('run.completed', 'run.failed', 'run.cancelled') AND subject_id = CAST(CAST(:id AS uuid) AS text)
"""
_DELIVERIES_OF = "SELECT id, status FROM webhook_deliveries WHERE run_id = :id"


@dataclass(frozen=True)
class Work:
    """What there is to do in each life, for ``machinery``, and who is called by the webhook."""

    machinery: Machinery
    receiver: WebServer
    calling: UUID
    called: UUID

    async def submit(self) -> "Expected":
        """A run that is claimed, goes from step to step and begins another; one that is done at once; one that is to be
        cancelled; a schedule."""
        engine, settings = self.machinery.engine, self.machinery.settings
        claimed, at_once = await submit(engine, settings, self.calling), await add_run(engine, self.called)
        await add_message(engine, settings.kafka_execution_topic, whole_message(at_once, self.called))
        begun = child_id(str(claimed), "call")
        steps = {claimed: ["call", "first", "second"], begun: ["only"], at_once: ["only"]}
        cancelled = await submit(engine, settings, self.calling, cancel_requested_at=func.now())
        await add_message(engine, settings.kafka_cancellation_topic, message(cancelled) | {"kind": "cancel"})
        return Expected(steps, await add_schedule(engine, self.called, late=timedelta(minutes=1)), cancelled)


@dataclass(frozen=True)
class Expected:
    """The steps of runs that complete, a schedule that is due once, and a run that is cancelled before it begins."""

    steps: dict[UUID, list[str]]
    schedule: UUID
    cancelled: UUID


@pytest_asyncio.fixture
async def work(api_settings: Settings, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Work]:
    """Relay and executor with topics in memory, and two workflows, of which the first executes the second."""

    async def take(_: Call) -> Answer:
        return json_answer({})

    async with web_server(take) as receiver:
        allowed = {"http_agent_allowed_hosts": (f"127.0.0.1:{receiver.port}",)}
        machinery = Machinery(api_settings.model_copy(update=allowed), engine)

        def create_consumer(*_: Any, topics: list[str], **__: Any) -> MemoryConsumer:
            return MemoryConsumer(machinery.kafka, *topics)

        for module in (consumer, cancellations):
            monkeypatch.setattr(module, "create_consumer", create_consumer)
        monkeypatch.setattr(consumer, "LagWatch", NoLagWatch)
        monkeypatch.setattr(ahead, "EVERY_SECONDS", 0.02)
        monkeypatch.setattr(webhooks, "TICK_SECONDS", 0.02)
        raw = await connect(api_settings, application="test")
        await raw.execute(_EFFECTS)
        await raw.close()
        await add_webhook(engine, receiver.url())
        called = await add_workflow(engine, step("only", "transform", expression="n"))
        call = step("call", "workflow", workflow=str(called))
        calling = await add_workflow(engine, step("first"), step("second", needs=["first"]), call)
        yield Work(machinery, receiver, calling, called)


async def _die_everywhere(work: Work, points: int | None) -> None:
    machinery = work.machinery
    expected = await work.submit()
    undisturbed = await machinery.live()
    assert [part for part in PARTS if undisturbed.awaits_of[part] < 2] == [], "not all parts were alive"
    assert machinery.renewals, "no lease was extended"
    await _is_as_it_should_be(work, expected, "undisturbed")
    chosen = range(1, undisturbed.awaits + 1)
    every = 1 if points is None else max(1, len(chosen) // points)
    deaths = 0
    for number, dies_at in enumerate(chosen[::every]):
        for answered in (False, True) if points is None else (bool(number % 2),):
            expected = await work.submit()
            dead = await machinery.live(dies_at=dies_at, answered=answered)
            deaths += dead.dead.is_set()
            await machinery.live()
            await _is_as_it_should_be(work, expected, f"died at await {dies_at}, answered: {answered}")
    assert deaths >= len(chosen[::every]) // 2, "hardly any of them died"
    async with transaction(machinery.engine) as connection:
        deadlocks = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        assert await connection.scalar(deadlocks) == 0, "statements waited for one another"


async def _is_as_it_should_be(work: Work, expected: Expected, how: str) -> None:
    engine = work.machinery.engine
    [fired] = await runs_of(engine, expected.schedule)
    for run_id, steps in (expected.steps | {fired.id: ["only"]}).items():
        row = await read_run(engine, run_id)
        assert row.status == "completed", f"{row.error}, {how}"
        effects = [(each.step_id, each.output) for each in await _rows(engine, _EFFECTS_OF, run_id)]
        assert sorted(name for name, _ in effects) == steps, how
        assert row.output == {name: output for name, output in effects if name != "first"}, how
        assert [each.action for each in await _rows(engine, _ENDS_OF, run_id)] == ["run.completed"], how
        assert any(str(run_id).encode() in record.value for record in work.machinery.kafka.log), f"never sent, {how}"
        [delivery] = await _rows(engine, _DELIVERIES_OF, run_id)
        assert delivery.status == "delivered", how
        assert any(each.headers["webhook-id"] == f"msg_{delivery.id}" for each in work.receiver.calls), how
    assert (await read_run(engine, expected.cancelled)).status == "cancelled", how
    assert await _rows(engine, _EFFECTS_OF, expected.cancelled) == [], how
    assert [each.action for each in await _rows(engine, _ENDS_OF, expected.cancelled)] == ["run.cancelled"], how


async def _rows(engine: AsyncEngine, query: str, run_id: UUID) -> list[Any]:
    async with transaction(engine) as connection:
        return list((await connection.execute(text(query), {"id": run_id})).all())


@pytest.mark.ring("service")
async def test_a_death_at_some_awaits_of_relay_and_executor_loses_and_doubles_nothing(work: Work) -> None:
    await _die_everywhere(work, SHORT_POINTS)


@pytest.mark.ring("faults")
async def test_a_death_at_any_await_of_relay_and_executor_loses_and_doubles_nothing(work: Work) -> None:
    await _die_everywhere(work, None)
