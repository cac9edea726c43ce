"""What a container may do to its machine."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "container-hardening",
        "dev",
        "infra/targets/docker.py",
        'capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"])',
        'capabilities=docker.ContainerCapabilitiesArgs(drops=["CHOWN"])',
        "containers_drop_all_rights_of_root",
    ),
]
