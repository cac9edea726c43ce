"""Keeps our leases alive, and takes over runs that nobody keeps alive."""

import asyncio
import time

from service.executor import metrics
from service.executor.active import ActiveRuns, Interruption
from service.executor.metrics import count_ended
from service.executor.repository import RunRepository
from service.executor.transient import is_transient
from service.platform.logging import get_logger
from service.platform.worker_loop import Pulse, pause

SWEEP_SECONDS = 1.0
_CANCELLED_AT_ONCE = 100
_FORGET_EVERY_SECONDS = 3600.0
_MESSAGE_DAYS = 14
"""How long a message is remembered; Kafka keeps messages for 7 days by default."""
_ANSWERS = 100
_FORGET_ROWS = 2_000
_KEY_DAYS = 30
"""How long an Idempotency-Key is remembered; the API's description promises it."""

log = get_logger(__name__)


class Heartbeat:
    """Extends the leases three times within their length, and interrupts runs that are lost or to be cancelled."""

    def __init__(self, repository: RunRepository, active: ActiveRuns, *, lease_seconds: float, pulse: Pulse) -> None:
        self._repository = repository
        self._active = active
        self._lease_seconds = lease_seconds
        self._pulse = pulse

    async def run(self, stopping: asyncio.Event) -> None:
        """Beat until told to stop."""
        every = self._lease_seconds / 3
        while not await pause(stopping, every):
            self._pulse.beat("heartbeat", within=every + 30)
            await self._beat()
        self._pulse.ended("heartbeat")

    async def _beat(self) -> None:
        held = self._active.snapshot()
        if not held:
            return
        asked = time.monotonic()
        try:
            kept = await self._repository.renew(one.run for one in held)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("Leases could not be extended: the database is away", reason=type(error).__name__)
            for one in held:
                # From here on another executor may have the run, so nothing more may be started for it.
                if time.monotonic() - one.renewed > self._lease_seconds:
                    one.interrupt(Interruption.LOST)
            return
        for one in held:
            marks = kept.get(one.run.id)
            if marks is None:
                one.interrupt(Interruption.LOST)
                continue
            one.renewed = asked
            one.hear(marks)


class Sweeper:
    """Claims runs whose lease expired, ones that waited for a time, and queued ones whose message is late or lost.

    It also ends what does not stop. The last of the claims makes runs go on even when Kafka is away for long or a
    message could not be read. It is slower than the messages, and takes only places that are free.
    """

    def __init__(
        self,
        repository: RunRepository,
        active: ActiveRuns,
        *,
        queued_grace_seconds: float,
        cancel_deadline_seconds: float,
        pulse: Pulse,
        sweep_seconds: float = SWEEP_SECONDS,
    ) -> None:
        self._repository = repository
        self._active = active
        self._queued_grace = queued_grace_seconds
        self._cancel_deadline = cancel_deadline_seconds
        self._pulse = pulse
        self._every = sweep_seconds

    async def run(self, stopping: asyncio.Event) -> None:
        """Sweep until told to stop."""
        next_queued, next_forget = 0.0, time.monotonic() + _FORGET_EVERY_SECONDS
        while not await pause(stopping, self._every):
            self._pulse.beat("sweeper", within=60)
            now = time.monotonic()
            try:
                await self._force_cancellations()
                await self._claim_expired()
                await self._claim_woken()
                if now >= next_queued:
                    next_queued = now + self._queued_grace / 3
                    await self._claim_forgotten()
                    await self._answer_missed()
                if now >= next_forget:
                    next_forget = now + _FORGET_EVERY_SECONDS
                    await self._forget_messages(stopping)
                    await self._repository.forget_idempotency_keys(older_than_days=_KEY_DAYS)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("Nothing swept: the database is away", reason=type(error).__name__)
        self._pulse.ended("sweeper")

    async def _force_cancellations(self) -> None:
        for run in await self._repository.force_cancellations(_CANCELLED_AT_ONCE, after_seconds=self._cancel_deadline):
            count_ended(run.status, run.seconds)
            log.warning("Run ended without its executor", run_id=str(run.id), correlation_id=run.correlation_id)

    async def _answer_missed(self) -> None:
        told = await self._repository.answer_missed(_ANSWERS, older_than_seconds=self._queued_grace)
        if told:
            log.warning("Runs told the ends of their children, which nobody had told them", runs=told)

    async def _forget_messages(self, stopping: asyncio.Event) -> None:
        # In parts: one statement for all of an hour could take longer than a statement may, and then for ever.
        while not stopping.is_set():
            self._pulse.beat("sweeper", within=60)
            gone = await self._repository.forget_messages(older_than_days=_MESSAGE_DAYS, most=_FORGET_ROWS)
            if gone < _FORGET_ROWS:
                return

    async def _claim_expired(self) -> None:
        async with self._active.claiming:
            if not self._active.free:
                return
            claimed = await self._repository.claim_expired(self._active.free)
            self._active.start(claimed)
        for run in claimed:
            metrics.RECLAIMED.labels("lease-expired").inc()
            log.warning("Run taken over: its lease had expired", run_id=str(run.id), correlation_id=run.correlation_id)

    async def _claim_woken(self) -> None:
        async with self._active.claiming:
            if self._active.free:
                self._active.start(await self._repository.claim_woken(self._active.free))

    async def _claim_forgotten(self) -> None:
        async with self._active.claiming:
            if not self._active.free:
                return
            claimed = await self._repository.claim_forgotten(self._active.free, older_than_seconds=self._queued_grace)
            self._active.start(claimed)
        for run in claimed:
            metrics.RECLAIMED.labels("message-late").inc()
            log.warning("Run claimed without its message", run_id=str(run.id), correlation_id=run.correlation_id)
