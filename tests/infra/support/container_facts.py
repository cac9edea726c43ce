"""What must hold for a container, judged from `docker inspect`: each function returns the faults, worded for people."""

from typing import Any

Inspect = dict[str, Any]

SECOND = 1_000_000_000  # the engine's durations are nanoseconds


def hardening_faults(inspect: Inspect, *, read_only: bool = True) -> list[str]:
    """More privilege than a program needs; with `read_only` a writable root file system counts too."""
    host = inspect["HostConfig"]
    faults = []
    if host.get("Privileged"):
        faults.append("it is privileged")
    if host.get("CapAdd"):
        faults.append(f"it has added capabilities: {', '.join(host['CapAdd'])}")
    if "ALL" not in {capability.upper().removeprefix("CAP_") for capability in host.get("CapDrop") or ()}:
        faults.append("it does not drop all capabilities")
    if not any(
        option.startswith("no-new-privileges") and not option.endswith("false")
        for option in host.get("SecurityOpt") or ()
    ):
        faults.append("it may gain new privileges (no-new-privileges is not set)")
    if any("unconfined" in option for option in host.get("SecurityOpt") or ()):
        faults.append("its system-call filter is switched off")
    if read_only and not host.get("ReadonlyRootfs"):
        faults.append("its root file system is writable")
    for mode in ("NetworkMode", "PidMode", "IpcMode", "UTSMode"):
        if host.get(mode) == "host":
            faults.append(f"{mode} is the host's")
    if host.get("Devices"):
        faults.append("it has devices of the host")
    if any("docker.sock" in str(mount.get("Source", "")) for mount in inspect.get("Mounts") or ()):
        faults.append("the engine's socket is mounted")
    if str(inspect["Config"].get("User", "")).split(":")[0] in {"", "0", "root"}:
        faults.append("it runs as root")
    return faults


def limit_faults(inspect: Inspect) -> list[str]:
    """Missing limits of memory and CPU."""
    host = inspect["HostConfig"]
    faults = []
    if not host.get("Memory"):
        faults.append("it has no memory limit")
    if cpus(inspect) <= 0:
        faults.append("it has no CPU limit")
    return faults


def cpus(inspect: Inspect) -> float:
    """The CPU limit in cores; 0 when there is none."""
    host = inspect["HostConfig"]
    if host.get("NanoCpus"):
        return float(host["NanoCpus"]) / SECOND
    quota, period = host.get("CpuQuota") or 0, host.get("CpuPeriod") or 100_000
    return max(0.0, float(quota) / float(period))


def log_faults(inspect: Inspect) -> list[str]:
    """A log that can fill the disk."""
    log = inspect["HostConfig"].get("LogConfig") or {}
    options = log.get("Config") or {}
    driver = log.get("Type")
    if driver not in {"json-file", "local"}:
        return [f"its log driver is {driver!r}: neither kept here nor bounded"]
    wanted = ("max-size", "max-file")
    faults = [f"its log option {name} is not set" for name in wanted if not options.get(name)]
    if options.get("max-size") == "-1":
        faults.append("its log size is unlimited")
    return faults


def binding_faults(inspect: Inspect) -> list[str]:
    """Ports that are published on more than the loopback address."""
    bindings = (inspect.get("NetworkSettings") or {}).get("Ports") or {}
    return [
        f"port {port} is published on {binding.get('HostIp') or 'every address'}"
        for port, bound in sorted(bindings.items())
        for binding in bound or ()
        if binding.get("HostIp") not in {"127.0.0.1", "::1"}
    ]


def health_faults(inspect: Inspect) -> list[str]:
    """No health check, or one that does not say healthy."""
    check = (inspect["Config"].get("Healthcheck") or {}).get("Test") or ["NONE"]
    if check[0] == "NONE":
        return ["it has no health check"]
    status = ((inspect["State"].get("Health")) or {}).get("Status")
    return [] if status == "healthy" else [f"its health is {status!r}"]


def state_faults(inspect: Inspect) -> list[str]:
    """A long-running container that is not simply up."""
    state = inspect["State"]
    faults = []
    if not state.get("Running") or state.get("Status") != "running":
        faults.append(f"its state is {state.get('Status')!r} (exit code {state.get('ExitCode')})")
    if state.get("Restarting"):
        faults.append("it is restarting")
    if state.get("OOMKilled"):
        faults.append("it was killed for using too much memory")
    if inspect.get("RestartCount"):
        faults.append(f"it was restarted {inspect['RestartCount']} times by the engine")
    return faults


def job_faults(inspect: Inspect) -> list[str]:
    """A one-shot container that did not end well."""
    state = inspect["State"]
    if state.get("Status") != "exited" or state.get("ExitCode") != 0:
        return [f"its state is {state.get('Status')!r} with exit code {state.get('ExitCode')}"]
    return []


def health_timing_faults(
    inspect: Inspect, *, interval: int, timeout: int, start_period: int, retries: int
) -> list[str]:
    """Differences of the health check's timing (seconds) from the wanted one."""
    check = inspect["Config"].get("Healthcheck") or {}
    wanted = {
        "Interval": interval * SECOND,
        "Timeout": timeout * SECOND,
        "StartPeriod": start_period * SECOND,
        "Retries": retries,
    }
    return [
        f"{name} is {check.get(name)}, wanted {value}" for name, value in wanted.items() if check.get(name) != value
    ]


def volume_faults(inspect: Inspect, destination: str) -> list[str]:
    """A data directory that is not on a named volume."""
    for mount in inspect.get("Mounts") or ():
        if mount.get("Destination") == destination:
            if mount.get("Type") != "volume":
                return [f"{destination} is a {mount.get('Type')}, not a volume"]
            name = str(mount.get("Name", ""))
            if len(name) == 64 and all(digit in "0123456789abcdef" for digit in name):
                return [f"{destination} is on an anonymous volume, which goes with the container"]
            return [] if mount.get("RW") else [f"{destination} is mounted read-only"]
    return [f"{destination} is inside the container, not on a volume"]


def environment(inspect: Inspect) -> dict[str, str]:
    """The variables the container was given."""
    return dict(entry.partition("=")[::2] for entry in inspect["Config"].get("Env") or ())
