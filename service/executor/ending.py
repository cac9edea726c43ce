"""What becomes of a run whose steps can do nothing more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.executor.definition import Definition
from service.executor.expressions import FieldError
from service.executor.json_schema import value_problems
from service.executor.progress import COMPLETED, FAILED, Progress, StepState
from service.executor.values import problem

_TOLD_PROBLEMS = 5


@dataclass(frozen=True, slots=True)
class Ending:
    """A final state."""

    status: str
    output: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None


def ending_of(progress: Progress) -> Ending | None:
    """How a run ends that has no steps for a failure; None while something of it is still to be done."""
    if progress.failed:
        return Ending(FAILED, error=failure_of_run(progress.failed))
    if not progress.ended:
        return None
    output = progress.output()
    misfit = misfit_of(progress.definition, output)
    return Ending(COMPLETED, output=output) if misfit is None else Ending(FAILED, error=misfit)


def failure_of_run(state: StepState) -> dict[str, Any]:
    """The error of the run that a failed step takes with it."""
    failure = state.error or {}
    error = problem("step-failed", f"Step {state.step.id} failed", str(failure.get("detail", "")))
    return error | {"step_id": state.step.id, "attempts": state.attempt, "code": failure.get("code", "agent")}


def misfit_of(definition: Definition, output: Mapping[str, Any]) -> dict[str, Any] | None:
    """The error of the run whose output does not fit the definition's schema; None where it does."""
    schema = definition.output_schema
    problems = value_problems(schema, output) if schema is not None else ()
    return _unfit(problems) if problems else None


def _unfit(problems: Sequence[FieldError]) -> dict[str, Any]:
    found = "; ".join(f"{path or 'the output'}: {message}" for path, message in problems[:_TOLD_PROBLEMS])
    more = f"; and {len(problems) - _TOLD_PROBLEMS} more" if len(problems) > _TOLD_PROBLEMS else ""
    return problem("output-schema", "The output does not fit its schema", f"{found}{more}")
