"""How the API is asked whether it works, and whether it may be given work."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "health-start-period-tunable",
        "dev",
        "stacks/parts/service.py",
        "start_period=40, retries=3)",
        "start_period=20, retries=3)",
        "the_start_period_is_within_its_bounds",
    ),
    # Liveness that asks for dependencies restarts every replica when the database pauses.
    Mutation(
        "kubernetes-liveness-probe",
        "prod",
        "infra/components/service.py",
        'probe=HttpCheck(api.port, "/health", parts.trust.enabled)',
        'probe=HttpCheck(api.port, "/health/ready", parts.trust.enabled)',
        "the_liveness_probe_asks_for_health",
    ),
    Mutation(
        "kubernetes-readiness-probe",
        "prod",
        "infra/components/service.py",
        'Readiness(HttpCheck(api.port, "/health/ready", parts.trust.enabled)',
        'Readiness(HttpCheck(api.port, "/health", parts.trust.enabled)',
        "the_readiness_probe_asks_for_readiness",
    ),
]
