"""What runs in the processes of a relay and an executor, in one loop that may die at any of its awaits."""

import asyncio
import itertools
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor.active import ActiveRuns
from service.executor.ahead import Ahead
from service.executor.at_once import AtOnce
from service.executor.callees import StoredCallees
from service.executor.cancellations import CancellationListener
from service.executor.claims import ClaimedRun, Marks
from service.executor.consumer import ExecutionConsumer
from service.executor.kinds.base import Agent, StepContext
from service.executor.kinds.noop import NoopSettings
from service.executor.kinds.transform import TransformSettings
from service.executor.kinds.workflow import WorkflowAgent
from service.executor.leases import Heartbeat, Sweeper
from service.executor.repository import RunRepository
from service.executor.runner import Runner
from service.maintenance.retention import forget_until
from service.platform.database import create_engine, transaction
from service.platform.settings import Settings
from service.platform.wakeup import OutboxWakeup
from service.platform.worker_loop import Pulse
from service.relay.main import relay_whenever_leading
from service.schedules.loop import fire_until
from service.webhooks.loop import deliver_until
from tests.service.faults.memory_kafka import MemoryKafka
from tests.service.faults.mortal import Mortal
from tests.service.servers import eventually

LIFE_SECONDS = 20.0
LEASE_SECONDS = 2.0
STEP_SECONDS = 0.02
"""How long a step takes that is not computed at once: long enough for its run's lease to be extended meanwhile."""

PARTS = (
    *("relay", "schedules", "webhooks", "retention"),
    *("outbox-wakeup", "heartbeat", "consumer", "sweeper", "ahead", "cancellations"),
)
"""The names of the tasks that live for as long as their process."""

_NUMBERS = itertools.count()


class NumberingAgent(Agent[NoopSettings]):
    """Gives another output at each call, so that a second one shows."""

    kind = "noop"
    settings_model = NoopSettings

    async def run(self, settings: NoopSettings, step_input: dict[str, Any], context: StepContext) -> Any:
        """A number that nobody had before."""
        await asyncio.sleep(STEP_SECONDS)
        return {"number": next(_NUMBERS)}


class InstantNumberingAgent(Agent[TransformSettings]):
    """The same for runs that are done at once."""

    kind = "transform"
    settings_model = TransformSettings
    instant = True

    async def run(self, settings: TransformSettings, step_input: dict[str, Any], context: StepContext) -> Any:
        """A number that nobody had before."""
        await asyncio.sleep(0)
        return {"number": next(_NUMBERS)}


class Machinery:
    """One life after the other of a relay and an executor over one database and topics in memory."""

    def __init__(self, settings: Settings, engine: AsyncEngine) -> None:
        self.settings = settings
        self.engine = engine
        self.kafka = MemoryKafka()
        self.renewals = 0
        """How often leases were extended."""
        self._lives = itertools.count()
        self._engines: list[AsyncEngine] = []

    async def lifetime(self, stopping: asyncio.Event) -> None:
        """All loops of the two processes, until told to stop; as their ``main`` makes them, but in more haste."""
        engine = create_engine(self.settings, application="mortal")
        self._engines.append(engine)
        pulse, drained = Pulse(), asyncio.Event()
        wakeup = OutboxWakeup(engine)
        wakeup.start()
        repository = _Repository(
            self,
            engine,
            owner=f"life-{next(self._lives)}",
            lease_seconds=LEASE_SECONDS,
            audit=True,
            execution_topic=self.settings.kafka_execution_topic,
            cancellation_topic=self.settings.kafka_cancellation_topic,
            wake=wakeup.wake,
        )
        caller = WorkflowAgent()
        caller.callees = StoredCallees(repository.read_callee)
        agents = {agent.kind: agent for agent in (NumberingAgent(), InstantNumberingAgent(), caller)}
        active = ActiveRuns(4, Runner(repository, agents).execute)
        ahead = Ahead(repository, active, pulse=pulse)
        consumer = ExecutionConsumer(self.settings, repository, active, AtOnce(repository, agents), ahead, pulse=pulse)
        sweeper = Sweeper(
            repository,
            active,
            queued_grace_seconds=1.0,
            cancel_deadline_seconds=600,
            pulse=pulse,
            sweep_seconds=0.02,
        )
        heartbeat = Heartbeat(repository, active, lease_seconds=STEP_SECONDS, pulse=pulse)
        beating = asyncio.create_task(heartbeat.run(drained), name="heartbeat")
        loops = {
            "relay": relay_whenever_leading(self.settings, self.kafka, stopping, pulse),
            "schedules": fire_until(self.settings, stopping, pulse),
            "webhooks": deliver_until(self.settings, stopping, pulse),
            "retention": forget_until(self.settings, stopping, pulse),
            "consumer": consumer.run(stopping),
            "sweeper": sweeper.run(stopping),
            "ahead": ahead.run(stopping),
            "cancellations": CancellationListener(self.settings, repository, active, pulse=pulse).run(stopping),
        }
        await asyncio.gather(*(asyncio.create_task(loop, name=name) for name, loop in loops.items()))
        await active.drain(2.0)
        drained.set()
        await beating
        await repository.close()
        await wakeup.stop()

    async def live(self, **how: Any) -> Mortal:
        """One life, until nothing is left to do; its connections end with it, and so do its leases."""
        mortal, stopping = Mortal(**how), asyncio.Event()
        ending = asyncio.ensure_future(eventually(self._is_idle, "all runs to end", seconds=LIFE_SECONDS))
        ending.add_done_callback(lambda _: stopping.set())
        try:
            await mortal.live(self.lifetime(stopping), LIFE_SECONDS)
        finally:
            ending.cancel()
        for engine in self._engines:
            # The dead are kept for ever, but need not keep what is large.
            engine.clear_compiled_cache()
            await engine.dispose(close=False)
        self._engines.clear()
        await eventually(self._ended_connections, "the dead's connections to end", seconds=LIFE_SECONDS)
        async with transaction(self.engine) as connection:
            await connection.execute(text("UPDATE runs SET lease_expires_at = now() WHERE status = 'running'"))
            await connection.execute(
                text("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE status = 'pending'")
            )
        return mortal

    async def _ended_connections(self) -> bool:
        """Whether none is left but the test's own; those that are, are told to end, once more does no harm."""
        query = """
            SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()
               AND backend_type = 'client backend' AND application_name <> 'test'
        """
        async with transaction(self.engine) as connection:
            return not await connection.scalar(text(query))

    async def _is_idle(self) -> bool:
        query = """
            SELECT NOT EXISTS (SELECT FROM runs WHERE finished_at IS NULL) AND NOT EXISTS (SELECT FROM outbox)
               AND NOT EXISTS (SELECT FROM schedules WHERE next_fire_at <= now())
               AND NOT EXISTS (SELECT FROM webhook_deliveries WHERE status = 'pending')
        """
        async with transaction(self.engine) as connection:
            return bool(await connection.scalar(text(query)))


class _Repository(RunRepository):
    """Counts the renewals."""

    def __init__(self, machinery: Machinery, engine: AsyncEngine, **how: Any) -> None:
        super().__init__(engine, **how)
        self._machinery = machinery

    async def renew(self, runs: Iterable[ClaimedRun]) -> dict[UUID, Marks]:
        """Extend the leases."""
        found = await super().renew(runs)
        self._machinery.renewals += 1
        return found
