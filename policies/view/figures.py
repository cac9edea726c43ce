"""The figures that a dashboard must show, and by what in a query each is known."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class KeyFigure:
    """One figure; each pattern must be found in some panel's query."""

    name: str
    patterns: tuple[re.Pattern[str], ...]


def _figure(name: str, *series: str) -> KeyFigure:
    return KeyFigure(name, tuple(re.compile(each, re.DOTALL) for each in series))


FIGURES = (
    _figure("request rate", r"rate\(http_requests_total\["),
    _figure("error rate", r'http_requests_total\{[^}]*status=~"5'),
    _figure(
        "response time (p50, p95, p99)",
        *(rf"histogram_quantile\(0\.{each}.*http_request_latency_seconds_bucket" for each in ("50?,", "95", "99")),
    ),
    _figure("rate of submitted runs", r"rate\(workflow_runs_submitted_total"),
    _figure("rate of completed runs", r"rate\(workflow_runs_completed_total"),
    _figure("rate of failed runs", r"rate\(workflow_runs_failed_total"),
    _figure("queue depth", r"workflow_queue_depth"),
    _figure("use of processors", r"node_cpu_seconds_total|container_cpu_usage_seconds_total"),
    _figure("use of memory", r"node_memory_MemAvailable_bytes|container_memory_working_set_bytes"),
    _figure("disk traffic", r"node_disk_read_bytes_total", r"node_disk_written_bytes_total"),
    _figure("network traffic", r"node_network_receive_bytes_total", r"node_network_transmit_bytes_total"),
    _figure("number of database connections", r"pg_stat_activity_count"),
    _figure("lag of Kafka's consumers", r"kafka_consumer_lag"),
    _figure("number of active users", r"auth_active_subjects"),
    _figure(
        "runs of an hour and of a day",
        r"increase\(workflow_runs_submitted_total\[1h\]",
        r"increase\(workflow_runs_submitted_total\[(1d|24h)\]",
    ),
    _figure("mean duration of runs", r"workflow_run_duration_seconds_sum.*workflow_run_duration_seconds_count"),
    _figure(
        "share of runs that succeed",
        r"increase\(workflow_runs_completed_total.*/.*increase\(workflow_runs_failed_total",
    ),
    _figure("utilisation of the executors", r"executor_runs_active.*executor_concurrency"),
)
"""Seven of the application, six of the infrastructure, five of the business."""
