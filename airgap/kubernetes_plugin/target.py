"""Where objects go: a cluster, or a folder of YAML files. The server does not mind which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from airgap.provider.operation import Operation

from .objects import Type

Live = Mapping[str, Any]
"""An object as it is."""


def _silent(line: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Task:
    """What one call of the engine wants with one object; all values are plain, nothing is unknown.

    `manager` is the field manager to apply as, `tell` hears what is waited for, `warn` what a person should know.
    """

    inputs: Mapping[str, Any]
    manager: str
    operation: Operation
    earlier_manager: str = ""
    has_secrets: bool = False
    tell: Callable[[str], None] = field(default=_silent)
    warn: Callable[[str], None] = field(default=_silent)


class Target(Protocol):
    """A place for objects."""

    def namespaced(self, wanted: Type) -> bool:
        """Whether objects of the type live in namespaces."""

    def default_namespace(self) -> str:
        """The namespace for an object that names none; empty when none is set."""

    def preview(self, task: Task, new: bool) -> Live | None:
        """The object as it would be; None when that cannot be known yet. Raises ResourceError when it would fail."""

    def create(self, task: Task) -> Live:
        """Make it and wait for it. Raises NotReadyError when it is there but not of use."""

    def update(self, task: Task) -> Live:
        """Change it and wait for it. Raises as `create`."""

    def read(self, wanted: Type, identity: str) -> Live | None:
        """What is there now, None when it is gone."""

    def shortcoming(self, live: Live, inputs: Mapping[str, Any]) -> str:
        """Why an object that is there is not of use; empty when it is."""

    def delete(self, wanted: Type, identity: str, inputs: Mapping[str, Any], operation: Operation) -> None:
        """Remove it and wait until it is gone; gone already is fine."""
