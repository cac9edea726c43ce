"""The parts of a stack as a cluster shows them: pure functions over its objects."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.kube import Thing
from ops.parts import PART_LABEL, Inventory, Verdict

AGAIN_LABEL = "workflow.again"
"""On a job that a command made from another one, so that it does not count as a part."""

TOLD = 240
"""Letters of a reason that are shown."""

STARTING = frozenset({"ContainerCreating", "PodInitializing", "Pending"})
"""Why a container waits when nothing is wrong."""


@dataclass(frozen=True)
class KubePart:
    """One program of a stack on a cluster: how many of its replicas are ready, and since when it is as it is."""

    name: str
    container: str
    image: str
    kind: str
    state: str
    verdict: Verdict
    ready: int | None = None
    desired: int | None = None
    health: str | None = None
    exit_code: int | None = None
    restarts: int = 0
    started_at: str = ""

    def as_json(self) -> dict[str, Any]:
        """The shape that `status --json` promises, as on Docker, with the numbers of replicas."""
        return {
            "part": self.name,
            "container": self.container,
            "image": self.image,
            "kind": self.kind,
            "state": self.state,
            "health": self.health,
            "verdict": self.verdict,
            "exitCode": self.exit_code,
            "restarts": self.restarts,
            "startedAt": self.started_at or None,
            "ports": {},
            "ready": self.ready,
            "desired": self.desired,
        }


@dataclass(frozen=True)
class Seen:
    """The objects that parts are told from."""

    deployments: Sequence[Thing] = ()
    daemon_sets: Sequence[Thing] = ()
    stateful_sets: Sequence[Thing] = ()
    jobs: Sequence[Thing] = ()
    cron_jobs: Sequence[Thing] = ()
    pods: Sequence[Thing] = ()


def parts_of(seen: Seen, inventory: Inventory | None = None) -> list[KubePart]:
    """All parts that are there or, by the stack's `inventory` output, should be; ordered by name."""
    pods: dict[str, list[Thing]] = {}
    for pod in seen.pods:
        pods.setdefault(part_of(pod), []).append(pod)
    own_jobs = [job for job in seen.jobs if not is_derived(job)]
    runs: dict[str, list[Thing]] = {}
    for job in seen.jobs:
        runs.setdefault(owner(job), []).append(job)
    found = [
        *(_replicated(each, "service", pods.get(part_of(each), [])) for each in seen.deployments),
        *(_replicated(each, "daemon", pods.get(part_of(each), [])) for each in seen.daemon_sets),
        *(_replicated(each, "stateful", pods.get(part_of(each), [])) for each in seen.stateful_sets),
        *(_job(each, _owned(each, seen.pods)) for each in newest(own_jobs)),
        *(_schedule(each, runs.get(each["metadata"]["uid"], [])) for each in seen.cron_jobs),
    ]
    parts = {part.name: part for part in found}
    for name, wanted in (inventory or {}).items():
        if name not in parts:
            given = str(wanted.get("object") or name), str(wanted.get("image", "")), str(wanted.get("kind", "service"))
            parts[name] = KubePart(name, *given, state="absent", verdict="absent")
    return [parts[name] for name in sorted(parts)]


def part_of(thing: Thing) -> str:
    """The part that an object belongs to."""
    return str((thing["metadata"].get("labels") or {}).get(PART_LABEL) or thing["metadata"]["name"])


def owner(thing: Thing) -> str:
    """The uid of the object that made this one; empty when nothing did."""
    return next((str(each["uid"]) for each in thing["metadata"].get("ownerReferences") or []), "")


def is_derived(job: Thing) -> bool:
    """Whether a schedule or a command made the job from another object."""
    return bool(owner(job)) or AGAIN_LABEL in (job["metadata"].get("labels") or {})


def newest(things: Iterable[Thing]) -> list[Thing]:
    """Of each part only the newest object."""
    latest: dict[str, Thing] = {}
    for thing in sorted(things, key=lambda each: str(each["metadata"].get("creationTimestamp") or "")):
        latest[part_of(thing)] = thing
    return list(latest.values())


def trouble_of(pods: Iterable[Thing]) -> str:
    """Why replicas are not there, in the cluster's words: the first that tells of more than starting."""
    for pod in pods:
        status = pod.get("status") or {}
        for condition in status.get("conditions") or []:
            if condition.get("reason") == "Unschedulable":
                return f"Unschedulable: {condition.get('message', '')}".strip(": ")
        for each in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
            state = each.get("state") or {}
            waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
            if waiting and waiting.get("reason") not in STARTING:
                return _told(waiting)
            if ended and ended.get("exitCode"):
                last = str(ended.get("message") or "").strip().splitlines()[-1:]
                return ": ".join([f"{ended.get('reason') or 'Error'} (exit code {ended['exitCode']})", *last])[:TOLD]
    return ""


def _told(waiting: Mapping[str, Any]) -> str:
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    return f"{reason}: {' '.join(message.split())}"[:TOLD] if message else reason


def _owned(thing: Thing, pods: Iterable[Thing]) -> list[Thing]:
    return [pod for pod in pods if owner(pod) == thing["metadata"]["uid"]]


def _counts(pod: Thing) -> bool:
    """Whether it is meant to run: neither on its way out nor the remains of one that was evicted."""
    ended = (pod.get("status") or {}).get("phase") in {"Failed", "Succeeded"}
    return not ended and not pod["metadata"].get("deletionTimestamp")


def _image(template: Thing) -> str:
    return str(template["spec"]["containers"][0]["image"])


def _restarts(pods: Iterable[Thing]) -> int:
    statuses = (each for pod in pods for each in (pod.get("status") or {}).get("containerStatuses") or [])
    return sum(int(each.get("restartCount", 0)) for each in statuses)


def _replicated(thing: Thing, kind: str, pods: Sequence[Thing]) -> KubePart:
    spec, status = thing["spec"], thing.get("status") or {}
    observed = int(status.get("observedGeneration", 0)) >= int(thing["metadata"].get("generation", 0))
    desired, ready, updated = _daemons(status) if kind == "daemon" else _replicas(spec, status)
    current = [pod for pod in pods if _counts(pod)]
    settled = observed and updated >= desired and len(current) <= desired
    trouble = trouble_of(current)
    verdict: Verdict = "ok"
    # How many a daemon should be is the controller's to say, so that its 0 means nothing before it has looked.
    if desired == 0 and (kind != "daemon" or observed):
        verdict = "stopped"
    elif trouble and not (settled and ready >= desired):
        verdict = "failed"
    elif not settled or ready < desired:
        verdict = "starting"
    started = max((str((pod.get("status") or {}).get("startTime") or "") for pod in current), default="")
    return KubePart(
        name=part_of(thing),
        container=str(thing["metadata"]["name"]),
        image=_image(spec["template"]),
        kind=kind,
        state=f"{ready}/{desired} ready" + ("" if settled else ", rolling"),
        verdict=verdict,
        ready=ready,
        desired=desired,
        health=trouble or None,
        restarts=_restarts(current),
        started_at=started,
    )


def _replicas(spec: Thing, status: Thing) -> tuple[int, int, int]:
    return int(spec.get("replicas", 1)), int(status.get("readyReplicas", 0)), int(status.get("updatedReplicas", 0))


def _daemons(status: Thing) -> tuple[int, int, int]:
    names = ("desiredNumberScheduled", "numberReady", "updatedNumberScheduled")
    desired, ready, updated = (int(status.get(name, 0)) for name in names)
    return desired, ready, updated


def job_outcome(job: Thing) -> tuple[Verdict, str]:
    """How a job stands, and the cluster's reason when it failed."""
    for condition in (job.get("status") or {}).get("conditions") or []:
        if condition.get("status") == "True" and condition.get("type") == "Complete":
            return "ok", ""
        if condition.get("status") == "True" and condition.get("type") == "Failed":
            return "failed", f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": ")
    return "starting", ""


def _job(thing: Thing, pods: Sequence[Thing]) -> KubePart:
    verdict, reason = job_outcome(thing)
    status = thing.get("status") or {}
    codes = [
        state["terminated"]["exitCode"]
        for pod in pods
        for each in (pod.get("status") or {}).get("containerStatuses") or []
        if (state := each.get("state") or {}).get("terminated")
    ]
    states = {"ok": "complete", "failed": "failed", "starting": "running"}
    return KubePart(
        name=part_of(thing),
        container=str(thing["metadata"]["name"]),
        image=_image(thing["spec"]["template"]),
        kind="job",
        state=states[verdict],
        verdict=verdict,
        health=reason or (trouble_of(pods) if verdict == "starting" else "") or None,
        exit_code=0 if verdict == "ok" else next((code for code in codes if code), None),
        restarts=int(status.get("failed", 0)),
        started_at=str(status.get("startTime") or ""),
    )


def _schedule(thing: Thing, runs: Sequence[Thing]) -> KubePart:
    spec, status = thing["spec"], thing.get("status") or {}
    last = max(runs, key=lambda each: str(each["metadata"].get("creationTimestamp") or ""), default=None)
    outcome, reason = job_outcome(last) if last else ("ok", "")
    verdict: Verdict = "stopped" if spec.get("suspend") else "failed" if outcome == "failed" else "ok"
    state = "suspended" if spec.get("suspend") else f"scheduled ({spec['schedule']})"
    return KubePart(
        name=part_of(thing),
        container=str(thing["metadata"]["name"]),
        image=_image(spec["jobTemplate"]["spec"]["template"]),
        kind="schedule",
        state=state,
        verdict=verdict,
        health=f"last run failed: {reason}" if verdict == "failed" else None,
        started_at=str(status.get("lastScheduleTime") or ""),
    )
