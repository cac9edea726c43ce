"""The metrics of every process, defined once.

With several workers in one container prometheus_client keeps the values in files below ``PROMETHEUS_MULTIPROC_DIR``;
it decides so when it is imported, which is why ``metrics_directory.prepare`` must run before anything imports this
module.
"""

import os
from pathlib import Path

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client import multiprocess as _multiprocess

from service.platform.metrics_directory import VARIABLE

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Series that nobody asks for, one for each counter and histogram.
disable_created_metrics()  # type: ignore[no-untyped-call]

# Fine around the 200 ms goal and the 500 ms and 2 s limits that the alerts use.
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 2, 5, 10)
_RUN_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)

HTTP_REQUESTS = Counter("http_requests_total", "Requests answered", ["method", "endpoint", "status"])
HTTP_LATENCY = Histogram(
    "http_request_latency_seconds", "Time to answer a request", ["method", "endpoint"], buckets=_REQUEST_BUCKETS
)
HTTP_ACTIVE = Gauge("http_requests_active", "Requests being answered now", multiprocess_mode="livesum")

DB_POOL_SIZE = Gauge("db_pool_size", "Connections that the pool keeps", multiprocess_mode="livesum")
DB_POOL_CHECKED_OUT = Gauge("db_pool_checked_out", "Connections in use", multiprocess_mode="livesum")
DB_POOL_OVERFLOW = Gauge("db_pool_overflow", "Connections in use beyond the pool's size", multiprocess_mode="livesum")

RUNS_SUBMITTED = Counter("workflow_runs_submitted_total", "Runs accepted by the API")
RUNS_COMPLETED = Counter("workflow_runs_completed_total", "Runs that ended well")
RUNS_FAILED = Counter("workflow_runs_failed_total", "Runs that ended with an error")
RUNS_CANCELLED = Counter("workflow_runs_cancelled_total", "Runs that were cancelled")
RUN_DURATION = Histogram(
    "workflow_run_duration_seconds", "Time from acceptance to the end of a run", buckets=_RUN_BUCKETS
)
QUEUE_DEPTH = Gauge("workflow_queue_depth", "Runs accepted and not yet started", multiprocess_mode="livemax")

OUTBOX_PENDING = Gauge("outbox_pending", "Messages not yet handed to Kafka", multiprocess_mode="livemax")
OUTBOX_RELAYED = Counter("outbox_relayed_total", "Messages handed to Kafka", ["topic"])
OUTBOX_FAILURES = Counter("outbox_relay_failures_total", "Batches that could not be handed to Kafka")

AUTH_FAILURES = Counter("auth_failures_total", "Refused log-ins, tokens and keys", ["reason"])
# A series that first appears together with its first event shows no increase, so an alert would miss that one.
for _reason in ("bad_password", "bad_token", "expired_token", "bad_key", "no_credentials", "throttled"):
    AUTH_FAILURES.labels(_reason)
ACTIVE_SUBJECTS = Gauge(
    "auth_active_subjects", "Different callers of the last five minutes", multiprocess_mode="livesum"
)
RATE_LIMITED = Counter("rate_limited_total", "Requests refused because a client sent too many")


def forget_dead_processes() -> None:
    """Drop the live gauges of worker processes that are gone, so that a crashed one does not count for ever."""
    directory = os.environ.get(VARIABLE)
    if not directory:
        return
    for pid in {int(path.stem.rsplit("_", 1)[1]) for path in Path(directory).glob("gauge_live*_*.db")}:
        if not Path(f"/proc/{pid}").exists():
            _multiprocess.mark_process_dead(pid, directory)  # type: ignore[no-untyped-call]


def render() -> bytes:
    """The values of all worker processes of this instance in Prometheus' text format."""
    if not os.environ.get(VARIABLE):
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    _multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
