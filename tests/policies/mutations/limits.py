"""How much a program may take."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "resource-limits-set",
        "prod",
        "infra/targets/kubernetes/pod.py",
        'limits={"cpu": cpu(resources.cpus), "memory": memory},',
        'limits={"cpu": cpu(resources.cpus)},',
        "containers_have_a_memory_limit",
    ),
]
