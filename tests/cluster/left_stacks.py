"""What tests left on the cluster that were killed: it takes room, and the node has little."""

import re

from tests.cluster.support import Cluster

_OF_TESTS = re.compile(r"(namespace|priorityclass)\S*/(test-[0-9a-f]{8}|workflow-test-[0-9a-f]{6})")
_SECONDS = 240


def of_tests(names: list[str]) -> list[str]:
    """Those that tests made, of objects named as `kubectl -o name` does."""
    return [name for name in names if _OF_TESTS.fullmatch(name)]


def remove_left(cluster: Cluster) -> list[str]:
    """Removes the namespaces of tests, with all that is in them, and what else bears a test's name; tells what it was.

    Only for who knows that no other tests are at work.
    """
    left = of_tests(cluster.kubectl("get", "namespaces,priorityclasses", "-o", "name").split())
    if left:
        cluster.kubectl("delete", "--ignore-not-found", f"--timeout={_SECONDS}s", *left, seconds=_SECONDS + 30)
    return left
