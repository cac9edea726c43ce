"""The SQL of the executor; ``repository.py`` says what each statement is for."""
# ruff: noqa: S608 - the parts that are put together are constants of this file

from functools import cache

from sqlalchemy import TextClause, text

from service.executor import family
from service.executor.log_statement import LOGGED
from service.executor.unguessed import unguessed
from service.webhooks.enqueue import NOTED

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
WRITE_STEPS = """
written AS (
    INSERT INTO run_steps AS known
        (run_id, step_id, status, attempt, output, error, waits, started_at, finished_at, lease_token)
    SELECT owner.id, step.step_id, step.status, step.attempt, step.output, step.error, step.waits,
           now() - make_interval(secs => step.started_ago), now() - make_interval(secs => step.finished_ago),
           owner.token
    FROM owner CROSS JOIN jsonb_to_recordset(CAST(owner.steps AS jsonb)) AS step
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
# What is given for a run goes along with it: joined again later, hundreds of runs would be compared with hundreds.
_HELD = (
    """
held AS (
    SELECT given.*, runs.cancel_requested_at, runs.pause_requested_at, runs.signals FROM runs JOIN given USING (id)
    WHERE """
    + unguessed("runs.lease_token = given.token AND runs.status = 'running'")
    + """
    ORDER BY runs.id
    FOR NO KEY UPDATE OF runs
)"""
)

_JOURNAL = (
    """
WITH given AS (
    SELECT id, token, steps FROM unnest(CAST(:run_ids AS uuid[]), CAST(:tokens AS bigint[]), CAST(:steps AS text[]))
        AS given (id, token, steps)
), """
    + _HELD
    + """, owner AS (
    SELECT * FROM held
), """
    + WRITE_STEPS
)
_MARKS = """
SELECT id, cancel_requested_at IS NOT NULL AS cancel_requested, pause_requested_at IS NOT NULL AS pause_requested,
       signals
FROM owner
"""

JOURNAL = text(_JOURNAL + _MARKS)
# For steps that begin runs, or leave those that they have begun.
_OF_PARENT = family.CHILDREN + family.SIGNALLED
JOURNAL_OF_PARENT = text(_JOURNAL + _OF_PARENT + _MARKS)

_NOTE_FAILURE = (
    """
WITH given AS (
    SELECT CAST(:run_id AS uuid) AS id, CAST(:token AS bigint) AS token, CAST(:steps AS text) AS steps
), owner AS (
    UPDATE runs SET error = CAST(:error AS jsonb) FROM given
    WHERE runs.id = given.id AND runs.lease_token = given.token AND runs.status = 'running'
    RETURNING runs.id, given.token, given.steps
), """
    + WRITE_STEPS
)
_NOTED_FAILURE = """
SELECT id FROM owner
"""

NOTE_FAILURE = text(_NOTE_FAILURE + _NOTED_FAILURE)
NOTE_FAILURE_OF_PARENT = text(_NOTE_FAILURE + _OF_PARENT + _NOTED_FAILURE)

# The journal of the runs that "owner" ended without an executor.
_GIVE_UP_STEPS = """
given_up AS (
    UPDATE run_steps AS known SET
        status = CASE WHEN known.status = 'pending' THEN 'skipped' ELSE 'cancelled' END, finished_at = now()
    FROM owner
    WHERE known.run_id = owner.id AND known.status IN ('pending', 'running', 'waiting')
)"""

# What others are told of the runs that "owner" ended.
TOLD = (
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

_TO_FINISH = """
WITH given AS (
    SELECT id, token, status, output, error, steps FROM unnest(
        CAST(:run_ids AS uuid[]), CAST(:tokens AS bigint[]), CAST(:statuses AS text[]), CAST(:outputs AS text[]),
        CAST(:errors AS text[]), CAST(:steps AS text[])
    ) AS given (id, token, status, output, error, steps)
), """
_FINISH = (
    """, owner AS (
    UPDATE runs SET
        status = held.status, output = CAST(held.output AS jsonb), error = CAST(held.error AS jsonb),
        finished_at = now(), lease_owner = NULL, lease_expires_at = NULL
    FROM held
    WHERE runs.id = held.id
    RETURNING runs.id, runs.status, runs.workflow_id, runs.correlation_id, runs.requested_by, runs.error,
              runs.started_at, runs.finished_at - runs.created_at AS duration, runs.parent_run_id, runs.parent_step_id,
              CASE WHEN runs.parent_run_id IS NOT NULL THEN runs.output END AS output, held.token, held.steps
), """
    + WRITE_STEPS
    + ","
    + TOLD
)
# The second half of the answer is for a repetition: the first try did it, but its answer was lost on the way.
_FINISHED = """
SELECT id, EXTRACT(EPOCH FROM duration) AS seconds FROM owner
UNION ALL
SELECT runs.id, EXTRACT(EPOCH FROM runs.finished_at - runs.created_at) FROM runs JOIN given USING (id)
WHERE runs.lease_token = given.token AND runs.status = given.status
"""
_OF_RELATED = family.ENDED + family.SIGNALLED

FINISH = text(_TO_FINISH + _HELD + _FINISH + _FINISHED)
# For runs that have a parent, or may have children.
FINISH_RELATED = text(
    _TO_FINISH
    + family.LOCKED
    + _HELD.replace(" WHERE ", f" WHERE {family.AFTER_FAMILY} AND ")
    + _FINISH
    + _OF_RELATED
    + _FINISHED
)

# Only where nothing new was asked of the run since. Who repeats it after a lost answer is told as the first time.
_PARK = (
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
    RETURNING runs.id, given.token, given.steps
), """
    + WRITE_STEPS
)
_PARKED = """
SELECT id FROM owner
UNION ALL
SELECT runs.id FROM runs JOIN given USING (id) WHERE runs.lease_token = given.token AND runs.status = given.status
"""

PARK = text(_PARK + _PARKED)
PARK_PARENT = text(_PARK + _OF_PARENT + _PARKED)

READ_CALLEE = text(family.READ_CALLEE)

TAKE_REPLIES = text(family.REPLIES + family.SIGNALLED + family.REPLIES_TAKEN)


@cache
def with_lines(statement: TextClause) -> TextClause:
    """A statement that writes steps as it is where runs have logged something, too; the others do not pay for it."""
    return text(statement.text.replace(WRITE_STEPS, f"{WRITE_STEPS}, {LOGGED}"))


ANSWER_MISSED = text(family.MISSED + _OF_RELATED + " SELECT run_id FROM answered")

READ_SIGNALS = text("SELECT step_id, output, error FROM signals WHERE run_id = CAST(:run_id AS uuid)")

# A released run keeps its token: the owner tells that it was released, to a repetition and to a heartbeat on its way.
RELEASE = text(
    """
UPDATE runs SET lease_owner = NULL, lease_expires_at = now(), attempt = GREATEST(attempt - 1, 0)
WHERE id = CAST(:run_id AS uuid) AND lease_token = CAST(:token AS bigint) AND status = 'running'
  AND lease_owner = :owner
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
FROM held WHERE runs.id = held.id AND runs.lease_owner = :owner
RETURNING runs.id, runs.cancel_requested_at IS NOT NULL AS cancel_requested,
          runs.pause_requested_at IS NOT NULL AS pause_requested, runs.signals
"""
)

CANCEL_QUEUED = text(
    """
WITH owner AS (
    UPDATE runs SET status = CASE WHEN error IS NULL THEN 'cancelled' ELSE 'failed' END, finished_at = now()
    WHERE id = CAST(:run_id AS uuid) AND status IN ('queued', 'paused', 'waiting') AND cancel_requested_at IS NOT NULL
    RETURNING id, status, workflow_id, correlation_id, requested_by, error, started_at, parent_run_id, parent_step_id,
              output
), """
    + _GIVE_UP_STEPS
    + ","
    + TOLD
    + _OF_RELATED
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
              runs.started_at, runs.finished_at - runs.created_at AS duration, runs.parent_run_id, runs.parent_step_id,
              runs.output
), """
    + _GIVE_UP_STEPS
    + ","
    + TOLD
    + _OF_RELATED
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
