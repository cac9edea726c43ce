"""Stores the runs of schedules, each with its message for Kafka and its audit entry, in the caller's transaction."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.platform.ids import new_id

_ACCEPT = """
WITH given AS (
    SELECT * FROM jsonb_to_recordset(CAST(:runs AS jsonb)) AS each(
        run_id uuid, workflow_id uuid, input jsonb, correlation_id text, requested_by text, message_id text)
), run AS (
    INSERT INTO runs (id, workflow_id, workflow_version, input, correlation_id, requested_by)
    SELECT given.run_id, workflows.id, workflows.current_version, given.input, given.correlation_id, given.requested_by
    FROM given JOIN workflows ON workflows.id = given.workflow_id
    ON CONFLICT (id) DO NOTHING
    RETURNING id, workflow_version, created_at
), message AS (
    INSERT INTO outbox (topic, key, headers, payload)
    SELECT :topic, run.id::text, jsonb_build_object('correlation_id', given.correlation_id),
        jsonb_build_object(
            'message_id', given.message_id, 'run_id', run.id, 'workflow_id', given.workflow_id,
            'correlation_id', given.correlation_id, 'requested_by', given.requested_by,
            'requested_at', to_char(run.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'input', given.input)
    FROM run JOIN given ON given.run_id = run.id
)"""
_AUDIT = """, audit AS (
    INSERT INTO audit_log (actor, action, subject_type, subject_id, correlation_id, detail)
    SELECT given.requested_by, 'run.accept', 'run', run.id::text, given.correlation_id,
        jsonb_build_object('workflow_id', given.workflow_id, 'workflow_version', run.workflow_version)
    FROM run JOIN given ON given.run_id = run.id
)"""
_RESULT = "\nSELECT id FROM run"

_WITH_AUDIT = text(_ACCEPT + _AUDIT + _RESULT)
_WITHOUT_AUDIT = text(_ACCEPT + _RESULT)


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be stored."""

    run_id: UUID
    workflow_id: UUID
    input: dict[str, Any]
    correlation_id: str
    requested_by: str


async def insert_runs(connection: AsyncConnection, new: Sequence[NewRun], *, topic: str, audited: bool) -> set[UUID]:
    """Store runs of their workflows' current versions; returns the ids of those that were not stored before."""
    if not new:
        return set()
    runs = [
        {
            "run_id": str(each.run_id),
            "workflow_id": str(each.workflow_id),
            "input": each.input,
            "correlation_id": each.correlation_id,
            "requested_by": each.requested_by,
            "message_id": str(new_id()),
        }
        for each in new
    ]
    result = await connection.execute(
        _WITH_AUDIT if audited else _WITHOUT_AUDIT, {"runs": json.dumps(runs), "topic": topic}
    )
    return set(result.scalars())
