"""Carries one batch of outbox rows to Kafka."""

import json
from collections.abc import Sequence
from typing import Any, Protocol

from service.deadletters.letter import DeadLetter, as_json
from service.deadletters.metrics import DEAD_LETTERS
from service.deadletters.store import KEEP_PLAIN
from service.platform import metrics
from service.platform.kafka import KafkaUnavailableError, Record, is_too_large
from service.platform.logging import get_logger
from service.relay import metrics as relay_metrics

BATCH_ROWS = 500
MAX_MESSAGE_BYTES = 1_000_000
"""A little less than what brokers and the producer take at most by default (1 MiB), headers included."""

# Rows are taken by deleting them, never by "id > last seen": a transaction that commits later may hold a smaller id.
# By where they lie, which leaves no choice of plans: one that joins them, made when there were few, takes a second for
# hundreds among ten thousands. Nobody moves them, since they are locked and never changed.
_TAKE = """
DELETE FROM outbox
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM outbox WHERE $2::text IS NULL OR topic = $2 ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
))
RETURNING id, topic, key, headers, payload, created_at
"""

_DEPTHS = """
SELECT (SELECT count(*) FROM outbox) AS pending, (SELECT count(*) FROM runs WHERE status = 'queued') AS queued,
    (SELECT count(*) FROM dead_letters WHERE state = 'open') AS dead
"""

log = get_logger(__name__)


class Sender(Protocol):
    """What delivers records: returns when all are acknowledged, raises when that is not certain."""

    async def send(self, records: Sequence[Record]) -> object:
        """Deliver all records."""


async def mark_lazily(connection: Any) -> None:
    """Have commits on this connection not wait for the disk: all that they do is to forget what was delivered.

    What a crash brings back is delivered again, and receivers know it. Dead letters still wait.
    """
    await connection.execute("SET synchronous_commit = off")


async def relay_batch(connection: Any, sender: Sender, topic: str | None = None) -> int:
    """Take the oldest rows (of one topic), deliver them, and only then let them go; returns how many there were.

    When anything fails the rows are still there. Delivered records may then come again, so receivers have to know
    messages by their ``message_id``.
    """
    async with connection.transaction():
        rows = sorted(await connection.fetch(_TAKE, BATCH_ROWS, topic), key=lambda row: row["id"])
        records, letters = _records(rows)
        if letters:
            await _keep(connection, letters)
        if records:
            await sender.send(records)
    _count(records, letters)
    return len(rows)


async def set_aside_refused(connection: Any, sender: Sender) -> None:
    """After a batch with a message that the brokers refuse: deliver row by row up to it, and set it aside.

    Their limit may be lower than ours, so which one it is shows only by itself. Raises KafkaUnavailableError.
    """
    for _ in range(BATCH_ROWS):
        async with connection.transaction():
            rows = await connection.fetch(_TAKE, 1, None)
            records, letters = _records(rows)
            try:
                await sender.send(records)
            except KafkaUnavailableError as error:
                if not is_too_large(error):
                    raise
                records, letters = [], [_letter(row) for row in rows]
            if letters:
                await _keep(connection, letters)
        _count(records, letters)
        if letters or not rows:
            return


async def relay_topics_apart(connection: Any, sender: Sender) -> None:
    """After a failed batch: one batch for each topic, so that one that takes nothing does not hold back the others."""
    topics = [row["topic"] for row in await connection.fetch("SELECT DISTINCT topic FROM outbox")]
    if len(topics) < 2:
        return
    for topic in topics:
        try:
            await relay_batch(connection, sender, topic)
        except KafkaUnavailableError as error:
            log.warning("Kafka takes nothing for this topic", topic=topic, reason=str(error))


async def measure(connection: Any) -> None:
    """Show how many messages and runs wait, and how many dead letters."""
    row = await connection.fetchrow(_DEPTHS)
    metrics.OUTBOX_PENDING.set(row["pending"])
    metrics.QUEUE_DEPTH.set(row["queued"])
    DEAD_LETTERS.set(row["dead"])


def _records(rows: Sequence[Any]) -> tuple[list[Record], list[DeadLetter]]:
    """What is sent, and what is set aside: kept here, a message that Kafka never takes would stop all behind it.

    Executors find a queued run without its message, only later.
    """
    records, letters = [], []
    for row in rows:
        record = Record(row["topic"], row["key"], row["payload"].encode(), _headers(row))
        size = len(record.value) + len(record.key) + sum(len(name) + len(value) for name, value in record.headers)
        if size <= MAX_MESSAGE_BYTES:
            records.append(record)
        else:
            letters.append(_letter(row))
    return records, letters


async def _keep(connection: Any, letters: Sequence[DeadLetter]) -> None:
    # Of these nobody else has a copy.
    await connection.execute("SET LOCAL synchronous_commit TO DEFAULT")
    await connection.execute(KEEP_PLAIN, as_json(letters))


def _letter(row: Any) -> DeadLetter:
    value = row["payload"].encode()
    return DeadLetter.of_outbox(row["id"], row["created_at"], row["topic"], row["key"], _headers(row), value)


def _headers(row: Any) -> tuple[tuple[str, str], ...]:
    given = json.loads(row["headers"]).items()
    return tuple((str(name), str(value)) for name, value in given if value is not None)


def _count(records: Sequence[Record], letters: Sequence[DeadLetter]) -> None:
    for record in records:
        metrics.OUTBOX_RELAYED.labels(record.topic).inc()
    for letter in letters:
        relay_metrics.UNDELIVERABLE.labels(letter.topic).inc()
        log.error(
            "Message set aside: Kafka would not take it",
            topic=letter.topic,
            key=letter.key,
            bytes=letter.payload_bytes,
            dead_letter_id=str(letter.id),
        )
