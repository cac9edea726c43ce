"""Makes cancellations, pauses and signals take effect at once.

A run's own marks (``cancel_requested_at``, ``pause_requested_at``, ``signals``), set by the API in the same transaction
as the message, are what counts: they are read when a run is claimed, at every journal entry and at every heartbeat. The
message only saves the time until then. So every executor reads the whole topic without a group, from the end and
without offsets: the one that has the run reacts at once, whichever that is, and a message missed while disconnected
costs no more than one heartbeat.
"""

import asyncio
from typing import Any

from aiokafka.errors import KafkaError

from service.deadletters.letter import DeadLetter
from service.executor import metrics
from service.executor.active import ActiveRuns
from service.executor.claims import Marks
from service.executor.messages import CANCEL, PAUSE, ControlRequest, UndecodableMessageError, decode
from service.executor.repository import RunRepository
from service.executor.transient import is_transient
from service.platform.kafka import START_SECONDS, create_consumer, stop_consumer
from service.platform.logging import get_logger
from service.platform.settings import Settings
from service.platform.worker_loop import Backoff, Pulse, pause

_POLL_SECONDS = 0.5
_CALL_SECONDS = 10.0

log = get_logger(__name__)


class CancellationListener:
    """Tells our runs what somebody asks of them, and ends cancelled ones that no executor holds."""

    def __init__(self, settings: Settings, repository: RunRepository, active: ActiveRuns, *, pulse: Pulse) -> None:
        self._settings = settings
        self._repository = repository
        self._active = active
        self._pulse = pulse
        self._topic = settings.kafka_cancellation_topic
        metrics.show_topic(self._topic)

    async def run(self, stopping: asyncio.Event) -> None:
        """Listen until told to stop; outages of Kafka are sat out."""
        backoff = Backoff(0.2, 5.0)
        while not stopping.is_set():
            self._pulse.beat("cancellations", within=60)
            try:
                await self._listen(stopping, backoff)
            except (KafkaError, TimeoutError, OSError) as error:
                metrics.CONSUMER_RESTARTS.labels(self._topic).inc()
                log.warning("The consumer is replaced", topic=self._topic, reason=str(error) or type(error).__name__)
                await pause(stopping, backoff.failed())
        self._pulse.ended("cancellations")

    async def _listen(self, stopping: asyncio.Event, backoff: Backoff) -> None:
        consumer = create_consumer(
            self._settings, topics=[self._topic], group=None, client_id=self._settings.executor_id
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                await consumer.start()
                await consumer.seek_to_end()
            backoff.succeeded()
            while not stopping.is_set():
                self._pulse.beat("cancellations", within=60)
                async with asyncio.timeout(_CALL_SECONDS):
                    batches = await consumer.getmany(timeout_ms=int(_POLL_SECONDS * 1000))
                for records in batches.values():
                    for record in records:
                        await self._handle(record)
        finally:
            await stop_consumer(consumer)

    async def _handle(self, record: Any) -> None:
        try:
            request = decode(ControlRequest, record.value)
        except UndecodableMessageError as error:
            metrics.UNDECODABLE.labels(self._topic).inc()
            log.warning(
                "Message set aside: it cannot be read",
                topic=self._topic,
                partition=record.partition,
                offset=record.offset,
                reason=str(error),
            )
            await self._keep(DeadLetter.of_record(record, str(error)))
            return
        asked = Marks(request.kind == CANCEL, request.kind == PAUSE, request.signals)
        if self._active.hear(request.run_id, asked):
            return
        if request.kind != CANCEL:
            return
        try:
            if await self._repository.cancel_queued(request.run_id):
                log.info(
                    "Run cancelled that no executor held",
                    run_id=str(request.run_id),
                    correlation_id=request.correlation_id,
                )
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("Cancellation left to the run's claim: the database is away", run_id=str(request.run_id))

    async def _keep(self, letter: DeadLetter) -> None:
        # Tried once: the runs' own marks count, and every executor reads this message and keeps the same letter.
        try:
            await self._repository.keep_dead([letter])
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("A dead letter was not kept: the database is away", place=letter.place)
