"""Figures, rules and routes: what the API measures, what Prometheus collects, where alerts go."""

import re
import socket
import uuid
from collections.abc import Callable
from contextlib import closing
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx
import pytest
import yaml

from infra.monitoring import dashboards
from tests.infra.support import promql
from tests.infra.support.exposition import Metrics
from tests.infra.support.hosts import Host
from tests.infra.support.live import Live
from tests.infra.support.stack_outputs import StackOutputs
from tests.infra.support.waiting import NotYet
from tests.infra.support.workflow_api import WorkflowApi, step

pytestmark = pytest.mark.ring("verify")

BUSY = 0.8  # share of the CPU limit
TWO_SCRAPES = 45.0  # seconds; two intervals of 15 s and some room
INFRASTRUCTURE = {
    "CPU": "node_cpu_seconds_total",
    "memory": "node_memory_MemAvailable_bytes",
    "disk I/O": "node_disk_io_time_seconds_total",
    "network I/O": "node_network_receive_bytes_total",
    "PostgreSQL connections": "pg_stat_database_numbackends",
    "Kafka lag": "kafka_consumer_lag",
    "Kafka messages": "kafka_server_messagesin_total",
}
DOCUMENTED_SEVERITIES = {"critical": 5, "warning": 4}


@pytest.fixture
def query(prometheus: httpx.Client) -> Callable[[str], list[dict[str, Any]]]:
    """The result of an instant query."""

    def ask(expression: str) -> list[dict[str, Any]]:
        response = prometheus.get("/api/v1/query", params={"query": expression})
        assert response.status_code == httpx.codes.OK, f"{expression}: {response.text}"
        return list(response.json()["data"]["result"])

    return ask


@pytest.mark.item("metrics-endpoint")
def test_metrics_are_served_in_the_text_format(inner: httpx.Client, metrics: Callable[[], Metrics]) -> None:
    assert inner.get("/metrics").headers["content-type"].startswith("text/plain")
    assert metrics().samples


@pytest.mark.item("metric-request-count")
def test_a_request_is_counted_once_under_its_endpoint_and_status(
    admin: WorkflowApi, metrics: Callable[[], Metrics], prefix: str
) -> None:
    def counted() -> dict[str, float]:
        found: dict[str, float] = {}
        for name, labels, value in metrics().samples:
            if (name, labels.get("method"), labels.get("status")) != ("http_requests_total", "GET", "404"):
                continue
            if (endpoint := labels["endpoint"]).startswith(f"{prefix}/workflows/{{"):
                found[endpoint] = found.get(endpoint, 0) + value
        return found

    before = counted()
    unknown = str(uuid.uuid4())
    assert admin.get(f"/workflows/{unknown}").status_code == httpx.codes.NOT_FOUND
    after = counted()
    risen = {endpoint: value - before.get(endpoint, 0) for endpoint, value in after.items()}
    assert [value for value in risen.values() if value] == [1]
    assert not any(unknown in endpoint for endpoint in after), "the endpoint label holds the id, not the template"


@pytest.mark.item("metric-request-latency")
def test_latency_is_a_histogram_that_rises_with_requests(admin: WorkflowApi, metrics: Callable[[], Metrics]) -> None:
    before = metrics().total("http_request_latency_seconds_count")
    admin.get("/agents")
    after = metrics()
    assert after.kind("http_request_latency_seconds") == "histogram"
    assert after.total("http_request_latency_seconds_count") > before
    assert "http_request_latency_seconds_bucket" in after.names()


@pytest.mark.item("metric-active-requests")
def test_a_request_in_progress_is_on_the_gauge(
    live: Live, metrics: Callable[[], Metrics], prefix: str, eventually: Callable[..., Any]
) -> None:
    idle = metrics().total("http_requests_active")
    address = urlsplit(live.url("api"))
    with closing(_connection(live, address)) as held:
        head = f"POST {prefix}/auth/login HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
        held.sendall(f"{head}Content-Length: 50\r\n\r\n{{".encode())
        eventually(lambda: metrics().total("http_requests_active") > idle, 5, "the held request on the gauge")
    eventually(lambda: metrics().total("http_requests_active") <= idle, 5, "the gauge falling back")


def _connection(live: Live, address: SplitResult) -> socket.socket:
    plain = socket.create_connection((address.hostname, address.port), timeout=10)
    return live.insider.wrap_socket(plain, server_hostname=address.hostname) if address.scheme == "https" else plain


@pytest.mark.item("metric-db-pool", "pool-not-exhausted")
def test_the_pool_figures_are_exported_and_free_connections_are_left(
    live: Live, metrics: Callable[[], Metrics], environment: Callable[[str], dict[str, str]]
) -> None:
    now, given, replicas = metrics(), environment("api"), len(live.instances("api"))
    assert {"db_pool_size", "db_pool_checked_out", "db_pool_overflow"} <= now.names()
    size, overflow = int(given.get("DATABASE_POOL_SIZE", "10")), int(given.get("DATABASE_MAX_OVERFLOW", "20"))
    assert now.total("db_pool_size") == size * replicas
    assert now.total("db_pool_checked_out") < (size + overflow) * replicas


@pytest.mark.item("metric-workflow-execution")
def test_the_figures_of_runs_are_exported(
    program_metrics: Callable[..., float], metrics: Callable[[], Metrics]
) -> None:
    assert program_metrics("workflow_runs_submitted_total") > 0
    assert program_metrics("workflow_run_duration_seconds_count") > 0
    assert "workflow_queue_depth" in metrics().names()


@pytest.mark.item("prometheus-scrapes-api")
def test_prometheus_scrapes_the_api_as_documented(
    prometheus: httpx.Client, eventually: Callable[..., Any], live: Live
) -> None:
    def targets() -> list[dict[str, Any]] | NotYet:
        active = prometheus.get("/api/v1/targets", params={"state": "active"}).json()["data"]["activeTargets"]
        found = [each for each in active if each["labels"]["job"] == "workflow-api"]
        # An autoscaler's replica comes and goes; Prometheus hears of it a moment later.
        missed = {each["scrapeUrl"] for each in found} ^ live.scrape_urls("api")
        if found and not missed and all(each["health"] == "up" for each in found):
            return found
        return NotYet({**{each["scrapeUrl"]: each["lastError"] or each["health"] for each in found}, "missed": missed})

    found = eventually(targets, timeout=TWO_SCRAPES, what="the targets workflow-api being all and up", interval=1)
    assert {each["scrapeInterval"] for each in found} == {"15s"}


@pytest.mark.item("prometheus-scrapes-infrastructure")
def test_every_target_of_prometheus_is_up(prometheus: httpx.Client, eventually: Callable[..., Any]) -> None:
    def all_up() -> bool | NotYet:
        active = prometheus.get("/api/v1/targets", params={"state": "active"}).json()["data"]["activeTargets"]
        down = {each["scrapeUrl"]: each["lastError"] for each in active if each["health"] != "up"}
        return not down or NotYet(f"not up: {down}")

    eventually(all_up, timeout=TWO_SCRAPES, what="every target being up", interval=1)


@pytest.mark.item("prometheus-scrapes-infrastructure")
@pytest.mark.parametrize("what", sorted(INFRASTRUCTURE))
def test_infrastructure_figures_are_there(
    what: str, query: Callable[[str], list[dict[str, Any]]], eventually: Callable[..., Any]
) -> None:
    eventually(lambda: query(INFRASTRUCTURE[what]), timeout=TWO_SCRAPES, what=f"a series for {what}", interval=1)


@pytest.mark.item("metrics-collected-end-to-end")
def test_a_run_shows_up_in_prometheus(
    admin: WorkflowApi, query: Callable[[str], list[dict[str, Any]]], eventually: Callable[..., Any]
) -> None:
    def completed() -> float:
        result = query("sum(workflow_runs_completed_total)")
        return float(result[0]["value"][1]) if result else 0.0

    before = completed()
    workflow = admin.workflow(step("only", admin.agent()))
    assert admin.finished(admin.execute(workflow))["status"] == "completed"
    eventually(lambda: completed() > before, timeout=TWO_SCRAPES, what="the run in Prometheus", interval=0.5)


@pytest.mark.item("monitoring-stack-provisioned")
def test_the_monitoring_programs_answer_their_own_health_pages(outputs: StackOutputs, live: Live) -> None:
    pages = {"prometheus": "/-/ready", "alertmanager": "/-/ready", "grafana": "/api/health"}
    for part, path in pages.items():
        if part in outputs.missing:
            assert outputs.missing[part].strip(), f"{part} is missing and nobody says why"
            continue
        response = httpx.get(live.url(part).rstrip("/") + path, timeout=10, verify=live.insider)
        assert response.status_code == httpx.codes.OK, f"{part}: {response.status_code}"


@pytest.mark.item("monitoring-stack-provisioned")
def test_prometheus_hands_its_alerts_to_the_alertmanager(prometheus: httpx.Client) -> None:
    active = prometheus.get("/api/v1/alertmanagers").json()["data"]["activeAlertmanagers"]
    assert [urlsplit(each["url"]).hostname for each in active] == ["alertmanager"]


@pytest.fixture
def loaded_rules(prometheus: httpx.Client) -> list[dict[str, Any]]:
    """The alert rules that Prometheus evaluates."""
    groups = prometheus.get("/api/v1/rules", params={"type": "alert"}).json()["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.item("alert-rules-loaded")
def test_exactly_the_deployed_rules_are_loaded_and_evaluated(
    loaded_rules: list[dict[str, Any]], host: Callable[[str], Host], eventually: Callable[..., Any]
) -> None:
    inside = host("prometheus")
    files = inside.check_output("ls /config/rules").split()
    groups = [
        group for name in files for group in yaml.safe_load(inside.file(f"/config/rules/{name}").content)["groups"]
    ]
    declared = [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]
    assert declared
    assert sorted(rule["name"] for rule in loaded_rules) == sorted(declared)
    broken = {rule["name"]: rule.get("lastError") for rule in loaded_rules if rule["health"] not in {"ok", "unknown"}}
    assert not broken, broken


@pytest.mark.item("alert-rules-loaded")
def test_the_documented_alerts_are_there_in_both_severities(loaded_rules: list[dict[str, Any]]) -> None:
    for severity, least in DOCUMENTED_SEVERITIES.items():
        named = [rule["name"] for rule in loaded_rules if rule["labels"].get("severity") == severity]
        assert len(named) >= least, f"{severity}: {named}"


@pytest.mark.item("no-errors-after-deploy")
def test_no_critical_alert_is_firing(prometheus: httpx.Client) -> None:
    alerts = prometheus.get("/api/v1/alerts").json()["data"]["alerts"]
    firing = [
        alert["labels"]["alertname"]
        for alert in alerts
        if alert["state"] == "firing" and alert["labels"].get("severity") == "critical"
    ]
    assert not firing


@pytest.mark.item("cpu-within-range")
def test_no_program_uses_most_of_its_cpu_limit_over_a_minute(
    outputs: StackOutputs,
    query: Callable[[str], list[dict[str, Any]]],
    live: Live,
    eventually: Callable[..., Any],
) -> None:
    for part in outputs.programs:
        rate = f"max(rate(process_cpu_seconds_total{{{live.series_of(part)}}}[1m]))"
        result = eventually(lambda rate=rate: query(rate), TWO_SCRAPES, f"the CPU use of {part}", interval=1)
        share = float(result[0]["value"][1]) / live.limits(part).cpus
        assert share < BUSY, f"{part} uses {share:.0%} of its CPU limit"


@pytest.mark.item("alert-severity-routing")
def test_critical_and_warning_alerts_go_to_different_receivers(host: Callable[[str], Host]) -> None:
    def receiver(severity: str) -> str:
        command = "amtool config routes test --config.file=/config/alertmanager.yml severity=%s"
        return host("alertmanager").check_output(command, severity).strip()

    critical, warning = receiver("critical"), receiver("warning")
    assert critical
    assert warning
    assert critical != warning


@pytest.mark.item("grafana-dashboards", "dashboard-covers-key-metrics")
def test_the_query_of_every_panel_is_answered_by_prometheus(prometheus: httpx.Client) -> None:
    expressions = promql.panel_queries(dashboards.dashboards())
    assert expressions, "the dashboards have no panel with a query"
    wrong = {}
    for place, expression in expressions.items():
        response = prometheus.get("/api/v1/query", params={"query": promql.without_variables(expression)})
        if response.status_code != httpx.codes.OK:
            wrong[place] = response.json().get("error", response.text)
    assert not wrong, wrong


@pytest.mark.item("dashboard-covers-key-metrics")
def test_every_metric_of_the_panels_is_known_to_prometheus(
    prometheus: httpx.Client, eventually: Callable[..., Any]
) -> None:
    wanted = {
        name
        for expression in promql.panel_queries(dashboards.dashboards()).values()
        for name in promql.metric_names(expression)
    }
    assert wanted

    def all_known() -> bool | NotYet:
        unknown = wanted - set(prometheus.get("/api/v1/label/__name__/values").json()["data"])
        return not unknown or NotYet(f"unknown are {sorted(unknown)}")

    eventually(all_known, timeout=TWO_SCRAPES, what="every metric of the dashboards", interval=1)


@pytest.mark.item("grafana-dashboards", "grafana-admin-password-changed")
def test_grafana_shows_its_dashboards_and_refuses_the_factory_password(outputs: StackOutputs, live: Live) -> None:
    if "grafana" in outputs.missing:
        pytest.skip(f"Grafana is not deployed: {outputs.missing['grafana']}")
    url = live.url("grafana")
    factory = httpx.get(f"{url}/api/org", auth=("admin", "admin"), timeout=10, verify=live.insider)
    assert factory.status_code == httpx.codes.UNAUTHORIZED
    page = httpx.get(f"{url}/api/health", timeout=10, verify=live.insider)
    assert re.search(r'"database":\s*"ok"', page.text)
