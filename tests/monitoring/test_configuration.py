"""prometheus.yml and alertmanager.yml as functions of the stack."""

from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from infra.monitoring import alertmanager_config, prometheus_config
from infra.monitoring.alertmanager_config import Channel, Smtp

pytestmark = pytest.mark.ring("unit")


@dataclass(frozen=True)
class Target:
    job: str
    host: str
    port: int
    path: str = "/metrics"


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
