"""Which images run, where they come from, and as whom."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "image-immutable-tag",
        "prod",
        "infra/images.py",
        "return pinned",
        "return tagged",
        "containers_name_their_image_by_digest",
    ),
    Mutation(
        "image-registry",
        "prod",
        "infra/targets/kubernetes/pod.py",
        'image_pull_policy="IfNotPresent"',
        'image_pull_policy="Never"',
        "machines_may_pull_their_images",
    ),
    Mutation(
        "image-non-root-user",
        "dev",
        "infra/targets/docker.py",
        '"user": f"{workload.uid}:{workload.uid}",',
        '"user": "root",',
        "containers_run_as_an_unprivileged_user",
    ),
]
