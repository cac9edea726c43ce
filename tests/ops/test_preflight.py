"""What is refused before anything on a cluster is changed: each in one line that says what helps."""

from pathlib import Path
from typing import Any

import pytest

from ops import preflight
from ops.errors import OperatorError
from ops.home import Home
from ops.kube import connect
from ops.kube_objects import NAMESPACE
from ops.kubeconfig import kubeconfig
from stacks.model import Stack
from stacks.parts.common import Resources
from stacks.quantities import quantity
from stacks.sizing import Demand
from tests.ops.fake_cluster import FakeCluster

pytestmark = pytest.mark.ring("unit")


def stack(**kubernetes: Any) -> Stack:
    described = {"name": "t", "target": "kubernetes", "postgres": {"maxConnections": 200}, "kubernetes": kubernetes}
    return Stack.model_validate(described)


STACK = stack()


def node(cpu: str = "2", memory: str = "4Gi", ready: str = "True", **spec: Any) -> dict[str, Any]:
    return {
        "spec": spec,
        "status": {
            "allocatable": {"cpu": cpu, "memory": memory, "pods": "110"},
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


def storage_class(name: str, default: bool = False) -> dict[str, Any]:
    return {"metadata": {"name": name, "annotations": {preflight.DEFAULT_CLASS: str(default).lower()}}}


@pytest.mark.parametrize(("minor", "fine"), [("29", False), ("30", True), ("34+", True)])
def test_a_server_that_is_too_old_is_refused(minor: str, fine: bool) -> None:
    version = {"major": "1", "minor": minor}
    if fine:
        preflight.refuse_old_server(version)
        return
    with pytest.raises(OperatorError, match=r"Kubernetes 1\.29, which is too old"):
        preflight.refuse_old_server(version)


def test_a_namespace_that_belongs_to_somebody_else_is_refused_with_its_owner() -> None:
    helm = {"metadata": {"name": "workflow-t", "labels": {"app.kubernetes.io/managed-by": "Helm"}}}
    with pytest.raises(OperatorError, match="belongs to Helm, not to stack t") as refused:
        preflight.refuse_foreign_namespace(helm, STACK)
    assert "kubernetes.namespace" in refused.value.mend
    ours = {"workflow.stack": "t", "app.kubernetes.io/managed-by": "pulumi"}
    preflight.refuse_foreign_namespace({"metadata": {"labels": ours}}, STACK)
    preflight.refuse_foreign_namespace(None, STACK)


@pytest.mark.parametrize(
    ("wanted", "there", "said"),
    [
        ("fast", [storage_class("slow", True)], "no storage class fast; there are: slow"),
        (None, [storage_class("slow")], "no default storage class .* there are: slow"),
        (None, [], "the cluster has none"),
    ],
)
def test_a_missing_storage_class_is_refused_with_those_there_are(wanted: str | None, there: Any, said: str) -> None:
    with pytest.raises(OperatorError, match=said):
        preflight.refuse_missing_storage_class(there, stack(storageClass=wanted))


def test_the_storage_class_that_is_there_is_fine() -> None:
    preflight.refuse_missing_storage_class([storage_class("fast")], stack(storageClass="fast"))
    preflight.refuse_missing_storage_class([storage_class("slow", True)], STACK)


@pytest.mark.parametrize(
    ("nodes", "demand", "said"),
    [
        ([node(cpu="500m")], Demand("api", 3, Resources(cpus=1, memory=64)), "needs 0.75 of processor cores"),
        (
            [node(), node()],
            Demand("api", 9, Resources(cpus=0.1, memory=1024)),
            "9Gi of memory, .* 2 nodes have 8Gi",
        ),
        ([node()], Demand("api", 200, Resources(cpus=0.01, memory=1)), "needs 200 of pods"),
        ([node(ready="False")], Demand("api", 1, Resources()), "no node that is ready"),
        ([node(unschedulable=True)], Demand("api", 1, Resources()), "no node that is ready"),
        ([node(taints=[{"effect": "NoSchedule"}])], Demand("api", 1, Resources()), "no node that is ready"),
    ],
    ids=["cores", "memory", "pods", "not ready", "cordoned", "tainted"],
)
def test_a_cluster_that_is_too_small_is_refused_with_the_figures(nodes: Any, demand: Demand, said: str) -> None:
    with pytest.raises(OperatorError, match=said):
        preflight.refuse_small_cluster(nodes, [demand], "t")


def test_room_to_grow_is_not_asked_of_a_cluster_before_it_grows() -> None:
    preflight.refuse_small_cluster([node()], [Demand("api", 50, Resources(cpus=1, memory=64), base=3)], "t")


def test_more_nodes_than_the_quota_has_room_for_are_refused() -> None:
    preflight.refuse_more_nodes([node()] * 2, stack(nodes=2))
    with pytest.raises(OperatorError, match="has 3 nodes, and stack t counts on 2") as refused:
        preflight.refuse_more_nodes([node()] * 3, stack(nodes=2))
    assert "kubernetes.nodes" in refused.value.mend


def test_a_cluster_that_is_large_enough_is_fine() -> None:
    preflight.refuse_small_cluster([node()], [Demand("api", 3, Resources(cpus=1, memory=1024))], "t")


@pytest.mark.parametrize(
    ("text", "number"),
    [("250m", 0.25), ("2", 2), ("1536Mi", 1536 * 2**20), ("24650980Ki", 24650980 * 1024), ("1G", 1e9)],
)
def test_amounts_are_read_as_kubernetes_writes_them(text: str, number: float) -> None:
    assert quantity(text) == pytest.approx(number)


def test_a_stack_is_not_deployed_to_another_cluster_than_before(tmp_path: Path) -> None:
    home, first, second = Home(tmp_path), FakeCluster(), FakeCluster()
    first.add(NAMESPACE.path(), "kube-system", metadata={"uid": "one"})
    second.add(NAMESPACE.path(), "kube-system", metadata={"uid": "two"})
    preflight.refuse_other_cluster(home, second, STACK)
    preflight.remember_cluster(home, first, "t")
    preflight.refuse_other_cluster(home, first, STACK)
    with pytest.raises(OperatorError, match="was deployed to another cluster") as refused:
        preflight.refuse_other_cluster(home, second, STACK)
    assert "kubernetes.context" in refused.value.mend


def test_who_may_not_see_the_nodes_may_still_deploy() -> None:
    cluster = FakeCluster()
    cluster.refused = {"/api/v1/nodes": 403, f"{NAMESPACE.path()}/kube-system": 403}
    preflight._refuse_small_cluster(cluster, STACK)
    assert preflight.identify(cluster) == ""


def test_an_image_that_its_registry_does_not_have_is_refused_with_the_way_to_push_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("infra.targets.docker_images.digest_reference", lambda _reference: None)
    described = stack(registry="r.test:5000")
    with pytest.raises(OperatorError, match=r"image r\.test:5000/workflow-\S+ is not in its registry") as refused:
        preflight.refuse_missing_images(described)
    assert refused.value.mend == "./deploy-api.sh push t"


def test_a_given_image_that_its_registry_denies_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    given = f"r.test/api@sha256:{'0' * 64}"
    monkeypatch.setattr("infra.targets.docker_images.is_absent", lambda reference: reference == given)
    described = stack(registry="r.test:5000").model_copy(update={"images": {"api": given}})
    with pytest.raises(OperatorError, match=f"image {given} is not in its registry") as refused:
        preflight.refuse_missing_images(described)
    assert refused.value.mend == "push it, or mend images.api in Pulumi.t.yaml"


KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: near
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: not-shown}}]
contexts: [{name: near, context: {cluster: c, user: u}}]
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def test_a_cluster_that_does_not_answer_is_named_by_its_address(config: Path, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"https://127\.0\.0\.1:1 does not answer .*Connection refused") as refused:
        connect(Home(tmp_path), None).get("/version")
    assert "not-shown" not in refused.value.reason + refused.value.mend


def test_an_unknown_context_is_refused_with_the_known_ones(config: Path, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="no context far") as refused:
        connect(Home(tmp_path), "far")
    assert "name one of: near" in refused.value.mend


def test_the_machines_own_node_comes_before_the_users_clusters(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert kubeconfig(home, {"HOME": str(tmp_path)}) is None
    own, users = home.node / "kubeconfig", tmp_path / ".kube" / "config"
    for path in (users, own):
        path.parent.mkdir(parents=True)
        path.touch()
    assert kubeconfig(home, {"HOME": str(tmp_path)}) == f"{own}:{users}"
    assert kubeconfig(home, {"HOME": str(tmp_path), "KUBECONFIG": "/given"}) == "/given"
