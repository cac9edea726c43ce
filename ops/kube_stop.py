"""Takes the programs of a stack off a cluster and keeps its data, and brings them back."""

import time
from collections.abc import Callable, Container, Sequence

from ops.console import Report
from ops.errors import OperatorError
from ops.kube import Api, ClusterRefusalError, Thing
from ops.kube_objects import CRON_JOB, DAEMON_SET, DEPLOYMENT, JOB, POD, STATEFUL_SET, Collection, selector
from ops.kube_parts import is_derived, part_of
from ops.parts import STACK_LABEL

WRITER = "workflow-operator"
STOPPED = "workflow.platform/stopped"
"""On what `stop` stopped: how many replicas there were; that a schedule was suspended, or a daemon kept off every node.
For the last it is also a label that daemons then want of a node and that no node has."""

END_SECONDS = 180.0
POLL_SECONDS = 1.0
GIVE_UP_TRIES = 10
CONFLICT, UNPROCESSABLE = 409, 422


def stop(
    api: Api, namespace: str, stack: str, report: Report, pause: Callable[[float], None] = time.sleep
) -> list[str]:
    """Suspends the schedules and takes the programs away, those that keep data last; waits for their end.

    Returns the names of the parts that ran. `resume`, and so `up`, brings them back.
    """
    ran: list[str] = []
    for schedule in api.items(CRON_JOB.path(namespace), selector(stack)):
        if _runs(CRON_JOB, schedule):
            _change(api, CRON_JOB, namespace, schedule, _off(CRON_JOB), "suspended")
    for collection in (DEPLOYMENT, DAEMON_SET, STATEFUL_SET):
        running = [each for each in api.items(collection.path(namespace), selector(stack)) if _runs(collection, each)]
        ran += _take_away(api, collection, namespace, stack, running, report, pause)
    for job in api.items(JOB.path(namespace), f"{STACK_LABEL}={stack}"):
        if is_derived(job):
            api.delete(f"{JOB.path(namespace)}/{job['metadata']['name']}")
    return ran


def stop_programs(
    api: Api,
    namespace: str,
    stack: str,
    parts: Container[str],
    report: Report,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Ends some programs that keep no data, and waits for their end. `resume` brings them back."""
    found = api.items(DEPLOYMENT.path(namespace), selector(stack))
    running = [each for each in found if part_of(each) in parts and _runs(DEPLOYMENT, each)]
    _take_away(api, DEPLOYMENT, namespace, stack, running, report, pause)


def _take_away(
    api: Api,
    collection: Collection,
    namespace: str,
    stack: str,
    running: Sequence[Thing],
    report: Report,
    pause: Callable[[float], None],
) -> list[str]:
    for each in running:
        report(f"stopping {part_of(each)}")
        before = "on every node" if collection is DAEMON_SET else str(_replicas(each))
        _change(api, collection, namespace, each, _off(collection), before)
    parts = [part_of(each) for each in running]
    _await_end(api, namespace, stack, set(parts), report, pause)
    return parts


def _replicas(thing: Thing) -> int:
    return int(thing["spec"].get("replicas", 1))


def _runs(collection: Collection, thing: Thing) -> bool:
    spec = thing["spec"]
    if collection is CRON_JOB:
        return not spec.get("suspend")
    if collection is DAEMON_SET:
        return STOPPED not in (spec["template"]["spec"].get("nodeSelector") or {})
    return _replicas(thing) > 0


def _off(collection: Collection) -> Thing:
    if collection is CRON_JOB:
        return {"suspend": True}
    return _on_nodes("true") if collection is DAEMON_SET else {"replicas": 0}


def _on(collection: Collection, before: str) -> Thing:
    if collection is CRON_JOB:
        return {"suspend": False}
    return _on_nodes(None) if collection is DAEMON_SET else {"replicas": int(before)}


def _on_nodes(stopped: str | None) -> Thing:
    return {"template": {"spec": {"nodeSelector": {STOPPED: stopped}}}}


def resume(api: Api, namespace: str, stack: str, report: Report) -> None:
    """Gives what `stop` stopped the numbers of before; what somebody else stopped is left to them."""
    for collection in (STATEFUL_SET, DEPLOYMENT, DAEMON_SET, CRON_JOB):
        for each in api.items(collection.path(namespace), selector(stack)):
            before = (each["metadata"].get("annotations") or {}).get(STOPPED)
            if before is None:
                continue
            report(f"bringing back {part_of(each)}")
            _change(api, collection, namespace, each, _on(collection, before), None)


def _change(api: Api, collection: Collection, namespace: str, thing: Thing, spec: Thing, noted: str | None) -> None:
    """Changes the object and gives the changed fields up again.

    A field that has an owner would be in conflict with the next deployment's server-side apply.
    """
    path = f"{collection.path(namespace)}/{thing['metadata']['name']}"
    body = {"metadata": {"annotations": {STOPPED: noted}}, "spec": spec}
    changed = api.patch(f"{path}?fieldManager={WRITER}", body)
    for _attempt in range(GIVE_UP_TRIES):
        entries = changed["metadata"].get("managedFields") or []
        ours = [number for number, entry in enumerate(entries) if entry["manager"] == WRITER]
        if not ours:
            return
        try:
            api.patch(path, [step for number in reversed(ours) for step in _give_up(number)])
        except ClusterRefusalError as error:
            # A controller that wrote its status in between may have moved the entries.
            if error.status not in {CONFLICT, UNPROCESSABLE}:
                raise
            changed = api.get(path)
        else:
            return


def _give_up(number: int) -> list[Thing]:
    entry = f"/metadata/managedFields/{number}"
    return [{"op": "test", "path": f"{entry}/manager", "value": WRITER}, {"op": "remove", "path": entry}]


def _await_end(
    api: Api, namespace: str, stack: str, parts: set[str], report: Report, pause: Callable[[float], None]
) -> None:
    deadline = time.monotonic() + END_SECONDS
    while True:
        pods = [pod for pod in api.items(POD.path(namespace), f"{STACK_LABEL}={stack}") if part_of(pod) in parts]
        left = sorted(pod["metadata"]["name"] for pod in pods if not _ended(pod))
        if not left:
            return
        if time.monotonic() > deadline:
            raise OperatorError(
                f"these did not end within {END_SECONDS:.0f} s: {', '.join(left)}", "see their logs and try again"
            )
        report(f"waiting for {', '.join(left)}")
        pause(POLL_SECONDS)


def _ended(pod: Thing) -> bool:
    return (pod.get("status") or {}).get("phase") in {"Failed", "Succeeded"}
