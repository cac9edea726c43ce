"""Prometheus, Alertmanager and Grafana, with rules, routes and dashboards as files."""

from collections.abc import Sequence

import pulumi

from infra.components import web
from infra.endpoints import Placed, ScrapeTarget
from infra.monitoring import alertmanager_config, dashboards, declared, operations, prometheus_config, rules
from infra.targets import Target
from infra.trust import AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE, Trust
from infra.workload import DataVolume, Health, HttpCheck, Kind, Port, Workload, secret_path
from stacks.model import Stack

PROMETHEUS_PORT = 9090
ALERTMANAGER_PORT = 9093
GRAFANA_PORT = 3000
SAMPLES_MEBIBYTES = 4096
SAMPLES_SHARE = 0.8
"""Of the volume, so that the log that Prometheus writes ahead of its samples has room as well."""


class Alertmanager(pulumi.ComponentResource):
    """Routes alerts by severity."""

    def __init__(self, stack: Stack, target: Target, image: str, trust: Trust) -> None:
        super().__init__("workflow:infra:Alertmanager", "alertmanager-server")
        settings = stack.alertmanager
        self.placed = target.place(
            Workload(
                part="alertmanager",
                image=image,
                kind=Kind.STATEFUL,
                resources=settings.resources,
                config_files={"alertmanager.yml": alertmanager_file(stack), **web.config_files(trust)},
                secret_files=trust.identity("alertmanager"),
                rereads=web.REREAD,
                ports=[Port(ALERTMANAGER_PORT, settings.published_port, peers=["prometheus"])],
                volumes=[DataVolume("alertmanager-data", "/var/lib/alertmanager")],
                health=web.health(trust, ALERTMANAGER_PORT, "/-/ready", settings.health),
                calls_out=stack.alerting.sends,
                calls_networks=stack.alerting.networks if stack.alerting.sends else (),
            ),
            parent=self,
        )
        self.scrape = ScrapeTarget("alertmanager", "alertmanager", ALERTMANAGER_PORT, scheme=trust.scheme)
        self.register_outputs({})


class Prometheus(pulumi.ComponentResource):
    """Collects figures and evaluates the alert rules."""

    def __init__(
        self,
        stack: Stack,
        target: Target,
        image: str,
        scrape: Sequence[ScrapeTarget],
        alertmanager: ScrapeTarget,
        trust: Trust,
        shown: bool = True,
    ) -> None:
        """`shown` is whether there are dashboards over it, which may then connect."""
        super().__init__("workflow:infra:Prometheus", "prometheus-server")
        settings = stack.prometheus
        # Before the certificates' ends are asked for: its own is one of them.
        secret_files = trust.identity("prometheus")
        own = ScrapeTarget("prometheus", "prometheus", PROMETHEUS_PORT, scheme=trust.scheme)
        env: dict[str, pulumi.Input[str]] = {"PROMETHEUS_RETENTION": f"{settings.retention_days}d"}
        if target.replicates:
            env["PROMETHEUS_RETENTION_SIZE"] = f"{SAMPLES_MEBIBYTES * SAMPLES_SHARE:.0f}MB"
        self.placed = target.place(
            Workload(
                part="prometheus",
                image=image,
                kind=Kind.STATEFUL,
                resources=settings.resources,
                env=env,
                config_files={
                    "prometheus.yml": prometheus_file([*scrape, own, alertmanager], alertmanager, target.replicates),
                    **{f"rules/{name}": content for name, content in rules.files().items()},
                    f"rules/{operations.FILE}": operations.render(stack.operations),
                    **web.config_files(trust),
                    f"rules/{declared.FILE}": declared_file([*scrape, own, alertmanager], trust),
                },
                secret_files=secret_files,
                rereads=web.REREAD,
                ports=[Port(PROMETHEUS_PORT, settings.published_port, peers=["grafana"] if shown else [])],
                volumes=[DataVolume("prometheus-data", "/var/lib/prometheus", SAMPLES_MEBIBYTES)],
                health=web.health(trust, PROMETHEUS_PORT, "/-/ready", settings.health),
                stop_seconds=30,
            ),
            parent=self,
        )
        self.url = f"{trust.scheme}://prometheus:{PROMETHEUS_PORT}"
        self.register_outputs({})


class Grafana(pulumi.ComponentResource):
    """Dashboards over Prometheus. The image is pulled by reference."""

    def __init__(
        self,
        stack: Stack,
        target: Target,
        image: str,
        prometheus: str,
        admin_password: pulumi.Output[str],
        trust: Trust,
    ) -> None:
        super().__init__("workflow:infra:Grafana", "grafana-server")
        settings = stack.grafana
        page = f"{trust.scheme}://127.0.0.1:{GRAFANA_PORT}/api/health"
        boards = {f"dashboards/{name}": content for name, content in dashboards.dashboards().items()}
        self.placed: Placed = target.place(
            Workload(
                part="grafana",
                image=image,
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
                    **(_grafana_tls() if trust.enabled else {}),
                },
                config_files={**dashboards.grafana_provisioning(prometheus, trust.enabled), **boards},
                secret_files={"admin_password": admin_password, **trust.identity("grafana")},
                ports=[Port(GRAFANA_PORT, settings.published_port, peers=["prometheus"])],
                volumes=[DataVolume("grafana-data", "/var/lib/grafana")],
                # The pulled image has its own tools, not ours.
                health=Health(
                    ["wget", "-q", "-O", "/dev/null", page],
                    settings.health,
                    gates_start=False,
                    probe=HttpCheck(GRAFANA_PORT, "/api/health", trust.enabled),
                ),
                uid=settings.uid,
            ),
            parent=self,
        )
        self.register_outputs({})


def _grafana_tls() -> dict[str, pulumi.Input[str]]:
    return {
        "GF_SERVER_PROTOCOL": "https",
        "GF_SERVER_CERT_FILE": secret_path(CERTIFICATE_FILE),
        "GF_SERVER_CERT_KEY": secret_path(KEY_FILE),
    }


def prometheus_file(scrape: Sequence[ScrapeTarget], alertmanager: ScrapeTarget, discovers: bool) -> str:
    """prometheus.yml; `scrape` is everything with figures, Prometheus and Alertmanager among it."""
    if discovers:
        identity = prometheus_config.Identity(
            ca=secret_path(AUTHORITY_FILE), certificate=secret_path(CERTIFICATE_FILE), key=secret_path(KEY_FILE)
        )
        return prometheus_config.render_discovering(scrape, alertmanager, identity)
    others = [each for each in scrape if each.job not in {"prometheus", alertmanager.job}]
    return prometheus_config.render(others, f"{alertmanager.host}:{alertmanager.port}")


def declared_file(scrape: Sequence[ScrapeTarget], trust: Trust) -> pulumi.Output[str]:
    """The rule file with what the description declares, the ends of all certificates issued up to now among it."""
    return trust.lives().apply(lambda known: declared.render(scrape, known))


def alertmanager_file(stack: Stack) -> str:
    """alertmanager.yml with the stack's receivers."""
    alerting = stack.alerting
    return alertmanager_config.build(
        alertmanager_config.Channel(webhook=alerting.critical_webhook, email=alerting.critical_email),
        alertmanager_config.Channel(webhook=alerting.warning_webhook, email=alerting.warning_email),
        alertmanager_config.Smtp(alerting.mail.smarthost, alerting.mail.sender) if alerting.mail else None,
    )
