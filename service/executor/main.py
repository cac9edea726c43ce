"""The executor's process."""

import asyncio
from contextlib import suppress

from service.executor.active import ActiveRuns
from service.executor.ahead import Ahead
from service.executor.at_once import AtOnce
from service.executor.callees import StoredCallees
from service.executor.cancellations import CancellationListener
from service.executor.consumer import ExecutionConsumer
from service.executor.kinds.registry import close_agents, create_agents
from service.executor.kinds.workflow import WorkflowAgent
from service.executor.leases import Heartbeat, Sweeper
from service.executor.replies import ReplyConsumer
from service.executor.repository import RunRepository
from service.executor.runner import Runner
from service.platform.database import create_engine
from service.platform.logging import get_logger
from service.platform.settings import Settings
from service.platform.wakeup import OutboxWakeup
from service.platform.worker_http import serve_health
from service.platform.worker_loop import Pulse, stop_on_signals

log = get_logger(__name__)


async def run(settings: Settings) -> None:
    """Execute runs until SIGTERM or SIGINT; then take none any more, end or give back those under way, and return."""
    stopping = asyncio.Event()
    with stop_on_signals(stopping):
        await execute_until(settings, stopping)


async def execute_until(settings: Settings, stopping: asyncio.Event) -> None:
    """Execute runs until the event is set. Raises what a loop broke down with: the process should be started anew."""
    lease = settings.executor_lease_seconds
    pulse = Pulse()
    agents = create_agents(settings)
    engine = create_engine(settings, application="workflow-executor")
    wakeup = OutboxWakeup(engine)
    wakeup.start()
    repository = RunRepository(
        engine,
        owner=settings.executor_id,
        lease_seconds=lease,
        audit=settings.enable_audit_logging,
        connections=settings.database_pool_size,
        execution_topic=settings.kafka_execution_topic,
        cancellation_topic=settings.kafka_cancellation_topic,
        wake=wakeup.wake,
    )
    for agent in agents.values():
        if isinstance(agent, WorkflowAgent):
            agent.callees = StoredCallees(repository.read_callee)
    active = ActiveRuns(settings.executor_concurrency, Runner(repository, agents).execute)
    ahead = Ahead(repository, active, pulse=pulse)
    # Without topics there is nothing to read.
    replies = (ReplyConsumer(settings, repository, pulse=pulse),) if settings.kafka_agent_reply_topics else ()
    loops = (
        *replies,
        ahead,
        ExecutionConsumer(settings, repository, active, AtOnce(repository, agents), ahead, pulse=pulse),
        CancellationListener(settings, repository, active, pulse=pulse),
        Sweeper(
            repository,
            active,
            queued_grace_seconds=lease,
            cancel_deadline_seconds=settings.run_cancel_deadline_seconds,
            pulse=pulse,
        ),
    )
    # It beats on while the last runs end, so it has a stop of its own.
    drained = asyncio.Event()
    heartbeat = Heartbeat(repository, active, lease_seconds=lease, pulse=pulse)
    try:
        async with serve_health(settings, pulse.problems), asyncio.TaskGroup() as group:
            group.create_task(heartbeat.run(drained), name="heartbeat")
            feeding = [group.create_task(loop.run(stopping), name=type(loop).__name__) for loop in loops]
            log.info("Executor started", executor_id=settings.executor_id, concurrency=settings.executor_concurrency)
            await stopping.wait()
            log.info("Executor stops", runs=len(active.snapshot()))
            # Leaving the group and the runs under way end side by side: both have the same time.
            await asyncio.gather(
                active.drain(settings.graceful_shutdown_seconds * 0.8),
                asyncio.wait(feeding, timeout=settings.graceful_shutdown_seconds * 0.8),
            )
            for task in feeding:
                task.cancel()
            drained.set()
    finally:
        await active.drain(2.0)
        await close_agents(agents)
        await repository.close()
        await wakeup.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await engine.dispose()
        log.info("Executor stopped")
