"""prometheus.yml and alertmanager.yml as functions of the stack."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from infra.monitoring import alertmanager_config, declared, prometheus_config, web_config
from infra.monitoring.alertmanager_config import Channel, Smtp
from infra.trust import Life

pytestmark = pytest.mark.ring("unit")


@dataclass(frozen=True)
class Target:
    job: str
    host: str
    port: int
    path: str = "/metrics"
    scheme: str = "http"
    replicas: int = 1


TARGETS = (Target("workflow-api", "api", 8000), Target("executor", "executor-1", 8001), Target("executor", "x-2", 8001))


def prometheus() -> dict[str, Any]:
    return dict(yaml.safe_load(prometheus_config.render(TARGETS, "alertmanager:9093")))


def jobs() -> dict[str, dict[str, Any]]:
    return {job["job_name"]: job for job in prometheus()["scrape_configs"]}


@pytest.mark.item("prometheus-scrapes-api")
def test_the_api_is_scraped_as_documented() -> None:
    assert jobs()["workflow-api"] == {
        "job_name": "workflow-api",
        "metrics_path": "/metrics",
        "scrape_interval": "15s",
        "static_configs": [{"targets": ["api:8000"]}],
    }


def test_targets_of_one_job_stand_together() -> None:
    assert jobs()["executor"]["static_configs"] == [{"targets": ["executor-1:8001", "x-2:8001"]}]


def test_monitoring_watches_itself_and_knows_where_alerts_go() -> None:
    assert {"prometheus", "alertmanager"} <= set(jobs())
    assert prometheus()["alerting"]["alertmanagers"] == [{"static_configs": [{"targets": ["alertmanager:9093"]}]}]
    assert prometheus()["rule_files"] == ["/config/rules/*.yml"]


def test_a_job_with_two_paths_is_refused() -> None:
    with pytest.raises(ValueError, match="scrape job 'a' has the paths /metrics and /other: give each its own job"):
        prometheus_config.render([Target("a", "x", 1), Target("a", "y", 1, "/other")], "alertmanager:9093")


ALERTMANAGER = Target("alertmanager", "alertmanager", 9093, scheme="https")
REPLICATED = (Target("workflow-api", "api", 8000, scheme="https"), Target("kafka", "kafka", 9404), ALERTMANAGER)
IDENTITY = prometheus_config.Identity("/config/secrets/ca.crt", "/config/secrets/tls.crt", "/config/secrets/tls.key")
KNOWN = {"ca_file": IDENTITY.ca, "cert_file": IDENTITY.certificate, "key_file": IDENTITY.key}


def discovering() -> dict[str, Any]:
    return dict(yaml.safe_load(prometheus_config.render_discovering(REPLICATED, ALERTMANAGER, IDENTITY)))


def discovered() -> dict[str, dict[str, Any]]:
    return {job["job_name"]: job for job in discovering()["scrape_configs"]}


def test_on_a_cluster_a_job_keeps_its_name_and_takes_every_replica_of_its_part_at_its_port() -> None:
    job = discovered()["workflow-api"]
    assert job["metrics_path"] == "/metrics"
    (found,) = job["dns_sd_configs"]
    assert (found["names"], found["type"], found["port"]) == (["api-nodes"], "A", 8000)


def test_each_series_names_its_part() -> None:
    assert discovered()["kafka"]["relabel_configs"] == [{"target_label": "part", "replacement": "kafka"}]


def test_a_replica_is_trusted_by_the_name_of_its_part_and_told_who_asks() -> None:
    assert discovered()["workflow-api"]["scheme"] == "https"
    assert discovered()["workflow-api"]["tls_config"] == {**KNOWN, "server_name": "api"}
    assert discovered()["kafka"]["scheme"] == "http"
    assert "tls_config" not in discovered()["kafka"]


def test_alerts_reach_the_alertmanager_over_tls() -> None:
    (receiver,) = discovering()["alerting"]["alertmanagers"]
    assert receiver == {
        "scheme": "https",
        "tls_config": {**KNOWN, "server_name": "alertmanager"},
        "static_configs": [{"targets": ["alertmanager:9093"]}],
    }


def test_two_parts_in_one_job_are_refused_on_a_cluster() -> None:
    with pytest.raises(ValueError, match="scrape job 'a' has the parts x and y: give each its own job"):
        prometheus_config.render_discovering([Target("a", "x", 1), Target("a", "y", 1)], ALERTMANAGER, IDENTITY)


def test_only_callers_with_a_certificate_of_the_stack_are_let_in() -> None:
    server = yaml.safe_load(web_config.render())["tls_server_config"]
    assert server["client_auth_type"] == "RequireAndVerifyClientCert"
    assert server["client_ca_file"] == IDENTITY.ca
    assert server["min_version"] == "TLS12"


def test_what_is_declared_is_recorded_beside_what_is_measured() -> None:
    life = Life(datetime(2030, 1, 31, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
    targets = [Target("workflow-api", "api", 8000, replicas=3), Target("executor", "a", 1), Target("executor", "b", 1)]
    (group,) = yaml.safe_load(declared.render(targets, {"api": life}))["groups"]
    assert {(rule["record"], *rule["labels"].values(), rule["expr"]) for rule in group["rules"]} == {
        ("declared_replicas", "workflow-api", "vector(3)"),
        ("declared_replicas", "executor", "vector(2)"),
        ("declared_certificate_end_seconds", "api", "vector(1896048000)"),
        ("declared_certificate_renewal_seconds", "api", "vector(1893456000)"),
    }


def receivers(text: str) -> dict[str, dict[str, Any]]:
    return {receiver["name"]: receiver for receiver in yaml.safe_load(text)["receivers"]}


def test_without_addresses_alerts_are_shown_and_sent_nowhere() -> None:
    found = receivers(alertmanager_config.render(None, None))
    assert found == {"critical": {"name": "critical"}, "warning": {"name": "warning"}}


@pytest.mark.item("alert-severity-routing")
def test_each_severity_has_its_own_address() -> None:
    found = receivers(alertmanager_config.render("https://pager.test/a", "https://chat.test/b"))
    assert found["critical"]["webhook_configs"][0]["url"] == "https://pager.test/a"
    assert found["warning"]["webhook_configs"][0]["url"] == "https://chat.test/b"


def test_mail_and_slack_take_their_secrets_from_files() -> None:
    smtp = Smtp("mail.test:587", "alerts@mail.test", "alerts", "/config/secrets/smtp")
    text = alertmanager_config.build(
        Channel(email="oncall@mail.test"), Channel(slack_channel="#ops", slack_url_file="/config/secrets/slack"), smtp
    )
    assert yaml.safe_load(text)["global"]["smtp_auth_password_file"] == "/config/secrets/smtp"
    assert receivers(text)["critical"]["email_configs"][0]["to"] == "oncall@mail.test"
    assert receivers(text)["warning"]["slack_configs"][0]["api_url_file"] == "/config/secrets/slack"


@pytest.mark.parametrize(
    ("critical", "warning", "reason"),
    [
        (Channel(email="a@mail.test"), Channel(), "the critical alerts go to a@mail.test, but no mail server is given"),
        (Channel(), Channel(slack_channel="#ops"), "the warning alerts' Slack channel needs both"),
    ],
)
def test_half_a_channel_is_refused(critical: Channel, warning: Channel, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        alertmanager_config.build(critical, warning)
