"""Stores a run that does again what an earlier one did, its origin: from where that failed, or from the beginning.

One statement, like the one for new runs: the run, its message, its audit entry, its idempotency key, and copies of the
origin's completed steps. What a run that has ended did never changes, so nothing is locked.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.platform.database import AnyRow
from service.platform.ids import new_id
from service.runs.insert import Accepted, KeyTakenError
from service.runs.priority import LIFT_SECONDS

RETRIED = ("failed", "cancelled")
"""The statuses of runs that can be gone on with."""

NO_VERSION = -1
"""With it nothing new is stored, and only a key that is known is answered."""

_ORIGIN = text(
    """
SELECT runs.id, runs.status, runs.workflow_id, runs.input, version.version,
       version.definition -> 'input_schema' AS input_schema
FROM runs JOIN workflows ON workflows.id = runs.workflow_id
JOIN workflow_versions AS version ON version.workflow_id = runs.workflow_id
 AND version.version = CASE WHEN CAST(:current AS boolean) THEN workflows.current_version ELSE runs.workflow_version END
WHERE runs.id = CAST(:run_id AS uuid)
"""
)

# The run of a retry begins with a lease token, as if it had been claimed before: its executor reads the journal.
_STORE = text(
    r"""
WITH origin AS (
    SELECT runs.id, runs.workflow_id, version.version, version.definition, runs.priority,
           COALESCE(CAST(:input AS jsonb), runs.input) AS input
    FROM runs JOIN workflow_versions AS version
      ON version.workflow_id = runs.workflow_id AND version.version = CAST(:version AS int)
    WHERE runs.id = CAST(:origin_id AS uuid)
), keyed AS (
    INSERT INTO idempotency_keys (principal, key, fingerprint, workflow_version, run_ids)
    SELECT CAST(:actor AS text), CAST(:key AS text), CAST(:fingerprint AS text), origin.version,
           ARRAY[CAST(:run_id AS uuid)]
    FROM origin WHERE CAST(:key AS text) IS NOT NULL
    ON CONFLICT DO NOTHING
    RETURNING key
), run AS (
    INSERT INTO runs
        (id, workflow_id, workflow_version, input, correlation_id, requested_by, origin_run_id, lease_token,
         priority, turn_at)
    SELECT CAST(:run_id AS uuid), workflow_id, version, input, CAST(:correlation_id AS text), CAST(:actor AS text), id,
           CASE WHEN CAST(:retry AS boolean) THEN 1 ELSE 0 END,
           priority, now() - make_interval(secs => CAST(:lift AS int) * priority)
    FROM origin WHERE CAST(:key AS text) IS NULL OR EXISTS (SELECT 1 FROM keyed)
    RETURNING id, workflow_id, workflow_version, input, origin_run_id, created_at
), copied AS (
    INSERT INTO run_steps (run_id, step_id, status, attempt, output, started_at, finished_at)
    SELECT run.id, done.step_id, done.status, done.attempt, done.output, done.started_at, done.finished_at
    FROM run JOIN origin ON origin.id = run.origin_run_id JOIN run_steps AS done ON done.run_id = origin.id
    WHERE CAST(:retry AS boolean) AND done.status = 'completed'
      -- An item's id is that of its step with its place.
      AND regexp_replace(done.step_id, '\[[0-9]+\]$', '')
          IN (SELECT step ->> 'id' FROM jsonb_array_elements(origin.definition -> 'steps') AS step)
), told AS (
    INSERT INTO run_logs (run_id, number, level, message, fields)
    SELECT id, 0, 'info', 'A retry: what the run before has completed is not done again',
           jsonb_build_object('origin_run_id', origin_run_id)
    FROM run WHERE CAST(:retry AS boolean)
), message AS (
    INSERT INTO outbox (topic, key, headers, payload)
    SELECT CAST(:topic AS text), run.id::text, jsonb_build_object('correlation_id', CAST(:correlation_id AS text)),
        jsonb_build_object(
            'message_id', CAST(:message_id AS text), 'run_id', run.id, 'workflow_id', run.workflow_id,
            'correlation_id', CAST(:correlation_id AS text), 'requested_by', CAST(:actor AS text),
            'requested_at', to_char(run.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'input', run.input)
    FROM run
), audit AS (
    INSERT INTO audit_log (actor, action, subject_type, subject_id, correlation_id, address, detail)
    SELECT CAST(:actor AS text), CAST(:action AS text), 'run', run.id::text, CAST(:correlation_id AS text),
        CAST(:address AS text),
        jsonb_build_object('workflow_id', run.workflow_id, 'workflow_version', run.workflow_version,
                           'origin_run_id', run.origin_run_id)
    FROM run WHERE CAST(:audit AS boolean)
)
SELECT workflow_version, created_at FROM run
"""
)

# A statement of its own, because only a later one sees what a concurrent transaction has just committed.
_TAKEN = text(
    """
SELECT fingerprint, run_ids, workflow_version, created_at FROM idempotency_keys
WHERE principal = CAST(:actor AS text) AND key = CAST(:key AS text)
"""
)


@dataclass(frozen=True, slots=True)
class Again:
    """What is asked for."""

    origin_id: UUID
    version: int
    retry: bool
    """Whether it goes on from the origin's completed steps; else it begins anew."""
    input: str | None
    """JSON text; None for the origin's."""
    actor: str
    address: str | None
    correlation_id: str
    key: str | None
    fingerprint: str


async def read_origin(connection: AsyncConnection, run_id: UUID, *, current: bool) -> AnyRow | None:
    """The run, with number and input schema of the version to execute: its own, or the current one; None without it."""
    return (await connection.execute(_ORIGIN, {"run_id": run_id, "current": current})).one_or_none()


async def store_again(
    connection: AsyncConnection, wanted: Again, *, topic: str, action: str, audit: bool
) -> Accepted | None:
    """Store the run in the connection's transaction, or find the one that was stored for the same key.

    None where neither can be. Raises KeyTakenError.
    """
    run_id = new_id()
    values: dict[str, Any] = {
        "origin_id": wanted.origin_id,
        "version": wanted.version,
        "retry": wanted.retry,
        "input": wanted.input,
        "actor": wanted.actor,
        "address": wanted.address,
        "correlation_id": wanted.correlation_id,
        "key": wanted.key,
        "fingerprint": wanted.fingerprint,
        "run_id": run_id,
        "message_id": str(new_id()),
        "topic": topic,
        "action": action,
        "audit": audit,
        "lift": LIFT_SECONDS,
    }
    row = (await connection.execute(_STORE, values)).one_or_none()
    if row is not None:
        return Accepted((run_id,), row.workflow_version, row.created_at)
    if wanted.key is None:
        return None
    owner = (await connection.execute(_TAKEN, {"actor": wanted.actor, "key": wanted.key})).one_or_none()
    if owner is None:
        return None
    if owner.fingerprint != wanted.fingerprint:
        raise KeyTakenError("the key belongs to another request")
    return Accepted(tuple(owner.run_ids), owner.workflow_version, owner.created_at, repeated=True)
