"""The live cluster of this machine, brought up where it does not run, and a namespace for each test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from airgap.node import images
from airgap.node.layout import Node
from ops import cluster as cluster_commands
from ops.console import Progress
from ops.home import Home
from tests.cluster.support import Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The one-node cluster. If these tests started it, they take it down at the very end, and nothing may be left."""
    home = Home.of().make()
    started_here = not cluster_commands.status(home)["running"]
    cluster_commands.up(home, Progress())
    node = Node.of(home.root)
    yield Cluster(node, images.push_all(node, lambda _line: None)["busybox"])
    if started_here:
        cluster_commands.down(home, Progress(), purge=False)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace that enforces the profile `restricted`; it goes with all that is in it, also when the test failed."""
    name = f"test-{secrets.token_hex(4)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
