"""The life of the node: killed altogether it comes back with its data, and taken down it leaves nothing."""

from __future__ import annotations

import signal

import pytest

from airgap.node import teardown
from airgap.node.supervisor import state_processes, supervisor_of
from ops import cluster as commands
from ops.console import Progress
from ops.home import Home
from tests.cluster.support import Cluster, within

pytestmark = pytest.mark.ring("cluster")

DATA = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"key": "value"}}


def test_with_every_part_killed_the_next_up_goes_on_with_the_same_data(cluster: Cluster, namespace: str) -> None:
    cluster.apply(within(namespace, DATA))
    supervisor = supervisor_of(cluster.node.run)
    assert supervisor is not None
    # The supervisor first, or it would start them again.
    for process in [supervisor, *state_processes(cluster.node.run)]:
        process.send(signal.SIGKILL)
    commands.up(Home.of(), Progress())
    assert cluster.get("configmap", "kept", "-n", namespace)["data"] == {"key": "value"}
    assert commands.status(Home.of())["healthy"]


def test_taken_down_it_leaves_nothing_and_comes_back_with_the_same_data(cluster: Cluster, namespace: str) -> None:
    cluster.apply(within(namespace, DATA))
    commands.down(Home.of(), Progress(), purge=False)
    try:
        assert teardown.left(cluster.node) == []
        assert not commands.status(Home.of())["running"]
    finally:
        commands.up(Home.of(), Progress())
    assert cluster.get("configmap", "kept", "-n", namespace)["data"] == {"key": "value"}
