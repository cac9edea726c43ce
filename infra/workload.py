"""What a program needs, in words that no target owns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import pulumi

from stacks.parts.common import HealthTiming, Resources

CONFIG_FOLDER = "/config"
"""Where a program finds its config files. Read-only for the program."""

SECRETS_FOLDER = f"{CONFIG_FOLDER}/secrets"
"""Where a program finds its secrets, one a file."""

APP_UID = 10001
"""The unprivileged user of every image that is built here."""

WORLD = "world"
"""The peer that stands for everybody outside the stack."""


class Kind(StrEnum):
    """How a program lives."""

    SERVICE = "service"
    STATEFUL = "stateful"
    DAEMON = "daemon"
    """One on every machine, however many there are, so that `replicas` means nothing to it."""
    JOB = "job"
    """Runs once to its end; what comes after it waits for its success."""
    SCHEDULE = "schedule"
    """Runs to its end again and again, by the clock."""


@dataclass(frozen=True)
class Port:
    """A port a program listens on.

    `published` is the host's port when it is reachable from outside the network; `peers` are the parts that may
    connect; `service` is the number under which others find it, where that is not the program's own.
    """

    number: int
    published: int | None = None
    peers: Sequence[str] = ()
    service: int | None = None


@dataclass(frozen=True)
class DataVolume:
    """A folder whose content outlives the container. `owner` is the part whose volume it is, when it is shared."""

    name: str
    path: str
    size: int = 1024
    """In MiB, where the target can bound it."""
    owner: str | None = None
    read_only: bool = False
    passing: bool = False
    """Whether it goes with the container: room on the disk for what is not kept."""


@dataclass(frozen=True)
class HttpCheck:
    """A GET that must be answered with success."""

    port: int
    path: str
    tls: bool = False


@dataclass(frozen=True)
class TcpCheck:
    """A connection that must be accepted."""

    port: int


Check = HttpCheck | TcpCheck | tuple[str, ...]
"""How to ask a program; a tuple is a command run inside the container, which costs a process each time."""


@dataclass(frozen=True)
class Readiness:
    """When a program may be given work, apart from whether it lives."""

    check: Check
    timing: HealthTiming


@dataclass(frozen=True)
class Health:
    """How to tell that a program works, as the command run inside the container.

    `probe` asks the same without starting a process, for targets that can; `readiness` is `probe` when not given.
    """

    command: Sequence[str]
    timing: HealthTiming
    gates_start: bool = True
    """Whether what depends on this program waits until it is healthy."""
    probe: Check | None = None
    readiness: Readiness | None = None
    startup: Readiness | None = None
    """What must come true once, before the other two are asked; it may be costly, and it fails for good only after all
    its retries."""


@dataclass(frozen=True)
class Autoscale:
    """Between how many replicas, and at which use of the requested processor time (per cent)."""

    least: int
    most: int
    cpu_percent: int


@dataclass(frozen=True)
class ApiAccess:
    """What a program may do with objects of its own namespace through the cluster's API."""

    group: str
    resources: Sequence[str]
    verbs: Sequence[str]
    names: Sequence[str] = ()


@dataclass(frozen=True)
class Workload:
    """A program with all that it needs to run."""

    part: str
    image: str
    kind: Kind
    resources: Resources
    command: Sequence[str] = ()
    env: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    config_files: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Content by path below CONFIG_FOLDER."""
    secret_files: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Content by path below SECRETS_FOLDER."""
    foreign_secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Secrets of the namespace that somebody else keeps: by their name the file for each of their keys."""
    told: Mapping[str, str] = field(default_factory=dict)
    """What everybody may know of its secret settings: by the setting's name its value without what is secret in it."""
    rereads: frozenset[str] = frozenset()
    """Files that the program reads again when they change, so that no restart is needed. Paths or secret names."""
    ports: Sequence[Port] = ()
    volumes: Sequence[DataVolume] = ()
    scratch: Sequence[str] = ("/tmp",)  # noqa: S108 - a path inside the container, in memory
    """Folders in memory that the program may write to."""
    health: Health | None = None
    uid: int = APP_UID
    read_only_root: bool = True
    stop_signal: str | None = None
    stop_seconds: int = 15
    drain_seconds: int = 0
    """How long the program goes on working after it is taken off the list of those that get new work."""
    after: Mapping[str, pulumi.Output[str]] = field(default_factory=dict)
    """Conditions that must have come true before the program starts, by name: an output that fails fails the start."""
    container_name: str | None = None
    """Name without the stack's prefix, where it is not the part's."""
    object_name: str | None = None
    """Name of the object that runs it on a cluster, where it is not the part's."""
    host_view: bool = False
    """Whether the program may read the host's /proc and /sys, for host figures."""
    replicas: int = 1
    autoscale: Autoscale | None = None
    schedule: str | None = None
    """When a SCHEDULE runs, in cron's five fields, UTC."""
    longest_seconds: int | None = None
    """After how long a run of a SCHEDULE is ended; the target's own bound when not given."""
    near: str | None = None
    """The part on whose machine it must run, because it shares that part's volume."""
    services: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Names under which others find it, each with the further labels that a replica must carry; none: its own name."""
    exposure: Literal["NodePort", "LoadBalancer"] | None = None
    """How a cluster opens the published ports to the outside; None: not at all."""
    identity: bool = False
    """Whether it is told which of the replicas it is: POD_NAME, POD_IP, POD_NAMESPACE."""
    api_access: Sequence[ApiAccess] = ()
    """Its rights on the cluster's API; none: not even a token."""
    calls_out: bool = False
    """Whether it may open connections to the outside."""
    calls_networks: Sequence[str] = ()
    """Private networks that it may open connections to, too."""


def nodes_service(part: str) -> str:
    """The name that stands for all replicas of a part at once, ready or not, on a target that has replicas."""
    return f"{part}-nodes"


def http_probe(port: int, path: str = "/metrics") -> list[str]:
    """The health command of every image made on our base: fails on any answer but 200."""
    return ["http-probe", f"http://127.0.0.1:{port}{path}"]


def secret_path(name: str) -> str:
    """Where the program finds a secret of this name."""
    return f"{SECRETS_FOLDER}/{name}"
