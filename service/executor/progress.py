"""Where a run stands: which steps are done, which may start. Pure: no clock, no database."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from service.executor.definition import Definition, StepDefinition

PENDING, RUNNING, COMPLETED, FAILED, SKIPPED, CANCELLED = (
    "pending",
    "running",
    "completed",
    "failed",
    "skipped",
    "cancelled",
)


@dataclass
class StepState:
    """One step of one run; ``changed`` marks what the journal does not know yet."""

    step: StepDefinition
    status: str = PENDING
    attempt: int = 1
    output: Any = None
    error: dict[str, Any] | None = None
    changed: bool = False
    started: float | None = None
    finished: float | None = None


@dataclass(frozen=True)
class JournalledStep:
    """What the journal knows of a step."""

    step_id: str
    status: str
    attempt: int
    output: Any


class Progress:
    """The steps of one run and the rules by which they follow one another."""

    def __init__(self, definition: Definition, run_input: Any, journal: Iterable[JournalledStep] = ()) -> None:
        self.definition = definition
        self.run_input = run_input
        self.states = {step.id: StepState(step) for step in definition.steps.values()}
        for entry in journal:
            state = self.states.get(entry.step_id)
            if state is None:
                continue
            if entry.status == COMPLETED:
                state.status, state.attempt, state.output = COMPLETED, entry.attempt, entry.output
            else:
                # An attempt that was cut off is done again under the same number: it is not the step's fault.
                state.attempt = max(1, entry.attempt)

    def ready(self) -> list[StepState]:
        """The steps that have not started and whose needs are all completed."""
        return [
            state
            for state in self.states.values()
            if state.status == PENDING and all(self.states[need].status == COMPLETED for need in state.step.needs)
        ]

    def scope(self) -> Mapping[str, Any]:
        """What the expressions of a step's input see."""
        outputs = {name: state.output for name, state in self.states.items() if state.status == COMPLETED}
        return {"input": self.run_input, "steps": outputs}

    @property
    def completed(self) -> bool:
        """Whether every step is."""
        return all(state.status == COMPLETED for state in self.states.values())

    def output(self) -> dict[str, Any]:
        """The outputs of the steps that no other step needs, by their ids."""
        return {step_id: self.states[step_id].output for step_id in self.definition.leaves}

    def give_up(self) -> None:
        """Nothing more will run: steps under way are cancelled, the others skipped."""
        for state in self.states.values():
            if state.status in (PENDING, RUNNING):
                state.status = CANCELLED if state.status == RUNNING else SKIPPED
                state.changed = True

    def changes(self) -> list[StepState]:
        """The steps that the journal does not know as they are."""
        return [state for state in self.states.values() if state.changed]
