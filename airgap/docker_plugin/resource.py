"""What a kind of resource has to answer, so that one server can serve them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from airgap.provider.answers import Failure
from airgap.provider.operation import Operation

from .engine import Engine
from .schema import Fields


@dataclass(frozen=True)
class Found:
    """What is there: the id, the outputs, and the inputs that have drifted (None: no longer there)."""

    identity: str
    outputs: dict[str, Any]
    drift: dict[str, Any] = field(default_factory=dict)


class Resource(Protocol):
    """A kind of resource. All inputs are plain values: secrets revealed, nothing unknown, except in `check`."""

    token: str
    fields: Fields
    computed: tuple[str, ...]
    create_seconds: float
    delete_seconds: float
    auto_named: bool

    def check(self, inputs: Mapping[str, Any]) -> list[Failure]:
        """What the schema alone cannot say is wrong. Values may be UNKNOWN or Secret."""

    def create(self, engine: Engine, inputs: Mapping[str, Any], operation: Operation) -> Found:
        """Make it. Raises ResourceError and leaves nothing half-made."""

    def read(
        self, engine: Engine, identity: str, inputs: Mapping[str, Any] | None, state: Mapping[str, Any]
    ) -> Found | None:
        """What is there now, or None when it is gone. Without inputs (import) the drift is the full set of inputs."""

    def update(
        self, engine: Engine, identity: str, old: Mapping[str, Any], new: Mapping[str, Any], operation: Operation
    ) -> Found:
        """Change it in place."""

    def delete(self, engine: Engine, identity: str, inputs: Mapping[str, Any], operation: Operation) -> None:
        """Remove it; already gone is fine."""
