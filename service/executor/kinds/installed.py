"""Kinds that other packages bring: found by entry points, and judged before anything is done with them."""

import inspect
import re
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from service.executor.kinds.base import Agent, AgentSettings

GROUP = "workflow_service.agents"
"""A package names its kinds in this group: ``greet = "greeting.agent:GreetAgent"``."""

_KIND = re.compile(r"^[a-z][a-z0-9-]{0,62}$")


class UnusableKindError(RuntimeError):
    """A package's kind cannot be used; the message names the package and says what would be right."""


@dataclass(frozen=True)
class InstalledKind:
    """A kind and the package that it comes from."""

    agent: type[Agent[Any]]
    package: str

    @property
    def settings_model(self) -> type[AgentSettings]:
        """What its settings are."""
        return self.agent.settings_model

    def create(self) -> Agent[Any]:
        """An agent of the kind; raises UnusableKindError."""
        try:
            return self.agent()
        except Exception as error:
            raise UnusableKindError(
                f"{self.package}: an agent of the kind {self.agent.kind} cannot be made: {_told(error)}"
            ) from error


def installed_kinds(builtin: Collection[str]) -> dict[str, InstalledKind]:
    """The kinds of all installed packages by name. Raises UnusableKindError for the first that cannot be used."""
    found: dict[str, InstalledKind] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda each: (each.name, each.value)):
        package = _package(entry)
        kind = InstalledKind(_loaded(entry, package), package)
        if entry.name in builtin:
            raise UnusableKindError(f"{package} brings an agent kind {entry.name}, which is the name of a builtin one")
        if other := found.get(entry.name):
            raise UnusableKindError(f"{package} and {other.package} both bring an agent kind {entry.name}: keep one")
        found[entry.name] = kind
    return found


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else entry.value


def _loaded(entry: EntryPoint, package: str) -> type[Agent[Any]]:
    where = f"{package}: {entry.value}, named as the agent kind {entry.name},"
    try:
        loaded = entry.load()
    except Exception as error:
        raise UnusableKindError(f"{where} cannot be imported: {_told(error)}") from error
    if not (inspect.isclass(loaded) and issubclass(loaded, Agent)):
        raise UnusableKindError(f"{where} is not a subclass of service.executor.kinds.base.Agent")
    if inspect.isabstract(loaded):
        raise UnusableKindError(f"{where} has no method run")
    kind = getattr(loaded, "kind", None)
    if kind != entry.name:
        raise UnusableKindError(f"{where} has the attribute kind = {kind!r}; the two must be the same")
    if not _KIND.fullmatch(kind):
        raise UnusableKindError(f"{where} has a name that is not small letters, digits and dashes")
    model = getattr(loaded, "settings_model", None)
    if not (inspect.isclass(model) and issubclass(model, AgentSettings)):
        raise UnusableKindError(f"{where} has no settings_model that is a subclass of AgentSettings")
    if model.model_config.get("extra") != "forbid":
        raise UnusableKindError(f"{where} has settings that let misspelt keys pass; leave extra='forbid' as it is")
    try:
        model.model_json_schema(by_alias=True)
    except Exception as error:
        raise UnusableKindError(f"{where} has settings without a JSON schema: {_told(error)}") from error
    return loaded


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
