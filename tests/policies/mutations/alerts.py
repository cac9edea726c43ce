"""Whether somebody is told: by alerts, and by the health checks that the engine asks."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "alert-rules-loaded",
        "dev",
        "infra/monitoring/prometheus_config.py",
        'RULES = "/config/rules/*.yml"',
        'RULES = "/config/rules/*.rules"',
        "prometheus_reads_every_rule_file",
    ),
    Mutation(
        "alert-severity-routing",
        "dev",
        "infra/monitoring/alertmanager_config.py",
        '{"receiver": CRITICAL, "matchers"',
        '{"receiver": WARNING, "matchers"',
        "critical_alerts_go_another_way_than_warnings",
    ),
    Mutation(
        "alert-receivers-configured",
        "prod",
        "Pulumi.prod.yaml",
        "warningEmail: workflow-alerts@operations.internal",
        "warningEmail: workflow-alerts@example.com",
        "no_receiver_is_a_placeholder",
    ),
    Mutation(
        "oncall-rotation",
        "prod",
        "Pulumi.prod.yaml",
        "    criticalWebhook: https://pager.operations.internal/alerts/workflow-prod\n",
        "",
        "critical_alerts_reach_a_pager",
    ),
    Mutation(
        "health-checks-all-services",
        "dev",
        "infra/components/exporters.py",
        '                health=web.health(trust, NODE_PORT, "/metrics", settings.health),\n',
        "",
        "services_have_a_health_check",
    ),
    Mutation(
        "docker-healthcheck-settings",
        "dev",
        "infra/components/service.py",
        'probe(f"{local}/health"),',
        'probe(f"{local}/health/ready"),',
        "the_health_check_asks_the_health_path",
    ),
]
