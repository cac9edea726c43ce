"""Checks a workflow's graph and makes the immutable definition of a version. Pure: no I/O."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pydantic import BaseModel

from service.executor.expressions import InvalidExpressionError, validate_expressions
from service.executor.json_schema import schema_problems
from service.executor.kinds.registry import least_timeout_seconds
from service.executor.references import is_always_false, trap_in
from service.platform.problems import FieldProblem
from service.workflows.schemas import Flow, Retry, Step


@dataclass(frozen=True, slots=True)
class AgentUse:
    """An agent as a version keeps it."""

    name: str
    kind: str
    settings: Mapping[str, Any]


def find_problems(flow: Flow, agents: Mapping[str, AgentUse]) -> list[FieldProblem]:
    """Everything that is wrong, each with the field and what would be right; empty when nothing is."""
    steps = flow.steps
    problems = []
    first_with: dict[str, int] = {}
    for index, step in enumerate(steps):
        if step.id in first_with:
            problems.append(_problem(index, "id", f"{step.id!r} is the id of steps.{first_with[step.id]} already"))
        first_with.setdefault(step.id, index)
    for index, step in enumerate(steps):
        problems += _step_problems(index, step, first_with, agents)
    if not problems:
        problems += _cycle_problems(steps)
    for name, schema in (("input_schema", flow.input_schema), ("output_schema", flow.output_schema)):
        for path, message in schema_problems(schema) if schema is not None else ():
            problems.append(FieldProblem(field=f"{name}.{path}".rstrip("."), message=message))
    return problems


def _step_problems(
    index: int, step: Step, ids: Mapping[str, int], agents: Mapping[str, AgentUse]
) -> list[FieldProblem]:
    problems = []
    agent = agents.get(step.agent)
    if agent is None:
        problems.append(_problem(index, "agent", f"there is no agent named {step.agent!r}; create it first"))
    else:
        least = least_timeout_seconds(agent.kind, agent.settings)
        if step.timeout_seconds < least:
            text = f"is {step.timeout_seconds:g}, but the agent {step.agent!r} takes at least {least:g} seconds"
            problems.append(_problem(index, "timeout_seconds", text))
    for place, need in enumerate(step.needs):
        if need == step.id:
            problems.append(_problem(index, f"needs.{place}", "a step cannot need itself"))
        elif need not in ids:
            problems.append(_problem(index, f"needs.{place}", f"there is no step with the id {need!r}"))
        elif need in step.needs[:place]:
            problems.append(_problem(index, f"needs.{place}", f"{need!r} is named twice"))
    if step.when is not None:
        problems += [_problem(index, "when", message) for message in _condition_problems(step.when)]
    for path, message in validate_expressions(step.input):
        problems.append(_problem(index, f"input.{path}", message))
    return problems


def _condition_problems(when: str) -> list[str]:
    try:
        if trap := trap_in(when):
            return [trap]
        return ["it is always false, so the step would never run"] if is_always_false(when) else []
    except InvalidExpressionError as error:
        return [str(error)]


def _cycle_problems(steps: Sequence[Step]) -> list[FieldProblem]:
    try:
        TopologicalSorter({step.id: step.needs for step in steps}).prepare()
    except CycleError as error:
        circle = " needs ".join(reversed(error.args[1]))
        return [FieldProblem(field="steps", message=f"the steps need one another in a circle: {circle}")]
    return []


def _problem(index: int, field: str, message: str) -> FieldProblem:
    return FieldProblem(field=f"steps.{index}.{field}".rstrip("."), message=message)


# What every definition holds. Anything that came later is left out where it is not used, so that a workflow that uses
# nothing of it keeps its content hash.
_ALWAYS: Mapping[type[BaseModel], frozenset[str]] = {
    Flow: frozenset({"steps"}),
    Step: frozenset({"id", "agent", "needs", "input", "retry", "timeout_seconds"}),
    Retry: frozenset({"max_attempts", "backoff_seconds"}),
}


def make_definition(flow: Flow, agents: Mapping[str, AgentUse]) -> dict[str, Any]:
    """The version's definition: each step with its agent's kind and settings, so that a run needs nothing mutable."""
    return _stored(flow, Flow) | {"steps": [_stored_step(step, agents) for step in flow.steps]}


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
    return Flow.model_validate({**definition, "steps": [_written(step) for step in definition["steps"]]})


def _written(step: Mapping[str, Any]) -> dict[str, Any]:
    return {**step, "agent": step["agent"]["name"]}
