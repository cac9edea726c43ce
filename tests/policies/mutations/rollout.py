"""In which order things come up, how many there are, and what spreads work over them."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "infrastructure-first",
        "prod",
        "infra/components/service.py",
        "return [*self.postgres.ready, *self.kafka.ready]",
        "return [*self.postgres.ready]",
        "applications_come_after_their_stores",
    ),
    Mutation(
        "wait-for-infrastructure",
        "dev",
        "infra/components/postgres.py",
        '"127.0.0.1", "-d", settings.database], settings.health)',
        '"127.0.0.1", "-d", settings.database], settings.health, gates_start=False)',
        "the_engine_is_waited_for_until_stores_are_healthy",
    ),
    Mutation(
        "migrations-before-start",
        "prod",
        "infra/components/service.py",
        'after={"migrations": migrated},\n                stop_seconds=30,\n                drain_seconds',
        "stop_seconds=30,\n                drain_seconds",
        "applications_start_after_the_migrations",
    ),
    Mutation(
        "load-balancer-configured",
        "prod",
        "infra/targets/kubernetes/reach.py",
        'type=workload.exposure if published else "ClusterIP",',
        'type=workload.exposure if published else "ClusterIP",\n            session_affinity="ClientIP",',
        "a_service_spreads_over_the_apis_replicas",
    ),
    # The scaler begins with this number, and is asked for the same three.
    Mutation(
        "api-replicas-prod",
        "prod",
        "Pulumi.prod.yaml",
        "replicas: 3\n    autoscaling: {most: 6",
        "replicas: 2\n    autoscaling: {most: 6",
        "the_api_has_three_replicas",
        frozenset({"autoscaling-policy"}),
    ),
    Mutation(
        "autoscaling-policy",
        "prod",
        "Pulumi.prod.yaml",
        "autoscaling: {most: 6, cpuPercent: 75}",
        "autoscaling: {most: 3, cpuPercent: 75}",
        "autoscalers_have_room_to_grow",
    ),
    Mutation(
        "kubernetes-deployment-shape",
        "prod",
        "infra/targets/kubernetes/carriers.py",
        "max_surge=1, max_unavailable=0",
        "max_surge=1, max_unavailable=1",
        "new_replicas_come_before_old_ones_go",
    ),
]
