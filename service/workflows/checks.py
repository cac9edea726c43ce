"""Everything that can be wrong with a workflow, found without executing it. Pure: no I/O."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from service.executor.expressions import InvalidExpressionError, expressions_in
from service.executor.json_schema import schema_problems
from service.executor.kinds.registry import least_timeout_seconds, settings_problem
from service.executor.references import is_always_false, reading_of, trap_in
from service.executor.values import is_deeper
from service.platform.problems import FieldProblem
from service.workflows.graph import ancestors, circles, stuck
from service.workflows.schemas import Flow, Step, WorkflowRequest

MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class AgentUse:
    """An agent as a version keeps it."""

    name: str
    kind: str
    settings: Mapping[str, Any]


def read_request(body: Any) -> tuple[WorkflowRequest | None, list[FieldProblem]]:
    """The workflow of a request's body, or None and what is wrong with its shape."""
    try:
        return WorkflowRequest.model_validate(body), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return None, [
            _problem(".".join(map(str, problem["loc"])) or "body", problem["msg"].removeprefix("Value error, "))
            for problem in found
        ]


def find_problems(flow: Flow, agents: Mapping[str, AgentUse]) -> list[FieldProblem]:
    """Everything that is wrong, each with the field and what would be right; empty when nothing is."""
    main = _StepList("steps", flow.steps, agents)
    problems = [*main.problems(), *_StepList("on_failure", flow.on_failure, agents, after=main).problems()]
    for name, schema in (("input_schema", flow.input_schema), ("output_schema", flow.output_schema)):
        for path, message in schema_problems(schema) if schema is not None else ():
            problems.append(_problem(f"{name}.{path}", message))
    return problems


class _StepList:
    """The steps under one field of the workflow; all of those that it comes ``after`` may be read, and an error."""

    def __init__(
        self, field: str, steps: Sequence[Step], agents: Mapping[str, AgentUse], *, after: "_StepList | None" = None
    ) -> None:
        self._field = field
        self._steps = steps
        self._agents = agents
        self._needs: dict[str, list[str]] = {}
        for step in steps:
            self._needs.setdefault(step.id, step.needs)
        self._before = ancestors(self._needs)
        self._roots = ("input", "steps") if after is None else ("input", "steps", "error")
        self._done: Collection[str] = after.places if after else ()
        self.places: dict[str, str] = dict(after.places) if after else {}

    def problems(self) -> Iterator[FieldProblem]:
        """What is wrong with each step, then with their graph."""
        stuck_by = stuck(self._needs, self._before)
        for index, step in enumerate(self._steps):
            if step.id in self.places:
                yield self._at(index, "id", f"{step.id!r} is the id of {self.places[step.id]} already")
            elif step.id in stuck_by:
                text = f"the step can never start, because {stuck_by[step.id]!r}, which it needs, never can"
                yield self._at(index, "needs", text)
            self.places.setdefault(step.id, f"{self._field}.{index}")
            yield from self._of_agent(index, step)
            yield from self._of_needs(index, step)
            yield from self._of_expressions(index, step)
        for circle in circles(self._needs, self._before):
            yield _problem(self._field, f"the steps need one another in a circle: {' needs '.join(circle)}")

    def _of_agent(self, index: int, step: Step) -> Iterator[FieldProblem]:
        agent = self._agents.get(step.agent)
        if agent is None:
            yield self._at(index, "agent", f"there is no agent named {step.agent!r}; create it first")
            return
        if problem := settings_problem(agent.kind, agent.settings):
            yield self._at(index, "agent", f"the agent {step.agent!r} has to be changed first: {problem}")
            return
        least = least_timeout_seconds(agent.kind, agent.settings)
        if step.timeout_seconds < least:
            text = f"is {step.timeout_seconds:g}, but the agent {step.agent!r} takes at least {least:g} seconds"
            yield self._at(index, "timeout_seconds", text)

    def _of_needs(self, index: int, step: Step) -> Iterator[FieldProblem]:
        for place, need in enumerate(step.needs):
            if need == step.id:
                yield self._at(index, f"needs.{place}", "a step cannot need itself")
            elif need not in self._needs:
                where = f" in {self._field}" if need in self._done else ""
                yield self._at(index, f"needs.{place}", f"there is no step with the id {need!r}{where}")
            elif need in step.needs[:place]:
                yield self._at(index, f"needs.{place}", f"{need!r} is named twice")

    def _of_expressions(self, index: int, step: Step) -> Iterator[FieldProblem]:
        if step.when is not None:
            for message in self._of_expression(step, step.when, condition=True):
                yield self._at(index, "when", message)
        if step.for_each is not None:
            for message in self._of_expression(step, step.for_each.items):
                yield self._at(index, "for_each.items", message)
        if is_deeper(step.input, MAX_DEPTH):
            yield self._at(index, "input", f"is nested more than {MAX_DEPTH} levels deep")
            return
        roots = self._roots if step.for_each is None else (*self._roots, "item", "index")
        for path, expression in expressions_in(step.input):
            for message in self._of_expression(step, expression, roots):
                yield self._at(index, f"input.{path}", message)

    def _of_expression(
        self,
        step: Step,
        expression: str | InvalidExpressionError,
        roots: Sequence[str] = (),
        *,
        condition: bool = False,
    ) -> Iterator[str]:
        try:
            if isinstance(expression, InvalidExpressionError):
                raise expression
            reading = reading_of(expression)
            if trap := trap_in(expression):
                yield trap
            elif condition and is_always_false(expression):
                yield "it is always false, so the step would never run"
        except InvalidExpressionError as error:
            yield str(error)
            return
        roots = roots or self._roots
        for name in sorted(reading.roots - set(roots)):
            yield f"there is no {name!r} to read; an expression sees {', '.join(roots)}"
        for other in sorted(reading.steps - self._before[step.id] - set(self._done)):
            yield self._not_before(step, other)

    def _not_before(self, step: Step, other: str) -> str:
        if other == step.id:
            return "a step cannot read its own output"
        if other not in self._needs:
            return f"it reads the output of {other!r}, and there is no step with this id"
        return f"it reads the output of {other!r}, which need not be done before; name it in needs"

    def _at(self, index: int, field: str, message: str) -> FieldProblem:
        return _problem(f"{self._field}.{index}.{field}", message)


def _problem(field: str, message: str) -> FieldProblem:
    return FieldProblem(field=field.rstrip("."), message=message)
