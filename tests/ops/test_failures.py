"""The mend that comes with a provider's failure."""

import pytest

from ops.failures import IN_GENERAL, mend_of

pytestmark = pytest.mark.ring("unit")


@pytest.mark.parametrize(
    ("told", "helps"),
    [
        ("api: pod api-1: container api waits: ImagePullBackOff", "kubernetes.imagePullSecret"),
        ('pods "x" is forbidden: exceeded quota: quota, requested: pods=1', "kubernetes.quota"),
        ("not scheduled (Unschedulable: 0/1 nodes are available: 1 Insufficient memory)", "add nodes"),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest"', "namespace allows"),
        ("container api waits: CrashLoopBackOff, it ended with exit code 2", "logs"),
    ],
)
def test_a_failure_of_the_cluster_comes_with_what_helps(told: str, helps: str) -> None:
    assert helps in mend_of(told)


def test_an_unknown_failure_gets_the_general_advice() -> None:
    assert mend_of("something new") == IN_GENERAL
