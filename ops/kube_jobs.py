"""Runs a job of a live stack once more, as the stack runs it, and waits for its end."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ops.errors import OperatorError
from ops.kube import Api, ClusterRefusalError, Thing
from ops.kube_objects import JOB, POD
from ops.kube_parts import AGAIN_LABEL, job_outcome, part_of, trouble_of
from ops.logs import whole_lines
from ops.parts import KIND_LABEL, PART_LABEL, STACK_LABEL

POLL_SECONDS = 0.5
TROUBLE_SECONDS = 60.0
"""How long a pod may be in trouble before it counts as one that will not start; images take a while to be pulled."""

SILENCE_SECONDS = 600.0
KEPT_SECONDS = 600
"""How long the cluster keeps a finished job that its command did not live to remove."""

_OF_THE_CONTROLLER = (
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
)

Write = Callable[[str], None]
Pause = Callable[[float], None]


def again(template: Thing, stack: str, part: str, arguments: Sequence[str] | None = None) -> Thing:
    """A job of the same pod template as an existing Job or a CronJob's, with other arguments when they are given.

    Its pods carry the part's own labels, because network policies let in and out by them.
    """
    pod: dict[str, Any] = {"metadata": dict(template.get("metadata") or {}), "spec": dict(template["spec"])}
    labels = {k: v for k, v in (pod["metadata"].get("labels") or {}).items() if k not in _OF_THE_CONTROLLER}
    pod["metadata"] = {"labels": labels, "annotations": pod["metadata"].get("annotations") or {}}
    if arguments is not None:
        first, *others = pod["spec"]["containers"]
        pod["spec"]["containers"] = [{**first, "args": list(arguments)}, *others]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "generateName": f"{part}-again-",
            "labels": {STACK_LABEL: stack, PART_LABEL: f"{part}-again", KIND_LABEL: "job", AGAIN_LABEL: "true"},
        },
        "spec": {"backoffLimit": 0, "ttlSecondsAfterFinished": KEPT_SECONDS, "template": pod},
    }


def run_job(
    api: Api, namespace: str, body: Thing, write: Write, seconds: float, pause: Pause = time.sleep
) -> tuple[int, str]:
    """Makes the job, gives its log to `write` as it comes, and removes it at the end, however that comes.

    Returns its exit code and, when it failed, why. Raises OperatorError when it does not start or does not end in time.
    """
    made = api.create(JOB.path(namespace), body)
    path = f"{JOB.path(namespace)}/{made['metadata']['name']}"
    try:
        deadline = time.monotonic() + seconds
        pod = _started(api, namespace, made, deadline, pause)
        name = pod["metadata"]["name"]
        # A backup of a large database says nothing until it is done.
        silence = max(SILENCE_SECONDS, deadline - time.monotonic())
        for line in whole_lines(api.lines(f"{POD.path(namespace)}/{name}/log?follow=true", silence)):
            write(line)
        return _ended(api, namespace, path, name, deadline, pause)
    finally:
        api.delete(path)


def _started(api: Api, namespace: str, job: Thing, deadline: float, pause: Pause) -> Thing:
    """The job's pod once its program runs or has ended."""
    part, troubled = part_of(job), 0.0
    while True:
        pods = api.items(POD.path(namespace), f"batch.kubernetes.io/job-name={job['metadata']['name']}")
        if running := next((pod for pod in pods if _has_run(pod)), None):
            return running
        now = time.monotonic()
        trouble = trouble_of(pods)
        troubled = (troubled or now) if trouble else 0.0
        if now > deadline or (troubled and now - troubled > TROUBLE_SECONDS):
            why = trouble or _refused(api, namespace, job) or "no pod was made in time"
            raise OperatorError(
                f"the job {part} does not start: {why}",
                "see ./deploy-api.sh status, mend what it tells, and run the command again",
            )
        pause(POLL_SECONDS)


def _has_run(pod: Thing) -> bool:
    states = [each.get("state") or {} for each in (pod.get("status") or {}).get("containerStatuses") or []]
    return any("running" in state or "terminated" in state for state in states)


def _refused(api: Api, namespace: str, job: Thing) -> str:
    """Why no pod was made, as the cluster's events tell it: a quota or a security rule, for instance."""
    uid = job["metadata"]["uid"]
    events: Iterable[Thing] = api.items(
        f"/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.uid%3D{uid},type%3DWarning"
    )
    return next((" ".join(str(event.get("message", "")).split())[:200] for event in events), "")


def _ended(api: Api, namespace: str, path: str, pod: str, deadline: float, pause: Pause) -> tuple[int, str]:
    while True:
        outcome, reason = job_outcome(api.get(path))
        if outcome == "ok":
            return 0, ""
        if outcome == "failed":
            return _exit_code(api, namespace, pod) or 1, reason
        if time.monotonic() > deadline:
            raise OperatorError(f"the job {pod} did not end in time", "see its log and run the command again")
        pause(POLL_SECONDS)


def _exit_code(api: Api, namespace: str, pod: str) -> int:
    try:
        statuses = (api.get(f"{POD.path(namespace)}/{pod}").get("status") or {}).get("containerStatuses") or []
    except ClusterRefusalError:
        return 0
    ended = [(each.get("state") or {}).get("terminated") or {} for each in statuses]
    return next((int(each["exitCode"]) for each in ended if each.get("exitCode")), 0)
