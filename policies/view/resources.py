"""The resources of one deployment and what belongs to what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from policies.view.tokens import CONTAINER, KUBERNETES, NETWORK, REMOTE_IMAGE, VOLUME
from policies.view.values import ABSENT, NotKnownError, Value

PART_LABEL = "workflow.part"
"""By this label the parts of our own platform are known."""
STACK_LABEL = "workflow.stack"
"""Of which of our stacks something is."""

_DOCKER = {CONTAINER: "Container", NETWORK: "Network", VOLUME: "Volume", REMOTE_IMAGE: "RemoteImage"}


@dataclass(frozen=True, eq=False)
class Resource:
    """One resource as it is to be: its inputs, and how it hangs together with others."""

    urn: str
    type: str
    name: str
    inputs: Value
    parent: str | None = None
    dependencies: frozenset[str] = frozenset()
    property_dependencies: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """From which resources the value of each top-level input comes."""
    protect: bool = False
    retain: bool | None = None
    """Whether it outlives its deletion by Pulumi; None where the source does not tell."""

    @property
    def target(self) -> str:
        """kubernetes, docker, or the empty text for what is neither."""
        return "kubernetes" if self.type.startswith(KUBERNETES) else "docker" if self.type in _DOCKER else ""

    @property
    def kind(self) -> str:
        """Its kind without version: Deployment, Secret; Container, Network, Volume, RemoteImage; else the token."""
        if self.type.startswith(KUBERNETES):
            return self.type.rpartition(":")[2]
        return _DOCKER.get(self.type, self.type)

    @cached_property
    def labels(self) -> Mapping[str, Value]:
        """Its labels, by name; those that can't be known are left out."""
        try:
            if self.target == "docker":
                pairs = self.inputs["labels"].items()
                return {label: each["value"] for each in pairs if (label := each["label"].text()) is not None}
            return self.inputs.at("metadata", "labels").entries()
        except NotKnownError:
            return {}

    @property
    def part(self) -> str | None:
        """Which part of our own platform it belongs to; None for what is not ours."""
        found = self.labels.get(PART_LABEL, Value(ABSENT))
        return None if found.is_unknown else found.text()

    @property
    def object_name(self) -> Value:
        """The name under which others refer to it: of the Kubernetes object, or of the Docker resource."""
        return self.inputs.at("metadata", "name") if self.target == "kubernetes" else self.inputs["name"]


class Snapshot:
    """All resources of one deployment."""

    of_a_program = True
    """Whether it tells in which order things are made, and outputs: bare manifests have neither."""

    def __init__(self, stack: str, resources: Iterable[Resource], outputs: Any = ABSENT) -> None:
        self.stack = stack
        self.resources = tuple(resources)
        self.outputs = Value(outputs, "outputs")
        self.by_urn = {each.urn: each for each in self.resources}

    def of(self, *kinds: str) -> list[Resource]:
        """The resources of these kinds."""
        return [each for each in self.resources if each.kind in kinds]

    def parts(self) -> set[str]:
        """The names of all parts of our own platform that are there."""
        return {each.part for each in self.resources if each.part}

    def sources(self, resource: Resource, name: str) -> list[Resource]:
        """The resources from which the value of a top-level input comes."""
        urns = resource.property_dependencies.get(name, frozenset())
        return [self.by_urn[urn] for urn in sorted(urns) if urn in self.by_urn]

    def leaves_out(self, part: str) -> bool:
        """Whether the program says that it leaves a part of our platform out, because its image can't be had here.

        Raises NotKnownError where the outputs can't be known.
        """
        return self.outputs["missing"][part].text() is not None

    def waits_for(self, resource: Resource, other: Resource) -> bool:
        """Whether a resource is made only after another one, directly or by others between them."""
        return other.urn in self._reached(resource.urn)

    def _reached(self, urn: str) -> frozenset[str]:
        if urn not in self._reach:
            seen: set[str] = set()
            to_do = [urn]
            while to_do:
                found = self.by_urn.get(to_do.pop())
                if found is None:
                    continue
                needed = set(found.dependencies).union(*found.property_dependencies.values())
                # To depend on a component is to depend on all that it is made of.
                needed |= {child for each in needed for child in self._children.get(each, ())}
                if found.parent:
                    # A parent's own conditions hold for its children too.
                    above = self.by_urn.get(found.parent)
                    needed |= set(above.dependencies) if above else set()
                to_do += needed - seen
                seen |= needed
            self._reach[urn] = frozenset(seen)
        return self._reach[urn]

    @cached_property
    def _reach(self) -> dict[str, frozenset[str]]:
        return {}

    @cached_property
    def _children(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for each in self.resources:
            if each.parent:
                found.setdefault(each.parent, []).append(each.urn)
        return found
