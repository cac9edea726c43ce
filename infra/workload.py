"""What a program needs, in words that no target owns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import pulumi

from stacks.parts import HealthTiming, Resources

CONFIG_FOLDER = "/config"
"""Where a program finds its config files. Read-only for the program."""

SECRETS_FOLDER = f"{CONFIG_FOLDER}/secrets"
"""Where a program finds its secrets, one a file."""

APP_UID = 10001
"""The unprivileged user of every image that is built here."""


class Kind(StrEnum):
    """How a program lives."""

    SERVICE = "service"
    STATEFUL = "stateful"
    JOB = "job"
    """Runs once to its end; what comes after it waits for its success."""


@dataclass(frozen=True)
class Port:
    """A port a program listens on; `published` is the host's port when it is reachable from outside the network."""

    number: int
    published: int | None = None


@dataclass(frozen=True)
class DataVolume:
    """A folder whose content outlives the container."""

    name: str
    path: str


@dataclass(frozen=True)
class Health:
    """How to tell that a program works, as the command run inside the container."""

    command: Sequence[str]
    timing: HealthTiming
    gates_start: bool = True
    """Whether what depends on this program waits until it is healthy."""


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
    """Content by name below SECRETS_FOLDER."""
    ports: Sequence[Port] = ()
    volumes: Sequence[DataVolume] = ()
    scratch: Sequence[str] = ("/tmp",)  # noqa: S108 - a path inside the container, in memory
    """Folders in memory that the program may write to."""
    health: Health | None = None
    uid: int = APP_UID
    read_only_root: bool = True
    stop_signal: str | None = None
    stop_seconds: int = 15
    after: Mapping[str, pulumi.Output[str]] = field(default_factory=dict)
    """Conditions that must have come true before the program starts, by name: an output that fails fails the start."""
    container_name: str | None = None
    """Name without the stack's prefix, where it is not the part's."""
    host_view: bool = False
    """Whether the program may read the host's /proc and /sys, for host figures."""


def http_probe(port: int, path: str = "/metrics") -> list[str]:
    """The health command of every image made on our base: fails on any answer but 200."""
    return ["http-probe", f"http://127.0.0.1:{port}{path}"]


def secret_path(name: str) -> str:
    """Where the program finds a secret of this name."""
    return f"{SECRETS_FOLDER}/{name}"
