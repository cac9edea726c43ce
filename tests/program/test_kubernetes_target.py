"""What the program registers for the production stack on Kubernetes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stacks.load import load_stack
from tests.program.conftest import Deploy, Engine

pytestmark = pytest.mark.ring("unit")

ROOT = Path(__file__).parents[2]
WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob")


@pytest.fixture
def prod(deploy: Deploy) -> Engine:
    return deploy(stack=load_stack("prod", ROOT), grafana="left out for the test")


def pod_specs(engine: Engine) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in WORKLOADS:
        for name, inputs in engine.kubernetes(kind).items():
            spec = inputs["spec"]["jobTemplate"]["spec"] if kind == "CronJob" else inputs["spec"]
            yield f"{kind} {name}", spec["template"]["spec"]


def containers(engine: Engine) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, spec in pod_specs(engine):
        for container in spec["containers"]:
            yield f"{name}/{container['name']}", container


@pytest.mark.item("kubernetes-deployment-shape")
def test_the_api_is_a_deployment_of_three_replicas_with_an_autoscaler_that_owns_the_number(prod: Engine) -> None:
    assert "replicas" not in prod.kubernetes("Deployment")["api"]["spec"]
    scaler = prod.kubernetes("HorizontalPodAutoscaler")["api-autoscaler"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 6)


@pytest.mark.item("monitoring-covers-new-infrastructure")
def test_what_measures_nodes_runs_once_on_each_also_on_those_kept_for_something_else(prod: Engine) -> None:
    (daemon,) = prod.kubernetes("DaemonSet")
    assert daemon == "node-exporter"
    spec = prod.kubernetes("DaemonSet")["node-exporter"]["spec"]
    pod = spec["template"]["spec"]
    assert pod["tolerations"] == [{"operator": "Exists", "effect": "NoSchedule"}]
    assert "topologySpreadConstraints" not in pod, "a spread could keep it off a node"
    api = prod.kubernetes("Deployment")["api"]["spec"]["template"]["spec"]
    assert pod["priorityClassName"] == api["priorityClassName"]
    selector = prod.kubernetes("Service")["node-exporter-nodes"]["spec"]["selector"]
    assert selector.items() <= spec["template"]["metadata"]["labels"].items(), "Prometheus would not find its pods"


@pytest.mark.item("resource-limits-set")
def test_every_container_has_requests_and_limits(prod: Engine) -> None:
    for name, container in containers(prod):
        for kind in ("requests", "limits"):
            assert container["resources"][kind].keys() == {"cpu", "memory"}, f"{name} {kind}"


@pytest.mark.item("container-hardening")
def test_every_container_is_hardened(prod: Engine) -> None:
    for name, container in containers(prod):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["readOnlyRootFilesystem"] is True, name
        assert context["capabilities"]["drop"] == ["ALL"], name
    for name, spec in pod_specs(prod):
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", name


@pytest.mark.item("image-immutable-tag")
def test_every_image_is_pinned_by_digest(prod: Engine) -> None:
    for name, container in containers(prod):
        assert "@sha256:" in container["image"], name


@pytest.mark.item("kubernetes-liveness-probe")
def test_the_api_has_the_documented_liveness_probe(prod: Engine) -> None:
    probe = prod.kubernetes("Deployment")["api"]["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]
    assert probe["httpGet"]["path"] == "/health"
    numbers = ("initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold")
    assert [probe[name] for name in numbers] == [40, 30, 10, 3]


@pytest.mark.item("kubernetes-readiness-probe")
def test_the_api_has_the_documented_readiness_probe(prod: Engine) -> None:
    probe = prod.kubernetes("Deployment")["api"]["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
    assert probe["httpGet"]["path"] == "/health/ready"
    numbers = ("initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold")
    assert [probe[name] for name in numbers] == [20, 10, 5, 3]


def test_a_service_account_token_is_mounted_only_where_rights_are_declared(prod: Engine) -> None:
    with_rights = set(prod.kubernetes("Role"))
    for name, spec in pod_specs(prod):
        part = spec["serviceAccountName"]
        assert spec["automountServiceAccountToken"] is (f"{part}-role" in with_rights), name


@pytest.mark.item("network-policies")
def test_nothing_may_come_in_or_go_out_unless_it_is_declared(prod: Engine) -> None:
    policy = prod.kubernetes("NetworkPolicy")["policy-default-deny"]["spec"]
    assert policy["podSelector"] in ({}, None)
    assert sorted(policy["policyTypes"]) == ["Egress", "Ingress"]


@pytest.mark.item("network-policies")
def test_every_way_in_has_its_way_out_on_the_other_side(prod: Engine) -> None:
    found = prod.kubernetes("NetworkPolicy")
    ways_in = {
        (name.removeprefix("policy-").removesuffix("-is-reached"), rule["ports"][0]["port"], peer)
        for name, policy in found.items()
        for rule in policy["spec"].get("ingress") or []
        for origin in rule.get("from") or []
        for peer in origin["podSelector"]["matchExpressions"][0]["values"]
    }
    ways_out = {
        (rule["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"], rule["ports"][0]["port"], peer)
        for name, policy in found.items()
        if name.endswith("-may-be-called")
        for rule in policy["spec"]["egress"]
        for peer in policy["spec"]["podSelector"]["matchExpressions"][0]["values"]
    }
    assert ways_in == ways_out != set()


def test_the_namespace_enforces_the_restricted_pod_security(prod: Engine) -> None:
    labels = prod.kubernetes("Namespace")["namespace"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_changed_file_changes_the_pod_that_reads_it_at_its_start(deploy: Deploy) -> None:
    def mark(engine: Engine) -> str:
        template = engine.kubernetes("StatefulSet")["prometheus"]["spec"]["template"]
        return str(template["metadata"]["annotations"]["workflow.platform/files"])

    described = load_stack("prod", ROOT)
    fewer = described.model_copy(update={"exporters": described.exporters.model_copy(update={"enabled": False})})
    before = mark(deploy(stack=described, grafana="left out"))
    assert mark(deploy(stack=described, grafana="left out")) == before, "the mark changes by itself"
    assert mark(deploy(stack=fewer, grafana="left out")) != before


def test_secrets_are_only_in_secrets(prod: Engine) -> None:
    for kind in ("ConfigMap", *WORKLOADS):
        for name, inputs in prod.kubernetes(kind).items():
            assert "xxxxxxxxxxxx" not in str(inputs), f"{kind} {name} holds a generated secret"
