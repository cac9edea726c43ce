"""Prometheus, Alertmanager and Grafana, with rules, routes and dashboards as files."""

from collections.abc import Sequence

import pulumi

from infra.endpoints import Placed, ScrapeTarget
from infra.monitoring import alertmanager_config, dashboards, prometheus_config, rules
from infra.targets import Target
from infra.workload import DataVolume, Health, Kind, Port, Workload, http_probe, secret_path
from stacks.model import Stack

PROMETHEUS_PORT = 9090
ALERTMANAGER_PORT = 9093
GRAFANA_PORT = 3000


class Alertmanager(pulumi.ComponentResource):
    """Routes alerts by severity."""

    def __init__(self, stack: Stack, target: Target, image: str) -> None:
        super().__init__("workflow:infra:Alertmanager", "alertmanager-server")
        settings = stack.alertmanager
        self.placed = target.place(
            Workload(
                part="alertmanager",
                image=image,
                kind=Kind.STATEFUL,
                resources=settings.resources,
                config_files={"alertmanager.yml": alertmanager_file(stack)},
                ports=[Port(ALERTMANAGER_PORT, settings.published_port, peers=["prometheus"])],
                volumes=[DataVolume("alertmanager-data", "/var/lib/alertmanager")],
                health=Health(http_probe(ALERTMANAGER_PORT, "/-/ready"), settings.health, gates_start=False),
            ),
            parent=self,
        )
        self.address = f"alertmanager:{ALERTMANAGER_PORT}"
        self.register_outputs({})


class Prometheus(pulumi.ComponentResource):
    """Collects figures and evaluates the alert rules."""

    def __init__(
        self,
        stack: Stack,
        target: Target,
        image: str,
        scrape: Sequence[ScrapeTarget],
        alertmanager: str,
    ) -> None:
        super().__init__("workflow:infra:Prometheus", "prometheus-server")
        settings = stack.prometheus
        self.placed = target.place(
            Workload(
                part="prometheus",
                image=image,
                kind=Kind.STATEFUL,
                resources=settings.resources,
                env={"PROMETHEUS_RETENTION": f"{settings.retention_days}d"},
                config_files={
                    "prometheus.yml": prometheus_config.render(scrape, alertmanager),
                    **{f"rules/{name}": content for name, content in rules.files().items()},
                },
                ports=[Port(PROMETHEUS_PORT, settings.published_port, peers=["grafana"])],
                volumes=[DataVolume("prometheus-data", "/var/lib/prometheus")],
                health=Health(http_probe(PROMETHEUS_PORT, "/-/ready"), settings.health, gates_start=False),
                stop_seconds=30,
            ),
            parent=self,
        )
        self.url = f"http://prometheus:{PROMETHEUS_PORT}"
        self.register_outputs({})


class Grafana(pulumi.ComponentResource):
    """Dashboards over Prometheus. The image is pulled by reference."""

    def __init__(self, stack: Stack, target: Target, prometheus: str, admin_password: pulumi.Output[str]) -> None:
        super().__init__("workflow:infra:Grafana", "grafana-server")
        settings = stack.grafana
        boards = {f"dashboards/{name}": content for name, content in dashboards.dashboards().items()}
        self.placed: Placed = target.place(
            Workload(
                part="grafana",
                image=settings.image,
                kind=Kind.STATEFUL,
                resources=settings.resources,
                env={
                    "GF_SECURITY_ADMIN_USER": stack.authentication.admin_username,
                    "GF_SECURITY_ADMIN_PASSWORD__FILE": secret_path("admin_password"),
                    "GF_PATHS_PROVISIONING": "/config/provisioning",
                    "GF_AUTH_ANONYMOUS_ENABLED": "false",
                    "GF_USERS_ALLOW_SIGN_UP": "false",
                    "GF_ANALYTICS_REPORTING_ENABLED": "false",
                    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
                },
                config_files={**dashboards.grafana_provisioning(prometheus), **boards},
                secret_files={"admin_password": admin_password},
                ports=[Port(GRAFANA_PORT, settings.published_port)],
                volumes=[DataVolume("grafana-data", "/var/lib/grafana")],
                # The pulled image has its own tools, not ours.
                health=Health(
                    ["wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{GRAFANA_PORT}/api/health"],
                    settings.health,
                    gates_start=False,
                ),
                uid=settings.uid,
            ),
            parent=self,
        )
        self.register_outputs({})


def alertmanager_file(stack: Stack) -> str:
    """alertmanager.yml with the stack's receivers."""
    return alertmanager_config.render(
        critical_webhook=stack.alerting.critical_webhook, warning_webhook=stack.alerting.warning_webhook
    )
