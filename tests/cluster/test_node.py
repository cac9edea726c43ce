"""The one-node cluster, alive: what a stack needs of a cluster works on it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.request
from typing import Any

import pytest

from airgap.node.processes import Identity
from airgap.node.supervisor import read_state
from tests.cluster.support import Cluster, eventually, pod, within

pytestmark = pytest.mark.ring("cluster")

FOREVER = ["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 1; done"]
HEAL_SECONDS = 5


def claim(name: str) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def web(cluster: Cluster, **extra: Any) -> dict[str, Any]:
    """A pod that serves its own folder of scratch files."""
    probe = {"httpGet": {"path": "/index.html", "port": 8080}, "periodSeconds": 1}
    serve = ["sh", "-c", "echo hello > /www/index.html && exec httpd -f -p 8080 -h /www"]
    files = {"volumeMounts": [{"name": "www", "mountPath": "/www"}], "readinessProbe": probe}
    return pod(cluster, "web", serve, container=files, volumes=[{"name": "www", "emptyDir": {}}], **extra)


def service(kind: str) -> dict[str, Any]:
    spec = {"type": kind, "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}


def kubelet(cluster: Cluster) -> Identity | None:
    known = read_state(cluster.node.run)["parts"]["kubelet"]["process"]
    return Identity(**known) if known else None


def test_the_node_is_ready_under_its_own_version(cluster: Cluster) -> None:
    status = cluster.get("node", "workflow-node")["status"]
    ready = next(one["status"] for one in status["conditions"] if one["type"] == "Ready")
    assert (ready, status["nodeInfo"]["kubeletVersion"]) == ("True", "v1.34.4")


def test_a_pod_of_the_restricted_profile_runs(cluster: Cluster, namespace: str) -> None:
    cluster.apply(within(namespace, pod(cluster, "plain", FOREVER)))
    cluster.ready(namespace, "plain")


def test_a_pod_that_asks_for_more_is_refused(cluster: Cluster, namespace: str) -> None:
    greedy = within(namespace, pod(cluster, "greedy", FOREVER, hostNetwork=True))
    answer = cluster.kubectl("create", "-f", "-", text=json.dumps(greedy), check=False)
    assert 'violates PodSecurity "restricted' in answer


def test_the_image_is_pulled_by_digest_from_the_local_registry(cluster: Cluster, namespace: str) -> None:
    cluster.apply(within(namespace, pod(cluster, "plain", FOREVER)))
    cluster.ready(namespace, "plain")
    status = cluster.get("pod", "plain", "-n", namespace)["status"]["containerStatuses"][0]
    assert cluster.busybox.startswith("localhost:5000/")
    assert status["imageID"] == cluster.busybox


def test_a_service_is_found_by_its_name(cluster: Cluster, namespace: str) -> None:
    cluster.apply(within(namespace, web(cluster)), within(namespace, service("ClusterIP")))
    cluster.apply(within(namespace, pod(cluster, "caller", FOREVER)))
    cluster.ready(namespace, "web")
    cluster.ready(namespace, "caller")
    call = ["-n", namespace, "exec", "caller", "--", "timeout", "5", "wget", "-q", "-O-", f"http://web.{namespace}.svc"]
    eventually(lambda: cluster.kubectl(*call, check=False) == "hello\n", 20, "the service answers by its name")


def test_a_node_port_answers_from_outside(cluster: Cluster, namespace: str) -> None:
    cluster.apply(within(namespace, web(cluster)), within(namespace, service("NodePort")))
    cluster.ready(namespace, "web")
    port = cluster.get("service", "web", "-n", namespace)["spec"]["ports"][0]["nodePort"]

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://{cluster.address}:{port}/", timeout=2) as answer:
                return bool(answer.read() == b"hello\n")
        except OSError:
            return False

    eventually(answers, 20, f"port {port} of the node answers")


def test_a_volume_keeps_its_files_when_its_pod_is_replaced(cluster: Cluster, namespace: str) -> None:
    mount = {"container": {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    writing = ["sh", "-c", "test -e /data/first || echo $HOSTNAME > /data/first; sync; exec sleep 600"]
    cluster.apply(
        within(namespace, claim("data")), within(namespace, pod(cluster, "one", writing, volumes=volumes, **mount))
    )
    cluster.ready(namespace, "one")
    assert cluster.get("pvc", "data", "-n", namespace)["spec"]["storageClassName"] == "local-path"
    cluster.kubectl("-n", namespace, "delete", "pod", "one")
    cluster.apply(within(namespace, pod(cluster, "two", writing, volumes=volumes, **mount)))
    cluster.ready(namespace, "two")
    assert cluster.kubectl("-n", namespace, "exec", "two", "--", "cat", "/data/first") == "one\n"


def test_a_process_over_its_memory_limit_is_ended(cluster: Cluster, namespace: str) -> None:
    # tail keeps the last line, and this one never ends.
    cluster.apply(within(namespace, pod(cluster, "hungry", ["sh", "-c", "tail -n 1 /dev/zero"], restartPolicy="Never")))

    def reason() -> str:
        status = cluster.get("pod", "hungry", "-n", namespace)["status"]
        ended = status.get("containerStatuses", [{}])[0].get("state", {}).get("terminated", {})
        return str(ended.get("reason", ""))

    eventually(lambda: bool(reason()), 60, "the pod is ended")
    assert reason() == "OOMKilled"


def test_figures_of_use_come_for_node_and_pods(cluster: Cluster) -> None:
    assert "workflow-node" in cluster.kubectl("top", "node", "--no-headers")
    assert "coredns" in cluster.kubectl("top", "pod", "-n", "kube-system", "--no-headers")


def test_a_killed_kubelet_is_back_within_five_seconds_and_pods_go_on(cluster: Cluster, namespace: str) -> None:
    cluster.apply(within(namespace, pod(cluster, "plain", FOREVER)))
    cluster.ready(namespace, "plain")
    killed = kubelet(cluster)
    assert killed is not None
    killed.send(signal.SIGKILL)

    def serves_again() -> bool:
        now = kubelet(cluster)
        if now is None or now == killed:
            return False
        with socket.socket() as probe:
            return probe.connect_ex((cluster.address, 10250)) == 0

    eventually(serves_again, HEAL_SECONDS, "another kubelet serves")
    assert cluster.get("pod", "plain", "-n", namespace)["status"]["containerStatuses"][0]["restartCount"] == 0


def test_nobody_without_a_certificate_gets_an_answer(cluster: Cluster) -> None:
    for port, path in ((6443, "/version"), (10250, "/pods")):
        url = f"https://{cluster.address}:{port}{path}"
        command = ["curl", "-sk", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert done.stdout == "401", url


def test_a_secret_is_not_readable_in_the_store(cluster: Cluster, namespace: str) -> None:
    value = "plain-as-day-0123456789"
    cluster.kubectl("-n", namespace, "create", "secret", "generic", "hidden", f"--from-literal=key={value}")
    stored = b"".join(path.read_bytes() for path in cluster.node.etcd.rglob("*.wal"))
    assert b"k8s:enc:secretbox:v1:first:" in stored
    assert value.encode() not in stored
