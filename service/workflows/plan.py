"""What a run would do with an input, as far as that can be known without executing anything. Pure: no I/O."""

from collections.abc import Mapping, Sequence
from typing import Any

from service.executor.expressions import EXPRESSION_KEY, evaluate, is_true
from service.executor.items import read_items
from service.executor.kinds.base import StepFailedError
from service.executor.references import reading_of
from service.platform.problems import FieldProblem
from service.workflows.definition import flow_of
from service.workflows.graph import waves
from service.workflows.schemas import PlannedStep, Step

Waves = list[list[PlannedStep]]


def make_plan(definition: Mapping[str, Any], run_input: Any) -> tuple[Waves, Waves]:
    """The steps of a stored definition in the groups in which they may start, and those that are done if it fails."""
    flow, plan = flow_of(definition), _Plan(run_input)
    agents = {step["id"]: step["agent"] for step in (*definition["steps"], *definition.get("on_failure", ()))}

    def in_waves(steps: Sequence[Step]) -> Waves:
        known = {step.id: step for step in steps}
        groups = waves({step.id: step.needs for step in steps})
        return [[plan.of(known[name], str(agents[name]["kind"])) for name in group] for group in groups]

    return in_waves(flow.steps), in_waves(flow.on_failure)


class _Plan:
    """Goes through the steps in an order in which each comes after those that it needs."""

    def __init__(self, run_input: Any) -> None:
        # Of all outputs only those of skipped steps are known: they are null.
        self._scope: dict[str, Any] = {"input": run_input, "steps": {}}
        self._runs: dict[str, bool | None] = {}

    def of(self, step: Step, kind: str) -> PlannedStep:
        """What is known of one step."""
        problems: list[FieldProblem] = []
        unknown: list[str] = []
        runs = self._runs[step.id] = self._may_run(step, problems)
        if runs is False:
            self._scope["steps"][step.id] = None
        items = self._items(step, problems) if runs is not False else None
        return PlannedStep(
            id=step.id,
            agent=step.agent,
            kind=kind,
            needs=step.needs,
            runs=runs,
            input=None if runs is False else self._filled(step.input, "input", unknown, problems),
            items=items,
            unknown=unknown,
            timeout_seconds=step.timeout_seconds,
            retry=step.retry,
            problems=problems,
        )

    def _may_run(self, step: Step, problems: list[FieldProblem]) -> bool | None:
        needed = [self._runs[need] for need in step.needs]
        if needed and all(runs is False for runs in needed):
            return False
        wanted = True if step.when is None else self._asked(step.when, problems)
        if wanted and needed and True not in needed:
            return None
        return wanted

    def _asked(self, when: str, problems: list[FieldProblem]) -> bool | None:
        try:
            return is_true(when, self._scope) if self._is_known(when) else None
        except ValueError as error:
            problems.append(FieldProblem(field="when", message=str(error)))
            return None

    def _items(self, step: Step, problems: list[FieldProblem]) -> int | None:
        if step.for_each is None:
            return None
        try:
            if self._is_known(step.for_each.items):
                return len(read_items(step.for_each.items, self._scope))
        except (ValueError, StepFailedError) as error:
            problems.append(FieldProblem(field="for_each.items", message=str(error)))
        return None

    def _filled(self, template: Any, path: str, unknown: list[str], problems: list[FieldProblem]) -> Any:
        """The template with those expressions replaced whose results are known."""
        if isinstance(template, list):
            return [self._filled(value, f"{path}.{at}", unknown, problems) for at, value in enumerate(template)]
        if not isinstance(template, Mapping):
            return template
        if EXPRESSION_KEY not in template:
            return {key: self._filled(value, f"{path}.{key}", unknown, problems) for key, value in template.items()}
        try:
            if self._is_known(str(template[EXPRESSION_KEY])):
                return evaluate(template, self._scope)
            unknown.append(path)
        except ValueError as error:
            problems.append(FieldProblem(field=path, message=str(error)))
        return dict(template)

    def _is_known(self, expression: str) -> bool:
        reading = reading_of(expression)
        return (
            not reading.whole and reading.roots <= {"input", "steps"} and reading.steps <= self._scope["steps"].keys()
        )
