"""Switches that stand one way in production."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "metrics-flag-on",
        "prod",
        "Pulumi.prod.yaml",
        "enableMetrics: true",
        "enableMetrics: false",
        "figures_are_on",
    ),
    Mutation(
        "audit-logging-flag-on",
        "prod",
        "Pulumi.prod.yaml",
        "enableAuditLogging: true",
        "enableAuditLogging: false",
        "audit_records_are_on",
    ),
    Mutation(
        "api-reload-off",
        "prod",
        "infra/components/service.py",
        '"API_RELOAD": _flag(api.reload),',
        '"API_RELOAD": "true",',
        "the_api_does_not_reload_its_code",
        # In production the service itself refuses to start with it.
        consequences=frozenset({"config-values-validated"}),
    ),
    Mutation(
        "database-echo-off",
        "prod",
        "Pulumi.prod.yaml",
        "pool: {size: 20, overflow: 40}",
        "pool: {size: 20, overflow: 40, echo: true}",
        "statements_are_not_echoed",
        # In production the service itself refuses to start with it.
        consequences=frozenset({"config-values-validated"}),
    ),
    Mutation(
        "debug-mode-off",
        "prod",
        "infra/components/postgres_cluster.py",
        'env={"MEMBER_DOMAIN": member_domain(stack.namespace)},',
        'env={"MEMBER_DOMAIN": member_domain(stack.namespace), "PYTHONDEVMODE": "1"},',
        "no_program_is_put_into_debugging",
    ),
    Mutation(
        "environment-marker",
        "prod",
        "Pulumi.prod.yaml",
        "workflow-platform:environment: production",
        "workflow-platform:environment: rehearsal",
        "only_the_production_stack_calls_itself_production",
    ),
]
