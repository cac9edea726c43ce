"""A stack on a cluster as the interface tells it, from recorded objects."""

import base64
import json
from typing import Any

import pytest

from ops.kube import ClusterRefusalError, Thing
from tests.infra.support import stack_outputs
from tests.infra.support.kubernetes_live import KubernetesLive
from tests.infra.unit.cluster_samples import POD, changed
from tests.ops.fake_cluster import FakeCluster

pytestmark = pytest.mark.ring("unit")

NAMESPACE = "/namespaces/workflow-t"
PODS = f"/api/v1{NAMESPACE}/pods"
INVENTORY = {"container": "api", "image": "localhost:5000/workflow/api@sha256:aaaa", "kind": "service", "uid": 10001}
OUTPUTS = stack_outputs.parse(
    {
        "urls": {"edge": "https://127.0.0.1:30443", "api": "https://127.0.0.1:30443"},
        "network": "workflow-t",
        "target": "kubernetes",
        "adminUsername": "admin",
        "adminPassword": "a-password-nobody-knows",
        "inventory": {
            "api": {**INVENTORY, "object": "api", "replicas": 2, "ports": [8000], "namespace": "workflow-t"},
            "postgres": {**INVENTORY, "container": "postgres", "kind": "stateful", "replicas": 2},
            "node-exporter": {**INVENTORY, "container": "node-exporter", "kind": "daemon", "object": "node-exporter"},
            "migrations": {**INVENTORY, "kind": "job", "object": "migrations-1234"},
        },
    }
)
STATUS = {"observedGeneration": 3, "readyReplicas": 2, "updatedReplicas": 2}
DEPLOYMENT: Thing = {"metadata": {"name": "api", "generation": 3}, "spec": {"replicas": 2}, "status": STATUS}


def pod(name: str, **labels: str) -> dict[str, Any]:
    named = changed(POD, "metadata/name", name)
    return changed(named, "metadata/labels", {"workflow.part": "api", **labels})


def member(number: int, role: str) -> dict[str, Any]:
    return pod(f"postgres-{number}", role=role, **{"workflow.part": "postgres"})


def cluster(*pods: Thing) -> FakeCluster:
    made = FakeCluster()
    made.objects[PODS] = list(pods)
    return made


def live(*pods: Thing) -> KubernetesLive:
    return KubernetesLive(OUTPUTS, cluster(*pods))


def with_deployment(status: Thing) -> KubernetesLive:
    made = cluster(pod("api-0"))
    made.objects[f"/apis/apps/v1{NAMESPACE}/deployments"] = [{**DEPLOYMENT, "status": status}]
    return KubernetesLive(OUTPUTS, made)


def test_replicas_that_are_about_to_end_do_not_count() -> None:
    leaving = changed(pod("api-1"), "metadata/deletionTimestamp", "2026-11-22T11:00:00Z")
    assert live(pod("api-2"), leaving, pod("api-0")).instances("api") == ["api-0", "api-2"]


def test_a_replica_that_is_still_being_made_does_not_count() -> None:
    asked_for = changed(pod("api-1"), "status/phase", "Pending")
    assert live(pod("api-2"), asked_for, pod("api-0")).instances("api") == ["api-0", "api-2"]


def test_of_a_job_only_the_pods_of_the_deployed_one_count() -> None:
    of_migrations = {"workflow.part": "migrations"}
    deployed = pod("migrations-1234-a", **of_migrations, **{"job-name": "migrations-1234"})
    before = pod("migrations-0987-b", **of_migrations, **{"job-name": "migrations-0987"})
    assert live(before, deployed).instances("migrations") == ["migrations-1234-a"]


@pytest.mark.parametrize("role", ["master", "primary"])
def test_the_database_server_that_takes_writes_is_known_by_its_label(role: str) -> None:
    assert live(member(0, "replica"), member(1, role)).primary() == "postgres-1"


@pytest.mark.parametrize("roles", [["replica", "replica"], ["master", "master"]])
def test_none_or_two_primaries_are_a_failure(roles: list[str]) -> None:
    with pytest.raises(AssertionError, match=f"{roles.count('master')} primaries"):
        live(*(member(number, role) for number, role in enumerate(roles))).primary()


def test_a_part_with_all_replicas_up_has_no_fault() -> None:
    assert with_deployment(STATUS).state_faults("api") == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({**STATUS, "readyReplicas": 1}, "1 of 2 replicas are ready"),
        ({**STATUS, "updatedReplicas": 1}, "1 of 2 replicas are as described"),
        ({**STATUS, "observedGeneration": 2}, "not been taken up"),
        ({"observedGeneration": 3}, "0 of 2 replicas are ready"),
    ],
)
def test_lacking_replicas_are_told(status: Thing, words: str) -> None:
    assert words in "; ".join(with_deployment(status).state_faults("api"))


@pytest.mark.parametrize(("ready", "words"), [(2, ""), (1, "1 of 2 replicas are ready")])
def test_a_daemon_needs_as_many_replicas_as_nodes_want_one(ready: int, words: str) -> None:
    numbers = {"desiredNumberScheduled": 2, "numberReady": ready, "updatedNumberScheduled": 2}
    made = cluster(pod("api-0"))
    made.objects[f"/apis/apps/v1{NAMESPACE}/daemonsets"] = [
        {**DEPLOYMENT, "metadata": {"name": "node-exporter"}, "spec": {}, "status": numbers}
    ]
    assert "; ".join(KubernetesLive(OUTPUTS, made).state_faults("node-exporter")) == words


def test_the_image_that_runs_is_compared_by_its_digest() -> None:
    other = changed(pod("api-1"), "status/containerStatuses/0/imageID", "localhost:5000/workflow/api@sha256:bbbb")
    assert live(pod("api-0")).same_image(["api"]) == {"api": True}
    assert live(pod("api-0"), other).same_image(["api"]) == {"api": False}


def test_prometheus_must_read_every_replica_at_its_own_address() -> None:
    other = changed(pod("api-1"), "status/podIP", "10.88.0.8")
    found = live(pod("api-0"), other).scrape_urls("api")
    assert found == {"https://10.88.0.7:8000/metrics", "https://10.88.0.8:8000/metrics"}


def test_secret_files_are_read_without_the_public_certificates() -> None:
    data = {"jwt": "a-long-secret\n", "tls.crt": "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n"}
    encoded = {name: base64.b64encode(text.encode()).decode() for name, text in data.items()}
    made = cluster()
    made.add(f"/api/v1{NAMESPACE}/secrets", "api-secrets", data=encoded)
    found = KubernetesLive(OUTPUTS, made)
    assert found.secrets("api") == {"jwt": "a-long-secret"}
    assert found.secrets("postgres") == {}


def test_what_may_be_read_without_a_right_on_secrets_names_each_object_once() -> None:
    assert json.dumps(list(live(pod("api-0")).descriptions())) == '["pods api-0"]'


def test_logs_of_a_container_before_its_restart_are_read_too() -> None:
    restarted = changed(pod("api-0"), "status/containerStatuses/0/restartCount", 1)
    assert list(live(restarted).logs()) == ["api-0", "api-0 before its restart"]


def test_a_pod_that_may_not_be_evicted_is_not_deleted_instead() -> None:
    made = cluster(pod("api-0"))
    made.refused[f"{PODS}/api-0/eviction"] = 403
    with pytest.raises(ClusterRefusalError):
        KubernetesLive(OUTPUTS, made).restart("api", 1)
    assert ("delete", "api-0") not in made.done
