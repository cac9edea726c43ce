"""The end of runs that nobody has claimed: computed in memory from their messages, written by one statement."""
# ruff: noqa: S608 - the parts that are put together are constants of the statements' files

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text

from service.executor.claim_statements import LIMITED
from service.executor.statements import TOLD, WRITE_STEPS
from service.executor.unguessed import unguessed


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What becomes of a run if it is as its message says; ``input``, ``output``, ``error``, ``steps`` are JSON text."""

    message_id: str
    run_id: UUID
    correlation_id: str
    workflow_id: UUID
    version: int
    input: str
    status: str
    output: str | None
    error: str | None
    steps: str
    seconds: float
    """Since the work on it began."""

    lines: str | None = None
    """Of its log, as JSON text."""

    @property
    def size(self) -> int:
        """Of what is written for it, in characters."""
        return (
            len(self.input) + len(self.output or "") + len(self.error or "") + len(self.steps) + len(self.lines or "")
        )


def received_values(conclusions: Sequence[Conclusion]) -> dict[str, Any]:
    """What END_RECEIVED takes."""
    return {
        "message_ids": [each.message_id for each in conclusions],
        "run_ids": [each.run_id for each in conclusions],
        "workflow_ids": [each.workflow_id for each in conclusions],
        "versions": [each.version for each in conclusions],
        "inputs": [each.input for each in conclusions],
        "statuses": [each.status for each in conclusions],
        "outputs": [each.output for each in conclusions],
        "errors": [each.error for each in conclusions],
        "steps": [each.steps for each in conclusions],
        "ago": [each.seconds for each in conclusions],
    }


_FIT = unguessed(
    """
      runs.status = 'queued' AND runs.lease_token = 0 AND runs.attempt = 0 AND runs.origin_run_id IS NULL
      AND runs.parent_run_id IS NULL
      AND runs.cancel_requested_at IS NULL AND runs.pause_requested_at IS NULL
      AND runs.workflow_id = given.workflow_id AND runs.workflow_version = given.version
      AND runs.input = CAST(given.input AS jsonb)
      AND NOT """
    + LIMITED
)
_STILL_FIT = unguessed(
    """
      runs.status = 'queued' AND runs.lease_token = 0
      AND runs.cancel_requested_at IS NULL AND runs.pause_requested_at IS NULL"""
)

# A claim and an end in one. Messages before runs, and each in the order of their ids, as claims have it, so that
# statements about some of the same wait for one another in one direction only. A run that was made to go on where
# another ended begins with a journal.
END_RECEIVED = text(
    """
WITH given AS (
    SELECT message_id, id, workflow_id, version, input, status, output, error, steps, ago, CAST(1 AS bigint) AS token
    FROM unnest(
        CAST(:message_ids AS text[]), CAST(:run_ids AS uuid[]), CAST(:workflow_ids AS uuid[]), CAST(:versions AS int[]),
        CAST(:inputs AS text[]), CAST(:statuses AS text[]), CAST(:outputs AS text[]), CAST(:errors AS text[]),
        CAST(:steps AS text[]), CAST(:ago AS float8[])
    ) AS given (message_id, id, workflow_id, version, input, status, output, error, steps, ago)
), fit AS (
    SELECT given.* FROM runs JOIN given USING (id)
    WHERE """
    + _FIT
    + """
), received AS (
    INSERT INTO inbox (message_id)
    SELECT message_id FROM fit ORDER BY message_id
    ON CONFLICT DO NOTHING
    RETURNING message_id
), held AS (
    SELECT fit.* FROM runs JOIN fit USING (id) JOIN received USING (message_id)
    WHERE """
    + _STILL_FIT
    + """
    ORDER BY runs.id
    FOR NO KEY UPDATE OF runs
), owner AS (
    UPDATE runs SET
        status = held.status, output = CAST(held.output AS jsonb), error = CAST(held.error AS jsonb),
        attempt = runs.attempt + 1, lease_token = held.token,
        started_at = GREATEST(runs.created_at, now() - make_interval(secs => held.ago)), finished_at = now()
    FROM held
    WHERE runs.id = held.id
    RETURNING runs.id, runs.status, runs.workflow_id, runs.correlation_id, runs.requested_by, runs.error,
              runs.started_at, runs.finished_at - runs.created_at AS duration, held.token, held.steps
), """
    + WRITE_STEPS
    + ","
    + TOLD
    + """
SELECT id, EXTRACT(EPOCH FROM duration) AS seconds FROM owner
"""
)
