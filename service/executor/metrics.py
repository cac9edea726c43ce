"""The executor's own metrics; those of runs are in ``service.platform.metrics``."""

from prometheus_client import Counter, Gauge

from service.platform import metrics

ACTIVE = Gauge("executor_runs_active", "Runs that this executor works on now")
CONCURRENCY = Gauge("executor_concurrency", "Runs that this executor works on at most at a time")
CONSUMER_LAG = Gauge("kafka_consumer_lag", "Messages not yet taken from a partition", ["topic", "partition"])
CONSUMER_RESTARTS = Counter("kafka_consumer_restarts_total", "Consumers that were replaced", ["topic"])
UNDECODABLE = Counter("kafka_messages_undecodable_total", "Messages set aside because they make no sense", ["topic"])
DUPLICATES = Counter("kafka_messages_ignored_total", "Messages whose run needed no claim any more", ["topic"])
LEASES_LOST = Counter("executor_leases_lost_total", "Runs that another executor took over")
RECLAIMED = Counter("executor_runs_reclaimed_total", "Runs claimed without a message", ["reason"])
STEP_ATTEMPTS = Counter("workflow_step_attempts_total", "Attempts of steps", ["kind", "outcome"])

for _reason in ("lease-expired", "message-late"):
    RECLAIMED.labels(_reason)


def count_ended(status: str, seconds: float) -> None:
    """A run has ended in this status, so many seconds after it was accepted."""
    by_status = {
        "completed": metrics.RUNS_COMPLETED,
        "failed": metrics.RUNS_FAILED,
        "cancelled": metrics.RUNS_CANCELLED,
    }
    by_status[status].inc()
    metrics.RUN_DURATION.observe(seconds)


def show_topic(topic: str) -> None:
    """Begin the topic's series at 0: an increase from nothing is not seen by ``increase()``."""
    for counter in (CONSUMER_RESTARTS, UNDECODABLE, DUPLICATES):
        counter.labels(topic)
