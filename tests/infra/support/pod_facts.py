"""What must hold for a pod, judged from what the cluster's API says of it: each function returns the faults.

A "spec" is a pod's spec, also the one inside a template; a "pod" has its status too. Each pod runs one container.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from stacks.quantities import quantity

Spec = dict[str, Any]
Pod = dict[str, Any]

SETTLED = timedelta(minutes=1)
"""A container that runs so long after a restart is taken as up."""


def container(spec: Spec) -> dict[str, Any]:
    """The one container of a pod."""
    (only,) = spec["containers"]
    return dict(only)


def instant(text: str) -> datetime:
    """A time as the API writes it."""
    return datetime.fromisoformat(text.removesuffix("Z") + "+00:00").astimezone(UTC)


def hardening_faults(spec: Spec, *, read_only: bool = True) -> list[str]:
    """More privilege than a program needs; with `read_only` a writable root file system counts too."""
    faults = [f"{key} is true" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    faults += [f"volume {volume['name']} is a folder of the machine" for volume in _host_paths(spec)]
    whole = spec.get("securityContext") or {}
    for each in [*spec["containers"], *(spec.get("initContainers") or ())]:
        own = each.get("securityContext") or {}
        merged = {**whole, **own}
        if own.get("privileged"):
            faults.append("it is privileged")
        if own.get("allowPrivilegeEscalation", True):
            faults.append("it may gain new privileges (allowPrivilegeEscalation is not false)")
        capabilities = own.get("capabilities") or {}
        if capabilities.get("add"):
            faults.append(f"it has added capabilities: {', '.join(capabilities['add'])}")
        if "ALL" not in (capabilities.get("drop") or ()):
            faults.append("it does not drop all capabilities")
        if (merged.get("seccompProfile") or {}).get("type") not in {"RuntimeDefault", "Localhost"}:
            faults.append("its system-call filter is switched off")
        if not merged.get("runAsNonRoot") or merged.get("runAsUser") == 0:
            faults.append("it may run as root")
        if read_only and not own.get("readOnlyRootFilesystem"):
            faults.append("its root file system is writable")
        faults += [f"it takes port {port['hostPort']} of the machine" for port in _host_ports(each)]
    return faults


def _host_paths(spec: Spec) -> list[dict[str, Any]]:
    return [volume for volume in spec.get("volumes") or () if "hostPath" in volume]


def _host_ports(container: dict[str, Any]) -> list[dict[str, Any]]:
    return [port for port in container.get("ports") or () if port.get("hostPort")]


def limits(spec: Spec) -> tuple[int, float]:
    """Memory in bytes and cores that the container may use; 0 where there is no limit."""
    declared = (container(spec).get("resources") or {}).get("limits") or {}
    return int(quantity(declared.get("memory", "0"))), quantity(declared.get("cpu", "0"))


def limit_faults(spec: Spec) -> list[str]:
    """Missing limits and requests of memory and CPU."""
    resources = container(spec).get("resources") or {}
    return [
        f"it has no {word} of {what}"
        for key, word in (("limits", "limit"), ("requests", "request"))
        for what in ("memory", "cpu")
        if not (resources.get(key) or {}).get(what)
    ]


def state_faults(pod: Pod, now: datetime) -> list[str]:
    """A pod of a long-running program that is not simply up."""
    status = pod.get("status") or {}
    faults = [] if status.get("phase") == "Running" else [f"its phase is {status.get('phase')}"]
    for each in status.get("containerStatuses") or ():
        waiting = (each.get("state") or {}).get("waiting")
        if waiting:
            faults.append(f"it waits: {waiting.get('reason')}")
        last = (each.get("lastState") or {}).get("terminated") or {}
        if last.get("reason") == "OOMKilled":
            faults.append("it was killed for using too much memory")
        # Members of a quorum may restart while the others are not there yet; what counts is that it has settled.
        elif last.get("finishedAt") and now - instant(last["finishedAt"]) < SETTLED:
            faults.append(f"it was restarted {each.get('restartCount')} times, last just now")
    return faults


def ready(pod: Pod) -> bool:
    """Whether the pod may be given work."""
    conditions = {each["type"]: each["status"] for each in (pod.get("status") or {}).get("conditions") or ()}
    return conditions.get("Ready") == "True"


def health_faults(pod: Pod) -> list[str]:
    """No probe of life, or a pod that is not ready."""
    faults = [] if container(pod["spec"]).get("livenessProbe") else ["it has no health check"]
    return faults if ready(pod) else [*faults, "it is not ready"]


def health_timing_faults(spec: Spec, *, interval: int, timeout: int, start_period: int, retries: int) -> list[str]:
    """Differences of the timing (seconds) of the probe of life from the wanted one."""
    probe = container(spec).get("livenessProbe") or {}
    wanted = {
        "periodSeconds": interval,
        "timeoutSeconds": timeout,
        "initialDelaySeconds": start_period,
        "failureThreshold": retries,
    }
    return [
        f"{name} is {probe.get(name)}, wanted {value}" for name, value in wanted.items() if probe.get(name) != value
    ]


def health_question(spec: Spec) -> str:
    """What the probe of life asks."""
    probe = container(spec).get("livenessProbe") or {}
    if get := probe.get("httpGet"):
        return f"GET {get.get('scheme', 'HTTP').lower()}://:{get['port']}{get.get('path', '/')}"
    return " ".join((probe.get("exec") or {}).get("command") or ()) or str(probe.get("tcpSocket") or "")


def job_faults(job: dict[str, Any]) -> list[str]:
    """A job that did not complete."""
    conditions = {each["type"]: each for each in (job.get("status") or {}).get("conditions") or ()}
    if (conditions.get("Complete") or {}).get("status") == "True":
        return []
    failed = conditions.get("Failed") or {}
    return [f"it failed: {failed.get('reason')}"] if failed.get("status") == "True" else ["it has not completed"]


def volume_faults(pod: Pod, claims: dict[str, dict[str, Any]], destination: str) -> list[str]:
    """A data directory of a pod that is on no bound claim. `claims` are the namespace's by name."""
    spec = pod["spec"]
    mounts = {mount["mountPath"]: mount for mount in container(spec).get("volumeMounts") or ()}
    mount = mounts.get(destination)
    if mount is None:
        return [f"{destination} is inside the container, not on a volume"]
    volume = next(each for each in spec.get("volumes") or () if each["name"] == mount["name"])
    if "persistentVolumeClaim" not in volume:
        return [f"{destination} goes with the pod: its volume is no persistent claim"]
    if mount.get("readOnly"):
        return [f"{destination} is mounted read-only"]
    name = volume["persistentVolumeClaim"]["claimName"]
    phase = (claims.get(name, {}).get("status") or {}).get("phase")
    return [] if phase == "Bound" else [f"{destination}: claim {name} is {phase or 'not there'}"]


def environment(spec: Spec) -> dict[str, str]:
    """The variables that are given as plain text."""
    return {entry["name"]: entry["value"] for entry in container(spec).get("env") or () if "value" in entry}
