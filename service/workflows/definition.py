"""Checks a workflow's graph and makes the immutable definition of a version. Pure: no I/O."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from service.executor.expressions import validate_expressions
from service.executor.kinds.registry import least_timeout_seconds
from service.platform.problems import FieldProblem
from service.workflows.schemas import Step


@dataclass(frozen=True, slots=True)
class AgentUse:
    """An agent as a version keeps it."""

    name: str
    kind: str
    settings: Mapping[str, Any]


def find_problems(steps: Sequence[Step], agents: Mapping[str, AgentUse]) -> list[FieldProblem]:
    """Everything that is wrong with the steps, each with the field and what would be right; empty when nothing is."""
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
    for path, message in validate_expressions(step.input):
        problems.append(_problem(index, f"input.{path}", message))
    return problems


def _cycle_problems(steps: Sequence[Step]) -> list[FieldProblem]:
    try:
        TopologicalSorter({step.id: step.needs for step in steps}).prepare()
    except CycleError as error:
        circle = " needs ".join(reversed(error.args[1]))
        return [FieldProblem(field="steps", message=f"the steps need one another in a circle: {circle}")]
    return []


def _problem(index: int, field: str, message: str) -> FieldProblem:
    return FieldProblem(field=f"steps.{index}.{field}".rstrip("."), message=message)


def make_definition(steps: Sequence[Step], agents: Mapping[str, AgentUse]) -> dict[str, Any]:
    """The version's definition: each step with its agent's kind and settings, so that a run needs nothing mutable."""
    return {"steps": [step.model_dump(mode="json") | {"agent": _agent(agents[step.agent])} for step in steps]}


def _agent(agent: AgentUse) -> dict[str, Any]:
    return {"name": agent.name, "kind": agent.kind, "settings": dict(agent.settings)}


def content_hash(definition: Mapping[str, Any]) -> str:
    """SHA-256 of the definition in one canonical spelling, as hexadecimal digits."""
    canonical = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def steps_of(definition: Mapping[str, Any]) -> list[Step]:
    """The steps of a definition as they were written, with agents by name."""
    return [Step.model_validate(step | {"agent": step["agent"]["name"]}) for step in definition["steps"]]
