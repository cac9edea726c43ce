"""What is measured, shown and found."""

from typing import Any

from policies.view.values import ABSENT, UNKNOWN
from tests.policies.changes import Case, Change, config, output, put, without
from tests.policies.edits import entry, line
from tests.policies.edits import without as rest

FILE, BOARD = "prometheus.yml", "dashboards/workflow-platform.json"
SOURCES, PROVIDER = "provisioning/datasources/prometheus.yml", "provisioning/dashboards/workflow.yml"


def _prometheus(edit: Any) -> Change:
    return config("prometheus", FILE, edit)


def _both_targets(check: str, edit: Any, why: str = "") -> list[Case]:
    return [Case(check, _prometheus(edit), environment=each, why=why) for each in ("dev", "prod")]


def _job(name: str, **fields: Any) -> Any:
    def change(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**job, **fields} if job["job_name"] == name else job for job in found]

    return entry("scrape_configs", change)


def _no_job(name: str) -> Any:
    return rest("scrape_configs", lambda job: job["job_name"] == name)


def _hidden(check: str, part: str = "prometheus", path: str = FILE) -> Case:
    return Case(check, config(part, path, UNKNOWN), "not evaluated")


def _panel(**fields: Any) -> Any:
    def change(panels: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first = next(index for index, panel in enumerate(panels) if panel["type"] != "row")
        return [{**panel, **fields} if index == first else panel for index, panel in enumerate(panels)]

    return entry("panels", change)


CASES = [
    *_both_targets("prometheus_has_a_job_for_the_api", _no_job("workflow-api")),
    _hidden("prometheus_has_a_job_for_the_api"),
    *_both_targets("the_api_is_asked_where_its_figures_are", _job("workflow-api", metrics_path="/figures")),
    _hidden("the_api_is_asked_where_its_figures_are"),
    *_both_targets("the_api_is_asked_often_enough", _job("workflow-api", scrape_interval="1m")),
    *_both_targets("the_api_is_asked_often_enough", _job("workflow-api", scrape_interval="often"), "no time"),
    _hidden("the_api_is_asked_often_enough"),
    Case(
        "the_api_is_asked_at_its_own_port",
        _prometheus(_job("workflow-api", static_configs=[{"targets": ["api:8001"]}])),
        environment="dev",
    ),
    Case(
        "the_api_is_asked_at_its_own_port",
        _prometheus(_job("workflow-api", dns_sd_configs=[{"names": ["relay-nodes"], "port": 8000}])),
    ),
    _hidden("the_api_is_asked_at_its_own_port"),
    Case("the_monitoring_is_there", without("StatefulSet", "grafana")),
    Case("the_monitoring_is_there", without("Container", "alertmanager"), environment="dev"),
    Case("the_monitoring_is_there", put("StatefulSet", "prometheus", "spec.replicas", 0), path="replicas", why="none"),
    Case("the_monitoring_is_there", put("StatefulSet", "prometheus", "spec.replicas", UNKNOWN), "not evaluated"),
    Case("the_monitoring_listens_where_people_look", put("Container", "grafana", "ports", []), environment="dev"),
    Case(
        "the_monitoring_listens_where_people_look",
        put("StatefulSet", "prometheus", "spec.template.spec.containers[0].ports[0].containerPort", 9091),
    ),
    Case(
        "the_monitoring_listens_where_people_look",
        put("StatefulSet", "prometheus", "spec.template.spec.containers[0].ports", UNKNOWN),
        "not evaluated",
    ),
    *_both_targets("prometheus_hands_alerts_on", entry("alerting", ABSENT)),
    *_both_targets(
        "prometheus_hands_alerts_on",
        entry("alerting.alertmanagers", [{"static_configs": [{"targets": ["other:9093"]}]}]),
        "another",
    ),
    _hidden("prometheus_hands_alerts_on"),
    *(
        Case("people_are_told_where_everything_is", output("entryPoints", {"api": "https://a"}), environment=each)
        for each in ("dev", "prod")
    ),
    Case("people_are_told_where_everything_is", output("entryPoints", UNKNOWN), "not evaluated"),
    Case("dashboards_are_provisioned", config("grafana", PROVIDER, ABSENT), environment="dev"),
    Case("dashboards_are_provisioned", config("grafana", BOARD, ABSENT), why="no dashboard"),
    Case("dashboards_are_provisioned", config("grafana", PROVIDER, entry("providers[0].options.path", "/x")), why="x"),
    _hidden("dashboards_are_provisioned", "grafana", PROVIDER),
    Case("every_panel_asks_something", config("grafana", BOARD, _panel(targets=[]))),
    _hidden("every_panel_asks_something", "grafana", BOARD),
    Case(
        "every_panel_asks_a_known_source",
        config("grafana", BOARD, _panel(datasource={"type": "prometheus", "uid": "elsewhere"})),
    ),
    _hidden("every_panel_asks_a_known_source", "grafana", SOURCES),
    Case("grafana_asks_the_stacks_own_prometheus", config("grafana", SOURCES, ABSENT), why="none"),
    Case(
        "grafana_asks_the_stacks_own_prometheus",
        config("grafana", SOURCES, entry("datasources[0].url", "http://prometheus-of-others:9090")),
        environment="dev",
    ),
    _hidden("grafana_asks_the_stacks_own_prometheus", "grafana", SOURCES),
    *(
        Case("every_key_figure_is_shown", config("grafana", BOARD, line(series, "up")), environment=each, why=series)
        for each, series in (
            ("dev", "http_requests_total"),
            ("dev", "0.99"),
            ("prod", "workflow_queue_depth"),
            ("prod", "node_disk_written_bytes_total"),
            ("prod", "kafka_consumer_lag"),
            ("prod", "[1d]"),
            ("prod", "executor_concurrency"),
        )
    ),
    _hidden("every_key_figure_is_shown", "grafana", BOARD),
    *_both_targets("everything_that_listens_is_measured", _no_job("kafka")),
    *_both_targets("everything_that_listens_is_measured", _no_job("grafana"), "grafana"),
    Case("everything_that_listens_is_measured", _prometheus(_no_job("edge")), why="edge"),
    _hidden("everything_that_listens_is_measured"),
    Case(
        "jobs_ask_ports_that_are_open",
        _prometheus(_job("relay", dns_sd_configs=[{"names": ["relay-nodes"], "port": 9999}])),
    ),
    _hidden("jobs_ask_ports_that_are_open"),
    *(
        Case(
            "every_job_alarms_when_it_is_down",
            config("prometheus", "rules/critical.yml", line("expr: up == 0", 'expr: up{job="kafka"} == 0')),
            environment=each,
        )
        for each in ("dev", "prod")
    ),
    _hidden("every_job_alarms_when_it_is_down", path="rules/critical.yml"),
    Case(
        "what_vanishes_alarms",
        config(
            "prometheus", "rules/critical.yml", rest("groups[0].rules", lambda each: each["alert"] == "ServiceAbsent")
        ),
    ),
    _hidden("what_vanishes_alarms", path="rules/critical.yml"),
    Case("the_public_address_is_probed", _prometheus(_no_job("edge"))),
    Case("the_public_address_is_probed", _prometheus(_job("edge", metrics_path="/edge/elsewhere")), why="path"),
    _hidden("the_public_address_is_probed"),
    Case(
        "the_probe_goes_the_visitors_way",
        config("edge", "nginx.conf", line("https://127.0.0.1:8443/health", "https://api/health")),
    ),
    Case(
        "the_probe_goes_the_visitors_way",
        config("edge", "nginx.conf", line("auth_request /edge/visit;", "")),
        why="by itself",
    ),
    _hidden("the_probe_goes_the_visitors_way", "edge", "nginx.conf"),
]
