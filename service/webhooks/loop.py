"""The loop that sends deliveries, beside the relay in each of its processes; any number of them work at once."""

import asyncio
import contextlib
import random
import time
from collections import Counter as Count
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.database import autocommit, create_engine, is_unavailable
from service.platform.logging import get_logger
from service.platform.settings import Settings
from service.platform.worker_loop import Backoff, Pulse, pause
from service.webhooks import deliveries, metrics
from service.webhooks.caller import GONE, Outcome, WebhookCaller
from service.webhooks.deliveries import Claimed
from service.webhooks.signing import signature_headers, webhook_key

TICK_SECONDS = 1.0
MEASURE_SECONDS = 5.0
FORGET_SECONDS = 3600.0
PULSE_SECONDS = 90.0
MOST_AT_A_TIME = 20
MOST_OF_A_WEBHOOK = 5
_LEAVE_SECONDS = 5.0
_CLOSE_SECONDS = 2.0
_LOOP = "webhooks"

log = get_logger(__name__)


async def deliver_until(settings: Settings, stopping: asyncio.Event, pulse: Pulse) -> None:
    """Send until the event is set. Outages of the database are sat out; no error ends the loop.

    Without WEBHOOK_SECRET there is nothing to sign with, and nothing is done.
    """
    if settings.webhook_secret is None:
        await stopping.wait()
        return
    one = settings.model_copy(update={"database_pool_size": 1, "database_max_overflow": 0})
    engine = create_engine(one, application="workflow-webhooks")
    sending = Sending(engine, settings)
    try:
        await _again_and_again(engine, sending, stopping, pulse)
    finally:
        await sending.stop()
        pulse.ended(_LOOP)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await engine.dispose()


async def _again_and_again(engine: AsyncEngine, sending: "Sending", stopping: asyncio.Event, pulse: Pulse) -> None:
    backoff = Backoff(0.2, 5.0)
    next_measure, next_forget = 0.0, time.monotonic() + FORGET_SECONDS * random.random()  # noqa: S311 - spreads load
    while not stopping.is_set():
        pulse.beat(_LOOP, within=PULSE_SECONDS)
        try:
            if time.monotonic() >= next_measure:
                next_measure = time.monotonic() + MEASURE_SECONDS
                await measure(engine)
            if time.monotonic() >= next_forget:
                async with autocommit(engine) as connection:
                    is_more = await deliveries.forget(connection)
                next_forget = time.monotonic() + (TICK_SECONDS if is_more else FORGET_SECONDS)
            has_begun = await sending.begin()
        except Exception as error:
            if is_unavailable(error):
                log.warning("The database is away, webhooks wait", reason=type(error).__name__)
            else:
                metrics.ERRORS.inc()
                log.exception("Webhooks cannot be served, trying again")
            await pause(stopping, backoff.failed())
            continue
        backoff.succeeded()
        if has_begun or sending.under_way:
            await sending.progress(TICK_SECONDS)
        else:
            await pause(stopping, TICK_SECONDS)


async def measure(engine: AsyncEngine) -> None:
    """Show what waits."""
    async with autocommit(engine) as connection:
        count, oldest = await deliveries.waiting(connection)
    metrics.WAITING.set(count)
    metrics.OLDEST.set(oldest)


class Sending:
    """The attempts that are under way in this process."""

    def __init__(self, engine: AsyncEngine, settings: Settings) -> None:
        if settings.webhook_secret is None:
            raise TypeError("deliveries are signed by WEBHOOK_SECRET, which is not set")
        self._engine = engine
        self._secret = settings.webhook_secret.get_secret_value()
        self._audit = settings.enable_audit_logging
        self._caller = WebhookCaller(settings.http_agent_allowed_hosts)
        self._tasks: dict[asyncio.Task[None], Claimed] = {}

    @property
    def under_way(self) -> int:
        """How many attempts there are now."""
        return len(self._tasks)

    async def begin(self) -> bool:
        """Begin as many attempts as there is room for; returns whether any began."""
        free = MOST_AT_A_TIME - len(self._tasks)
        if not free:
            return True
        async with autocommit(self._engine) as connection:
            claimed = await deliveries.claim(connection, most=free, each=MOST_OF_A_WEBHOOK, busy=self._busy())
        for each in claimed:
            task = asyncio.create_task(self._attempt(each), name="webhook-delivery")
            self._tasks[task] = each
            task.add_done_callback(lambda done: self._tasks.pop(done, None))
        return bool(claimed)

    async def progress(self, seconds: float) -> None:
        """Wait until an attempt is done, but no longer than that."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)

    async def stop(self) -> None:
        """Let the attempts end, for a moment; those cut off are made again by another process."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=_LEAVE_SECONDS)
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._caller.close()

    def _busy(self) -> list[UUID]:
        under_way = Count(each.webhook_id for each in self._tasks.values())
        failing = {each.webhook_id for each in self._tasks.values() if each.is_failing}
        return [key for key, count in under_way.items() if count >= MOST_OF_A_WEBHOOK or key in failing]

    async def _attempt(self, claimed: Claimed) -> None:
        numbers = [claimed.key_number] + ([claimed.key_number - 1] if claimed.was_rotated else [])
        keys = [webhook_key(self._secret, claimed.webhook_id, number) for number in numbers]
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "workflow-management",
            **signature_headers(keys, f"msg_{claimed.id}", claimed.timestamp, claimed.body),
        }
        try:
            outcome = await self._caller.post(claimed.url, headers, claimed.body)
            await self._note(claimed, outcome)
        except Exception as error:
            # The lease ends, and it is sent again.
            metrics.ERRORS.inc()
            if is_unavailable(error):
                log.warning("A delivery's outcome is not stored", delivery_id=str(claimed.id))
            else:
                log.exception("A delivery failed unexpectedly", delivery_id=str(claimed.id))

    async def _note(self, claimed: Claimed, outcome: Outcome) -> None:
        async with autocommit(self._engine) as connection:
            if outcome.error is None:
                await deliveries.succeeded(connection, claimed, outcome.status or 200)
                is_dead = is_disabled = False
            else:
                jitter = 1 + random.random() / 5  # noqa: S311 - spreads load, guards nothing
                wait = max(deliveries.pause_after(claimed.attempt) * jitter, outcome.retry_after)
                is_dead, is_disabled = await deliveries.failed(
                    connection,
                    claimed,
                    status=outcome.status,
                    error=outcome.error,
                    pause=wait,
                    is_gone=outcome.status == GONE,
                    audit=self._audit,
                )
        metrics.ATTEMPTS.labels("failed" if outcome.error else "delivered").inc()
        metrics.DEAD.inc(is_dead)
        metrics.DISABLED.inc(is_disabled)
        if is_disabled:
            log.warning("A webhook was switched off", webhook_id=str(claimed.webhook_id))
