"""How long nothing has happened to what should get on: the last net under leases, sweeps and relays."""

from typing import Any

from service.maintenance import metrics

# Of running runs those that began first are looked at; the one that stands still is among them in the end.
_OLDEST = """
SELECT
    (SELECT EXTRACT(EPOCH FROM now() - created_at) FROM outbox ORDER BY id LIMIT 1) AS outbox,
    (SELECT EXTRACT(EPOCH FROM now() - created_at) FROM runs WHERE status = 'queued'
     ORDER BY created_at, id LIMIT 1) AS queued,
    (SELECT EXTRACT(EPOCH FROM now() - min(GREATEST(begun.at, step.at)))
     FROM (SELECT id, COALESCE(started_at, created_at) AS at FROM runs WHERE status = 'running'
           ORDER BY COALESCE(started_at, created_at) LIMIT 200) AS begun
     LEFT JOIN LATERAL (SELECT max(GREATEST(started_at, finished_at)) AS at FROM run_steps
                        WHERE run_id = begun.id) AS step ON true) AS running
"""


async def measure(connection: Any) -> None:
    """Show the ages of the oldest message, the oldest queued run and the running run that stands still the longest."""
    row = await connection.fetchrow(_OLDEST)
    metrics.OUTBOX_OLDEST.set(row["outbox"] or 0)
    for status in ("queued", "running"):
        metrics.WITHOUT_PROGRESS.labels(status).set(row[status] or 0)
