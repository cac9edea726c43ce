"""The SQL that stores what runs have logged, as a part of the statements that write their journals."""

# Only of the runs that "owner" holds. A line that was stored by a try whose answer was lost is there already.
LOGGED = """
logged AS (
    INSERT INTO run_logs (run_id, number, at, step_id, attempt, level, message, fields)
    SELECT owner.id, line.number, now() - make_interval(secs => line.ago), line.step_id, line.attempt, line.level,
           line.message, line.fields
    FROM owner JOIN unnest(CAST(:logging_ids AS uuid[]), CAST(:lines AS text[])) AS logging (id, lines) USING (id)
    CROSS JOIN jsonb_to_recordset(CAST(logging.lines AS jsonb)) AS line
        (number bigint, ago float8, step_id text, attempt int, level text, message text, fields jsonb)
    ON CONFLICT DO NOTHING
)"""
