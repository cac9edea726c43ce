"""The loop that fires schedules, beside the relay in each of its processes; any number of them work at once."""

import asyncio
import contextlib
import time

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.database import autocommit, create_engine, is_unavailable
from service.platform.logging import get_logger
from service.platform.settings import Settings
from service.platform.tables import schedules
from service.platform.worker_loop import Backoff, Pulse, pause
from service.schedules import metrics
from service.schedules.fire import Firing

TICK_SECONDS = 1.0
MEASURE_SECONDS = 5.0
PULSE_SECONDS = 90.0
"""Longer than one round takes at most: a connection and five statements, each at its limit."""

_CLOSE_SECONDS = 2.0
_LOOP = "schedules"

log = get_logger(__name__)


async def fire_until(settings: Settings, stopping: asyncio.Event, pulse: Pulse) -> None:
    """Fire schedules until the event is set. Outages of the database are sat out; no error ends the loop."""
    for reason in ("missed", "overlap"):
        # A series that begins with its first increase hides that increase from increase().
        metrics.SKIPPED.labels(reason)
    # One connection: what is due is fired one batch after the other.
    one = settings.model_copy(update={"database_pool_size": 1, "database_max_overflow": 0})
    engine = create_engine(one, application="workflow-schedules")
    try:
        await _again_and_again(engine, settings, stopping, pulse)
    finally:
        pulse.ended(_LOOP)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await engine.dispose()


async def _again_and_again(engine: AsyncEngine, settings: Settings, stopping: asyncio.Event, pulse: Pulse) -> None:
    firing = Firing(engine, settings)
    backoff = Backoff(0.2, 5.0)
    next_measure = 0.0
    while not stopping.is_set():
        pulse.beat(_LOOP, within=PULSE_SECONDS)
        try:
            if time.monotonic() >= next_measure:
                next_measure = time.monotonic() + MEASURE_SECONDS
                await measure(engine)
            is_more = await firing.once()
        except Exception as error:
            if is_unavailable(error):
                log.warning("The database is away, schedules wait", reason=type(error).__name__)
            else:
                metrics.FAILURES.inc()
                log.exception("Schedules cannot be fired, trying again")
            await pause(stopping, backoff.failed())
            continue
        backoff.succeeded()
        if not is_more:
            await pause(stopping, TICK_SECONDS)


async def measure(engine: AsyncEngine) -> None:
    """Show how late the oldest time is that is due."""
    late = func.extract("epoch", func.now() - func.min(schedules.c.next_fire_at))
    async with autocommit(engine) as connection:
        seconds = await connection.scalar(select(late).where(schedules.c.next_fire_at <= func.now()))
    metrics.LAG.set(float(seconds or 0))
