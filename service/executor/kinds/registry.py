"""Finds a kind by its name and checks settings against it; what the API calls when an agent or workflow is saved."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from service.executor.expressions import FieldError
from service.executor.kinds.approval import ApprovalAgent, ApprovalSettings
from service.executor.kinds.base import Agent, AgentSettings
from service.executor.kinds.delay import DelayAgent, DelaySettings
from service.executor.kinds.http_request import HttpSettings
from service.executor.kinds.noop import NoopAgent, NoopSettings
from service.executor.kinds.transform import TransformAgent, TransformSettings

_SETTINGS: dict[str, type[AgentSettings]] = {
    "approval": ApprovalSettings,
    "delay": DelaySettings,
    "http": HttpSettings,
    "noop": NoopSettings,
    "transform": TransformSettings,
}

AGENT_KINDS: tuple[str, ...] = tuple(_SETTINGS)
"""The names of all kinds."""


class InvalidAgentSettingsError(ValueError):
    """The settings do not fit the kind; ``errors`` says for each mistake where it is and what would be right."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__(
            "; ".join(f"{error.path}: {error.message}" if error.path else error.message for error in self.errors)
        )


def parse_settings(kind: str, settings: Mapping[str, Any]) -> AgentSettings:
    """The settings as the kind's own type; raises InvalidAgentSettingsError."""
    model = _SETTINGS.get(kind)
    if model is None:
        known = ", ".join(AGENT_KINDS)
        raise InvalidAgentSettingsError([FieldError("kind", f"there is no kind {kind!r}; it must be one of {known}")])
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise InvalidAgentSettingsError(
            FieldError(".".join(map(str, problem["loc"])), problem["msg"].removeprefix("Value error, "))
            for problem in found
        ) from None


def validate_settings(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they are to be stored, defaults filled in; raises InvalidAgentSettingsError."""
    return parse_settings(kind, settings).model_dump(mode="json", by_alias=True)


def settings_schema(kind: str) -> dict[str, Any]:
    """The JSON schema of a kind's settings."""
    return _SETTINGS[kind].model_json_schema(by_alias=True)


def least_timeout_seconds(kind: str, settings: Mapping[str, Any]) -> float:
    """A step timeout below this number of seconds can never succeed with these settings."""
    parsed = parse_settings(kind, settings)
    return parsed.seconds if isinstance(parsed, DelaySettings) else 0.0


def create_agents(allowed_hosts: Iterable[str] = ()) -> dict[str, Agent[Any]]:
    """One agent of each kind for an executor; close each at the end. Raises ValueError for a malformed host list."""
    # Imported here because the API only checks settings and need not load an HTTP client for that.
    from service.executor.kinds.http import HttpAgent

    agents: tuple[Agent[Any], ...] = (
        ApprovalAgent(),
        DelayAgent(),
        HttpAgent(allowed_hosts),
        NoopAgent(),
        TransformAgent(),
    )
    return {agent.kind: agent for agent in agents}
