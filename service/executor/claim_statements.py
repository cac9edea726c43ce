"""The SQL by which an executor claims runs; ``claiming.py`` says what each statement is for."""
# ruff: noqa: S608 - the parts that are put together are constants of this file

from sqlalchemy import text

from service.executor.unguessed import unguessed

# Whether claims of the workflow's runs have to keep limits. Read once in a statement, of a table with few rows.
LIMITED = """
runs.workflow_id IN (
    SELECT workflow_id FROM workflow_limits WHERE max_running IS NOT NULL OR max_starts IS NOT NULL
)"""

# Runs that may not be claimed here because of limits are put where "queue_statements.py" claims them.
_HOLD = """
kept_back AS (
    UPDATE runs SET
        status = 'queued', held_at = COALESCE(runs.held_at, now()), wake_at = NULL,
        queued_at = CASE WHEN runs.status = 'waiting' THEN now() ELSE runs.queued_at END
    FROM due WHERE runs.id = due.id AND due.limited
    RETURNING runs.id, runs.workflow_id, runs.workflow_version
), """

# The claimed runs. "due" has locked them and said that they may be claimed.
CLAIM = """
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
    WHERE runs.id = due.id AND NOT due.limited
    RETURNING runs.id, runs.lease_token, runs.workflow_id, runs.workflow_version, runs.correlation_id,
              runs.requested_by, runs.attempt, runs.input, runs.cancel_requested_at, runs.started_at,
              runs.error, runs.pause_requested_at, runs.paused_seconds, runs.signals, runs.parent_run_id
)
SELECT claimed.id, claimed.lease_token, claimed.workflow_id, claimed.correlation_id, claimed.requested_by,
       claimed.attempt, claimed.cancel_requested_at IS NOT NULL AS cancel_requested,
       claimed.pause_requested_at IS NOT NULL AS pause_requested,
       COALESCE(EXTRACT(EPOCH FROM now() - claimed.started_at) - claimed.paused_seconds, 0) AS running_seconds,
       claimed.input, claimed.error, claimed.workflow_version, claimed.signals, claimed.parent_run_id
FROM claimed
"""

# Those that are kept back are told without a token.
CLAIM_OR_HOLD = (
    _HOLD
    + CLAIM
    + """
UNION ALL
SELECT kept_back.id, NULL, kept_back.workflow_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       kept_back.workflow_version, NULL, NULL
FROM kept_back
"""
)

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
    SELECT id, """
    + LIMITED
    + """ AS limited FROM runs
    WHERE """
    + unguessed("status = 'queued'")
    + """
      AND id IN (SELECT incoming.run_id FROM incoming JOIN received USING (message_id))
    ORDER BY id
    FOR NO KEY UPDATE
), """
    + CLAIM_OR_HOLD
)

# A run that is taken over keeps the place that it has under limits.
CLAIM_EXPIRED = text(
    """
WITH due AS (
    SELECT id, false AS limited FROM runs
    WHERE status = 'running' AND (lease_expires_at < now() OR lease_expires_at IS NULL)
    ORDER BY lease_expires_at
    LIMIT :limit
    FOR NO KEY UPDATE SKIP LOCKED
), """
    + CLAIM
)

# A run is queued again only after it was made: the first condition is for the index, the second is what is meant.
CLAIM_FORGOTTEN = text(
    """
WITH due AS (
    SELECT id, """
    + LIMITED
    + """ AS limited FROM runs
    WHERE status = 'queued' AND held_at IS NULL
      AND created_at < now() - make_interval(secs => CAST(:older_than AS float8))
      AND COALESCE(queued_at, created_at) < now() - make_interval(secs => CAST(:older_than AS float8))
    ORDER BY created_at
    LIMIT :limit
    FOR NO KEY UPDATE SKIP LOCKED
), """
    + CLAIM_OR_HOLD
)

CLAIM_WOKEN = text(
    """
WITH due AS (
    SELECT id, """
    + LIMITED
    + """ AS limited FROM runs
    WHERE status = 'waiting' AND wake_at <= now()
    ORDER BY wake_at
    LIMIT :limit
    FOR NO KEY UPDATE SKIP LOCKED
), """
    + CLAIM_OR_HOLD
)
