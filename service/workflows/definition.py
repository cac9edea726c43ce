"""Makes the immutable definition of a version, and reads one back. Pure: no I/O."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from service.workflows.checks import AgentUse
from service.workflows.schemas import Flow, Retry, Step

# What every definition holds. Anything that came later is left out where it is not used, so that a workflow that uses
# nothing of it keeps its content hash.
_ALWAYS: Mapping[type[BaseModel], frozenset[str]] = {
    Flow: frozenset({"steps"}),
    Step: frozenset({"id", "agent", "needs", "input", "retry", "timeout_seconds"}),
    Retry: frozenset({"max_attempts", "backoff_seconds"}),
}


def make_definition(flow: Flow, agents: Mapping[str, AgentUse]) -> dict[str, Any]:
    """The version's definition: each step with its agent's kind and settings, so that a run needs nothing mutable."""
    whole = _stored(flow, Flow)
    return whole | {
        field: [_stored_step(step, agents) for step in getattr(flow, field)]
        for field in ("steps", "on_failure")
        if field in whole
    }


def _stored_step(step: Step, agents: Mapping[str, AgentUse]) -> dict[str, Any]:
    return _stored(step, Step) | {"agent": _agent(agents[step.agent]), "retry": _stored(step.retry, Retry)}


def _stored(model: BaseModel, of: type[BaseModel]) -> dict[str, Any]:
    used = _ALWAYS[of] | model.model_dump(exclude_defaults=True).keys()
    return {
        name: value for name, value in model.model_dump(mode="json").items() if name in used & of.model_fields.keys()
    }


def _agent(agent: AgentUse) -> dict[str, Any]:
    return {"name": agent.name, "kind": agent.kind, "settings": dict(agent.settings)}


def content_hash(definition: Mapping[str, Any]) -> str:
    """SHA-256 of the definition in one canonical spelling, as hexadecimal digits."""
    canonical = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def flow_of(definition: Mapping[str, Any]) -> Flow:
    """A definition as it was written, with agents by name."""
    fields = {field: [_written(step) for step in definition.get(field, ())] for field in ("steps", "on_failure")}
    return Flow.model_validate({**definition, **fields})


def _written(step: Mapping[str, Any]) -> dict[str, Any]:
    return {**step, "agent": step["agent"]["name"]}
