"""A container's inputs as the body of the engine's create call, and its limits as the body of the update call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .schema import nanoseconds

MEGABYTE = 1024 * 1024


def create_body(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The create call's JSON for plain inputs. Networks after the first are connected by a further call each."""
    networks = sorted(inputs.get("networksAdvanced") or [], key=lambda item: str(item["name"]))
    body: dict[str, Any] = {
        "Image": inputs["image"],
        "Hostname": inputs.get("hostname", ""),
        "Domainname": inputs.get("domainname", ""),
        "User": inputs.get("user", ""),
        "Tty": bool(inputs.get("tty")),
        "OpenStdin": bool(inputs.get("stdinOpen")),
        "WorkingDir": inputs.get("workingDir", ""),
        "Env": list(inputs.get("envs") or []),
        "Labels": labels_map(inputs.get("labels")),
        "HostConfig": _host_config(inputs),
    }
    optional: dict[str, Any] = {
        "Cmd": inputs.get("command"),
        "Entrypoint": inputs.get("entrypoints"),
        "StopSignal": inputs.get("stopSignal"),
        "StopTimeout": inputs.get("stopTimeout"),
        "Healthcheck": _healthcheck(inputs.get("healthcheck")),
        "ExposedPorts": {_port_key(port): {} for port in inputs.get("ports") or []},
        "Volumes": {item["containerPath"]: {} for item in inputs.get("volumes") or [] if _is_anonymous(item)},
    }
    body.update({key: value for key, value in optional.items() if value not in (None, {}, [])})
    if networks:
        body["HostConfig"]["NetworkMode"] = networks[0]["name"]
        body["NetworkingConfig"] = {"EndpointsConfig": {networks[0]["name"]: endpoint(networks[0])}}
    return body


def further_networks(inputs: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The networks after the first, each with its endpoint settings, in a fixed order."""
    networks = sorted(inputs.get("networksAdvanced") or [], key=lambda item: str(item["name"]))
    return [(item["name"], endpoint(item)) for item in networks[1:]]


def endpoint(network: Mapping[str, Any]) -> dict[str, Any]:
    """A `networksAdvanced` item as the engine's endpoint settings."""
    settings: dict[str, Any] = {"Aliases": sorted(network.get("aliases") or [])}
    addresses = {
        "IPv4Address": network.get("ipv4Address"),
        "IPv6Address": network.get("ipv6Address"),
        "LinkLocalIPs": network.get("linkLocalIps"),
    }
    given = {key: value for key, value in addresses.items() if value}
    if given:
        settings["IPAMConfig"] = given
    if network.get("driverOpts"):
        settings["DriverOpts"] = dict(item.split("=", 1) for item in network["driverOpts"])
    if network.get("macAddress"):
        settings["MacAddress"] = network["macAddress"]
    if network.get("gwPriority"):
        settings["GwPriority"] = network["gwPriority"]
    return settings


def update_body(inputs: Mapping[str, Any], swap_without_wish: int | None) -> dict[str, Any]:
    """The update call's JSON: every limit that is given, and the restart policy.

    `swap_without_wish` (bytes) goes along when `memorySwap` is not an input: the engine refuses to raise the memory
    limit above the swap limit that it derived when the container was made.
    """
    body = limits(inputs)
    body["RestartPolicy"] = restart_policy(inputs)
    if "MemorySwap" not in body and swap_without_wish is not None and "Memory" in body:
        body["MemorySwap"] = swap_without_wish
    return body


def limits(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The limits that the engine can set on a running container, in its units."""
    swap = inputs.get("memorySwap")
    cpus = inputs.get("cpus")
    values: dict[str, Any] = {
        "Memory": (inputs.get("memory") or 0) * MEGABYTE,
        "MemoryReservation": (inputs.get("memoryReservation") or 0) * MEGABYTE,
        "MemorySwap": swap * MEGABYTE if swap and swap > 0 else swap,
        "CpuShares": inputs.get("cpuShares"),
        "CpusetCpus": inputs.get("cpuSet"),
        "NanoCpus": round(float(cpus) * 10**9) if cpus else None,
    }
    if not cpus:
        values |= {"CpuPeriod": inputs.get("cpuPeriod"), "CpuQuota": inputs.get("cpuQuota")}
    return {key: value for key, value in values.items() if value}


def restart_policy(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The restart policy; the count has a meaning for `on-failure` only and the engine refuses it elsewhere."""
    name = inputs.get("restart") or "no"
    count = inputs.get("maxRetryCount") or 0
    return {"Name": name, "MaximumRetryCount": count if name == "on-failure" else 0}


def labels_map(labels: Any) -> dict[str, str]:
    """`[{label, value}]` as the engine's mapping."""
    return {item["label"]: item["value"] for item in labels or []}


def _host_config(inputs: Mapping[str, Any]) -> dict[str, Any]:
    capabilities = inputs.get("capabilities") or {}
    volumes = inputs.get("volumes") or []
    config: dict[str, Any] = {
        "AutoRemove": bool(inputs.get("rm")),
        "Binds": [_bind(item) for item in volumes if item.get("hostPath") or item.get("volumeName")],
        "CapAdd": sorted(capabilities.get("adds") or []),
        "CapDrop": sorted(capabilities.get("drops") or []),
        "CgroupParent": inputs.get("cgroupParent"),
        "CgroupnsMode": inputs.get("cgroupnsMode"),
        "DeviceCgroupRules": inputs.get("deviceCgroupRules"),
        "Devices": [_device(item) for item in inputs.get("devices") or []],
        "Dns": inputs.get("dns"),
        "DnsOptions": inputs.get("dnsOpts"),
        "DnsSearch": inputs.get("dnsSearches"),
        "ExtraHosts": [f"{item['host']}:{item['ip']}" for item in inputs.get("hosts") or []],
        "GroupAdd": inputs.get("groupAdds"),
        "IpcMode": inputs.get("ipcMode"),
        "LogConfig": {"Type": inputs.get("logDriver", ""), "Config": inputs.get("logOpts") or {}},
        "Mounts": [_mount(item) for item in inputs.get("mounts") or []],
        "NetworkMode": inputs.get("networkMode") or "bridge",
        "PidMode": inputs.get("pidMode"),
        "PortBindings": _port_bindings(inputs.get("ports") or []),
        "Privileged": bool(inputs.get("privileged")),
        "PublishAllPorts": bool(inputs.get("publishAllPorts")),
        "ReadonlyRootfs": bool(inputs.get("readOnly")),
        "RestartPolicy": restart_policy(inputs),
        "Runtime": inputs.get("runtime"),
        "SecurityOpt": inputs.get("securityOpts"),
        "ShmSize": (inputs.get("shmSize") or 0) * MEGABYTE,
        "StorageOpt": inputs.get("storageOpts"),
        "Sysctls": inputs.get("sysctls"),
        "Tmpfs": inputs.get("tmpfs"),
        "Ulimits": [{"Name": i["name"], "Soft": i["soft"], "Hard": i["hard"]} for i in inputs.get("ulimits") or []],
        "UsernsMode": inputs.get("usernsMode"),
        "VolumesFrom": [item["fromContainer"] for item in volumes if item.get("fromContainer")],
        **limits(inputs),
    }
    if inputs.get("init") is not None:
        config["Init"] = inputs["init"]
    for name, key in (
        ("deviceReadBps", "BlkioDeviceReadBps"),
        ("deviceReadIops", "BlkioDeviceReadIOps"),
        ("deviceWriteBps", "BlkioDeviceWriteBps"),
        ("deviceWriteIops", "BlkioDeviceWriteIOps"),
    ):
        config[key] = [{"Path": item["path"], "Rate": item["rate"]} for item in inputs.get(name) or []]
    return {key: value for key, value in config.items() if value not in (None, "", [], {}, 0) or value is False}


def _healthcheck(check: Any) -> dict[str, Any] | None:
    if not check:
        return None
    body: dict[str, Any] = {"Test": check.get("tests") or [], "Retries": check.get("retries") or 0}
    for name, key in (("interval", "Interval"), ("timeout", "Timeout"), ("startPeriod", "StartPeriod"),
                      ("startInterval", "StartInterval")):  # fmt: skip
        if check.get(name):
            body[key] = nanoseconds(check[name])
    return body


def _port_key(port: Mapping[str, Any]) -> str:
    return f"{port['internal']}/{port.get('protocol') or 'tcp'}"


def _port_bindings(ports: list[Mapping[str, Any]]) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        outside = {"HostIp": port.get("ip") or "0.0.0.0", "HostPort": str(port.get("external") or "")}  # noqa: S104
        bindings.setdefault(_port_key(port), []).append(outside)
    return bindings


def _is_anonymous(volume: Mapping[str, Any]) -> bool:
    return not (volume.get("hostPath") or volume.get("volumeName") or volume.get("fromContainer"))


def _bind(volume: Mapping[str, Any]) -> str:
    options = [option for option in ("ro" if volume.get("readOnly") else "rw", volume.get("selinuxRelabel")) if option]
    return f"{volume.get('hostPath') or volume['volumeName']}:{volume['containerPath']}:{','.join(options)}"


def _device(device: Mapping[str, Any]) -> dict[str, str]:
    return {
        "PathOnHost": device["hostPath"],
        "PathInContainer": device.get("containerPath") or device["hostPath"],
        "CgroupPermissions": device.get("permissions") or "rwm",
    }


def _mount(mount: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"Type": mount["type"], "Target": mount["target"], "ReadOnly": bool(mount.get("readOnly"))}
    if mount.get("source"):
        body["Source"] = mount["source"]
    if mount["type"] == "bind" and mount.get("bindOptions"):
        body["BindOptions"] = {"Propagation": mount["bindOptions"].get("propagation", "")}
    if mount["type"] == "tmpfs" and mount.get("tmpfsOptions"):
        options = mount["tmpfsOptions"]
        body["TmpfsOptions"] = {"SizeBytes": options.get("sizeBytes") or 0, "Mode": options.get("mode") or 0}
    if mount["type"] == "volume" and mount.get("volumeOptions"):
        options = mount["volumeOptions"]
        body["VolumeOptions"] = {"NoCopy": bool(options.get("noCopy")), "Labels": labels_map(options.get("labels"))}
        if options.get("driverName") or options.get("driverOptions"):
            driver = {"Name": options.get("driverName", ""), "Options": options.get("driverOptions") or {}}
            body["VolumeOptions"]["DriverConfig"] = driver
        if options.get("subpath"):
            body["VolumeOptions"]["Subpath"] = options["subpath"]
    return body
