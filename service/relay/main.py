"""The relay's process: it relays if it leads, and fires schedules, sends webhooks, forgets what is old in any case."""

import asyncio
import contextlib
import time
from typing import Any

import asyncpg

from service.maintenance import progress
from service.maintenance.retention import forget_until
from service.platform import metrics
from service.platform.database import connect
from service.platform.kafka import BoundedProducer, KafkaUnavailableError, is_too_large
from service.platform.logging import get_logger
from service.platform.settings import Settings
from service.platform.worker_http import serve_health
from service.platform.worker_loop import Backoff, Pulse, pause, stop_on_signals
from service.relay import metrics as relay_metrics
from service.relay.leader import Leadership, leadership
from service.relay.outbox import (
    BATCH_ROWS,
    Sender,
    mark_lazily,
    measure,
    relay_batch,
    relay_topics_apart,
    set_aside_refused,
)
from service.schedules.loop import fire_until
from service.webhooks.loop import deliver_until

IDLE_SECONDS = 0.1
"""How long the relay waits for a notification before it looks by itself."""

MEASURE_SECONDS = 5.0
_CLOSE_SECONDS = 2.0
# The driver's internal error is what a connection that is cut in the middle of a statement may leave.
_DATABASE_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)

log = get_logger(__name__)


async def run(settings: Settings) -> None:
    """Relay until SIGTERM or SIGINT; the batch under way is finished, within GRACEFUL_SHUTDOWN_SECONDS."""
    stopping = asyncio.Event()
    with stop_on_signals(stopping):
        await relay_until(settings, stopping)


async def relay_until(settings: Settings, stopping: asyncio.Event) -> None:
    """Relay until the event is set; outages of Kafka and the database are sat out."""
    pulse = Pulse()
    producer = BoundedProducer(settings, client_id="workflow-relay")
    relay_metrics.LEADER.set(0)
    for topic in (settings.kafka_execution_topic, settings.kafka_cancellation_topic):
        # A series that begins with its first increase hides that increase from increase().
        metrics.OUTBOX_RELAYED.labels(topic)
        relay_metrics.UNDELIVERABLE.labels(topic)
    async with serve_health(settings, pulse.problems):
        work = asyncio.create_task(relay_whenever_leading(settings, producer, stopping, pulse), name="relay")
        schedules = asyncio.create_task(fire_until(settings, stopping, pulse), name="schedules")
        webhooks = asyncio.create_task(deliver_until(settings, stopping, pulse), name="webhooks")
        retention = asyncio.create_task(forget_until(settings, stopping, pulse), name="retention")
        stop = asyncio.create_task(stopping.wait())
        loops = (work, schedules, webhooks, retention)
        try:
            log.info("Relay started")
            await asyncio.wait({*loops, stop}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.is_set():
                # Cut off, the batch is rolled back and relayed by the next leader; so are schedules.
                await asyncio.wait(loops, timeout=settings.graceful_shutdown_seconds * 0.7)
            for loop in loops:
                if loop.done():
                    loop.result()
        finally:
            for task in (*loops, stop):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task
            await producer.stop()
            log.info("Relay stopped")


async def relay_whenever_leading(settings: Settings, producer: Sender, stopping: asyncio.Event, pulse: Pulse) -> None:
    """The loop that stands by, leads and relays, until the event is set; outages are sat out."""
    backoff = Backoff(0.2, 5.0)
    while not stopping.is_set():
        pulse.beat("relay", within=60)
        try:
            async with leadership(settings, stopping, pulse) as leader:
                if leader is not None:
                    log.info("This relay leads")
                    await _lead(settings, leader, producer, stopping, pulse, backoff)
        except _DATABASE_ERRORS as error:
            log.warning("The database is away, trying again", reason=str(error) or type(error).__name__)
            await pause(stopping, backoff.failed())


async def _lead(
    settings: Settings,
    leader: Leadership,
    producer: Sender,
    stopping: asyncio.Event,
    pulse: Pulse,
    backoff: Backoff,
) -> None:
    connection = await connect(settings, application="workflow-relay")
    next_measure = 0.0
    try:
        await mark_lazily(connection)
        while not stopping.is_set() and not leader.lost.is_set():
            pulse.beat("relay", within=60)
            leader.wake.clear()
            if time.monotonic() >= next_measure:
                next_measure = time.monotonic() + MEASURE_SECONDS
                await leader.confirm()
                await measure(connection)
                await progress.measure(connection)
            if not await _relay(connection, producer, stopping, backoff):
                await _wait(leader, stopping)
        if leader.lost.is_set():
            raise ConnectionError("the connection that held the leader's lock is gone")
    finally:
        with contextlib.suppress(Exception):
            await connection.close(timeout=_CLOSE_SECONDS)


async def _relay(connection: Any, producer: Sender, stopping: asyncio.Event, backoff: Backoff) -> bool:
    """Relay one batch; returns whether there may be more."""
    try:
        count = await relay_batch(connection, producer)
    except KafkaUnavailableError as error:
        metrics.OUTBOX_FAILURES.inc()
        seconds = backoff.failed()
        log.warning(
            "Kafka did not take the batch, it stays in the outbox", reason=str(error), again_in=round(seconds, 2)
        )
        if is_too_large(error):
            await _set_aside(connection, producer)
        await relay_topics_apart(connection, producer)
        await pause(stopping, seconds)
        return True
    backoff.succeeded()
    return count == BATCH_ROWS


async def _set_aside(connection: Any, producer: Sender) -> None:
    try:
        await set_aside_refused(connection, producer)
    except KafkaUnavailableError as error:
        log.warning("What Kafka refuses was not found, it is looked for again", reason=str(error))


async def _wait(leader: Leadership, stopping: asyncio.Event) -> None:
    wake = asyncio.create_task(leader.wake.wait())
    stop = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({wake, stop}, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        wake.cancel()
        stop.cancel()
