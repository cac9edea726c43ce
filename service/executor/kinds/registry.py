"""Finds a kind by its name and checks settings against it; what the API calls when an agent or workflow is saved."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from service.executor.expressions import FieldError
from service.executor.kinds.approval import ApprovalAgent, ApprovalSettings
from service.executor.kinds.base import SAVING, Agent, AgentSettings
from service.executor.kinds.delay import DelayAgent, DelaySettings
from service.executor.kinds.http_request import HttpSettings
from service.executor.kinds.installed import InstalledKind, installed_kinds
from service.executor.kinds.kafka_message import KafkaSettings
from service.executor.kinds.noop import NoopAgent, NoopSettings
from service.executor.kinds.secrets import SecretFolder
from service.executor.kinds.transform import TransformAgent, TransformSettings
from service.executor.kinds.workflow import WorkflowAgent, WorkflowSettings
from service.platform.logging import get_logger
from service.platform.settings import Settings

CLOSE_SECONDS = 8.0

log = get_logger(__name__)

_BUILTIN: dict[str, type[AgentSettings]] = {
    "approval": ApprovalSettings,
    "delay": DelaySettings,
    "http": HttpSettings,
    "kafka": KafkaSettings,
    "noop": NoopSettings,
    "transform": TransformSettings,
    "workflow": WorkflowSettings,
}

BUILTIN_KINDS: tuple[str, ...] = tuple(_BUILTIN)
"""The names of the kinds that need no package."""


class InvalidAgentSettingsError(ValueError):
    """The settings do not fit the kind; ``errors`` says for each mistake where it is and what would be right."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__(
            "; ".join(f"{error.path}: {error.message}" if error.path else error.message for error in self.errors)
        )


class UnknownKindError(InvalidAgentSettingsError):
    """There is no such kind here."""

    def __init__(self, kind: str) -> None:
        known = ", ".join(known_kinds())
        super().__init__([FieldError("kind", f"there is no kind {kind!r}; it must be one of {known}")])


@dataclass(frozen=True)
class KnownKind:
    """A kind: what its settings are, and the package that brings it; None for a builtin one."""

    kind: str
    settings_model: type[AgentSettings]
    package: str | None


@lru_cache(maxsize=1)
def _installed() -> Mapping[str, InstalledKind]:
    return installed_kinds(_BUILTIN)


@lru_cache(maxsize=1)
def known_kinds() -> Mapping[str, KnownKind]:
    """All kinds by name, in order. Raises UnusableKindError: call it when the process starts."""
    kinds = {kind: KnownKind(kind, model, None) for kind, model in _BUILTIN.items()}
    kinds |= {kind: KnownKind(kind, each.settings_model, each.package) for kind, each in _installed().items()}
    return dict(sorted(kinds.items()))


def forget_installed() -> None:
    """Look for packages again next time."""
    _installed.cache_clear()
    known_kinds.cache_clear()


def parse_settings(kind: str, settings: Mapping[str, Any], *, saving: bool = False) -> AgentSettings:
    """The settings as the kind's own type; raises InvalidAgentSettingsError.

    ``saving`` also refuses what may not be saved any more but was once.
    """
    known = known_kinds().get(kind)
    if known is None:
        raise UnknownKindError(kind)
    try:
        return known.settings_model.model_validate(dict(settings), context={SAVING: saving})
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise InvalidAgentSettingsError(
            FieldError(_path(problem["loc"]), problem["msg"].removeprefix("Value error, ")) for problem in found
        ) from None


def validate_settings(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they are to be stored, defaults filled in; raises InvalidAgentSettingsError."""
    return parse_settings(kind, settings, saving=True).model_dump(mode="json", by_alias=True)


def settings_problem(kind: str, settings: Mapping[str, Any]) -> str | None:
    """Why an agent that was saved once could not be saved now; None when it could."""
    try:
        parse_settings(kind, settings, saving=True)
    except InvalidAgentSettingsError as error:
        return str(error)
    return None


def settings_schema(kind: str) -> dict[str, Any]:
    """The JSON schema of a kind's settings."""
    return known_kinds()[kind].settings_model.model_json_schema(by_alias=True)


def least_timeout_seconds(kind: str, settings: Mapping[str, Any]) -> float:
    """A step timeout below this number of seconds can never succeed with these settings."""
    return parse_settings(kind, settings).least_seconds()


def create_agents(settings: Settings) -> dict[str, Agent[Any]]:
    """One agent of each kind for an executor; close each at the end.

    Raises ValueError for a malformed host list, UnusableKindError for a package's kind that cannot be used.
    """
    # Imported here because the API only checks settings and need not load clients for that.
    from service.executor.kinds.http import HttpAgent
    from service.executor.kinds.kafka import KafkaAgent

    builtin: tuple[Agent[Any], ...] = (
        ApprovalAgent(),
        DelayAgent(),
        HttpAgent(settings.http_agent_allowed_hosts),
        KafkaAgent(settings),
        NoopAgent(),
        TransformAgent(),
        WorkflowAgent(),
    )
    agents = {agent.kind: agent for agent in (*builtin, *(each.create() for each in _installed().values()))}
    for agent in agents.values():
        agent.secret_folder = SecretFolder(settings.agent_secrets_dir)
    return agents


async def close_agents(agents: Mapping[str, Agent[Any]]) -> None:
    """Close all, in a bounded time; one that cannot be closed holds up no other."""

    async def close(agent: Agent[Any]) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await agent.close()
        except Exception as error:  # noqa: BLE001 - a package's agent may raise anything
            log.warning("An agent was not closed", kind=agent.kind, reason=type(error).__name__)

    await asyncio.gather(*map(close, agents.values()))


def _path(location: tuple[int | str, ...]) -> str:
    """Dotted, without the marks by which the forms of a value are told from one another."""
    return ".".join(str(part) for part in location if not str(part).startswith("<"))
