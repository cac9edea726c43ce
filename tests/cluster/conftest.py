"""The live cluster of this machine, brought up where it does not run, and a namespace for each test."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator

import docker
import pytest

from airgap.node import images
from airgap.node.layout import Node
from ops import cluster as cluster_commands
from ops.console import Progress
from ops.home import PROJECT_DIR, Home
from ops.locks import exclusive
from stacks.ephemeral import ephemeral_stack, free_node_ports
from tests.cluster.left_stacks import remove_left
from tests.cluster.production import Production
from tests.cluster.support import Cluster
from tests.infra.support.operator import Operator


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The one-node cluster. If these tests started it, they take it down at the very end, and nothing may be left."""
    home = Home.of().make()
    started_here = not cluster_commands.status(home)["running"]
    cluster_commands.up(home, Progress())
    node = Node.of(home.root)
    found = Cluster(node, images.push_all(node, lambda _line: None)["busybox"])
    with exclusive(home.locks / "cluster-tests.lock", "testing on the cluster", lambda _line: None):
        remove_left(found)
        yield found
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


@pytest.fixture(scope="session")
def described(cluster: Cluster) -> Iterator[Production]:
    """An ephemeral copy of the rehearsal, its images pushed; it is destroyed at the end whatever happened."""
    client = docker.from_env(timeout=120)
    https, http = free_node_ports(2)
    ports = {"publishedPort": https, "publishedHttpPort": http}
    with ephemeral_stack(PROJECT_DIR, base="rehearsal", edge=ports) as name:
        it = Production(Operator(name, client), cluster)
        try:
            answer = it.operator.run("push")
            assert answer.code == 0, str(answer)
            yield it
        finally:
            it.stop_loads()
            it.operator.run("destroy", "--yes", "--with-data")
            for records in (Home.of().releases(name), Home.of().drills(name)):
                shutil.rmtree(records, ignore_errors=True)
            client.close()


@pytest.fixture
def production(described: Production) -> Iterator[Production]:
    """That stack; a load that a failed test left running is stopped."""
    yield described
    described.stop_loads()


@pytest.fixture(scope="session")
def up(described: Production) -> None:
    """The stack deployed once for all tests that only need one."""
    answer = described.operator.run("up")
    assert answer.code == 0, str(answer)


@pytest.fixture
def deployed(up: None, production: Production) -> Production:
    """That stack, deployed and whole."""
    production.settle()
    return production
