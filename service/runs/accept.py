"""Accepts a run: the run, its message for Kafka and its audit entry are written together or not at all.

One statement does it, so it is one round trip and one transaction by itself; what it returns is committed. It may be
repeated: the run's id is made here, so a run that was stored by an attempt whose answer got lost is recognised.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.audit.record import Actor
from service.platform.database import AnyRow, autocommit
from service.platform.failover import Patience
from service.platform.ids import new_id

_ACCEPT = """
WITH workflow AS (
    SELECT id, current_version FROM workflows WHERE id = :workflow_id
), run AS (
    INSERT INTO runs (id, workflow_id, workflow_version, input, correlation_id, requested_by)
    SELECT :run_id, id, current_version, CAST(:input AS jsonb), :correlation_id, :requested_by FROM workflow
    ON CONFLICT (id) DO NOTHING
    RETURNING id, workflow_id, workflow_version, status, input, created_at
), message AS (
    INSERT INTO outbox (topic, key, headers, payload)
    SELECT :topic, id::text, jsonb_build_object('correlation_id', CAST(:correlation_id AS text)),
        jsonb_build_object(
            'message_id', CAST(:message_id AS text), 'run_id', id, 'workflow_id', workflow_id,
            'correlation_id', CAST(:correlation_id AS text), 'requested_by', CAST(:requested_by AS text),
            'requested_at', to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'input', input)
    FROM run
)"""
_AUDIT = """, audit AS (
    INSERT INTO audit_log (actor, action, subject_type, subject_id, correlation_id, address, detail)
    SELECT :requested_by, 'run.accept', 'run', id::text, :correlation_id, :address,
        jsonb_build_object('workflow_id', workflow_id, 'workflow_version', workflow_version)
    FROM run
)"""
_RESULT = "\nSELECT id, workflow_id, workflow_version, status, created_at FROM run"

_WITH_AUDIT = text(_ACCEPT + _AUDIT + _RESULT)
_WITHOUT_AUDIT = text(_ACCEPT + _RESULT)
# A statement of its own, because only a later one sees what a concurrent transaction has just committed.
_STORED = text("SELECT id, workflow_id, workflow_version, status, created_at FROM runs WHERE id = :run_id")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A stored run."""

    run_id: UUID
    workflow_id: UUID
    workflow_version: int
    status: str
    created_at: datetime


async def accept_run(
    engine: AsyncEngine,
    patience: Patience,
    *,
    workflow_id: UUID,
    run_input: dict[str, Any],
    topic: str,
    correlation_id: str,
    actor: Actor,
) -> Accepted | None:
    """Store a run of the workflow's current version; committed when this returns. None where there is no workflow."""
    values: dict[str, Any] = {
        "workflow_id": workflow_id,
        "run_id": new_id(),
        "input": json.dumps(run_input),
        "correlation_id": correlation_id,
        "requested_by": actor.subject,
        "topic": topic,
        "message_id": str(new_id()),
    }
    if actor.enabled:
        values["address"] = actor.address
    attempts = 0

    async def store() -> AnyRow | None:
        nonlocal attempts
        attempts += 1
        async with autocommit(engine) as connection:
            result = await connection.execute(_WITH_AUDIT if actor.enabled else _WITHOUT_AUDIT, values)
            row = result.one_or_none()
            if row is None and attempts > 1:
                row = (await connection.execute(_STORED, {"run_id": values["run_id"]})).one_or_none()
            return row

    row = await patience.repeat(store)
    if row is None:
        return None
    return Accepted(row.id, row.workflow_id, row.workflow_version, row.status, row.created_at)
