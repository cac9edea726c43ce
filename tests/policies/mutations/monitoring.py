"""What is measured, shown and found again."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "prometheus-scrapes-api",
        "dev",
        "infra/program.py",
        'ScrapeTarget("workflow-api", "api", stack.api.port,',
        'ScrapeTarget("workflow-api", "api", WORKER_PORT,',
        "the_api_is_asked_at_its_own_port",
    ),
    Mutation(
        "monitoring-stack-provisioned",
        "prod",
        "infra/monitoring/prometheus_config.py",
        '"alerting": {"alertmanagers": [dict(alertmanager)]}',
        '"alerting": {"alertmanagers": []}',
        "prometheus_hands_alerts_on",
    ),
    Mutation(
        "monitoring-urls-exported",
        "prod",
        "infra/program.py",
        'pulumi.export("entryPoints", base.entry_points(missing))',
        'pulumi.export("entryPoints", base.urls(missing))',
        "people_are_told_where_everything_is",
    ),
    Mutation(
        "grafana-dashboards",
        "dev",
        "infra/monitoring/dashboards.py",
        'FOLDER = "/config/dashboards"',
        'FOLDER = "/var/lib/grafana/dashboards"',
        "dashboards_are_provisioned",
    ),
    Mutation(
        "dashboard-covers-key-metrics",
        "prod",
        "infra/monitoring/figures.py",
        "for percent in (50, 95, 99)",
        "for percent in (50, 95)",
        "every_key_figure_is_shown",
    ),
    Mutation(
        "monitoring-covers-new-infrastructure",
        "prod",
        "infra/program.py",
        '        ScrapeTarget("relay", "relay", WORKER_PORT, scheme=scheme, replicas=stack.relay.replicas),\n',
        "",
        "everything_that_listens_is_measured",
    ),
    Mutation(
        "uptime-monitoring",
        "prod",
        "infra/program.py",
        'ScrapeTarget("edge", "edge", HEALTH_PORT, path=UPTIME_PATH, replicas',
        'ScrapeTarget("edge", "edge", HEALTH_PORT, replicas',
        "the_public_address_is_probed",
    ),
]
