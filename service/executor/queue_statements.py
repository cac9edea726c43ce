"""The SQL by which runs are claimed that do not go by their messages: urgent ones, and ones that limits hold back.

Whether a workflow has room is counted from its runs in the claim itself, so there is no number that could be wrong for
longer than a statement. Two such claims at a time would both count before either has written: a claim changes the
revision of the limits that it has read, and one that finds it changed claims nothing. No lock outlives a statement, so
nothing is in the way of others when an executor dies or stands still.
"""
# ruff: noqa: S608 - the parts that are put together are constants

from sqlalchemy import text

from service.executor.claim_statements import CLAIM, CLAIM_OR_HOLD, LIMITED
from service.workflows.room import ROOM

CLAIM_URGENT = text(
    """
WITH due AS (
    SELECT id, """
    + LIMITED
    + """ AS limited FROM runs
    WHERE status = 'queued' AND priority > 0 AND held_at IS NULL
    ORDER BY turn_at
    LIMIT :limit
    FOR NO KEY UPDATE SKIP LOCKED
), """
    + CLAIM_OR_HOLD
)

# Workflows with runs that are held, the one with the run whose turn is first before the others, and whether one of
# these can be claimed now.
HELD_WORKFLOWS = text(
    "WITH room AS ("
    + ROOM
    + """
    WHERE EXISTS (
        SELECT 1 FROM runs
        WHERE runs.workflow_id = asked.workflow_id AND runs.status = 'queued' AND runs.held_at IS NOT NULL
    )
)
SELECT room.workflow_id, room.places > 0 AND (
           room.starts > 0 OR EXISTS (
               SELECT 1 FROM runs
               WHERE runs.workflow_id = room.workflow_id AND runs.status = 'queued' AND runs.held_at IS NOT NULL
                 AND runs.started_at IS NOT NULL)
       ) AS has_room
FROM room
ORDER BY (
    SELECT min(turn_at) FROM runs
    WHERE runs.workflow_id = room.workflow_id AND runs.status = 'queued' AND runs.held_at IS NOT NULL
)
"""
)

# Those that have begun before go first; a limit of starts is not for them. Where another claim was quicker the answer
# is one row without an id.
CLAIM_HELD = text(
    "WITH room AS MATERIALIZED ("
    + ROOM
    + """
    WHERE asked.workflow_id = CAST(:workflow_id AS uuid)
), turn AS (
    UPDATE workflow_limits SET revision = workflow_limits.revision + 1
    FROM room
    WHERE workflow_limits.workflow_id = room.workflow_id AND workflow_limits.revision = room.revision
      AND room.places > 0
    RETURNING LEAST(room.places, CAST(:limit AS int)) AS places, room.starts
), begun AS MATERIALIZED (
    SELECT id FROM runs
    WHERE workflow_id = CAST(:workflow_id AS uuid) AND status = 'queued' AND held_at IS NOT NULL
      AND started_at IS NOT NULL
    ORDER BY turn_at
    LIMIT COALESCE((SELECT places FROM turn), 0)
    FOR NO KEY UPDATE SKIP LOCKED
), fresh AS MATERIALIZED (
    SELECT id FROM runs
    WHERE workflow_id = CAST(:workflow_id AS uuid) AND status = 'queued' AND held_at IS NOT NULL
      AND started_at IS NULL
    ORDER BY turn_at
    LIMIT COALESCE((SELECT GREATEST(LEAST(places - (SELECT count(*) FROM begun), starts), 0) FROM turn), 0)
    FOR NO KEY UPDATE SKIP LOCKED
), due AS (
    SELECT id, false AS limited FROM begun UNION ALL SELECT id, false FROM fresh
), """
    + CLAIM
    + """
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM room WHERE room.places > 0 AND NOT EXISTS (SELECT 1 FROM turn)
"""
)
