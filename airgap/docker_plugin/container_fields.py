"""The inputs of `docker:index/container:Container` as pulumi-docker 5.2.0 has them.

Replacement follows the official provider, with four exceptions: `healthcheck`, `init`, `rm` and `tmpfs`. The official
one records a change of these without carrying it out, as the engine cannot change them on a container that exists; here
they replace.
"""

from __future__ import annotations

from .schema import Field, Fields, at_least, matches, one_of

LABEL: Fields = {"label": Field("string", required=True), "value": Field("string", required=True)}

_RATE: Fields = {"path": Field("string", required=True), "rate": Field("integer", required=True)}

_MOUNT: Fields = {
    "target": Field("string", required=True),
    "type": Field("string", required=True, check=one_of("bind", "volume", "tmpfs")),
    "source": Field("string"),
    "readOnly": Field("boolean"),
    "bindOptions": Field("object", fields={"propagation": Field("string")}),
    "tmpfsOptions": Field("object", fields={"mode": Field("integer"), "sizeBytes": Field("integer")}),
    "volumeOptions": Field(
        "object",
        fields={
            "driverName": Field("string"),
            "driverOptions": Field("map"),
            "labels": Field("objects", fields=LABEL),
            "noCopy": Field("boolean"),
            "subpath": Field("string", since="1.45"),
        },
    ),
}

_VOLUME: Fields = {
    "containerPath": Field("string", check=matches(r"/.*", "an absolute path in the container")),
    "fromContainer": Field("string"),
    "hostPath": Field("string", check=matches(r"/.*", "an absolute path on the host")),
    "readOnly": Field("boolean"),
    "selinuxRelabel": Field("string", check=one_of("z", "Z")),
    "volumeName": Field("string"),
}

_UPLOAD: Fields = {
    "file": Field("string", required=True, check=matches(r"/.*[^/]", "the absolute path of a file in the container")),
    "content": Field("string"),
    "contentBase64": Field("string"),
    "executable": Field("boolean", default=False),
    "group": Field("string", check=matches(r"\d+", "a numeric group id")),
    "owner": Field("string", check=matches(r"\d+", "a numeric user id")),
    "permissions": Field("string", check=matches(r"0[0-7]{3}", "four octal digits such as 0644")),
    "source": Field("string"),
    "sourceHash": Field("string"),
}

_NETWORK: Fields = {
    "name": Field("string", required=True),
    "aliases": Field("set"),
    "driverOpts": Field("set"),
    "gwPriority": Field("integer", since="1.48"),
    "ipv4Address": Field("string"),
    "ipv6Address": Field("string"),
    "linkLocalIps": Field("set"),
    "macAddress": Field("string", since="1.44"),
}

_PORT: Fields = {
    "internal": Field("integer", required=True),
    "external": Field("integer"),
    "ip": Field("string", default="0.0.0.0"),  # noqa: S104 - the default of the official provider
    "protocol": Field("string", default="tcp", check=one_of("tcp", "udp", "sctp")),
}

_HEALTHCHECK: Fields = {
    "tests": Field("strings"),
    "interval": Field("duration", default="0s"),
    "timeout": Field("duration", default="0s"),
    "startPeriod": Field("duration", default="0s"),
    "startInterval": Field("duration", since="1.44"),
    "retries": Field("integer", default=0, check=at_least(0)),
}

_DEVICE: Fields = {
    "hostPath": Field("string", required=True),
    "containerPath": Field("string"),
    "permissions": Field("string"),
}

_CAPABILITIES: Fields = {"adds": Field("set"), "drops": Field("set")}
_HOST: Fields = {"host": Field("string", required=True), "ip": Field("string", required=True)}
_ULIMIT: Fields = {
    "name": Field("string", required=True),
    "soft": Field("integer", required=True),
    "hard": Field("integer", required=True),
}

_GPU_REASON = "graphics devices need the vendor's runtime; use the official provider plugin for it"

CONTAINER: Fields = {
    "image": Field("string", required=True),
    "name": Field("string"),
    "attach": Field("boolean", replace=False, default=False),
    "capabilities": Field("object", fields=_CAPABILITIES),
    "cgroupParent": Field("string"),
    "cgroupnsMode": Field("string", check=one_of("private", "host")),
    "command": Field("strings"),
    "containerReadRefreshTimeoutMilliseconds": Field("integer", replace=False, default=15000, check=at_least(1)),
    "cpuPeriod": Field("integer", replace=False, removal_replaces=True, check=at_least(0)),
    "cpuQuota": Field("integer", replace=False, removal_replaces=True, check=at_least(0)),
    "cpuSet": Field(
        "string",
        replace=False,
        removal_replaces=True,
        check=matches(r"\d+([,-]\d+)*", "a list or range of CPUs such as 0-1 or 0,2"),
    ),
    "cpuShares": Field("integer", replace=False, removal_replaces=True, check=at_least(0)),
    "cpus": Field(
        "string", replace=False, removal_replaces=True, check=matches(r"\d+(\.\d+)?", "a number of CPUs such as 1.5")
    ),
    "destroyGraceSeconds": Field("integer", replace=False, check=at_least(0)),
    "deviceCgroupRules": Field("set"),
    "deviceReadBps": Field("objects", fields=_RATE),
    "deviceReadIops": Field("objects", fields=_RATE),
    "deviceWriteBps": Field("objects", fields=_RATE),
    "deviceWriteIops": Field("objects", fields=_RATE),
    "deviceRequests": Field("objects", unsupported=_GPU_REASON),
    "gpus": Field("string", unsupported=_GPU_REASON),
    "devices": Field("objects", fields=_DEVICE),
    "dns": Field("set"),
    "dnsOpts": Field("set"),
    "dnsSearches": Field("set"),
    "domainname": Field("string"),
    "entrypoints": Field("strings"),
    "envs": Field("set"),
    "groupAdds": Field("set"),
    "healthcheck": Field("object", fields=_HEALTHCHECK),
    "hostname": Field("string"),
    "hosts": Field("objects", fields=_HOST),
    "init": Field("boolean"),
    "ipcMode": Field("string"),
    "labels": Field("objects", fields=LABEL),
    "logDriver": Field("string"),
    "logOpts": Field("map"),
    "logs": Field("boolean", replace=False, default=False),
    "maxRetryCount": Field("integer", replace=False, check=at_least(0)),
    "memory": Field("integer", replace=False, removal_replaces=True, check=at_least(0)),
    "memoryReservation": Field("integer", replace=False, removal_replaces=True, check=at_least(0)),
    "memorySwap": Field("integer", replace=False, removal_replaces=True, check=at_least(-1)),
    "mounts": Field("objects", fields=_MOUNT),
    "mustRun": Field("boolean", replace=False, default=True),
    "networkMode": Field("string", default="bridge"),
    "networksAdvanced": Field("objects", fields=_NETWORK),
    "pidMode": Field("string"),
    "platform": Field("string"),
    "ports": Field("objects", fields=_PORT),
    "privileged": Field("boolean"),
    "publishAllPorts": Field("boolean"),
    "readOnly": Field("boolean", default=False),
    "removeVolumes": Field("boolean", replace=False, default=True),
    "restart": Field(
        "string", replace=False, default="no", check=one_of("no", "on-failure", "always", "unless-stopped")
    ),
    "rm": Field("boolean", default=False),
    "runtime": Field("string"),
    "securityOpts": Field("set"),
    "shmSize": Field("integer", check=at_least(0)),
    "start": Field("boolean", replace=False, default=True),
    "stdinOpen": Field("boolean", default=False),
    "stopSignal": Field("string"),
    "stopTimeout": Field("integer"),
    "storageOpts": Field("map"),
    "sysctls": Field("map"),
    "tmpfs": Field("map"),
    "tty": Field("boolean", default=False),
    "ulimits": Field("objects", fields=_ULIMIT),
    "uploads": Field("objects", fields=_UPLOAD),
    "user": Field("string"),
    "usernsMode": Field("string"),
    "volumes": Field("objects", fields=_VOLUME),
    "wait": Field("boolean", replace=False, default=False),
    "waitTimeout": Field("integer", replace=False, default=60, check=at_least(1)),
    "workingDir": Field("string"),
}

COMPUTED = (
    "bridge", "command", "containerLogs", "entrypoints", "exitCode", "hostname", "image", "init", "ipcMode",
    "logDriver", "networkDatas", "runtime", "securityOpts", "shmSize", "stopSignal", "stopTimeout",
)  # fmt: skip
"""What the engine decides or adds: outputs that a preview of a new container does not know unless they are inputs."""
