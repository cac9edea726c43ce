"""Deliveries in the database, for those who send them.

A claim is a lease: no row is locked while a receiver is called, and who was too slow changes nothing any more,
because every write names the number of its claim. Times are the database's. Each function is one statement.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

LEASE_SECONDS = 60
MOST_ATTEMPTS = 11
_FIRST_PAUSE_SECONDS, _PAUSE_GROWTH, _LONGEST_PAUSE_SECONDS = 5.0, 4, 6 * 3600.0
DISABLE_AFTER_HOURS = 72
OVERLAP_HOURS = 24
"""How long deliveries are signed with the key before a rotation too."""

KEPT_DAYS = 30
FORGET_ROWS = 5000

_CLAIM = text(
    """
WITH due AS (
    SELECT found.id FROM webhooks CROSS JOIN LATERAL (
        SELECT waiting.id, waiting.next_attempt_at FROM webhook_deliveries AS waiting
        WHERE waiting.webhook_id = webhooks.id AND waiting.status = 'pending' AND waiting.next_attempt_at <= now()
        ORDER BY waiting.next_attempt_at
        LIMIT CASE WHEN webhooks.failing_since IS NULL THEN CAST(:each AS int) ELSE 1 END
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS found
    WHERE webhooks.disabled_at IS NULL AND webhooks.id <> ALL(CAST(:busy AS uuid[]))
    ORDER BY found.next_attempt_at
    LIMIT :most
)
UPDATE webhook_deliveries AS delivery SET
    claims = delivery.claims + 1, attempts = delivery.attempts + 1, last_attempt_at = now(),
    next_attempt_at = now() + make_interval(secs => CAST(:lease AS float8))
FROM due, webhooks
WHERE delivery.id = due.id AND webhooks.id = delivery.webhook_id
RETURNING delivery.id, delivery.webhook_id, delivery.event, delivery.payload, delivery.created_at, delivery.attempts,
    delivery.claims, webhooks.url, webhooks.key_number, webhooks.failing_since IS NOT NULL AS is_failing,
    COALESCE(webhooks.rotated_at > now() - make_interval(hours => CAST(:overlap AS int)), false) AS was_rotated,
    CAST(EXTRACT(EPOCH FROM now()) AS bigint) AS timestamp
"""
)

_SUCCEEDED = text(
    """
WITH delivery AS (
    UPDATE webhook_deliveries SET status = 'delivered', last_status = :answer, last_error = NULL
    WHERE id = :id AND claims = :claim AND status = 'pending'
    RETURNING webhook_id
)
UPDATE webhooks SET failing_since = NULL FROM delivery
WHERE webhooks.id = delivery.webhook_id AND webhooks.failing_since IS NOT NULL
"""
)

# Only a failure that changes something of the webhook writes its row.
_FAILED = text(
    """
WITH delivery AS (
    UPDATE webhook_deliveries SET
        status = CASE WHEN attempts >= :most THEN 'dead' ELSE 'pending' END,
        next_attempt_at = now() + make_interval(secs => CAST(:pause AS float8)),
        last_status = CAST(:answer AS int), last_error = CAST(:error AS text)
    WHERE id = :id AND claims = :claim AND status = 'pending'
    RETURNING webhook_id, status
), hook AS (
    UPDATE webhooks SET
        failing_since = COALESCE(webhooks.failing_since, now()),
        disabled_at = CASE
            WHEN CAST(:gone AS boolean)
              OR webhooks.failing_since < now() - make_interval(hours => CAST(:disable_after AS int)) THEN now()
        END,
        disabled_reason = CASE
            WHEN CAST(:gone AS boolean) THEN 'the receiver answered that it is gone (410)'
            WHEN webhooks.failing_since < now() - make_interval(hours => CAST(:disable_after AS int))
            THEN 'no delivery succeeded for ' || CAST(:disable_after AS text) || ' hours'
        END
    FROM delivery
    WHERE webhooks.id = delivery.webhook_id AND webhooks.disabled_at IS NULL AND (
        webhooks.failing_since IS NULL OR CAST(:gone AS boolean)
        OR webhooks.failing_since < now() - make_interval(hours => CAST(:disable_after AS int))
    )
    RETURNING webhooks.id, webhooks.disabled_at, webhooks.disabled_reason
), audited AS (
    INSERT INTO audit_log (actor, action, subject_type, subject_id, detail)
    SELECT 'relay', 'webhook.disable', 'webhook', CAST(id AS text), jsonb_build_object('reason', disabled_reason)
    FROM hook WHERE disabled_at IS NOT NULL AND CAST(:audit AS boolean)
)
SELECT delivery.status, hook.disabled_at IS NOT NULL AS is_disabled FROM delivery LEFT JOIN hook ON true
"""
)

# In pieces, so that no statement takes long. What was never sent of a webhook that is switched off goes as well.
_FORGET = text(
    """
DELETE FROM webhook_deliveries WHERE id IN (
    SELECT id FROM webhook_deliveries WHERE created_at < now() - make_interval(days => CAST(:days AS int))
    ORDER BY created_at LIMIT :most FOR UPDATE SKIP LOCKED
)
"""
)

_MEASURE = text(
    """
SELECT count(*) AS waiting,
       COALESCE(EXTRACT(EPOCH FROM now() - min(delivery.created_at) FILTER (WHERE delivery.attempts = 0)), 0) AS oldest
FROM webhooks JOIN webhook_deliveries AS delivery ON delivery.webhook_id = webhooks.id
WHERE webhooks.disabled_at IS NULL AND delivery.status = 'pending'
"""
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process may attempt while it has the lease."""

    id: UUID
    webhook_id: UUID
    claim: int
    attempt: int
    url: str
    key_number: int
    was_rotated: bool
    is_failing: bool
    timestamp: int
    body: bytes


async def claim(connection: AsyncConnection, *, most: int, each: int, busy: Sequence[UUID]) -> list[Claimed]:
    """Claim what is due: of one webhook ``each`` at most, and one of a webhook that fails."""
    values = {"most": most, "each": each, "busy": list(busy), "lease": LEASE_SECONDS, "overlap": OVERLAP_HOURS}
    return [
        Claimed(
            row.id, row.webhook_id, row.claims, row.attempts, row.url, row.key_number, row.was_rotated, row.is_failing,
            row.timestamp, _body(row),
        )
        for row in await connection.execute(_CLAIM, values)
    ]  # fmt: skip


async def succeeded(connection: AsyncConnection, claimed: Claimed, status: int) -> None:
    """The receiver has it."""
    await connection.execute(_SUCCEEDED, {"id": claimed.id, "claim": claimed.claim, "answer": status})


async def failed(
    connection: AsyncConnection,
    claimed: Claimed,
    *,
    status: int | None,
    error: str,
    pause: float,
    is_gone: bool,
    audit: bool,
) -> tuple[bool, bool]:
    """Have it tried again after the pause, or give it up; returns whether it is dead and the webhook switched off."""
    values = {
        "id": claimed.id,
        "claim": claimed.claim,
        "most": MOST_ATTEMPTS,
        "pause": pause,
        "answer": status,
        "error": error[:500].replace("\0", ""),
        "gone": is_gone,
        "disable_after": DISABLE_AFTER_HOURS,
        "audit": audit,
    }
    row = (await connection.execute(_FAILED, values)).one_or_none()
    return (False, False) if row is None else (row.status == "dead", row.is_disabled)


async def forget(connection: AsyncConnection) -> bool:
    """Delete old deliveries; returns whether there may be more."""
    result = await connection.execute(_FORGET, {"days": KEPT_DAYS, "most": FORGET_ROWS})
    return result.rowcount == FORGET_ROWS


async def waiting(connection: AsyncConnection) -> tuple[int, float]:
    """How many wait, and the age in seconds of the oldest that was never tried."""
    row = (await connection.execute(_MEASURE)).one()
    return row.waiting, float(row.oldest)


def pause_after(attempt: int) -> float:
    """Seconds until the next attempt, before jitter: 5 s, 20 s, 80 s and so on to 6 h; all together about a day."""
    return float(min(_FIRST_PAUSE_SECONDS * _PAUSE_GROWTH ** (attempt - 1), _LONGEST_PAUSE_SECONDS))


def _body(row: Any) -> bytes:
    """The same bytes in every attempt."""
    at = row.created_at.isoformat().replace("+00:00", "Z")
    told = {"id": f"msg_{row.id}", "type": row.event, "timestamp": at, "data": {"run": row.payload}}
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()
