"""The figures that a dashboard must show (checklist entry `dashboard-covers-key-metrics`), each with its queries."""

from dataclasses import dataclass

APPLICATION = "Application"
INFRASTRUCTURE = "Infrastructure"
BUSINESS = "Business"

_LATENCY = "sum by (le) (rate(http_request_latency_seconds_bucket[5m]))"
_FAILED = "sum(rate(workflow_runs_failed_total[5m]))"
_COMPLETED = "sum(rate(workflow_runs_completed_total[5m]))"
_DISKS = 'device!~"loop.*|ram.*"'


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression and the legend of its series."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One panel. `unit` is Grafana's name of it; a `single` figure is shown as one number, others over time."""

    name: str
    title: str
    group: str
    unit: str
    queries: tuple[Query, ...]
    single: bool = False


FIGURES: tuple[Figure, ...] = (
    Figure(
        "request-rate",
        "Request rate",
        APPLICATION,
        "reqps",
        (Query("sum by (endpoint) (rate(http_requests_total[5m]))", "{{endpoint}}"),),
    ),
    Figure(
        "error-rate",
        "Error rate",
        APPLICATION,
        "percentunit",
        (
            Query(
                '(sum(rate(http_requests_total{status=~"5.."}[5m])) or vector(0)) '
                "/ clamp_min(sum(rate(http_requests_total[5m])), 1e-9)",
                "5xx",
            ),
        ),
    ),
    Figure(
        "latency",
        "Response time",
        APPLICATION,
        "s",
        tuple(Query(f"histogram_quantile(0.{percent}, {_LATENCY})", f"p{percent}") for percent in (50, 95, 99)),
    ),
    Figure(
        "submission-rate",
        "Runs submitted",
        APPLICATION,
        "ops",
        (
            Query("sum(rate(workflow_runs_submitted_total[5m]))", "by callers"),
            Query("sum(rate(schedule_runs_total[5m]))", "by schedules"),
        ),
    ),
    Figure("completion-rate", "Runs completed", APPLICATION, "ops", (Query(_COMPLETED, "completed"),)),
    Figure("failure-rate", "Runs failed", APPLICATION, "ops", (Query(_FAILED, "failed"),)),
    Figure(
        "queue-depth",
        "Runs waiting",
        APPLICATION,
        "short",
        (Query("max(workflow_queue_depth)", "not started"), Query("max(outbox_pending)", "not handed to Kafka")),
    ),
    Figure(
        "cpu",
        "CPU",
        INFRASTRUCTURE,
        "percentunit",
        (Query('1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m]))', "{{instance}}"),),
    ),
    Figure(
        "memory",
        "Memory",
        INFRASTRUCTURE,
        "percentunit",
        (Query("1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes", "{{instance}}"),),
    ),
    Figure(
        "disk-io",
        "Disk I/O",
        INFRASTRUCTURE,
        "Bps",
        (
            Query(f"sum by (instance) (rate(node_disk_read_bytes_total{{{_DISKS}}}[5m]))", "{{instance}} read"),
            Query(f"sum by (instance) (rate(node_disk_written_bytes_total{{{_DISKS}}}[5m]))", "{{instance}} written"),
        ),
    ),
    Figure(
        "network-io",
        "Network I/O",
        INFRASTRUCTURE,
        "Bps",
        (
            Query("sum by (instance) (rate(node_network_receive_bytes_total[5m]))", "{{instance}} received"),
            Query("sum by (instance) (rate(node_network_transmit_bytes_total[5m]))", "{{instance}} sent"),
        ),
    ),
    Figure(
        "postgres-connections",
        "PostgreSQL connections",
        INFRASTRUCTURE,
        "short",
        (Query("sum(pg_stat_activity_count)", "open"), Query("max(pg_settings_max_connections)", "limit")),
    ),
    Figure(
        "kafka-lag",
        "Kafka lag",
        INFRASTRUCTURE,
        "short",
        (Query("sum by (topic) (kafka_consumer_lag)", "{{topic}}"),),
    ),
    Figure(
        "active-users",
        "Active users",
        BUSINESS,
        "short",
        (Query("max(auth_active_subjects)", "last 5 minutes"),),
        single=True,
    ),
    Figure(
        "runs-per-period",
        "Runs per hour and day",
        BUSINESS,
        "short",
        (
            Query("sum(increase(workflow_runs_submitted_total[1h]))", "hour"),
            Query("sum(increase(workflow_runs_submitted_total[1d]))", "day"),
        ),
        single=True,
    ),
    Figure(
        "run-duration",
        "Mean run duration",
        BUSINESS,
        "s",
        (
            Query(
                "sum(rate(workflow_run_duration_seconds_sum[1h])) / sum(rate(workflow_run_duration_seconds_count[1h]))",
                "mean of the last hour",
            ),
        ),
        single=True,
    ),
    Figure(
        "success-rate",
        "Run success rate",
        BUSINESS,
        "percentunit",
        (
            Query(
                "sum(increase(workflow_runs_completed_total[1h])) / "
                "(sum(increase(workflow_runs_completed_total[1h])) + sum(increase(workflow_runs_failed_total[1h])))",
                "last hour",
            ),
        ),
        single=True,
    ),
    Figure(
        "worker-utilisation",
        "Worker utilisation",
        BUSINESS,
        "percentunit",
        (Query("sum(executor_runs_active) / sum(executor_concurrency)", "executors"),),
        single=True,
    ),
)
