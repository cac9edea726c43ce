"""The parts of statements that are about runs which steps of other runs begin, and signals that no person gives.

A child is inserted by the statement that journals its step as waiting, and what becomes of it is stored as that step's
signal by the statement that ends it; so however often an executor dies, there is one child, and one answer. Only runs
that have a parent or may have children pay for this: the other runs' statements are without these parts.
"""

# What is told is told by messages; without topics whoever sweeps finds it. A message repeats no input above 64 KiB:
# executors read it from the run.
CHILDREN = """, child AS (
    INSERT INTO runs (id, workflow_id, workflow_version, input, correlation_id, requested_by, parent_run_id,
                      parent_step_id, depth, priority, turn_at)
    SELECT made.run_id, made.workflow_id, made.version, made.input, parent.correlation_id, 'run:' || parent.id,
           parent.id, made.step_id, parent.depth + 1, parent.priority, now() - (parent.created_at - parent.turn_at)
    FROM owner JOIN runs AS parent ON parent.id = owner.id
    CROSS JOIN jsonb_to_recordset(CAST(:children AS jsonb)) AS made
        (run_id uuid, step_id text, workflow_id uuid, version int, input jsonb)
    ON CONFLICT DO NOTHING
    RETURNING id, workflow_id, workflow_version, input, correlation_id, requested_by, parent_run_id, parent_step_id,
              created_at
), child_message AS (
    INSERT INTO outbox (topic, key, headers, payload)
    SELECT CAST(:execution_topic AS text), id::text, jsonb_build_object('correlation_id', correlation_id),
        jsonb_build_object(
            'message_id', gen_random_uuid(), 'run_id', id, 'workflow_id', workflow_id,
            'correlation_id', correlation_id, 'requested_by', requested_by,
            'requested_at', to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
        ) || CASE WHEN pg_column_size(input) > 65536 THEN jsonb_build_object()
                  ELSE jsonb_build_object('input', input) END
    FROM child WHERE CAST(:execution_topic AS text) IS NOT NULL
), child_audited AS (
    INSERT INTO audit_log (actor, action, subject_type, subject_id, correlation_id, detail)
    SELECT CAST(:actor AS text), 'run.accept', 'run', id::text, correlation_id,
        jsonb_build_object('workflow_id', workflow_id, 'workflow_version', workflow_version,
                           'parent_run_id', parent_run_id, 'parent_step_id', parent_step_id)
    FROM child WHERE CAST(:audit AS boolean)
), answer AS (
    SELECT owner.id AS run_id, '' AS step_id, CAST(NULL AS jsonb) AS output, CAST(NULL AS jsonb) AS error,
           '' AS given_by
    FROM owner WHERE false
), orphan AS (
    SELECT left_alone.id FROM owner CROSS JOIN unnest(CAST(:orphans AS uuid[])) AS left_alone (id)
)"""
"""For a statement that journals steps of the run in ``owner``: the children that they begin and those that they leave.

``:children`` is a list as JSON text, ``:orphans`` are ids.
"""

# An array, so that runs are found by their ids whatever the planner thinks how many those are.
LOCKED = """family AS (
    SELECT runs.id FROM runs
    WHERE runs.status NOT IN ('completed', 'failed', 'cancelled') AND runs.id = ANY (ARRAY(
        SELECT id FROM given
        UNION ALL
        SELECT child.parent_run_id FROM given JOIN runs AS child USING (id)
        UNION ALL
        SELECT child.id FROM given JOIN runs AS child ON child.parent_run_id = given.id
    ))
    ORDER BY runs.id
    FOR NO KEY UPDATE OF runs
), """
"""For a statement that ends the runs in ``given``: locks them with their parents and children, as all do by their ids.

Locks are taken when it is read, by AFTER_FAMILY, and not where nobody reads it.
"""

AFTER_FAMILY = "(SELECT count(*) FROM family) >= 0"
"""True, and found out before the first run of the query that has this condition is looked at."""

ENDED = """, answer AS (
    SELECT owner.parent_run_id AS run_id, owner.parent_step_id AS step_id,
        CASE WHEN owner.status = 'completed' THEN COALESCE(owner.output, jsonb_build_object()) END AS output,
        CASE WHEN owner.status <> 'completed' THEN jsonb_build_object(
            'code', 'child-failed', 'retryable', false, 'run_id', owner.id, 'run_status', owner.status,
            'run_code', owner.error -> 'code',
            'detail', 'the run ' || owner.id || ' is ' || owner.status
                || COALESCE(': ' || (owner.error ->> 'code') || ': ' || COALESCE(owner.error ->> 'detail', ''), '')
        ) END AS error,
        'run:' || owner.id AS given_by
    FROM owner WHERE owner.parent_run_id IS NOT NULL
), orphan AS (
    SELECT child.id FROM owner JOIN runs AS child ON child.parent_run_id = owner.id
)"""
"""For a statement that ends the runs in ``owner``: what their parents' steps are told, and the children they leave."""

# One row is changed once by a statement, so both are one update; what ends by the same statement is left to that.
SIGNALLED = """, answered AS (
    INSERT INTO signals (run_id, step_id, output, error, given_by)
    SELECT answer.run_id, answer.step_id, answer.output, answer.error, answer.given_by
    FROM answer JOIN runs AS parent ON parent.id = answer.run_id
    WHERE parent.status NOT IN ('completed', 'failed', 'cancelled')
    ORDER BY answer.run_id, answer.step_id
    ON CONFLICT DO NOTHING
    RETURNING run_id, step_id
), related AS (
    SELECT id, CAST(sum(answers) AS int) AS answers, bool_or(is_orphan) AS is_orphan
    FROM (
        SELECT run_id AS id, 1 AS answers, false AS is_orphan FROM answered
        UNION ALL
        SELECT id, 0, true FROM orphan
    ) AS found
    WHERE NOT EXISTS (SELECT 1 FROM owner WHERE owner.id = found.id)
    GROUP BY id
), touched AS (
    UPDATE runs SET
        signals = runs.signals + related.answers,
        status = CASE WHEN runs.status = 'waiting' AND related.answers > 0 THEN 'queued' ELSE runs.status END,
        queued_at = CASE WHEN runs.status = 'waiting' AND related.answers > 0 THEN now() ELSE runs.queued_at END,
        cancel_requested_at = CASE WHEN related.is_orphan THEN COALESCE(runs.cancel_requested_at, now())
                                   ELSE runs.cancel_requested_at END
    FROM related
    WHERE runs.id = related.id AND runs.status NOT IN ('completed', 'failed', 'cancelled')
      AND (related.answers > 0 OR runs.cancel_requested_at IS NULL)
    RETURNING runs.id, runs.workflow_id, runs.status, runs.correlation_id, runs.requested_by, runs.signals,
              related.answers, related.is_orphan
), touched_message AS (
    INSERT INTO outbox (topic, key, headers, payload)
    SELECT found.topic, found.id::text, jsonb_build_object('correlation_id', found.correlation_id),
        jsonb_strip_nulls(jsonb_build_object(
            'message_id', gen_random_uuid(), 'run_id', found.id, 'workflow_id', found.workflow_id,
            'correlation_id', found.correlation_id, 'requested_by', CAST(:actor AS text),
            'requested_at', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'kind', found.kind, 'signals', CASE WHEN found.kind = 'signal' THEN found.signals END
        ))
    FROM (
        SELECT touched.*, NULL AS kind, CAST(:execution_topic AS text) AS topic FROM touched
        WHERE status = 'queued' AND answers > 0 AND NOT is_orphan
        UNION ALL
        SELECT touched.*, 'signal', CAST(:cancellation_topic AS text) FROM touched
        WHERE status = 'running' AND answers > 0 AND NOT is_orphan
        UNION ALL
        SELECT touched.*, 'cancel', CAST(:cancellation_topic AS text) FROM touched WHERE is_orphan
    ) AS found
    WHERE found.topic IS NOT NULL
)"""
"""Stores the signals of ``answer`` and wakes their runs, and asks those of ``orphan`` to stop, with their messages."""

# An executor of a version that knows nothing of parents ends a child like any other run, while both versions run.
MISSED = """
WITH owner AS (
    SELECT child.id, child.status, child.error, child.output, child.parent_run_id, child.parent_step_id
    FROM runs AS parent JOIN runs AS child ON child.parent_run_id = parent.id
    WHERE parent.status = 'waiting' AND child.status IN ('completed', 'failed', 'cancelled')
      AND child.finished_at < now() - make_interval(secs => CAST(:older_than AS float8))
      AND NOT EXISTS (
          SELECT 1 FROM signals WHERE signals.run_id = parent.id AND signals.step_id = child.parent_step_id
      )
    LIMIT CAST(:limit AS int)
)"""
"""Children whose ends their waiting parents were not told, as the ``owner`` of a statement that ends runs."""

READ_CALLEE = """
SELECT workflows.id AS workflow_id, workflows.name, version.version,
       version.definition -> 'input_schema' AS input_schema, caller.depth
FROM runs AS caller
LEFT JOIN workflows ON workflows.id = CAST(:workflow_id AS uuid) OR workflows.name = CAST(:name AS text)
LEFT JOIN workflow_versions AS version
  ON version.workflow_id = workflows.id AND version.version = COALESCE(CAST(:version AS int), workflows.current_version)
WHERE caller.id = CAST(:run_id AS uuid)
ORDER BY workflows.id = CAST(:workflow_id AS uuid) DESC NULLS LAST
LIMIT 1
"""
"""The workflow that a step wants to execute, by its id or else its name, as the run stands that the step is of."""

# A step is answered from the moment on at which its attempt was journalled, which is before its message is sent. What
# it waits for is in its version, which never changes.
REPLIES = r"""
WITH owner AS (
    SELECT id FROM runs WHERE false
), given AS (
    SELECT number, run_id, step_id, attempt, topic, header, field, output, place FROM unnest(
        CAST(:run_ids AS uuid[]), CAST(:step_ids AS text[]), CAST(:attempts AS int[]), CAST(:topics AS text[]),
        CAST(:headers AS text[]), CAST(:fields AS text[]), CAST(:outputs AS text[]), CAST(:places AS text[])
    ) WITH ORDINALITY AS given (run_id, step_id, attempt, topic, header, field, output, place, number)
), fitting AS (
    SELECT DISTINCT ON (given.run_id, given.step_id) given.*
    FROM given
    JOIN run_steps AS step ON step.run_id = given.run_id AND step.step_id = given.step_id
     AND step.status IN ('running', 'waiting') AND step.attempt <= given.attempt
    JOIN runs ON runs.id = given.run_id
    JOIN workflow_versions AS version
      ON version.workflow_id = runs.workflow_id AND version.version = runs.workflow_version
    WHERE EXISTS (
        SELECT 1 FROM jsonb_array_elements(
            COALESCE(version.definition -> 'steps', jsonb_build_array())
            || COALESCE(version.definition -> 'on_failure', jsonb_build_array())
        ) AS known
        WHERE known ->> 'id' = regexp_replace(given.step_id, '\[[0-9]+\]$', '')
          AND known #>> '{agent,kind}' = 'kafka'
          AND known #>> '{agent,settings,reply,topic}' = given.topic
          AND CASE WHEN known #>> '{agent,settings,reply,field}' IS NULL
                   THEN COALESCE(known #>> '{agent,settings,reply,header}', 'reply_id') = given.header
                   ELSE known #>> '{agent,settings,reply,field}' = given.field END
    )
    ORDER BY given.run_id, given.step_id, given.number
), answer AS (
    SELECT run_id, step_id, CAST(output AS jsonb) AS output, CAST(NULL AS jsonb) AS error, place AS given_by
    FROM fitting
), orphan AS (
    SELECT id FROM owner
)"""
"""For a statement that makes replies the signals of the steps that wait for them. It may be repeated."""

REPLIES_TAKEN = """
SELECT fitting.topic, count(*) AS answers FROM answered JOIN fitting USING (run_id, step_id) GROUP BY fitting.topic
"""
"""How many were new, by topic."""
