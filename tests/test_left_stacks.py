"""What killed tests left on a cluster is known by its name, and nothing else is taken for it."""

import pytest

from tests.cluster.left_stacks import of_tests

pytestmark = pytest.mark.ring("unit")


def test_namespaces_and_priorities_of_tests_are_known_by_their_names() -> None:
    left = [
        "namespace/test-be89154f",
        "namespace/workflow-test-ac71ed",
        "priorityclass.scheduling.k8s.io/workflow-test-ac71ed",
    ]
    others = [
        "namespace/workflow-prod",
        "namespace/workflow-test",
        "namespace/workflow-test-results",
        "namespace/test-drive",
        "priorityclass.scheduling.k8s.io/workflow-prod",
        "priorityclass.scheduling.k8s.io/system-node-critical",
    ]
    assert of_tests([*others, *left]) == left
