"""`pulumi up` through the Kubernetes plugin on the live cluster: what has pods, and the waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.airgap.project import Project, lay_pulumi_home
from tests.cluster.kubernetes_project import Kubectl, busybox, kubectl_of_the_cluster, project_in, set_program

pytestmark = pytest.mark.ring("cluster")

SPACE = """
space = k8s.core.v1.Namespace("space", metadata={"name": suffix}, opts=opts)
inside = {"namespace": space.metadata.name}
image = config.require("image")


def pod(command, **more):
    container = {"name": "main", "image": image, "command": ["sh", "-c", command],
                 "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}}}
    return {"metadata": {"labels": {"app": "web"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [{**container, **more}]}}
"""
PROGRAM = (
    SPACE
    + """
SLEEP = "trap 'exit 0' TERM; while :; do sleep 0.2; done"
notes = k8s.core.v1.ConfigMap("notes", metadata=inside, data={"v": "1"}, immutable=True, opts=opts)
web = k8s.apps.v1.Deployment(
    "web", metadata={**inside, "name": "web"}, opts=opts,
    spec={"replicas": 1, "selector": {"matchLabels": {"app": "web"}},
          "template": pod(SLEEP, envFrom=[{"configMapRef": {"name": notes.metadata.name}}],
                          readinessProbe={"exec": {"command": ["true"]}, "periodSeconds": 1})},
)
service = k8s.core.v1.Service(
    "service", metadata={**inside, "name": "web"}, opts=opts,
    spec={"selector": {"app": "web"}, "ports": [{"port": 80}]},
)
claim = k8s.core.v1.PersistentVolumeClaim(
    "claim", metadata={**inside, "name": "data"}, opts=opts,
    spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}},
)
ids = k8s.apps.v1.StatefulSet(
    "ids", metadata={**inside, "name": "ids"}, opts=opts,
    spec={"replicas": 1, "serviceName": "ids", "selector": {"matchLabels": {"app": "ids"}},
          "template": {**pod(SLEEP), "metadata": {"labels": {"app": "ids"}}}},
)
each = k8s.apps.v1.DaemonSet(
    "each", metadata={**inside, "name": "each"}, opts=opts,
    spec={"selector": {"matchLabels": {"app": "each"}},
          "template": {**pod(SLEEP), "metadata": {"labels": {"app": "each"}}}},
)
job = k8s.batch.v1.Job(
    "job", metadata={**inside, "name": "sum"}, opts=opts,
    spec={"template": {"spec": {**pod("exit 0")["spec"], "restartPolicy": "Never"}}},
)
pulumi.export("notes", notes.metadata.name)
pulumi.export("available", web.status["available_replicas"])
pulumi.export("succeeded", job.status["succeeded"])
pulumi.export("address", service.spec["cluster_ip"])
"""
)
TOTAL = 10
FAILING = (
    SPACE
    + """
web = k8s.apps.v1.Deployment(
    "web", metadata={**inside, "name": "web"}, opts=opts,
    spec={"replicas": 1, "progressDeadlineSeconds": 5, "selector": {"matchLabels": {"app": "web"}},
          "template": pod("sleep 600", image="localhost:5000/there-is/no-such:image")},
)
"""
)
FAILED_JOB = (
    SPACE
    + """
job = k8s.batch.v1.Job(
    "job", metadata={**inside, "name": "sum", "annotations": {"pulumi.com/replaceUnready": "true"}}, opts=opts,
    spec={"backoffLimit": 0, "template": {
        "spec": {**pod("echo secret-in-log; exit 7")["spec"], "restartPolicy": "Never"},
    }},
)
"""
)


@pytest.fixture(scope="module")
def kubectl(cluster: Any) -> Kubectl:
    return kubectl_of_the_cluster()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_pulumi_home(tmp_path_factory.mktemp("pulumi-home"))


@pytest.fixture(scope="module")
def project(kubectl: Kubectl, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A deployed stack; removed at the end."""
    folder = tmp_path_factory.mktemp("workloads") / "project"
    with project_in(kubectl, folder, home, PROGRAM, image=busybox()) as made:
        assert f"{TOTAL} created" in made.up()
        yield made


def test_up_ends_when_everything_is_of_use(project: Project, kubectl: Kubectl) -> None:
    outputs = project.outputs()
    assert (outputs["available"], outputs["succeeded"]) == (1, 1)
    assert outputs["address"] == kubectl.get("service", "web", project.suffix)["spec"]["clusterIP"]
    assert kubectl.get("daemonset", "each", project.suffix)["status"]["numberAvailable"] >= 1
    assert kubectl.get("persistentvolumeclaim", "data", project.suffix)["status"]["phase"] == "Pending"


def test_a_second_up_and_a_refresh_change_nothing(project: Project) -> None:
    assert f"{TOTAL} unchanged" in project.up()
    output = project.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes", "--stack", "dev")
    assert f"{TOTAL} unchanged" in output


def test_drift_of_a_workload_is_mended(project: Project, kubectl: Kubectl) -> None:
    kubectl("scale", "deployment/web", "--replicas=2", "-n", project.suffix)
    kubectl("rollout", "status", "deployment/web", "-n", project.suffix, "--timeout=60s")
    kubectl("set", "env", "deployment/web", "THEIRS=x", "-n", project.suffix)
    kubectl("rollout", "status", "deployment/web", "-n", project.suffix, "--timeout=60s")
    assert "1 updated" in project.up("--refresh")
    live = kubectl.get("deployment", "web", project.suffix)
    assert live["spec"]["replicas"] == 1
    assert live["status"]["availableReplicas"] == 1


def test_new_config_is_a_new_object_and_rolls_the_pods(project: Project, kubectl: Kubectl) -> None:
    before = project.outputs()["notes"]
    set_program(project, PROGRAM.replace('"v": "1"', '"v": "2"'))
    output = project.up()
    after = project.outputs()["notes"]
    assert "1 updated" in output
    assert after != before
    live = kubectl.get("deployment", "web", project.suffix)
    source = live["spec"]["template"]["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"]
    assert (source, live["status"]["availableReplicas"]) == (after, 1)
    assert before not in kubectl.names("configmap", project.suffix)


def test_a_failed_roll_out_is_one_line_and_the_next_up_goes_on(home: Path, kubectl: Kubectl, tmp_path: Path) -> None:
    with project_in(kubectl, tmp_path / "project", home, FAILING, image=busybox()) as made:
        output = made.up(fails=True)
        lines = [line for line in output.splitlines() if "is made, but not of use" in line]
        assert lines, output
        assert "ProgressDeadlineExceeded" in lines[-1]
        assert "container main waits: " in lines[-1]
        assert "ImagePullBackOff" in lines[-1] or "ErrImagePull" in lines[-1]
        recorded = [item["type"] for item in made.state()["deployment"]["resources"]]
        assert "kubernetes:apps/v1:Deployment" in recorded
        set_program(made, FAILING.replace(', image="localhost:5000/there-is/no-such:image"', ""))
        assert "1 updated" in made.up()


def test_a_failed_job_tells_how_its_pod_ended_and_is_made_anew(home: Path, kubectl: Kubectl, tmp_path: Path) -> None:
    with project_in(kubectl, tmp_path / "project", home, FAILED_JOB, image=busybox()) as made:
        output = made.up(fails=True)
        assert "BackoffLimitExceeded" in output
        assert "container main ended with exit code 7" in output
        assert "secret-in-log" not in output
        before = kubectl.get("job", "sum", made.suffix)["metadata"]["uid"]
        made.up(fails=True)
        assert kubectl.get("job", "sum", made.suffix)["metadata"]["uid"] != before, "replaceUnready"


def test_destroy_waits_until_the_pods_are_gone(home: Path, kubectl: Kubectl, tmp_path: Path) -> None:
    with project_in(kubectl, tmp_path / "project", home, PROGRAM, image=busybox()) as made:
        made.up()
        made.pulumi("destroy", "--yes", "--skip-preview", "--stack", "dev")
        assert made.suffix not in kubectl.names("namespace")
