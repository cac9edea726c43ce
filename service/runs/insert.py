"""Writes accepted runs: each run, its message for Kafka and its audit entry are stored together or not at all.

One statement does it for many requests at once, so it is one round trip and one transaction by itself; when it
returns everything is committed. It may be repeated: the runs' ids are made by the caller, so a run that was stored by
an attempt whose answer got lost is recognised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.platform.ids import new_id
from service.runs.priority import LIFT_SECONDS

_ASKED = """
WITH asked AS (
    SELECT wanted.*, workflow.current_version
    FROM unnest(
        CAST(:numbers AS int[]), CAST(:workflow_ids AS uuid[]), CAST(:actors AS text[]), CAST(:addresses AS text[]),
        CAST(:correlation_ids AS text[]), CAST(:keys AS text[]), CAST(:fingerprints AS text[]), CAST(:versions AS int[])
    ) AS wanted (number, workflow_id, actor, address, correlation_id, key, fingerprint, version)
    JOIN workflows AS workflow ON workflow.id = wanted.workflow_id
    WHERE workflow.current_version = COALESCE(wanted.version, workflow.current_version)
), item AS (
    SELECT number, run_id, message_id, input, priority, place FROM unnest(
        CAST(:run_numbers AS int[]), CAST(:run_ids AS uuid[]), CAST(:message_ids AS text[]), CAST(:inputs AS text[]),
        CAST(:priorities AS smallint[])
    ) WITH ORDINALITY AS item (number, run_id, message_id, input, priority, place)
)"""
# Sorted, so that two statements that hold some of the same keys wait for one another in one direction only.
_KEYED = """, keyed AS (
    INSERT INTO idempotency_keys (principal, key, fingerprint, workflow_version, run_ids)
    SELECT actor, key, fingerprint, current_version,
        (SELECT array_agg(item.run_id ORDER BY item.place) FROM item WHERE item.number = asked.number)
    FROM asked WHERE key IS NOT NULL
    ORDER BY actor, key
    ON CONFLICT DO NOTHING
    RETURNING principal, key
), granted AS (
    SELECT asked.* FROM asked LEFT JOIN keyed ON keyed.principal = asked.actor AND keyed.key = asked.key
    WHERE asked.key IS NULL OR keyed.key IS NOT NULL
)"""
_UNKEYED = ", granted AS (SELECT * FROM asked)"
_RUNS = """, run AS (
    INSERT INTO runs (id, workflow_id, workflow_version, input, correlation_id, requested_by, priority, turn_at)
    SELECT item.run_id, granted.workflow_id, granted.current_version, CAST(item.input AS jsonb),
        granted.correlation_id, granted.actor, item.priority,
        now() - make_interval(secs => CAST(:lift AS int) * item.priority)
    FROM granted JOIN item USING (number)
    ON CONFLICT (id) DO NOTHING
    RETURNING id, workflow_version, created_at
), message AS (
    INSERT INTO outbox (topic, key, headers, payload)
    SELECT CAST(:topic AS text), run.id::text, jsonb_build_object('correlation_id', granted.correlation_id),
        jsonb_build_object(
            'message_id', item.message_id, 'run_id', run.id, 'workflow_id', granted.workflow_id,
            'workflow_version', run.workflow_version,
            'correlation_id', granted.correlation_id, 'requested_by', granted.actor,
            'requested_at', to_char(run.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'input', CAST(item.input AS jsonb))
    FROM run JOIN item ON item.run_id = run.id JOIN granted USING (number)
)"""
_AUDIT = """, audit AS (
    INSERT INTO audit_log (actor, action, subject_type, subject_id, correlation_id, address, detail)
    SELECT granted.actor, 'run.accept', 'run', run.id::text, granted.correlation_id, granted.address,
        jsonb_build_object('workflow_id', granted.workflow_id, 'workflow_version', run.workflow_version)
    FROM run JOIN item ON item.run_id = run.id JOIN granted USING (number)
)"""
_RESULT = """
SELECT item.number, max(run.workflow_version) AS workflow_version, max(run.created_at) AS created_at
FROM run JOIN item ON item.run_id = run.id GROUP BY item.number"""

_STATEMENTS = {
    (keyed, audit): text(_ASKED + (_KEYED if keyed else _UNKEYED) + _RUNS + (_AUDIT if audit else "") + _RESULT)
    for keyed in (False, True)
    for audit in (False, True)
}

# Statements of their own, because only a later one sees what a concurrent transaction has just committed.
_STORED = text("SELECT id, workflow_version, created_at FROM runs WHERE id = ANY(CAST(:run_ids AS uuid[]))")
_TAKEN = text(
    """
SELECT principal, key, fingerprint, run_ids, workflow_version, created_at FROM idempotency_keys
WHERE (principal, key) IN (SELECT * FROM unnest(CAST(:actors AS text[]), CAST(:keys AS text[])))"""
)


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be stored; ``input`` is JSON text."""

    input: str
    id: UUID = field(default_factory=new_id)
    priority: int = 0


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Some runs of one workflow's current version, asked for together: all are stored, or none."""

    workflow_id: UUID
    runs: tuple[NewRun, ...]
    actor: str
    address: str | None
    correlation_id: str
    key: str | None = None
    """The caller's Idempotency-Key; it is the caller's own, others may use the same."""
    fingerprint: str = ""
    """What was asked for, as a hash: the same key with another one is refused."""
    version: int | None = None
    """The version that the inputs were checked for: nothing is stored when another is current. None for any."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Stored runs of one request."""

    run_ids: tuple[UUID, ...]
    workflow_version: int
    created_at: datetime
    repeated: bool = False
    """Whether they were stored for an earlier request with the same key."""
    stored_before: bool = False
    """Whether they were there already: an earlier attempt of the same request stored them."""


class KeyTakenError(ValueError):
    """The Idempotency-Key belongs to another request of this caller."""


Outcome = Accepted | KeyTakenError | None
"""None where there is no such workflow, or another version of it is current."""


async def insert_runs(
    connection: AsyncConnection, requests: Sequence[RunRequest], *, topic: str, audit: bool
) -> list[Outcome]:
    """Store the runs of all requests, each with its message and its audit entry; the outcome of each, in their order.

    No two requests may have the same caller and key. On a connection in autocommit everything is committed when this
    returns; inside of a transaction, with it.
    """
    if not requests:
        return []
    keyed = any(request.key is not None for request in requests)
    rows = await connection.execute(_STATEMENTS[keyed, audit], _values(requests, topic, audit))
    outcomes: list[Outcome] = [None] * len(requests)
    for row in rows:
        ids = tuple(run.id for run in requests[row.number].runs)
        outcomes[row.number] = Accepted(ids, row.workflow_version, row.created_at)
    if any(outcome is None for outcome in outcomes):
        await _look_again(connection, requests, outcomes)
    return outcomes


def _values(requests: Sequence[RunRequest], topic: str, audit: bool) -> dict[str, Any]:
    runs = [(number, run) for number, request in enumerate(requests) for run in request.runs]
    values: dict[str, Any] = {
        "numbers": list(range(len(requests))),
        "workflow_ids": [request.workflow_id for request in requests],
        "actors": [request.actor for request in requests],
        "addresses": [request.address if audit else None for request in requests],
        "correlation_ids": [request.correlation_id for request in requests],
        "keys": [request.key for request in requests],
        "fingerprints": [request.fingerprint for request in requests],
        "versions": [request.version for request in requests],
        "run_numbers": [number for number, _ in runs],
        "run_ids": [run.id for _, run in runs],
        "message_ids": [str(new_id()) for _ in runs],
        "inputs": [run.input for _, run in runs],
        "priorities": [run.priority for _, run in runs],
        "lift": LIFT_SECONDS,
        "topic": topic,
    }
    return values


async def _look_again(connection: AsyncConnection, requests: Sequence[RunRequest], outcomes: list[Outcome]) -> None:
    """What was not stored now: was it stored before, by a lost attempt or for the same key, or is there no workflow?"""
    missing = [number for number, outcome in enumerate(outcomes) if outcome is None]
    keyed = [requests[number] for number in missing if requests[number].key is not None]
    taken = {}
    if keyed:
        values = {"actors": [each.actor for each in keyed], "keys": [each.key for each in keyed]}
        taken = {(row.principal, row.key): row for row in await connection.execute(_TAKEN, values)}
    firsts = [requests[number].runs[0].id for number in missing]
    stored = {row.id: row for row in await connection.execute(_STORED, {"run_ids": firsts})}
    for number in missing:
        request = requests[number]
        ids = tuple(run.id for run in request.runs)
        row = stored.get(ids[0])
        if row is not None:
            outcomes[number] = Accepted(ids, row.workflow_version, row.created_at, stored_before=True)
        elif (owner := taken.get((request.actor, str(request.key)))) is not None:
            if owner.fingerprint != request.fingerprint:
                outcomes[number] = KeyTakenError("the key belongs to another request")
            else:
                outcomes[number] = Accepted(
                    tuple(owner.run_ids), owner.workflow_version, owner.created_at, repeated=True
                )
