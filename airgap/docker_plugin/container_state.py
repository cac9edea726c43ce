"""What the engine says of a container, as outputs, as drift against the inputs, and as inputs for an import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airgap.provider.wire import reveal

from .container_fields import CONTAINER
from .container_spec import MEGABYTE
from .schema import canonical, duration_text

_USUAL_LOG_DRIVER = "json-file"
_ANYWHERE = "0.0.0.0"  # noqa: S104 - the engine's word for "on every address"


def outputs(inputs: Mapping[str, Any], details: Mapping[str, Any], logs: str | None) -> dict[str, Any]:
    """The resource's state: the inputs, and what the engine decided or added."""
    config, host, state = details["Config"], details["HostConfig"], details["State"]
    values = dict(inputs)
    values.update(
        {
            "name": details["Name"].lstrip("/"),
            "image": details["Image"],
            "bridge": details["NetworkSettings"].get("Bridge", ""),
            "command": config.get("Cmd") or [],
            "entrypoints": config.get("Entrypoint") or [],
            "hostname": config.get("Hostname", ""),
            "init": bool(host.get("Init")),
            "ipcMode": host.get("IpcMode", ""),
            "logDriver": host["LogConfig"]["Type"],
            "networkDatas": network_datas(details),
            "runtime": host.get("Runtime", ""),
            "securityOpts": host.get("SecurityOpt") or inputs.get("securityOpts") or [],
            "shmSize": (host.get("ShmSize") or 0) // MEGABYTE,
            "stopSignal": config.get("StopSignal", ""),
            "stopTimeout": config.get("StopTimeout") or 0,
        }
    )
    if inputs.get("ports"):
        values["ports"] = [_published(port, details) for port in inputs["ports"]]
    if inputs.get("healthcheck") is None and config.get("Healthcheck"):
        values["healthcheck"] = _healthcheck(config["Healthcheck"])
    if state["Status"] in ("exited", "dead"):
        values["exitCode"] = state["ExitCode"]
    if logs is not None:
        values["containerLogs"] = logs
    return values


def network_datas(details: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The container's addresses, one item a network, in the order of the networks' names."""
    networks = details["NetworkSettings"].get("Networks") or {}
    return [
        {
            "networkName": name,
            "ipAddress": item.get("IPAddress", ""),
            "ipPrefixLength": item.get("IPPrefixLen", 0),
            "gateway": item.get("Gateway", ""),
            "globalIpv6Address": item.get("GlobalIPv6Address", ""),
            "globalIpv6PrefixLength": item.get("GlobalIPv6PrefixLen", 0),
            "ipv6Gateway": item.get("IPv6Gateway", ""),
            "macAddress": item.get("MacAddress", ""),
        }
        for name, item in sorted(networks.items())
    ]


def drift(inputs: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that no longer say what is so, with what is so now; None stands for "no longer there".

    Only what can be changed on a container that exists is looked at: all else is fixed when it is made, and a container
    made anew by somebody else has another id, which counts as gone.
    """
    plain = reveal(dict(inputs))
    found: dict[str, Any] = {}
    for name, value in _mutable(details).items():
        if canonical(CONTAINER[name], value) != canonical(CONTAINER[name], plain.get(name)):
            found[name] = value
    if not _only_where_count_matters(plain):
        found.pop("maxRetryCount", None)
    if "memorySwap" not in plain:
        # Derived by the engine from the memory limit, so not a wish of anybody.
        found.pop("memorySwap", None)
    found.update(_stopped(plain, details["State"]))
    found.update(_networks(plain, details))
    return found


def _mutable(details: Mapping[str, Any]) -> dict[str, Any]:
    host = details["HostConfig"]
    policy = host.get("RestartPolicy") or {}
    swap = host.get("MemorySwap") or 0
    return {
        "name": details["Name"].lstrip("/"),
        "memory": (host.get("Memory") or 0) // MEGABYTE,
        "memoryReservation": (host.get("MemoryReservation") or 0) // MEGABYTE,
        "memorySwap": swap // MEGABYTE if swap > 0 else swap,
        "cpuShares": host.get("CpuShares") or 0,
        "cpuSet": host.get("CpusetCpus") or "",
        "cpuPeriod": host.get("CpuPeriod") or 0,
        "cpuQuota": host.get("CpuQuota") or 0,
        "cpus": _cpus(host.get("NanoCpus") or 0),
        "restart": policy.get("Name") or "no",
        "maxRetryCount": policy.get("MaximumRetryCount") or 0,
    }


def _cpus(nano: int) -> str:
    return f"{nano / 10**9:g}" if nano else ""


def _only_where_count_matters(inputs: Mapping[str, Any]) -> bool:
    return inputs.get("restart") == "on-failure"


def _stopped(inputs: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """A container that must run and does not: `mustRun` no longer holds, and setting it again starts the container."""
    must_run = inputs.get("mustRun", True) and inputs.get("start", True) and not inputs.get("attach")
    up = state.get("Running") or state.get("Restarting")
    return {"mustRun": False} if must_run and not up else {}


def _networks(inputs: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, Any]:
    """The wished-for networks if a wish is no longer met or there are more; they may be wished for by name or by id."""
    wished = inputs.get("networksAdvanced")
    if not wished:
        return {}
    live = details["NetworkSettings"].get("Networks") or {}
    marks = {mark for name, item in live.items() for mark in (name, item.get("NetworkID"))}
    kept = [item for item in wished if item["name"] in marks]
    known = {item["name"] for item in wished}
    extra = [name for name, item in live.items() if name not in known and item.get("NetworkID") not in known]
    if len(kept) == len(wished) and not extra:
        return {}
    return {"networksAdvanced": kept + [{"name": name} for name in sorted(extra)]}


def _published(port: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, Any]:
    """A port of the inputs, with the port that the engine chose where the inputs left it open."""
    bindings = (details["NetworkSettings"].get("Ports") or {}).get(
        f"{port['internal']}/{port.get('protocol') or 'tcp'}"
    )
    chosen = next(
        (int(item["HostPort"]) for item in bindings or [] if item["HostIp"] == port.get("ip", _ANYWHERE)), None
    )
    return {**port, "external": port.get("external") or chosen} if port.get("external") or chosen else dict(port)


def _healthcheck(check: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "tests": check.get("Test") or [],
        "interval": duration_text(check.get("Interval") or 0),
        "timeout": duration_text(check.get("Timeout") or 0),
        "startPeriod": duration_text(check.get("StartPeriod") or 0),
        "retries": check.get("Retries") or 0,
    }


def imported_inputs(details: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs that would make this container: what it has beyond its image's configuration and the engine's defaults."""
    config, host, base = details["Config"], details["HostConfig"], image.get("Config") or {}
    policy = host.get("NetworkMode") or "default"
    networks = details["NetworkSettings"].get("Networks") or {}
    own = {
        key: value
        for key, value in (config.get("Labels") or {}).items()
        if (base.get("Labels") or {}).get(key) != value
    }
    short_id = details["Id"][:12]
    values: dict[str, Any] = {
        **{name: value for name, value in _mutable(details).items() if name != "memorySwap"},
        "image": config["Image"],
        "command": config.get("Cmd") if config.get("Cmd") != base.get("Cmd") else None,
        "entrypoints": config.get("Entrypoint") if config.get("Entrypoint") != base.get("Entrypoint") else None,
        "envs": sorted(set(config.get("Env") or []) - set(base.get("Env") or [])),
        "labels": [{"label": key, "value": own[key]} for key in sorted(own)],
        "user": config.get("User") if config.get("User") != base.get("User") else None,
        "workingDir": config.get("WorkingDir") if config.get("WorkingDir") != base.get("WorkingDir") else None,
        "hostname": config.get("Hostname") if config.get("Hostname") != short_id else None,
        "healthcheck": _imported_healthcheck(config, base),
        "readOnly": host.get("ReadonlyRootfs"),
        "privileged": host.get("Privileged"),
        "rm": host.get("AutoRemove"),
        "init": host.get("Init") or None,
        "capabilities": {"adds": host.get("CapAdd") or [], "drops": host.get("CapDrop") or []},
        "securityOpts": host.get("SecurityOpt"),
        "groupAdds": host.get("GroupAdd"),
        "sysctls": host.get("Sysctls"),
        "tmpfs": host.get("Tmpfs"),
        "logDriver": host["LogConfig"]["Type"] if host["LogConfig"]["Type"] != _USUAL_LOG_DRIVER else None,
        "logOpts": host["LogConfig"].get("Config"),
        "volumes": [_imported_bind(bind) for bind in host.get("Binds") or []],
        "ports": _imported_ports(host.get("PortBindings") or {}),
        "networkMode": policy if policy in ("bridge", "host", "none") or policy.startswith("container:") else "bridge",
    }
    if policy not in ("default", "bridge", "host", "none") and not policy.startswith("container:"):
        values["networksAdvanced"] = [
            {"name": name, "aliases": [alias for alias in item.get("Aliases") or [] if alias != short_id]}
            for name, item in sorted(networks.items())
        ]
    kept = {name: value for name, value in values.items() if canonical(CONTAINER[name], value) is not None}
    return {name: value for name, value in kept.items() if value is not None}


def _imported_healthcheck(config: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any] | None:
    check = config.get("Healthcheck")
    return _healthcheck(check) if check and check != base.get("Healthcheck") else None


def _imported_bind(bind: str) -> dict[str, Any]:
    source, target, *options = bind.split(":")
    place = {"hostPath": source} if source.startswith("/") else {"volumeName": source}
    return {**place, "containerPath": target, **({"readOnly": True} if "ro" in ",".join(options).split(",") else {})}


def _imported_ports(bindings: Mapping[str, Any]) -> list[dict[str, Any]]:
    ports = []
    for key, outside in sorted(bindings.items()):
        number, _, protocol = key.partition("/")
        for item in outside or []:
            port: dict[str, Any] = {
                "internal": int(number),
                "protocol": protocol,
                "ip": item.get("HostIp") or _ANYWHERE,
            }
            if item.get("HostPort"):
                port["external"] = int(item["HostPort"])
            ports.append(port)
    return ports
