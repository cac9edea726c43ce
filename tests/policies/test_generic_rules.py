"""Programs of somebody else get findings that fit them, and none about settings that only our own parts have."""

from typing import Any

import pytest

from policies.view.deployment import Deployment
from policies.view.resources import Resource
from policies.view.values import Value
from tests.policies.conftest import Judge

pytestmark = pytest.mark.ring("unit")

LABELS = {"app": "shop"}


def deployment(*resources: tuple[str, str, dict[str, Any]]) -> Deployment:
    made = [
        Resource(f"urn:pulumi:live::shop::{kind}::{name}", kind, name, Value(inputs))
        for kind, name, inputs in resources
    ]
    return Deployment("live", made)


def carrier(container: dict[str, Any], **spec: Any) -> tuple[str, str, dict[str, Any]]:
    template = {"metadata": {"labels": LABELS}, "spec": {**spec, "containers": [{"name": "shop", **container}]}}
    inputs = {
        "metadata": {"name": "shop"},
        "spec": {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": template},
    }
    return "kubernetes:apps/v1:Deployment", "shop", inputs


def service(kind: str, port: int, inner: int) -> tuple[str, str, dict[str, Any]]:
    spec = {"type": kind, "selector": LABELS, "ports": [{"port": port, "targetPort": inner}]}
    return "kubernetes:core/v1:Service", "shop", {"metadata": {"name": "shop"}, "spec": spec}


def test_a_careless_program_on_a_cluster_is_told_what_is_wrong(findings: Judge) -> None:
    found = findings(
        deployment(
            carrier({"image": "postgres"}, hostNetwork=True),
            service("LoadBalancer", 5432, 5432),
        )
    )
    assert {
        "containers_drop_all_rights_of_root",
        "containers_are_refused_as_root",
        "programs_do_not_share_the_machines_network",
        "tokens_of_the_cluster_are_not_mounted_unasked",
        "containers_have_a_memory_limit",
        "no_image_is_the_latest",
        "services_open_web_ports_only",
        "no_public_way_leads_to_a_data_service",
        "every_program_bounds_who_may_connect",
        "stores_keep_their_data_on_volumes",
        "services_have_a_health_check",
        "new_replicas_come_before_old_ones_go",
    } <= {each.check for each in found}
    assert [each for each in found if each.status != "fail" or "itself failed" in each.what] == []


def test_a_careless_container_on_docker_is_told_what_is_wrong(findings: Judge) -> None:
    ports = [{"internal": 6379, "external": 6379}]
    inputs = {"name": "shop", "image": "redis:latest", "ports": ports, "privileged": True, "networkMode": "host"}
    found = findings(deployment(("docker:index/container:Container", "shop", inputs)))
    assert {
        "containers_are_not_privileged",
        "containers_run_as_an_unprivileged_user",
        "containers_cannot_gain_rights",
        "containers_have_a_cpu_limit",
        "containers_keep_inner_ports_inside",
        "containers_publish_web_ports_only",
        "public_containers_offer_tls",
        "no_image_is_the_latest",
        "log_files_have_a_largest_size",
        "stores_keep_their_data_on_volumes",
        "services_have_a_health_check",
    } <= {each.check for each in found}
    assert [each for each in found if each.status != "fail" or "itself failed" in each.what] == []


def test_a_careful_container_on_docker_has_no_finding(findings: Judge) -> None:
    inputs = {
        "name": "shop",
        "image": "registry.internal/shop@sha256:" + "1" * 64,
        "ports": [{"internal": 8080, "external": 8080, "ip": "127.0.0.1"}],
        "user": "1000:1000",
        "readOnly": True,
        "capabilities": {"drops": ["ALL"]},
        "securityOpts": ["no-new-privileges:true"],
        "memory": 128,
        "cpus": "0.5",
        "logDriver": "local",
        "networksAdvanced": [{"name": "shop"}],
        "healthcheck": {"tests": ["CMD", "true"]},
    }
    assert findings(deployment(("docker:index/container:Container", "shop", inputs))) == []


def test_a_careful_program_on_a_cluster_has_no_finding(findings: Judge) -> None:
    container = {
        "image": "registry.internal/shop@sha256:" + "1" * 64,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "ports": [{"containerPort": 8080}],
        "resources": {"limits": {"cpu": "1", "memory": "128Mi"}},
        "livenessProbe": {"tcpSocket": {"port": 8080}},
        "readinessProbe": {"tcpSocket": {"port": 8080}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    kind, name, inputs = carrier(container, securityContext=security, automountServiceAccountToken=False)
    inputs["spec"]["strategy"] = {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    policy = {
        "metadata": {"name": "shop"},
        "spec": {
            "podSelector": {"matchLabels": LABELS},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"name": "entry"}}, "podSelector": LABELS}]}],
        },
    }
    made = deployment(
        (kind, name, inputs),
        service("ClusterIP", 80, 8080),
        ("kubernetes:networking.k8s.io/v1:NetworkPolicy", "shop", policy),
    )
    assert findings(made) == []
