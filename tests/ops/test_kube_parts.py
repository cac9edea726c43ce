"""What the objects of a cluster tell about the parts of a stack."""

from typing import Any

import pytest

from ops.kube_parts import KubePart, Seen, parts_of, trouble_of
from ops.status import describe, release_lines, short_image

pytestmark = pytest.mark.ring("unit")

IMAGE = "registry.test/workflow-api@sha256:" + "ab" * 32


def labels(part: str) -> dict[str, str]:
    return {"workflow.stack": "t", "workflow.part": part}


def deployment(ready: int = 3, desired: int = 3, updated: int | None = None, observed: int = 2) -> dict[str, Any]:
    return {
        "metadata": {"name": "api", "uid": "d1", "generation": 2, "labels": labels("api")},
        "spec": {"replicas": desired, "template": {"spec": {"containers": [{"image": IMAGE}]}}},
        "status": {
            "observedGeneration": observed,
            "readyReplicas": ready,
            "updatedReplicas": desired if updated is None else updated,
        },
    }


def pod(part: str = "api", restarts: int = 0, state: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    container = {"restartCount": restarts, "state": state or {"running": {}}}
    return {
        "metadata": {"name": f"{part}-x", "labels": labels(part)},
        "status": {"startTime": "2026-11-22T10:00:00Z", "containerStatuses": [container], **status},
    }


def job(name: str, condition: str | None = "Complete", owner: str = "", **more_labels: str) -> dict[str, Any]:
    conditions = [{"type": condition, "status": "True", "reason": "Why", "message": "said"}] if condition else []
    references = [{"uid": owner}] if owner else []
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "labels": {**labels("migrations"), **more_labels},
            "ownerReferences": references,
            "creationTimestamp": name[-1],
        },
        "spec": {"template": {"spec": {"containers": [{"image": IMAGE}]}}},
        "status": {"conditions": conditions},
    }


def schedule(suspend: bool = False) -> dict[str, Any]:
    template = {"spec": {"template": {"spec": {"containers": [{"image": IMAGE}]}}}}
    return {
        "metadata": {"name": "backup-full", "uid": "c1", "labels": labels("backup-full")},
        "spec": {"schedule": "0 2 * * *", "suspend": suspend, "jobTemplate": template},
        "status": {"lastScheduleTime": "2026-11-22T02:00:00Z"},
    }


def daemon_set(ready: int = 3, desired: int = 3, updated: int = 3, observed: int = 2) -> dict[str, Any]:
    return {
        "metadata": {"name": "node-exporter", "uid": "n1", "generation": 2, "labels": labels("node-exporter")},
        "spec": {"template": {"spec": {"containers": [{"image": IMAGE}]}}},
        "status": {
            "observedGeneration": observed,
            "desiredNumberScheduled": desired,
            "numberReady": ready,
            "updatedNumberScheduled": updated,
        },
    }


def only(**seen: Any) -> KubePart:
    (part,) = parts_of(Seen(**seen))
    return part


@pytest.mark.parametrize(
    ("found", "pods", "verdict"),
    [
        (deployment(), [pod()] * 3, "ok"),
        (deployment(ready=2), [pod()] * 3, "starting"),
        (deployment(updated=1), [pod()] * 3, "starting"),
        (deployment(observed=1), [pod()] * 3, "starting"),
        (deployment(), [pod()] * 4, "starting"),
        (deployment(ready=0, desired=0), [], "stopped"),
        (deployment(ready=2), [pod(state={"waiting": {"reason": "ImagePullBackOff", "message": "x"}})], "failed"),
        (deployment(ready=2), [pod(state={"waiting": {"reason": "ContainerCreating"}})], "starting"),
        (deployment(), [*[pod()] * 3, pod(phase="Failed")], "ok"),
    ],
    ids=[
        "all ready", "one not ready", "rolling", "not seen yet", "an old one on its way", "stopped",
        "no image", "creating", "an evicted one",
    ],
)  # fmt: skip
def test_the_verdict_of_a_program_is_told_from_its_replicas(found: Any, pods: Any, verdict: str) -> None:
    assert only(deployments=[found], pods=pods).verdict == verdict


def test_a_program_shows_its_replicas_restarts_image_and_since_when() -> None:
    part = only(deployments=[deployment()], pods=[pod(restarts=2), pod(restarts=1)])
    shown = part.as_json()
    assert (shown["ready"], shown["desired"], shown["restarts"]) == (3, 3, 3)
    assert (shown["image"], shown["startedAt"]) == (IMAGE, "2026-11-22T10:00:00Z")


def test_why_a_replica_is_not_there_is_said_in_the_clusters_words() -> None:
    ended = pod(state={"terminated": {"exitCode": 2, "reason": "Error", "message": "first\nno such host: kafka\n"}})
    unschedulable = pod()
    unschedulable["status"]["conditions"] = [{"reason": "Unschedulable", "message": "0/1 nodes: Insufficient memory"}]
    assert trouble_of([ended]) == "Error (exit code 2): no such host: kafka"
    assert trouble_of([unschedulable]) == "Unschedulable: 0/1 nodes: Insufficient memory"
    assert trouble_of([pod()]) == ""


@pytest.mark.parametrize(("condition", "verdict"), [("Complete", "ok"), ("Failed", "failed"), (None, "starting")])
def test_a_job_is_well_when_it_is_complete(condition: str | None, verdict: str) -> None:
    assert only(jobs=[job("m1", condition)]).verdict == verdict


def test_of_several_jobs_of_a_part_the_newest_counts() -> None:
    assert only(jobs=[job("m1", "Failed"), job("m2")]).container == "m2"


@pytest.mark.parametrize(
    ("found", "pods", "verdict"),
    [
        (daemon_set(), 3, "ok"),
        (daemon_set(ready=2), 3, "starting"),
        (daemon_set(updated=1), 3, "starting"),
        (daemon_set(desired=0, ready=0, updated=0), 0, "stopped"),
        (daemon_set(desired=0, ready=0, updated=0, observed=1), 0, "starting"),
    ],
    ids=["all there", "one not ready", "rolling", "on no node", "not looked at yet"],
)
def test_of_a_daemon_there_should_be_as_many_as_its_controller_says(found: Any, pods: int, verdict: str) -> None:
    part = only(daemon_sets=[found], pods=[pod("node-exporter")] * pods)
    assert (part.verdict, part.kind) == (verdict, "daemon")
    assert part.desired == found["status"]["desiredNumberScheduled"]


def test_jobs_of_schedules_and_of_commands_are_no_parts() -> None:
    again = job("m3", "Failed", **{"workflow.again": "true"})
    assert only(jobs=[job("m1"), job("m2", "Failed", owner="c1"), again]).container == "m1"


@pytest.mark.parametrize(
    ("suspend", "last", "verdict"),
    [(False, "Complete", "ok"), (False, "Failed", "failed"), (True, "Failed", "stopped")],
)
def test_a_schedule_is_as_well_as_its_last_run(suspend: bool, last: str, verdict: str) -> None:
    run = job("b1", last, owner="c1")
    assert only(cron_jobs=[schedule(suspend)], jobs=[run]).verdict == verdict


def test_a_part_of_the_inventory_that_is_not_there_is_absent() -> None:
    (part,) = parts_of(Seen(), {"api": {"object": "api", "image": IMAGE, "kind": "service"}})
    assert part.verdict == "absent"


def test_status_of_a_cluster_has_the_promised_shape() -> None:
    outputs = {"target": "kubernetes", "inventory": {"api": {"object": "api"}}}
    status = describe("t", outputs, parts_of(Seen(deployments=[deployment()], pods=[pod()] * 3)))
    assert status["healthy"]
    assert set(status["parts"][0]) >= {"part", "kind", "ready", "desired", "restarts", "image", "startedAt", "verdict"}


def test_an_image_is_shown_by_the_beginning_of_its_digest() -> None:
    assert short_image(IMAGE) == "workflow-api@abababababab"
    assert short_image("localhost:5000/workflow-api:1.0") == "workflow-api:1.0"


def test_status_says_from_which_commit_it_runs_and_that_the_tree_had_changes() -> None:
    release = {"id": "r1", "outcome": "verified", "startedAt": "t0", "by": "me", "commit": "c0ffee", "dirty": True}
    assert release_lines({"release": release}) == [
        "Release    r1 (verified), since t0 by me",
        "Commit     c0ffee, with changes that were not committed",
    ]
    assert release_lines({"release": None}) == []
