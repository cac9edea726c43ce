"""Relay and executor die at each of their awaits; whoever comes after them ends the run, each effect recorded once."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor import consumer as consumer_module
from service.executor.active import ActiveRuns
from service.executor.ahead import Ahead
from service.executor.at_once import AtOnce
from service.executor.consumer import ExecutionConsumer
from service.executor.kinds.base import Agent, StepContext
from service.executor.kinds.noop import NoopSettings
from service.executor.leases import Sweeper
from service.executor.repository import RunRepository
from service.executor.runner import Runner
from service.platform.database import connect, create_engine, transaction
from service.platform.settings import Settings
from service.platform.worker_loop import Pulse
from service.relay.outbox import relay_batch
from tests.service.executor_support import add_workflow, finished, read_run, step, submit
from tests.service.faults.memory_kafka import MemoryConsumer, MemoryKafka, NoLagWatch
from tests.service.faults.mortal import Mortal

LIFE_SECONDS = 20.0
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


class NumberingAgent(Agent[NoopSettings]):
    """Gives another output at each call, so that a second one shows."""

    kind = "noop"
    settings_model = NoopSettings

    def __init__(self) -> None:
        self._numbers = itertools.count()

    async def run(self, settings: NoopSettings, step_input: dict[str, Any], context: StepContext) -> Any:
        """A number that nobody had before."""
        await asyncio.sleep(0)
        return {"number": next(self._numbers)}


class Machinery:
    """One life after the other of a relay and an executor over one database and one topic."""

    def __init__(self, settings: Settings, engine: AsyncEngine) -> None:
        self.settings = settings
        self.engine = engine
        self.kafka = MemoryKafka()
        self.agents = {"noop": NumberingAgent()}
        self.lives = itertools.count()
        self.engines: list[AsyncEngine] = []

    async def lifetime(self, stopping: asyncio.Event) -> None:
        """Relay what is in the outbox, execute what is in the topic or without a lease, until told to stop."""
        engine = create_engine(self.settings, application="mortal")
        self.engines.append(engine)
        connection = await connect(self.settings, application="mortal")
        while await relay_batch(connection, self.kafka):
            pass
        await connection.close()
        repository = RunRepository(engine, owner=f"life-{next(self.lives)}", lease_seconds=600, audit=True)
        active = ActiveRuns(4, Runner(repository, self.agents).execute)
        pulse = Pulse()
        sweeper = Sweeper(
            repository,
            active,
            queued_grace_seconds=0.01,
            cancel_deadline_seconds=600,
            pulse=pulse,
            sweep_seconds=0.02,
        )
        at_once, ahead = AtOnce(repository, self.agents), Ahead(repository, active, pulse=pulse)
        consumer = ExecutionConsumer(self.settings, repository, active, at_once, ahead, pulse=pulse)
        loops = [asyncio.create_task(consumer.run(stopping)), asyncio.create_task(sweeper.run(stopping))]
        await asyncio.gather(*loops)
        await active.drain(2.0)
        await repository.close()

    async def live(self, run_id: UUID, **how: Any) -> Mortal:
        """One life; its connections end with it."""
        mortal, stopping = Mortal(**how), asyncio.Event()
        ending = asyncio.ensure_future(finished(self.engine, run_id, seconds=LIFE_SECONDS))
        ending.add_done_callback(lambda _: stopping.set())
        try:
            await mortal.live(self.lifetime(stopping), LIFE_SECONDS)
        finally:
            ending.cancel()
        async with transaction(self.engine) as connection:
            await connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE application_name = 'mortal' AND datname = current_database()"
                )
            )
            await connection.execute(
                text("UPDATE runs SET lease_expires_at = now() WHERE id = :id AND status = 'running'"), {"id": run_id}
            )
        return mortal


@pytest_asyncio.fixture
async def machinery(
    api_settings: Settings, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Machinery]:
    """Relay and executor with a topic in memory."""
    found = Machinery(api_settings, engine)
    monkeypatch.setattr(consumer_module, "create_consumer", lambda *_, **__: MemoryConsumer(found.kafka))
    monkeypatch.setattr(consumer_module, "LagWatch", NoLagWatch)
    raw = await connect(api_settings, application="test")
    await raw.execute(_EFFECTS)
    await raw.close()
    yield found
    for each in found.engines:
        await each.dispose(close=False)


async def _die_everywhere(machinery: Machinery, points: int | None) -> None:
    engine, settings = machinery.engine, machinery.settings
    workflow_id = await add_workflow(engine, step("first"), step("second", needs=["first"]), step("other"))
    undisturbed = await machinery.live(await submit(engine, settings, workflow_id))
    chosen = range(1, undisturbed.awaits + 1)
    every = 1 if points is None else max(1, len(chosen) // points)
    deaths = 0
    for number, dies_at in enumerate(chosen[::every]):
        for answered in (False, True) if points is None else (bool(number % 2),):
            run_id = await submit(engine, settings, workflow_id)
            dead = await machinery.live(run_id, dies_at=dies_at, answered=answered)
            deaths += dead.dead.is_set()
            await machinery.live(run_id)
            await _is_as_it_should_be(machinery, run_id, f"died at await {dies_at}, answered: {answered}")
    assert deaths >= len(chosen[::every]) // 2, "hardly any of them died"


async def _is_as_it_should_be(machinery: Machinery, run_id: UUID, how: str) -> None:
    row = await read_run(machinery.engine, run_id)
    assert row.status == "completed", how
    async with transaction(machinery.engine) as connection:
        found = await connection.execute(text("SELECT step_id, output FROM effects WHERE run_id = :id"), {"id": run_id})
        effects = [(effect.step_id, effect.output) for effect in found]
        ends = await connection.scalar(
            text("SELECT count(*) FROM audit_log WHERE action = 'run.completed' AND subject_id = :id"),
            {"id": str(run_id)},
        )
        left = await connection.scalar(text("SELECT count(*) FROM outbox"))
    assert sorted(name for name, _ in effects) == ["first", "other", "second"], how
    assert row.output == {name: output for name, output in effects if name != "first"}, how
    assert (ends, left) == (1, 0), how
    assert any(str(run_id).encode() in record.value for record in machinery.kafka.log), f"never sent, {how}"


@pytest.mark.ring("service")
async def test_a_death_at_some_awaits_of_relay_and_executor_loses_and_doubles_nothing(machinery: Machinery) -> None:
    await _die_everywhere(machinery, SHORT_POINTS)


@pytest.mark.ring("faults")
async def test_a_death_at_any_await_of_relay_and_executor_loses_and_doubles_nothing(machinery: Machinery) -> None:
    await _die_everywhere(machinery, None)
