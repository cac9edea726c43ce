"""What is refused of an edge's description."""

from typing import Any

import pytest

from stacks.model import Stack
from stacks.parts.edge import Edge

pytestmark = pytest.mark.ring("unit")


def _described(**changes: Any) -> Stack:
    values: dict[str, Any] = {"name": "prod", "target": "kubernetes", "edge": {"hosts": ["localhost"]}}
    values["postgres"] = {"maxConnections": 200}
    quota = {"kubernetes": {"quota": {"cpus": 200, "memory": "200Gi", "pods": 200}}}
    return Stack.model_validate(values | quota | changes)


def test_an_edge_on_a_cluster_is_accepted() -> None:
    assert _described().edge is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "docker"}, r"edge is given; it needs target: kubernetes \[tls-public-endpoints\]"),
        ({"api": {"drainSeconds": 4}}, r"api\.drainSeconds is 4; the edge keeps .* so it must be more"),
        ({"edge": {"certificate": {"source": "files"}}}, r"it needs edge\.certificate\.certificate and"),
        ({"edge": {"certificate": {"source": "cert-manager"}}}, r"it needs edge\.certificate\.issuer"),
        (
            {"edge": {"serviceType": "NodePort", "publishedPort": 443, "publishedHttpPort": 30080}},
            r"edge\.publishedPort is 443; with serviceType: NodePort it must be 30000 to 32767 \[required-ports-free\]",
        ),
        ({"edge": {"publishedPort": 80}}, r"edge\.publishedHttpPort is 80; edge\.publishedPort has the same"),
        ({"edge": {"hosts": []}}, "at least 1 item"),
        ({"edge": {"hosts": ["Not A Name"]}}, "should match pattern"),
        ({"edge": {"hosts": ["a.example.com; evil"]}}, "should match pattern"),
    ],
)
def test_a_wrong_edge_is_refused_with_what_would_be_right(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _described(**changes)


def test_what_nothing_says_about_the_edge_is_sound() -> None:
    edge = Edge()
    assert (edge.replicas, edge.maintenance, edge.hsts_seconds) == (2, False, 31536000)
