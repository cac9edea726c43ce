"""In which order things come up."""

from dataclasses import replace

from policies.view.deployment import Deployment
from tests.policies.changes import ABSENT, UNKNOWN, Case, Change, put, without

IMAGE = "registry.internal/workflow-api@sha256:" + "1" * 64
SKIP = {"pulumi.com/skipAwait": "true"}
CONTAINERS = "spec.template.spec.containers"


def loose(kind: str, name: str, *others: str) -> Change:
    """A resource that waits for none of these any more, directly or by others."""

    def change(deployment: Deployment) -> Deployment:
        bad = {each.urn for each in deployment.resources if each.name in others and each.kind != "Service"}

        def cut(urns: frozenset[str]) -> frozenset[str]:
            return frozenset(urn for urn in urns if urn not in bad)

        resources = [
            replace(
                each,
                dependencies=cut(each.dependencies),
                property_dependencies={key: cut(urns) for key, urns in each.property_dependencies.items()},
            )
            if (each.kind, each.name) == (kind, name)
            else each
            for each in deployment.resources
        ]
        return Deployment(deployment.stack, resources, deployment.outputs.content)

    return change


def tied(kind: str, name: str, to_kind: str, to: str) -> Change:
    """A resource that waits for one more."""

    def change(deployment: Deployment) -> Deployment:
        (other,) = [each for each in deployment.of(to_kind) if each.name == to]
        resources = [
            replace(each, dependencies=each.dependencies | {other.urn})
            if (each.kind, each.name) == (kind, name)
            else each
            for each in deployment.resources
        ]
        return Deployment(deployment.stack, resources, deployment.outputs.content)

    return change


HIDDEN = put("Deployment", "relay", CONTAINERS, UNKNOWN)

CASES = [
    Case(
        "applications_come_after_their_stores",
        loose("Job", "migrations", "postgres", "postgres-roles", "kafka-access"),
        why="migrations",
    ),
    Case(
        "applications_come_after_their_stores", loose("Container", "migrations", "kafka", "postgres"), environment="dev"
    ),
    Case("applications_come_after_their_stores", HIDDEN, "not evaluated"),
    Case("monitoring_does_not_wait_for_what_it_watches", tied("StatefulSet", "prometheus", "Deployment", "api")),
    Case(
        "monitoring_does_not_wait_for_what_it_watches",
        tied("Container", "prometheus", "Container", "relay"),
        environment="dev",
    ),
    Case("monitoring_does_not_wait_for_what_it_watches", HIDDEN, "not evaluated"),
    Case(
        "the_engine_is_waited_for_until_stores_are_healthy",
        put("Container", "postgres", "wait", False),
        environment="dev",
        path="wait",
    ),
    Case(
        "the_engine_is_waited_for_until_stores_are_healthy",
        put("Container", "kafka", "healthcheck", ABSENT),
        environment="dev",
        path="healthcheck",
    ),
    Case(
        "the_engine_is_waited_for_until_stores_are_healthy",
        put("Container", "kafka", "wait", UNKNOWN),
        "not evaluated",
        environment="dev",
    ),
    Case("the_wait_for_stores_ends", put("Container", "kafka", "waitTimeout", 3600), environment="dev"),
    Case("the_wait_for_stores_ends", put("Container", "kafka", "waitTimeout", ABSENT), environment="dev", why="none"),
    Case(
        "the_wait_for_stores_ends",
        put("Container", "kafka", "waitTimeout", UNKNOWN),
        "not evaluated",
        environment="dev",
    ),
    Case("stores_in_a_cluster_are_awaited", put("StatefulSet", "kafka", "metadata.annotations", SKIP)),
    Case(
        "stores_in_a_cluster_are_awaited",
        put("StatefulSet", "kafka", "metadata.annotations", {"pulumi.com/timeoutSeconds": "7200"}),
        why="long",
    ),
    Case(
        "stores_in_a_cluster_are_awaited", put("StatefulSet", "kafka", "metadata.annotations", UNKNOWN), "not evaluated"
    ),
    Case(
        "stores_in_a_cluster_say_when_they_are_ready",
        put("StatefulSet", "postgres", f"{CONTAINERS}[0].readinessProbe", ABSENT),
    ),
    Case(
        "stores_in_a_cluster_say_when_they_are_ready",
        put("StatefulSet", "postgres", f"{CONTAINERS}[0].readinessProbe", UNKNOWN),
        "not evaluated",
    ),
    Case(
        "applications_start_after_the_migrations", loose("Deployment", "relay", "migrations"), path="Deployment relay"
    ),
    Case("applications_start_after_the_migrations", loose("Container", "api", "migrations"), environment="dev"),
    Case("applications_start_after_the_migrations", without("Job", "migrations"), why="no job"),
    Case("applications_start_after_the_migrations", HIDDEN, "not evaluated"),
    Case(
        "migrations_are_of_the_image_that_follows",
        put("Deployment", "api", f"{CONTAINERS}[0].image", IMAGE),
        path="Deployment api",
    ),
    Case(
        "migrations_are_of_the_image_that_follows",
        put("Container", "api", "image", "workflow-api:0.9.0"),
        environment="dev",
    ),
    Case(
        "migrations_are_of_the_image_that_follows",
        put("Deployment", "api", f"{CONTAINERS}[0].image", UNKNOWN),
        "not evaluated",
    ),
    Case("migrations_run_to_their_end", put("Container", "migrations", "attach", False), environment="dev"),
    Case(
        "migrations_run_to_their_end", put("Container", "migrations", "mustRun", True), environment="dev", why="no job"
    ),
    Case("migrations_run_to_their_end", put("Job", "migrations", "metadata.annotations", SKIP)),
    Case("migrations_run_to_their_end", put("Job", "migrations", "metadata.annotations", UNKNOWN), "not evaluated"),
]
