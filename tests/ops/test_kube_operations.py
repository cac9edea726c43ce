"""Stopping, bringing back, running again, fingerprints and leftovers on a cluster in memory."""

from typing import Any

import pytest

from ops import kube_leftovers, kube_stop
from ops.errors import OperatorError
from ops.kube import ClusterRefusalError
from ops.kube_jobs import again, run_job
from ops.kube_objects import (
    CLAIM,
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    MANAGED,
    NAMESPACE,
    POD,
    STATEFUL_SET,
    fingerprint,
    managed,
)
from tests.ops.fake_cluster import FakeCluster

pytestmark = pytest.mark.ring("unit")

NS = "workflow-t"
OURS = {"workflow.stack": "t", "app.kubernetes.io/managed-by": "pulumi"}


def quiet(_line: str) -> None:
    pass


def never(_seconds: float) -> None:
    raise AssertionError("it waits for something that is so already")


def part(name: str) -> dict[str, str]:
    return {**OURS, "workflow.part": name}


@pytest.fixture
def cluster() -> FakeCluster:
    made = FakeCluster()
    made.add(NAMESPACE.path(), NS, OURS)
    made.add(DEPLOYMENT.path(NS), "api", part("api"), spec={"replicas": 3})
    made.add(DAEMON_SET.path(NS), "node-exporter", part("node-exporter"), spec={"template": {"spec": {}}})
    made.add(STATEFUL_SET.path(NS), "postgres", part("postgres"), spec={"replicas": 1})
    made.add(CRON_JOB.path(NS), "backup-full", part("backup-full"), spec={"suspend": False})
    made.add("/api/v1/namespaces/workflow-t/secrets", "api-secrets", part("api"), data={"jwt": "x"})
    return made


def spec(cluster: FakeCluster, collection: Any, name: str) -> dict[str, Any]:
    return dict(cluster.get(f"{collection.path(NS)}/{name}")["spec"])


def test_stop_takes_programs_away_before_data_and_resume_brings_all_back(cluster: FakeCluster) -> None:
    assert kube_stop.stop(cluster, NS, "t", quiet, never) == ["api", "node-exporter", "postgres"]
    assert spec(cluster, DEPLOYMENT, "api")["replicas"] == 0
    assert spec(cluster, STATEFUL_SET, "postgres")["replicas"] == 0
    assert spec(cluster, CRON_JOB, "backup-full")["suspend"] is True
    kube_stop.resume(cluster, NS, "t", quiet)
    assert spec(cluster, DEPLOYMENT, "api")["replicas"] == 3
    assert spec(cluster, STATEFUL_SET, "postgres")["replicas"] == 1
    assert spec(cluster, CRON_JOB, "backup-full")["suspend"] is False


def test_a_daemon_is_kept_off_every_node_until_it_is_brought_back(cluster: FakeCluster) -> None:
    def wanted_of_a_node() -> dict[str, str]:
        return dict(spec(cluster, DAEMON_SET, "node-exporter")["template"]["spec"].get("nodeSelector") or {})

    kube_stop.stop(cluster, NS, "t", quiet, never)
    assert wanted_of_a_node() == {"workflow.platform/stopped": "true"}
    managers = [each["manager"] for each in cluster.objects[DAEMON_SET.path(NS)][0]["metadata"]["managedFields"]]
    assert managers == ["pulumi"]
    assert "node-exporter" not in kube_stop.stop(cluster, NS, "t", quiet, never)
    kube_stop.resume(cluster, NS, "t", quiet)
    assert wanted_of_a_node() == {}


def test_a_daemon_that_was_stopped_and_brought_back_is_as_it_was(cluster: FakeCluster) -> None:
    daemon = cluster.objects[DAEMON_SET.path(NS)][0]
    generation = "deprecated.daemonset.template.generation"
    daemon["metadata"]["annotations"] = {generation: "1"}
    daemon["spec"]["template"]["spec"] = {"nodeSelector": {"disk": "fast"}}
    before = fingerprint(managed(cluster, "t", NS))
    kube_stop.stop(cluster, NS, "t", quiet, never)
    assert fingerprint(managed(cluster, "t", NS)) != before
    kube_stop.resume(cluster, NS, "t", quiet)
    for collection in (DEPLOYMENT, STATEFUL_SET, CRON_JOB):
        cluster.objects[collection.path(NS)][0]["metadata"].pop("annotations")
    daemon["metadata"]["annotations"][generation] = "3"
    assert fingerprint(managed(cluster, "t", NS)) == before


def test_stop_twice_remembers_the_numbers_of_the_first_time(cluster: FakeCluster) -> None:
    kube_stop.stop(cluster, NS, "t", quiet, never)
    assert kube_stop.stop(cluster, NS, "t", quiet, never) == []
    kube_stop.resume(cluster, NS, "t", quiet)
    assert spec(cluster, DEPLOYMENT, "api")["replicas"] == 3


def test_a_schedule_that_somebody_else_suspended_stays_so(cluster: FakeCluster) -> None:
    cluster.objects[CRON_JOB.path(NS)][0]["spec"]["suspend"] = True
    kube_stop.stop(cluster, NS, "t", quiet, never)
    kube_stop.resume(cluster, NS, "t", quiet)
    assert spec(cluster, CRON_JOB, "backup-full")["suspend"] is True


def test_no_field_stays_owned_by_the_command_that_changed_it(cluster: FakeCluster) -> None:
    kube_stop.stop(cluster, NS, "t", quiet, never)
    managers = [each["manager"] for each in cluster.objects[DEPLOYMENT.path(NS)][0]["metadata"]["managedFields"]]
    assert managers == ["pulumi"]


def test_a_controller_that_writes_in_between_does_not_keep_a_field_owned(cluster: FakeCluster) -> None:
    patch, refusals = cluster.patch, [422, 409]

    def unlucky(path: str, body: Any) -> Any:
        if isinstance(body, list) and refusals:
            raise ClusterRefusalError("the test failed", "-", refusals.pop())
        return patch(path, body)

    cluster.patch = unlucky  # type: ignore[method-assign]
    kube_stop.stop(cluster, NS, "t", quiet, never)
    managers = [each["manager"] for each in cluster.objects[DEPLOYMENT.path(NS)][0]["metadata"]["managedFields"]]
    assert managers == ["pulumi"]
    assert refusals == []


def test_stop_waits_for_the_pods_to_end(cluster: FakeCluster) -> None:
    cluster.add(POD.path(NS), "api-1", part("api"), status={"phase": "Running"})
    waited = []

    def pause(_seconds: float) -> None:
        waited.append(1)
        cluster.delete(f"{POD.path(NS)}/api-1")

    kube_stop.stop(cluster, NS, "t", quiet, pause)
    assert waited == [1]


def test_the_fingerprint_changes_with_a_change_by_hand(cluster: FakeCluster) -> None:
    before = fingerprint(managed(cluster, "t", NS))
    cluster.objects[DEPLOYMENT.path(NS)][0]["spec"]["replicas"] = 5
    assert fingerprint(managed(cluster, "t", NS)) != before


def test_the_fingerprint_stays_when_only_the_status_changes_or_an_autoscaler_scales(cluster: FakeCluster) -> None:
    path = "/apis/autoscaling/v2/namespaces/workflow-t/horizontalpodautoscalers"
    cluster.add(path, "api", part("api"), spec={"scaleTargetRef": {"name": "api"}})
    before = fingerprint(managed(cluster, "t", NS))
    deployment = cluster.objects[DEPLOYMENT.path(NS)][0]
    deployment["spec"]["replicas"] = 5
    deployment["status"] = {"readyReplicas": 5}
    deployment["metadata"]["resourceVersion"] = "99"
    deployment["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "2"}
    assert fingerprint(managed(cluster, "t", NS)) == before


def test_a_secret_is_told_by_its_version_and_never_read(cluster: FakeCluster) -> None:
    found = {kind.kind: thing for kind, thing in managed(cluster, "t", NS)}
    assert "data" not in found["Secret"]
    before = fingerprint(managed(cluster, "t", NS))
    cluster.objects["/api/v1/namespaces/workflow-t/secrets"][0]["metadata"]["resourceVersion"] = "2"
    assert fingerprint(managed(cluster, "t", NS)) != before


def test_what_a_program_made_by_itself_is_not_in_the_fingerprint(cluster: FakeCluster) -> None:
    before = fingerprint(managed(cluster, "t", NS))
    cluster.add("/api/v1/namespaces/workflow-t/configmaps", "postgres-leader", {"workflow.stack": "t"}, data={})
    assert fingerprint(managed(cluster, "t", NS)) == before


JOB_TEMPLATE = {
    "metadata": {"labels": {**part("migrations"), "job-name": "m1", "controller-uid": "u"}},
    "spec": {"containers": [{"name": "migrations", "image": "i", "args": ["migrate"]}]},
}


def test_a_job_run_again_keeps_the_labels_that_let_it_in_and_loses_those_of_its_first_run() -> None:
    body = again(JOB_TEMPLATE, "t", "migrations", ["schema"])
    template = body["spec"]["template"]
    assert template["metadata"]["labels"] == part("migrations")
    assert template["spec"]["containers"][0]["args"] == ["schema"]
    assert JOB_TEMPLATE["spec"]["containers"][0]["args"] == ["migrate"]  # type: ignore[index]
    assert "app.kubernetes.io/managed-by" not in body["metadata"]["labels"]


def _ended(cluster: FakeCluster, condition: str, code: int) -> None:
    name = "migrations-again-abcde"
    cluster.add(
        POD.path(NS), "p1", {"batch.kubernetes.io/job-name": name},
        status={"containerStatuses": [{"state": {"terminated": {"exitCode": code}}}]},
    )  # fmt: skip
    cluster.text[f"{POD.path(NS)}/p1/log?follow=true"] = [b"one\ntw", b"o\n"]
    create = cluster.create

    def created(path: str, body: dict[str, Any]) -> dict[str, Any]:
        made = create(path, body)
        cluster.objects[path][-1]["status"] = {
            "conditions": [{"type": condition, "status": "True", "reason": "Because", "message": "of it"}]
        }
        return made

    cluster.create = created  # type: ignore[method-assign]


@pytest.mark.parametrize(("condition", "code", "why"), [("Complete", 0, ""), ("Failed", 3, "Because: of it")])
def test_a_job_gives_its_log_and_its_exit_code_and_is_removed(
    cluster: FakeCluster, condition: str, code: int, why: str
) -> None:
    _ended(cluster, condition, code)
    said: list[str] = []
    assert run_job(cluster, NS, again(JOB_TEMPLATE, "t", "migrations"), said.append, 5, never) == (code, why)
    assert said == ["one", "two"]
    assert cluster.items(JOB.path(NS)) == []


def test_a_job_that_never_starts_is_explained_by_the_clusters_event_and_removed(cluster: FakeCluster) -> None:
    cluster.add("/api/v1/namespaces/workflow-t/events", "e1", message="exceeded quota: quota, requested: pods=1")
    with pytest.raises(OperatorError, match="does not start: exceeded quota"):
        run_job(cluster, NS, again(JOB_TEMPLATE, "t", "migrations"), quiet, -1, never)
    assert cluster.items(JOB.path(NS)) == []


def _state(*recorded: tuple[str, str], pending: bool = False) -> dict[str, Any]:
    resources = [{"type": f"kubernetes:g/v1:{kind}", "id": identity} for kind, identity in recorded]
    return {"resources": resources, "pending_operations": [{"type": "creating"}] if pending else []}


def test_what_a_cut_off_operation_made_without_recording_it_is_removed(cluster: FakeCluster) -> None:
    state = _state(("Namespace", NS), ("StatefulSet", f"{NS}/postgres"), pending=True)
    kube_leftovers.remove_unrecorded(cluster, "t", NS, state, quiet)
    gone = {name for verb, name in cluster.done if verb == "delete"}
    assert gone == {"api", "node-exporter", "backup-full", "api-secrets"}


def test_an_unrecorded_namespace_with_volumes_is_not_removed(cluster: FakeCluster) -> None:
    cluster.add(CLAIM.path(NS), "data-postgres-0")
    kube_leftovers.remove_unrecorded(cluster, "t", NS, _state(pending=True), quiet)
    assert ("delete", NS) not in cluster.done


def test_a_stack_that_another_state_made_is_refused(cluster: FakeCluster) -> None:
    with pytest.raises(OperatorError, match="this machine's state does not know: Deployment api") as refused:
        kube_leftovers.refuse_foreign(cluster, "t", NS, _state())
    assert "WORKFLOW_HOME" in refused.value.mend


def test_data_whose_secrets_this_state_has_not_kept_is_refused() -> None:
    kept = FakeCluster()
    kept.add(NAMESPACE.path(), NS, OURS)
    with pytest.raises(OperatorError, match="this machine's state does not know: Namespace"):
        kube_leftovers.refuse_foreign(kept, "t", NS, _state())


def test_after_destroy_nothing_with_the_stacks_label_is_left(cluster: FakeCluster) -> None:
    assert kube_leftovers.remove_all(cluster, "t", NS, False, quiet, never) == ""
    assert list(managed(cluster, "t", NS)) == []


def test_with_kept_data_the_namespace_stays(cluster: FakeCluster) -> None:
    cluster.add(CLAIM.path(NS), "data-postgres-0")
    assert kube_leftovers.remove_all(cluster, "t", NS, True, quiet, never) == ""
    assert [kind for kind, _thing in managed(cluster, "t", NS)] == [NAMESPACE]


def test_a_volume_that_still_holds_a_claim_is_told_as_left_over(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube_leftovers, "GONE_SECONDS", -1)
    claim = {"claimRef": {"namespace": NS}, "persistentVolumeReclaimPolicy": "Delete"}
    cluster.add("/api/v1/persistentvolumes", "pv-1", spec=claim, status={"phase": "Bound"})
    assert kube_leftovers.remove_all(cluster, "t", NS, False, quiet, never) == "PersistentVolume pv-1"


def test_every_kind_that_the_program_registers_is_looked_for() -> None:
    kinds = {collection.kind for collection in MANAGED}
    assert kinds >= {
        "Deployment",
        "DaemonSet",
        "StatefulSet",
        "Job",
        "CronJob",
        "Secret",
        "NetworkPolicy",
        "PriorityClass",
    }
