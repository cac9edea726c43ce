"""How much room the limits of a workflow leave, counted from its runs each time."""
# ruff: noqa: S608 - the parts that are put together are constants of this file

# A run has a place from its claim until it is final, paused or waiting, also while its executor is away: it may still
# be at work, and whoever takes the run over takes the place. Only what began under limits counts as a start.
ROOM = """
    SELECT asked.workflow_id, asked.revision,
           COALESCE(asked.max_running - (
               SELECT count(*) FROM runs AS other
               WHERE other.workflow_id = asked.workflow_id AND other.status = 'running'
           ), 2147483647) AS places,
           COALESCE(asked.max_starts - (
               SELECT count(*) FROM runs AS other
               WHERE other.workflow_id = asked.workflow_id AND other.held_at IS NOT NULL
                 AND other.started_at > now() - make_interval(secs => asked.per_seconds)
           ), 2147483647) AS starts
    FROM workflow_limits AS asked"""
"""A query of ``workflow_id``, ``revision``, ``places`` for runs and ``starts`` of runs; not positive: there is none."""

# Nothing of it is computed but for a run that is held.
WAITS_FOR = f"""
CASE WHEN runs.status = 'queued' AND runs.held_at IS NOT NULL THEN (
    SELECT CASE WHEN room.places <= 0 THEN 'concurrency'
                WHEN room.starts <= 0 AND runs.started_at IS NULL THEN 'rate' END
    FROM ({ROOM} WHERE asked.workflow_id = runs.workflow_id) AS room
) END"""
"""Which limit keeps the run of a row of ``runs`` from being claimed now: concurrency or rate; null for none."""
