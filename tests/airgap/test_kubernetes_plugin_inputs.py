"""What the Kubernetes plugin does with inputs before anything is made: Check, Diff, drift."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2

from airgap.kubernetes_plugin.awaiting import custom
from airgap.kubernetes_plugin.awaiting.look import Ready, Waiting
from airgap.kubernetes_plugin.changes import with_drift
from airgap.kubernetes_plugin.configuration import Settings
from airgap.kubernetes_plugin.immutable import compare
from airgap.kubernetes_plugin.objects import Type, from_program, to_program, type_of_token
from airgap.provider.wire import UNKNOWN, decode_map, encode_map
from tests.airgap.kubernetes_support import Kubernetes, configured
from tests.airgap.support import start

pytestmark = pytest.mark.ring("airgap")

NOTES: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notes"}, "data": {"a": "1"}}


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    """A plugin that needs no cluster: it would write files."""
    process = start("airgap.kubernetes_plugin.server", "127.0.0.1:1")
    yield configured(process, renderYamlToDirectory=str(tmp_path_factory.mktemp("yaml")))
    process.end()


def changed(item: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of the object with a value at a dotted path; None takes it away."""
    made = copy.deepcopy(item)
    steps = path.split(".")
    inner = made
    for step in steps[:-1]:
        inner = inner.setdefault(step, {})
    if value is None:
        inner.pop(steps[-1])
    else:
        inner[steps[-1]] = value
    return made


def thing(version: str, kind: str, **parts: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": "shop"}, **parts}


@pytest.mark.parametrize(
    ("token", "version", "kind"),
    [
        ("kubernetes:core/v1:Pod", "v1", "Pod"),
        ("kubernetes:v1:Pod", "v1", "Pod"),
        ("kubernetes:apps/v1:Deployment", "apps/v1", "Deployment"),
        ("kubernetes:networking.k8s.io/v1:NetworkPolicy", "networking.k8s.io/v1", "NetworkPolicy"),
        ("kubernetes:cert-manager.io/v1:Issuer", "cert-manager.io/v1", "Issuer"),
    ],
)
def test_a_token_stands_for_a_type(token: str, version: str, kind: str) -> None:
    assert type_of_token(token) == Type(version, kind)


@pytest.mark.parametrize(
    ("token", "inputs"),
    [
        ("kubernetes:apps/v1:DeploymentPatch", {"apiVersion": "apps/v1", "kind": "Deployment"}),
        ("kubernetes:core/v1:PodList", {"apiVersion": "v1", "kind": "PodList", "items": []}),
        ("kubernetes:helm.sh/v3:Release", {"chart": "x"}),
        ("kubernetes:yaml/v2:ConfigFile", {"file": "x"}),
        ("kubernetes:kustomize/v2:Directory", {"directory": "x"}),
    ],
)
def test_what_is_no_single_object_is_refused(plugin: Kubernetes, token: str, inputs: dict[str, Any]) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        plugin.check(inputs, urn=f"urn:pulumi:dev::test::{token}::x")
    assert token in caught.value.details()
    assert "official" in caught.value.details() or "make its objects" in caught.value.details()


def test_a_custom_resource_may_be_called_a_patch_or_a_list(plugin: Kubernetes) -> None:
    assert plugin.checked(thing("garden.io/v1", "FlowerPatch"))
    assert plugin.checked(thing("garden.io/v1", "ShoppingList", spec={}))


@pytest.mark.parametrize("function", ["kubernetes:yaml:decode", "kubernetes:helm:template"])
def test_functions_are_refused_by_name(plugin: Kubernetes, function: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        plugin.stub.Invoke(provider_pb2.InvokeRequest(tok=function), timeout=10)
    assert function in caught.value.details()
    assert "official" in caught.value.details()


@pytest.mark.parametrize(
    ("item", "path"),
    [
        (thing("v1", "ConfigMap", metadata={"name": 5}), "metadata.name"),
        (thing("v1", "ConfigMap", metadata={"generateName": "x-"}), "metadata.generateName"),
        (thing("v1", "ConfigMap", metadata="x"), "metadata"),
        ({"kind": UNKNOWN}, "kind"),
        (
            thing("v1", "ConfigMap", metadata={"annotations": {"pulumi.com/timeoutSeconds": "soon"}}),
            'metadata.annotations["pulumi.com/timeoutSeconds"]',
        ),
        (
            thing("v1", "ConfigMap", metadata={"annotations": {"pulumi.com/waitFor": "jsonpath={.a[*]}"}}),
            'metadata.annotations["pulumi.com/waitFor"]',
        ),
        (
            thing("v1", "ConfigMap", metadata={"annotations": {"pulumi.com/deletionPropagationPolicy": "never"}}),
            'metadata.annotations["pulumi.com/deletionPropagationPolicy"]',
        ),
    ],
)
def test_a_wrong_input_is_refused_by_its_path(plugin: Kubernetes, item: dict[str, Any], path: str) -> None:
    urn = "urn:pulumi:dev::test::kubernetes:core/v1:ConfigMap::x"
    assert [failure.property for failure in plugin.check(item, urn=urn).failures] == [path]


def test_an_object_without_a_name_gets_one_and_keeps_it(plugin: Kubernetes) -> None:
    nameless = {"apiVersion": "v1", "kind": "ConfigMap"}
    first = plugin.checked(nameless)
    name = first["metadata"]["name"]
    assert name.startswith("thing-")
    assert len(name) == len("thing-") + 8
    assert first["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
    request = provider_pb2.CheckRequest(urn=plugin.urn(nameless), randomSeed=b"another")
    encode_map(request.news, nameless)
    encode_map(request.olds, first)
    assert decode_map(plugin.stub.Check(request, timeout=10).inputs) == first


def test_the_engine_can_propose_a_name_or_forbid_one(plugin: Kubernetes) -> None:
    options = provider_pb2.CheckRequest.AutonamingOptions
    nameless = {"apiVersion": "v1", "kind": "ConfigMap"}
    proposed = plugin.check(nameless, autonaming=options(proposed_name="mine", mode=options.ENFORCE))
    assert decode_map(proposed.inputs)["metadata"]["name"] == "mine"
    refused = plugin.check(nameless, autonaming=options(mode=options.DISABLE))
    assert [failure.property for failure in refused.failures] == ["metadata.name"]


DEPLOYMENT = thing("apps/v1", "Deployment", spec={"replicas": 1, "selector": {"matchLabels": {"a": "b"}}})
JOB = thing("batch/v1", "Job", spec={"backoffLimit": 1, "parallelism": 1, "template": {"spec": {"x": 1}}})
CLAIM = thing(
    "v1",
    "PersistentVolumeClaim",
    spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
)
POD = thing("v1", "Pod", spec={"containers": [{"name": "a", "image": "x"}], "tolerations": []})
STATEFUL = thing("apps/v1", "StatefulSet", spec={"serviceName": "x", "revisionHistoryLimit": 1, "replicas": 1})


@pytest.mark.parametrize(
    ("old", "path", "value", "replaces"),
    [
        (DEPLOYMENT, "spec.replicas", 2, False),
        (DEPLOYMENT, "spec.selector.matchLabels.a", "c", True),
        (DEPLOYMENT, "metadata.name", "other", True),
        (DEPLOYMENT, "metadata.namespace", "other", True),
        (DEPLOYMENT, "metadata.labels", {"a": "b"}, False),
        (DEPLOYMENT, "apiVersion", "apps/v1beta1", False),
        (DEPLOYMENT, "apiVersion", "elsewhere.io/v1", True),
        (STATEFUL, "spec.serviceName", "other", True),
        (STATEFUL, "spec.volumeClaimTemplates", [{}], True),
        (STATEFUL, "spec.podManagementPolicy", "Parallel", True),
        (STATEFUL, "spec.revisionHistoryLimit", 2, False),
        (thing("apps/v1", "DaemonSet", spec={"selector": {"a": "b"}}), "spec.selector.a", "c", True),
        (JOB, "spec.template.spec.x", 2, True),
        (JOB, "spec.parallelism", 2, False),
        (JOB, "spec.backoffLimit", 2, False),
        (CLAIM, "spec.accessModes", ["ReadWriteMany"], True),
        (CLAIM, "spec.storageClassName", "fast", True),
        (CLAIM, "spec.resources.requests.storage", "2Gi", False),
        (POD, "spec.containers", [{"name": "a", "image": "y"}], True),
        (POD, "spec.activeDeadlineSeconds", 5, False),
        (thing("v1", "Service", spec={"clusterIP": "None"}), "spec.clusterIP", None, True),
        (thing("v1", "Service", spec={"type": "ClusterIP"}), "spec.type", "NodePort", False),
        (thing("v1", "Secret", type="Opaque"), "type", "kubernetes.io/tls", True),
        (thing("v1", "Secret", data={"a": "b"}), "data.a", "c", False),
        (thing("v1", "ConfigMap", data={"a": "b"}), "data.a", "c", False),
        (thing("v1", "ConfigMap", data={"a": "b"}, immutable=True), "data.a", "c", True),
        (thing("v1", "Secret", data={"a": "b"}, immutable=True), "data.a", "c", True),
        (thing("storage.k8s.io/v1", "StorageClass", provisioner="a"), "provisioner", "b", True),
        (thing("rbac.authorization.k8s.io/v1", "RoleBinding", roleRef={"name": "a"}), "roleRef.name", "b", True),
        (thing("rbac.authorization.k8s.io/v1", "Role", rules=[{"verbs": ["get"]}]), "rules", [], False),
        (thing("scheduling.k8s.io/v1", "PriorityClass", value=1), "value", 2, True),
        (thing("storage.k8s.io/v1", "StorageClass"), "reclaimPolicy", "Retain", True),
        (thing("storage.k8s.io/v1", "StorageClass"), "allowVolumeExpansion", True, False),
        (thing("networking.k8s.io/v1", "IngressClass", spec={"controller": "a"}), "spec.controller", "b", True),
        (thing("apiextensions.k8s.io/v1", "CustomResourceDefinition", spec={}), "spec.scope", "Cluster", True),
        (thing("apiextensions.k8s.io/v1", "CustomResourceDefinition", spec={}), "spec.versions", [], False),
    ],
)
def test_a_change_is_made_in_place_where_the_server_allows_it(
    plugin: Kubernetes, old: dict[str, Any], path: str, value: Any, replaces: bool
) -> None:
    response = plugin.diff(old, changed(old, path, value))
    assert response.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert bool(response.replaces) == replaces


def test_no_change_is_no_difference(plugin: Kubernetes) -> None:
    assert plugin.diff(DEPLOYMENT, DEPLOYMENT).changes == provider_pb2.DiffResponse.DIFF_NONE


def test_the_default_namespace_may_be_named_or_not(plugin: Kubernetes) -> None:
    named = changed(NOTES, "metadata.namespace", "default")
    assert plugin.diff(NOTES, named).changes == provider_pb2.DiffResponse.DIFF_NONE


def test_a_namespace_on_a_kind_that_has_none_means_nothing(plugin: Kubernetes) -> None:
    old = thing("rbac.authorization.k8s.io/v1", "ClusterRole")
    assert plugin.diff(old, changed(old, "metadata.namespace", "b")).changes == provider_pb2.DiffResponse.DIFF_NONE


def test_the_changed_properties_are_told_by_their_paths(plugin: Kubernetes) -> None:
    old = thing("v1", "ConfigMap", data={"a": "1", "b.c": "2"})
    new = thing("v1", "ConfigMap", data={"b.c": "3", "d": "4"})
    kinds = {path: item.kind for path, item in plugin.diff(old, new).detailedDiff.items()}
    words = provider_pb2.PropertyDiff
    assert kinds == {"data.a": words.DELETE, 'data["b.c"]': words.UPDATE, "data.d": words.ADD}


def test_the_old_object_goes_first_when_the_name_stays(plugin: Kubernetes) -> None:
    new = changed(DEPLOYMENT, "spec.selector.matchLabels.a", "c")
    assert plugin.diff(DEPLOYMENT, new).deleteBeforeReplace
    assert not plugin.diff(DEPLOYMENT, changed(DEPLOYMENT, "metadata.name", "other")).deleteBeforeReplace


def test_the_new_object_comes_first_when_the_name_is_made(plugin: Kubernetes) -> None:
    old = plugin.checked({**DEPLOYMENT, "metadata": {}})
    new = changed(old, "spec.selector.matchLabels.a", "c")
    response = plugin.diff(old, new)
    assert response.replaces
    assert not response.deleteBeforeReplace


def test_data_is_replaced_when_the_provider_is_told_so() -> None:
    old, new = thing("v1", "ConfigMap", data={"a": "b"}), thing("v1", "ConfigMap", data={"a": "c"})
    assert not compare(old, new, Settings(), True, []).replaces
    assert compare(old, new, Settings(mutable_config_maps=False), True, []).replaces == {"data.a"}


def test_a_dash_or_an_underscore_makes_no_difference(plugin: Kubernetes) -> None:
    old = thing("v1", "ConfigMap", schema={"x_kubernetes_int_or_string": True})
    new = thing("v1", "ConfigMap", schema={"x-kubernetes-int-or-string": True})
    assert plugin.diff(old, new).changes == provider_pb2.DiffResponse.DIFF_NONE


def test_ignored_changes_are_ignored() -> None:
    new = changed(DEPLOYMENT, "spec.replicas", 5)
    assert not compare(DEPLOYMENT, new, Settings(), True, ["spec.replicas"]).changes


def test_a_value_not_known_yet_counts_as_changed() -> None:
    new = changed(DEPLOYMENT, "spec.replicas", UNKNOWN)
    assert compare(DEPLOYMENT, new, Settings(), True, []).changes == {"spec.replicas": "update"}


WISHED = {
    "spec": {
        "cpu": "1000m",
        "volume": {"emptyDir": {}},
        "containers": [{"name": "a", "image": "x", "env": [{"name": "K", "value": "v"}]}],
        "args": ["--a", "--b"],
    }
}
BEFORE = {
    "spec": {
        "cpu": "1",
        "volume": {"emptyDir": {}},
        "containers": [{"name": "a", "image": "x", "env": [{"name": "K", "value": "v"}], "tty": False}],
        "args": ["--a", "--b"],
        "replicas": 1,
    }
}


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (BEFORE, WISHED),
        (changed(BEFORE, "spec.replicas", 7), WISHED),
        (changed(BEFORE, "status", {"phase": "x"}), WISHED),
        (changed(BEFORE, "spec.cpu", "2"), changed(WISHED, "spec.cpu", "2")),
        (changed(BEFORE, "spec.volume", None), changed(WISHED, "spec.volume", None)),
        (changed(BEFORE, "spec.args", ["--a"]), changed(WISHED, "spec.args", ["--a"])),
        (changed(BEFORE, "spec.args", ["--a", "--b", "--c"]), changed(WISHED, "spec.args", ["--a", "--b", "--c"])),
        (
            changed(BEFORE, "spec.containers", [{"name": "sidecar"}, *BEFORE["spec"]["containers"]]),  # type: ignore[misc]
            WISHED,
        ),
        (
            changed(BEFORE, "spec.containers", [{"name": "a", "image": "y"}]),
            changed(WISHED, "spec.containers", [{"name": "a", "image": "y"}]),
        ),
        (changed(BEFORE, "spec.containers", [{"name": "b"}]), changed(WISHED, "spec.containers", [])),
    ],
)
def test_drift_is_what_has_changed_of_what_was_asked_for(now: dict[str, Any], found: dict[str, Any]) -> None:
    assert with_drift(WISHED, BEFORE, now) == found


def test_lists_of_custom_resources_are_compared_whole() -> None:
    wished = {"spec": {"env": [{"name": "a"}]}}
    now = {"spec": {"env": [{"name": "b"}, {"name": "a"}]}}
    assert with_drift(wished, wished, now, builtin=False) == now
    assert with_drift(wished, wished, now, builtin=True) == wished


def test_dashes_that_the_sdk_cannot_have_are_put_back() -> None:
    sdk = {"schema": [{"x_kubernetes_int_or_string": True, "none": None}]}
    assert from_program(sdk) == {"schema": [{"x-kubernetes-int-or-string": True}]}
    assert to_program(from_program(sdk)) == {"schema": [{"x_kubernetes_int_or_string": True}]}


@pytest.mark.parametrize(
    ("text", "ready"),
    [
        ("condition=Ready", True),
        ("condition=Ready=False", False),
        ("condition=Gone", False),
        ("jsonpath={.status.phase}=Fine", True),
        ("jsonpath={.status.count}=3", True),
        ("jsonpath={.status.none}", False),
        ('["condition=Ready", "jsonpath={.status.phase}=Bad"]', False),
    ],
)
def test_an_annotation_says_what_to_wait_for(text: str, ready: bool) -> None:
    status = {"phase": "Fine", "count": 3, "conditions": [{"type": "Ready", "status": "True"}]}
    assert custom.problem(text) is None
    assert isinstance(custom.look(text, {"status": status}), Ready if ready else Waiting)


def test_the_plugin_ends_when_the_engine_asks_it_to() -> None:
    process = start("airgap.kubernetes_plugin.server", "127.0.0.1:1")
    assert process.end() == 0
