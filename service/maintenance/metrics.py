"""What was forgotten, and what does not get on."""

from prometheus_client import Counter, Gauge

FORGOTTEN = Counter("retention_forgotten_total", "Rows deleted because they were older than they are kept", ["what"])
FAILURES = Counter("retention_failures_total", "Sweeps for old data that failed, other than by an outage")
WITHOUT_PROGRESS = Gauge(
    "workflow_oldest_without_progress_seconds",
    "For how long the unfinished run that waits the longest has seen nothing happen",
    ["status"],
)
OUTBOX_OLDEST = Gauge("outbox_oldest_seconds", "Age of the oldest message not yet handed to Kafka")
