"""The SQL of the executor; ``repository.py`` says what each statement is for."""
# ruff: noqa: S608 - the parts that are put together are constants of this file

from sqlalchemy import text

from service.executor.log_statement import LOGGED
from service.webhooks.enqueue import NOTED

# The claimed runs. "due" has locked them and said that they may be claimed.
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
              runs.error, runs.pause_requested_at, runs.paused_seconds, runs.signals
)
SELECT claimed.id, claimed.lease_token, claimed.workflow_id, claimed.correlation_id, claimed.requested_by,
       claimed.attempt, claimed.cancel_requested_at IS NOT NULL AS cancel_requested,
       claimed.pause_requested_at IS NOT NULL AS pause_requested,
       COALESCE(EXTRACT(EPOCH FROM now() - claimed.started_at) - claimed.paused_seconds, 0) AS running_seconds,
       claimed.input, claimed.error, claimed.workflow_version, claimed.signals
FROM claimed
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
    WHERE status = 'running' AND (lease_expires_at < now() OR lease_expires_at IS NULL)
    ORDER BY lease_expires_at
    LIMIT :limit
    FOR NO KEY UPDATE SKIP LOCKED
), """
    + _CLAIM
)

# A run is queued again only after it was made: the first condition is for the index, the second is what is meant.
CLAIM_FORGOTTEN = text(
    """
WITH due AS (
    SELECT id FROM runs
    WHERE status = 'queued' AND created_at < now() - make_interval(secs => CAST(:older_than AS float8))
      AND COALESCE(queued_at, created_at) < now() - make_interval(secs => CAST(:older_than AS float8))
    ORDER BY created_at
    LIMIT :limit
    FOR NO KEY UPDATE SKIP LOCKED
), """
    + _CLAIM
)

CLAIM_WOKEN = text(
    """
WITH due AS (
    SELECT id FROM runs
    WHERE status = 'waiting' AND wake_at <= now()
    ORDER BY wake_at
    LIMIT :limit
    FOR NO KEY UPDATE SKIP LOCKED
), """
    + _CLAIM
)

READ_DEFINITION = text(
    "SELECT definition FROM workflow_versions"
    " WHERE workflow_id = CAST(:workflow_id AS uuid) AND version = CAST(:version AS int)"
)

READ_JOURNAL = text(
    """
SELECT step_id, status, attempt, output, waits, EXTRACT(EPOCH FROM now() - started_at) AS age,
       logged.lines, logged.size
FROM run_steps CROSS JOIN (
    SELECT count(*) AS lines, COALESCE(sum(octet_length(message) + octet_length(CAST(fields AS text))), 0) AS size
    FROM run_logs WHERE run_id = CAST(:run_id AS uuid)
) AS logged
WHERE run_id = CAST(:run_id AS uuid)
"""
)

# Writes the steps of the runs that "owner" holds. A completed step stays as it is: nothing is done twice.
_WRITE_STEPS = """
written AS (
    INSERT INTO run_steps AS known
        (run_id, step_id, status, attempt, output, error, waits, started_at, finished_at, lease_token)
    SELECT owner.id, step.step_id, step.status, step.attempt, step.output, step.error, step.waits,
           now() - make_interval(secs => step.started_ago), now() - make_interval(secs => step.finished_ago),
           given.token
    FROM owner JOIN given USING (id)
    CROSS JOIN jsonb_to_recordset(CAST(given.steps AS jsonb)) AS step
        (step_id text, status text, attempt int, output jsonb, error jsonb, waits jsonb, started_ago float8,
         finished_ago float8)
    ON CONFLICT (run_id, step_id) DO UPDATE SET
        status = EXCLUDED.status, attempt = EXCLUDED.attempt, output = EXCLUDED.output, error = EXCLUDED.error,
        waits = EXCLUDED.waits,
        started_at = COALESCE(EXCLUDED.started_at, known.started_at), finished_at = EXCLUDED.finished_at,
        lease_token = EXCLUDED.lease_token
    WHERE known.lease_token <= EXCLUDED.lease_token AND known.status <> 'completed'
)"""

# Locked in one order, so that two statements about some of the same runs wait for one another in one direction only.
_HELD = """
held AS (
    SELECT runs.id, runs.cancel_requested_at, runs.pause_requested_at, runs.signals FROM runs JOIN given USING (id)
    WHERE runs.lease_token = given.token AND runs.status = 'running'
    ORDER BY runs.id
    FOR NO KEY UPDATE OF runs
)"""

JOURNAL = text(
    """
WITH given AS (
    SELECT id, token, steps FROM unnest(CAST(:run_ids AS uuid[]), CAST(:tokens AS bigint[]), CAST(:steps AS text[]))
        AS given (id, token, steps)
), """
    + _HELD
    + """, owner AS (
    SELECT id, cancel_requested_at, pause_requested_at, signals FROM held
), """
    + _WRITE_STEPS
    + """
SELECT id, cancel_requested_at IS NOT NULL AS cancel_requested, pause_requested_at IS NOT NULL AS pause_requested,
       signals
FROM owner
"""
)

NOTE_FAILURE = text(
    """
WITH given AS (
    SELECT CAST(:run_id AS uuid) AS id, CAST(:token AS bigint) AS token, CAST(:steps AS text) AS steps
), owner AS (
    UPDATE runs SET error = CAST(:error AS jsonb) FROM given
    WHERE runs.id = given.id AND runs.lease_token = given.token AND runs.status = 'running'
    RETURNING runs.id
), """
    + _WRITE_STEPS
    + """
SELECT id FROM owner
"""
)

# The journal of the runs that "owner" ended without an executor.
_GIVE_UP_STEPS = """
given_up AS (
    UPDATE run_steps AS known SET
        status = CASE WHEN known.status = 'pending' THEN 'skipped' ELSE 'cancelled' END, finished_at = now()
    FROM owner
    WHERE known.run_id = owner.id AND known.status IN ('pending', 'running', 'waiting')
)"""

# What others are told of the runs that "owner" ended.
_TOLD = (
    """
audited AS (
    INSERT INTO audit_log (actor, action, subject_type, subject_id, correlation_id, detail)
    SELECT CAST(:actor AS text), 'run.' || status, 'run', CAST(id AS text), correlation_id,
           jsonb_build_object('workflow_id', workflow_id, 'requested_by', requested_by, 'error', error -> 'code')
    FROM owner
    WHERE CAST(:audit AS boolean)
)"""
    + NOTED
)

# The second half of the answer is for a repetition: the first try did it, but its answer was lost on the way.
FINISH = text(
    """
WITH given AS (
    SELECT id, token, status, output, error, steps FROM unnest(
        CAST(:run_ids AS uuid[]), CAST(:tokens AS bigint[]), CAST(:statuses AS text[]), CAST(:outputs AS text[]),
        CAST(:errors AS text[]), CAST(:steps AS text[])
    ) AS given (id, token, status, output, error, steps)
), """
    + _HELD
    + """, owner AS (
    UPDATE runs SET
        status = given.status, output = CAST(given.output AS jsonb), error = CAST(given.error AS jsonb),
        finished_at = now(), lease_owner = NULL, lease_expires_at = NULL
    FROM held JOIN given USING (id)
    WHERE runs.id = held.id
    RETURNING runs.id, runs.status, runs.workflow_id, runs.correlation_id, runs.requested_by, runs.error,
              runs.finished_at - runs.created_at AS duration
), """
    + _WRITE_STEPS
    + ","
    + _TOLD
    + """
SELECT id, EXTRACT(EPOCH FROM duration) AS seconds FROM owner
UNION ALL
SELECT runs.id, EXTRACT(EPOCH FROM runs.finished_at - runs.created_at) FROM runs JOIN given USING (id)
WHERE runs.lease_token = given.token AND runs.status = given.status
"""
)

# Only where nothing new was asked of the run since. Who repeats it after a lost answer is told as the first time.
PARK = text(
    """
WITH given AS (
    SELECT CAST(:run_id AS uuid) AS id, CAST(:token AS bigint) AS token, CAST(:steps AS text) AS steps,
           CAST(:status AS text) AS status, CAST(:signals AS int) AS signals, CAST(:wake AS float8) AS wake
), owner AS (
    UPDATE runs SET
        status = given.status, lease_owner = NULL, lease_expires_at = NULL, attempt = GREATEST(attempt - 1, 0),
        paused_at = CASE WHEN given.status = 'paused' THEN now() END,
        wake_at = now() + make_interval(secs => given.wake)
    FROM given
    WHERE runs.id = given.id AND runs.lease_token = given.token AND runs.status = 'running'
      AND runs.cancel_requested_at IS NULL
      AND CASE given.status WHEN 'paused' THEN runs.pause_requested_at IS NOT NULL
                            ELSE runs.pause_requested_at IS NULL AND runs.signals = given.signals END
    RETURNING runs.id
), """
    + _WRITE_STEPS
    + """
SELECT id FROM owner
UNION ALL
SELECT runs.id FROM runs JOIN given USING (id) WHERE runs.lease_token = given.token AND runs.status = given.status
"""
)

WITH_LINES = {
    statement: text(statement.text.replace(_WRITE_STEPS, f"{_WRITE_STEPS}, {LOGGED}"))
    for statement in (JOURNAL, NOTE_FAILURE, FINISH, PARK)
}
"""Each statement that writes steps, as it is where runs have logged something, too: the others do not pay for it."""

READ_SIGNALS = text("SELECT step_id, output, error FROM signals WHERE run_id = CAST(:run_id AS uuid)")

RELEASE = text(
    """
UPDATE runs SET lease_owner = NULL, lease_expires_at = now(), attempt = GREATEST(attempt - 1, 0)
WHERE id = CAST(:run_id AS uuid) AND lease_token = CAST(:token AS bigint) AND status = 'running'
"""
)

RENEW = text(
    """
WITH given AS (
    SELECT id, token FROM unnest(CAST(:run_ids AS uuid[]), CAST(:tokens AS bigint[])) AS given (id, token)
), """
    + _HELD
    + """
UPDATE runs SET lease_expires_at = now() + make_interval(secs => CAST(:lease AS float8))
FROM held WHERE runs.id = held.id
RETURNING runs.id, runs.cancel_requested_at IS NOT NULL AS cancel_requested,
          runs.pause_requested_at IS NOT NULL AS pause_requested, runs.signals
"""
)

CANCEL_QUEUED = text(
    """
WITH owner AS (
    UPDATE runs SET status = CASE WHEN error IS NULL THEN 'cancelled' ELSE 'failed' END, finished_at = now()
    WHERE id = CAST(:run_id AS uuid) AND status IN ('queued', 'paused', 'waiting') AND cancel_requested_at IS NOT NULL
    RETURNING id, status, workflow_id, correlation_id, requested_by, error
), """
    + _GIVE_UP_STEPS
    + ","
    + _TOLD
    + """
SELECT id FROM owner
"""
)

# "held" is what an executor has and does not let go of: its token is not valid any more.
FORCE_CANCELLATIONS = text(
    """
WITH due AS (
    SELECT id, status = 'running' AS held FROM runs
    WHERE cancel_requested_at IS NOT NULL AND status IN ('queued', 'running', 'paused', 'waiting')
      AND (status <> 'running' OR cancel_requested_at < now() - make_interval(secs => CAST(:after AS float8)))
    ORDER BY cancel_requested_at
    LIMIT :limit
    FOR NO KEY UPDATE SKIP LOCKED
), owner AS (
    UPDATE runs SET
        status = CASE WHEN runs.error IS NULL THEN 'cancelled' ELSE 'failed' END,
        error = CASE WHEN due.held THEN COALESCE(runs.error, CAST(:error AS jsonb)) ELSE runs.error END,
        finished_at = now(), lease_owner = NULL, lease_expires_at = NULL, lease_token = runs.lease_token + 1
    FROM due WHERE runs.id = due.id
    RETURNING runs.id, runs.status, runs.workflow_id, runs.correlation_id, runs.requested_by, runs.error,
              runs.finished_at - runs.created_at AS duration
), """
    + _GIVE_UP_STEPS
    + ","
    + _TOLD
    + """
SELECT id, status, correlation_id, EXTRACT(EPOCH FROM duration) AS seconds FROM owner
"""
)

FORGET_KEYS = text("DELETE FROM idempotency_keys WHERE created_at < now() - make_interval(days => CAST(:days AS int))")
FORGET_MESSAGES = text(
    """
DELETE FROM inbox WHERE message_id IN (
    SELECT message_id FROM inbox WHERE received_at < now() - make_interval(days => CAST(:days AS int))
    LIMIT CAST(:most AS int)
)
RETURNING 1
"""
)
