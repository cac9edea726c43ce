"""Relay and executor die at each of their awaits; whoever comes after them ends the run, each effect recorded once."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor import ahead, cancellations, consumer
from service.executor.kinds.workflow import child_id
from service.platform.database import connect, transaction
from service.platform.settings import Settings
from tests.service.executor_support import add_message, add_run, add_workflow, read_run, step, submit, whole_message
from tests.service.faults.machinery import PARTS, Machinery
from tests.service.faults.memory_kafka import MemoryConsumer, NoLagWatch

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


@pytest_asyncio.fixture
async def machinery(
    api_settings: Settings, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Machinery]:
    """Relay and executor with a topic in memory."""
    found = Machinery(api_settings, engine)

    def create_consumer(*_: Any, topics: list[str], **__: Any) -> MemoryConsumer:
        return MemoryConsumer(found.kafka, *topics)

    for module in (consumer, cancellations):
        monkeypatch.setattr(module, "create_consumer", create_consumer)
    monkeypatch.setattr(consumer, "LagWatch", NoLagWatch)
    monkeypatch.setattr(ahead, "EVERY_SECONDS", 0.02)
    raw = await connect(api_settings, application="test")
    await raw.execute(_EFFECTS)
    await raw.close()
    yield found
    await found.forget()


@dataclass(frozen=True)
class Work:
    """Two workflows: the first is claimed, goes from step to step and begins a run of the second."""

    machinery: Machinery
    calling: UUID
    called: UUID

    async def submit(self) -> dict[UUID, list[str]]:
        """A run of each with its message, that of the second one to be done at once; tells all runs' steps."""
        engine, settings = self.machinery.engine, self.machinery.settings
        claimed, at_once = await submit(engine, settings, self.calling), await add_run(engine, self.called)
        await add_message(engine, settings.kafka_execution_topic, whole_message(at_once, self.called))
        begun = child_id(str(claimed), "call")
        return {claimed: ["call", "first", "second"], begun: ["only"], at_once: ["only"]}


async def _die_everywhere(machinery: Machinery, points: int | None) -> None:
    called = await add_workflow(machinery.engine, step("only", "transform", expression="n"))
    call = step("call", "workflow", workflow=str(called))
    calling = await add_workflow(machinery.engine, step("first"), step("second", needs=["first"]), call)
    work = Work(machinery, calling, called)
    expected = await work.submit()
    undisturbed = await machinery.live()
    assert [part for part in PARTS if undisturbed.awaits_of[part] < 2] == [], "not all parts were alive"
    assert machinery.renewals, "no lease was extended"
    await _is_as_it_should_be(machinery, expected, "undisturbed")
    chosen = range(1, undisturbed.awaits + 1)
    every = 1 if points is None else max(1, len(chosen) // points)
    deaths = 0
    for number, dies_at in enumerate(chosen[::every]):
        for answered in (False, True) if points is None else (bool(number % 2),):
            expected = await work.submit()
            dead = await machinery.live(dies_at=dies_at, answered=answered)
            deaths += dead.dead.is_set()
            await machinery.live()
            await _is_as_it_should_be(machinery, expected, f"died at await {dies_at}, answered: {answered}")
    assert deaths >= len(chosen[::every]) // 2, "hardly any of them died"
    async with transaction(machinery.engine) as connection:
        deadlocks = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        assert await connection.scalar(deadlocks) == 0, "statements waited for one another"


async def _is_as_it_should_be(machinery: Machinery, expected: dict[UUID, list[str]], how: str) -> None:
    for run_id, steps in expected.items():
        row = await read_run(machinery.engine, run_id)
        assert row.status == "completed", f"{row.error}, {how}"
        async with transaction(machinery.engine) as connection:
            found = await connection.execute(
                text("SELECT step_id, output FROM effects WHERE run_id = :id"), {"id": run_id}
            )
            effects = [(effect.step_id, effect.output) for effect in found]
            ends = await connection.scalar(
                text("SELECT count(*) FROM audit_log WHERE action = 'run.completed' AND subject_id = :id"),
                {"id": str(run_id)},
            )
            left = await connection.scalar(text("SELECT count(*) FROM outbox"))
        assert sorted(name for name, _ in effects) == steps, how
        assert row.output == {name: output for name, output in effects if name != "first"}, how
        assert (ends, left) == (1, 0), how
        assert any(str(run_id).encode() in record.value for record in machinery.kafka.log), f"never sent, {how}"


@pytest.mark.ring("service")
async def test_a_death_at_some_awaits_of_relay_and_executor_loses_and_doubles_nothing(machinery: Machinery) -> None:
    await _die_everywhere(machinery, SHORT_POINTS)


@pytest.mark.ring("faults")
async def test_a_death_at_any_await_of_relay_and_executor_loses_and_doubles_nothing(machinery: Machinery) -> None:
    await _die_everywhere(machinery, None)
