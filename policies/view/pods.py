"""Programs and their containers, with one face for Kubernetes and Docker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from policies.view.resources import Resource, Snapshot
from policies.view.tokens import POD_KINDS
from policies.view.values import ABSENT, UNKNOWN, Value
from stacks.quantities import MEBIBYTE, quantity

Role = Literal["main", "init", "ephemeral"]

_ROLES: Mapping[str, Role] = {
    "containers": "main",
    "initContainers": "init",
    "ephemeralContainers": "ephemeral",
}


@dataclass(frozen=True, eq=False)
class Pod:
    """What a resource runs: a pod's description, or the one container of a Docker resource."""

    resource: Resource
    spec: Value
    """Of Kubernetes the pod's `spec`, of Docker the container's inputs."""
    metadata: Value
    """Of Kubernetes the pod's metadata; absent with Docker."""

    @property
    def target(self) -> str:
        """kubernetes or docker."""
        return self.resource.target

    @property
    def part(self) -> str | None:
        """Which part of our own platform it is."""
        return self.resource.part

    @property
    def kind(self) -> str:
        """Deployment, StatefulSet, DaemonSet, Job, CronJob, Pod, or Container."""
        return self.resource.kind

    @property
    def runs_to_its_end(self) -> bool:
        """Whether it ends by itself: a job, not a service."""
        if self.target == "kubernetes":
            return self.kind in ("Job", "CronJob")
        return self.spec["mustRun"].flag() is False

    @cached_property
    def containers(self) -> tuple[Container, ...]:
        """All its containers, init and ephemeral ones too. Raises NotKnownError when the list can't be known."""
        if self.target == "docker":
            return (Container(self, self.spec, "main"),)
        return tuple(Container(self, each, role) for key, role in _ROLES.items() for each in self.spec[key].items())

    @property
    def main(self) -> tuple[Container, ...]:
        """The containers that do its work."""
        return tuple(each for each in self.containers if each.role == "main")


@dataclass(frozen=True, eq=False)
class Container:
    """One container. Fields that only one target has are absent on the other."""

    pod: Pod
    spec: Value
    role: Role

    @property
    def resource(self) -> Resource:
        """The resource that it is part of."""
        return self.pod.resource

    @property
    def part(self) -> str | None:
        """Which part of our own platform it is."""
        return self.pod.part

    @property
    def target(self) -> str:
        """kubernetes or docker."""
        return self.pod.target

    @property
    def image(self) -> Value:
        """The reference of its image; with Docker it may be an image's id."""
        return self.spec["image"]

    @cached_property
    def env(self) -> Mapping[str, Value]:
        """The variables whose values are written down, by name. Raises NotKnownError when the list can't be known."""
        if self.target == "kubernetes":
            return {
                name: each["value"]
                for each in self.spec["env"].items()
                if (name := each["name"].text()) is not None and each["value"].is_given
            }
        found = {}
        for index, each in enumerate(self.spec["envs"].items()):
            name, _, value = (each.text() or "").partition("=")
            found[name] = Value(value, f"{self.spec['envs'].path}[{index}]")
        return found

    @property
    def security(self) -> Value:
        """Kubernetes' security settings of the container."""
        return self.spec["securityContext"] if self.target == "kubernetes" else Value(ABSENT, "securityContext")

    @property
    def privileged(self) -> Value:
        """Whether it may do to the machine what root may."""
        return self.security["privileged"] if self.target == "kubernetes" else self.spec["privileged"]

    @property
    def read_only_root(self) -> Value:
        """Whether its own file system can't be written."""
        return self.security["readOnlyRootFilesystem"] if self.target == "kubernetes" else self.spec["readOnly"]

    @property
    def capabilities_added(self) -> Value:
        """Rights of root that it is given."""
        if self.target == "kubernetes":
            return self.security.at("capabilities", "add")
        return self.spec.at("capabilities", "adds")

    @property
    def capabilities_dropped(self) -> Value:
        """Rights of root that it can't even have as root."""
        if self.target == "kubernetes":
            return self.security.at("capabilities", "drop")
        return self.spec.at("capabilities", "drops")

    @property
    def user(self) -> Value:
        """The number or name of its user; the pod's where it has none of its own. Absent: the image's."""
        if self.target == "docker":
            given = self.spec["user"]
            if given.is_unknown or not given.is_given:
                return given
            return Value((given.text() or "").partition(":")[0], given.path)
        own = self.security["runAsUser"]
        return own if own.is_given else self.pod.spec.at("securityContext", "runAsUser")

    @property
    def memory_limit(self) -> Value:
        """In MiB."""
        if self.target == "docker":
            return self.spec["memory"]
        return _measured(self.spec.at("resources", "limits", "memory"), MEBIBYTE)

    @property
    def cpu_limit(self) -> Value:
        """In cores."""
        given = self.spec["cpus"] if self.target == "docker" else self.spec.at("resources", "limits", "cpu")
        return _measured(given)

    @property
    def has_health_check(self) -> bool:
        """Whether somebody asks it how it is: a probe, or a health check. Raises NotKnownError."""
        if self.target == "docker":
            return bool(self.spec.at("healthcheck", "tests").items())
        return any(not self.spec[probe].is_absent for probe in ("livenessProbe", "readinessProbe"))


def pods(snapshot: Snapshot) -> Iterator[Pod]:
    """Everything that runs programs."""
    for resource in snapshot.resources:
        if resource.target == "docker" and resource.kind == "Container":
            yield Pod(resource, resource.inputs, Value(ABSENT, "metadata"))
        elif resource.target == "kubernetes" and resource.kind in POD_KINDS:
            base = resource.inputs
            if resource.kind == "CronJob":
                base = base.at("spec", "jobTemplate")
            if resource.kind != "Pod":
                base = base.at("spec", "template")
            yield Pod(resource, base["spec"], base["metadata"])


def _measured(given: Value, unit: float = 1) -> Value:
    if given.content is UNKNOWN or not given.is_given:
        return given
    try:
        return Value(quantity(given.text() or "") / unit, given.path)
    except ValueError:
        return Value(ABSENT, given.path)
