"""The SQL of the executor; ``repository.py`` says what each statement is for."""
# ruff: noqa: S608 - the parts that are put together are constants of this file

from sqlalchemy import text

# The claimed runs with the definition that they run by. "due" has locked them and said that they may be claimed.
_CLAIM = """
claimed AS (
    UPDATE runs SET
        status = 'running',
        attempt = runs.attempt + 1,
        started_at = CASE WHEN runs.cancel_requested_at IS NULL THEN COALESCE(runs.started_at, now())
                          ELSE runs.started_at END,
        lease_owner = :owner,
        lease_token = runs.lease_token + 1,
        lease_expires_at = now() + make_interval(secs => CAST(:lease AS float8))
    FROM due
    WHERE runs.id = due.id
    RETURNING runs.id, runs.lease_token, runs.workflow_id, runs.workflow_version, runs.correlation_id,
              runs.requested_by, runs.attempt, runs.input, runs.cancel_requested_at, runs.started_at,
              runs.error
)
SELECT claimed.id, claimed.lease_token, claimed.workflow_id, claimed.correlation_id, claimed.requested_by,
       claimed.attempt, claimed.cancel_requested_at IS NOT NULL AS cancel_requested,
       COALESCE(EXTRACT(EPOCH FROM now() - claimed.started_at), 0) AS running_seconds,
       claimed.input, claimed.error, version.definition
FROM claimed
JOIN workflow_versions AS version
  ON version.workflow_id = claimed.workflow_id AND version.version = claimed.workflow_version
"""

CLAIM_RECEIVED = text(
    """
WITH incoming AS (
    SELECT message_id, run_id
    FROM unnest(CAST(:message_ids AS text[]), CAST(:run_ids AS uuid[])) AS message (message_id, run_id)
), received AS (
    INSERT INTO inbox (message_id)
    SELECT DISTINCT message_id FROM incoming ORDER BY message_id
    ON CONFLICT DO NOTHING
    RETURNING message_id
), due AS (
    SELECT id FROM runs
    WHERE status = 'queued'
      AND id IN (SELECT incoming.run_id FROM incoming JOIN received USING (message_id))
    ORDER BY id
    FOR NO KEY UPDATE
), """
    + _CLAIM
)

CLAIM_EXPIRED = text(
    """
WITH due AS (
    SELECT id FROM runs
    WHERE status = 'running' AND lease_expires_at < now()
    ORDER BY lease_expires_at
    LIMIT :limit
    FOR NO KEY UPDATE SKIP LOCKED
), """
    + _CLAIM
)

CLAIM_FORGOTTEN = text(
    """
WITH due AS (
    SELECT id FROM runs
    WHERE status = 'queued' AND created_at < now() - make_interval(secs => CAST(:older_than AS float8))
    ORDER BY created_at
    LIMIT :limit
    FOR NO KEY UPDATE SKIP LOCKED
), """
    + _CLAIM
)

READ_JOURNAL = text("SELECT step_id, status, attempt, output FROM run_steps WHERE run_id = CAST(:run_id AS uuid)")

# Writes the steps of the run that "owner" holds. A completed step stays as it is: nothing is done twice.
_WRITE_STEPS = """
written AS (
    INSERT INTO run_steps AS known
        (run_id, step_id, status, attempt, output, error, started_at, finished_at, lease_token)
    SELECT owner.id, step.step_id, step.status, step.attempt, step.output, step.error,
           now() - make_interval(secs => step.started_ago), now() - make_interval(secs => step.finished_ago),
           CAST(:token AS bigint)
    FROM owner
    CROSS JOIN jsonb_to_recordset(CAST(:steps AS jsonb)) AS step
        (step_id text, status text, attempt int, output jsonb, error jsonb, started_ago float8, finished_ago float8)
    ON CONFLICT (run_id, step_id) DO UPDATE SET
        status = EXCLUDED.status, attempt = EXCLUDED.attempt, output = EXCLUDED.output, error = EXCLUDED.error,
        started_at = COALESCE(EXCLUDED.started_at, known.started_at), finished_at = EXCLUDED.finished_at,
        lease_token = EXCLUDED.lease_token
    WHERE known.lease_token <= EXCLUDED.lease_token AND known.status <> 'completed'
)"""

JOURNAL = text(
    """
WITH owner AS (
    SELECT id, cancel_requested_at FROM runs
    WHERE id = CAST(:run_id AS uuid) AND lease_token = CAST(:token AS bigint) AND status = 'running'
    FOR NO KEY UPDATE
), """
    + _WRITE_STEPS
    + """
SELECT cancel_requested_at IS NOT NULL AS cancel_requested FROM owner
"""
)

NOTE_FAILURE = text(
    """
WITH owner AS (
    UPDATE runs SET error = CAST(:error AS jsonb)
    WHERE id = CAST(:run_id AS uuid) AND lease_token = CAST(:token AS bigint) AND status = 'running'
    RETURNING id
), """
    + _WRITE_STEPS
    + """
SELECT id FROM owner
"""
)

_AUDIT = """
audited AS (
    INSERT INTO audit_log (actor, action, subject_type, subject_id, correlation_id, detail)
    SELECT CAST(:actor AS text), 'run.' || status, 'run', CAST(id AS text), correlation_id,
           jsonb_build_object('workflow_id', workflow_id, 'requested_by', requested_by, 'error', error -> 'code')
    FROM owner
    WHERE CAST(:audit AS boolean)
)"""

# The second half of the answer is for a repetition: the first try did it, but its answer was lost on the way.
FINISH = text(
    """
WITH owner AS (
    UPDATE runs SET
        status = :status, output = CAST(:output AS jsonb), error = CAST(:error AS jsonb), finished_at = now(),
        lease_owner = NULL, lease_expires_at = NULL
    WHERE id = CAST(:run_id AS uuid) AND lease_token = CAST(:token AS bigint) AND status = 'running'
    RETURNING id, status, workflow_id, correlation_id, requested_by, error, finished_at - created_at AS duration
), """
    + _WRITE_STEPS
    + ","
    + _AUDIT
    + """
SELECT EXTRACT(EPOCH FROM duration) AS seconds FROM owner
UNION ALL
SELECT EXTRACT(EPOCH FROM finished_at - created_at) FROM runs
WHERE id = CAST(:run_id AS uuid) AND lease_token = CAST(:token AS bigint) AND status = CAST(:status AS text)
"""
)

RELEASE = text(
    """
UPDATE runs SET lease_owner = NULL, lease_expires_at = now(), attempt = GREATEST(attempt - 1, 0)
WHERE id = CAST(:run_id AS uuid) AND lease_token = CAST(:token AS bigint) AND status = 'running'
"""
)

RENEW = text(
    """
UPDATE runs SET lease_expires_at = now() + make_interval(secs => CAST(:lease AS float8))
FROM unnest(CAST(:run_ids AS uuid[]), CAST(:tokens AS bigint[])) AS held (id, token)
WHERE runs.id = held.id AND runs.lease_token = held.token AND runs.status = 'running'
RETURNING runs.id, runs.cancel_requested_at IS NOT NULL AS cancel_requested
"""
)

CANCEL_QUEUED = text(
    """
WITH owner AS (
    UPDATE runs SET status = 'cancelled', finished_at = now()
    WHERE id = CAST(:run_id AS uuid) AND status = 'queued' AND cancel_requested_at IS NOT NULL
    RETURNING id, status, workflow_id, correlation_id, requested_by, error
), """
    + _AUDIT
    + """
SELECT id FROM owner
"""
)

FORGET_MESSAGES = text("DELETE FROM inbox WHERE received_at < now() - make_interval(days => CAST(:days AS int))")
