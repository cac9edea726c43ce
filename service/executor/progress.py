"""Where a run stands: which steps are done, which may start. Pure: no clock, no database."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.executor.definition import Definition, StepDefinition
from service.executor.waiting import Waiting

PENDING, RUNNING, WAITING, COMPLETED, FAILED, SKIPPED, CANCELLED = (
    "pending",
    "running",
    "waiting",
    "completed",
    "failed",
    "skipped",
    "cancelled",
)

_SETTLED = (COMPLETED, SKIPPED)
_UNDER_WAY = (RUNNING, WAITING)
_ITEM_ID = re.compile(r"(?P<step>.+)\[(?P<place>[0-9]+)\]")


@dataclass(eq=False)
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
    waits: Waiting | None = None
    wake: float | None = None
    """When it has waited long enough, by the same clock as the other two."""
    items: list["ItemState"] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Its name in the journal."""
        return self.step.id

    def restore(self, entry: "JournalledStep") -> None:
        """Go on from what the journal says."""
        if entry.status == COMPLETED:
            self.status, self.attempt, self.output = COMPLETED, entry.attempt, entry.output
        elif entry.status == WAITING and entry.waits is not None:
            self.status, self.attempt, self.waits, self.wake = WAITING, entry.attempt, entry.waits, entry.wake
        else:
            # Also a skipped one: its condition reads what is journalled, so the answer will be the same.
            # An attempt that was cut off is done again under the same number: it is not the step's fault.
            self.attempt = max(1, entry.attempt)


@dataclass(eq=False, kw_only=True)
class ItemState(StepState):
    """One item of a step that is done for each of a list."""

    parent: StepState = field(repr=False)
    place: int
    value: Any

    @property
    def id(self) -> str:
        """Its name in the journal, which no step can have."""
        return f"{self.step.id}[{self.place}]"


@dataclass(frozen=True)
class JournalledStep:
    """What the journal knows of a step."""

    step_id: str
    status: str
    attempt: int
    output: Any
    waits: Waiting | None = None
    wake: float | None = None


class Progress:
    """The steps of one run and the rules by which they follow one another.

    With a ``failure`` they are those that a run does after it has failed: they see it, and the outputs of the steps
    ``before`` them, and one that fails stops none but those that need it.
    """

    def __init__(
        self,
        definition: Definition,
        run_input: Any,
        journal: Iterable[JournalledStep] = (),
        *,
        failure: Mapping[str, Any] | None = None,
        before: Mapping[str, Any] | None = None,
    ) -> None:
        self.definition = definition
        self.run_input = run_input
        self.failure = failure
        self._before = before or {}
        self.states = {step.id: StepState(step) for step in definition.steps.values()}
        self.known_items: dict[str, dict[int, JournalledStep]] = defaultdict(dict)
        for entry in journal:
            if item := _ITEM_ID.fullmatch(entry.step_id):
                self.known_items[item["step"]][int(item["place"])] = entry
            elif state := self.states.get(entry.step_id):
                state.restore(entry)
                if entry.status == FAILED and failure is not None:
                    state.status = FAILED

    def ready(self) -> list[StepState]:
        """The steps that have not started and whose needs are all settled: each completed or skipped."""
        return [
            state
            for state in self.states.values()
            if state.status == PENDING and all(self.states[need].status in _SETTLED for need in state.step.needs)
        ]

    def is_passed_over(self, state: StepState) -> bool:
        """Whether a step is skipped without a look at its condition: it has needs, and all of them were skipped."""
        needs = state.step.needs
        return bool(needs) and all(self.states[need].status == SKIPPED for need in needs)

    def scope(self) -> Mapping[str, Any]:
        """What the expressions of a step see; the output of a skipped step is null."""
        outputs = {name: state.output for name, state in self.states.items() if state.status in _SETTLED}
        scope = {"input": self.run_input, "steps": {**self._before, **outputs}}
        return scope if self.failure is None else scope | {"error": self.failure}

    @property
    def ended(self) -> bool:
        """Whether no step is under way and none can start any more: all are completed or skipped, or one failed."""
        return not any(state.status in _UNDER_WAY for state in self.states.values()) and not self.ready()

    @property
    def failed(self) -> StepState | None:
        """A step that has failed for good and takes the run with it, if there is one."""
        if self.failure is not None:
            return None
        return next((state for state in self.states.values() if state.status == FAILED), None)

    def outputs(self) -> dict[str, Any]:
        """The outputs of all completed steps, by their ids."""
        return {name: state.output for name, state in self.states.items() if state.status == COMPLETED}

    def output(self) -> dict[str, Any]:
        """The outputs of the steps that no other step needs, by their ids; null for one that was skipped."""
        return {step_id: self.states[step_id].output for step_id in self.definition.leaves}

    def give_up(self) -> None:
        """Nothing more will run: steps and items under way are cancelled, the other steps skipped."""
        for state in self.states.values():
            if state.status in (PENDING, *_UNDER_WAY):
                state.status = SKIPPED if state.status == PENDING else CANCELLED
                state.changed = True
            for item in state.items:
                if item.status in _UNDER_WAY:
                    item.status, item.changed = CANCELLED, True

    def rest(self) -> None:
        """Nothing is under way any more, but the run goes on later: what was begun and not ended is begun again."""
        for state in self.states.values():
            for one in (state, *state.items):
                if one.status == RUNNING:
                    waits = any(item.status == WAITING for item in one.items)
                    one.status, one.changed = WAITING if waits else PENDING, True

    def changes(self) -> list[StepState]:
        """The steps and items that the journal does not know as they are."""
        return [one for state in self.states.values() for one in (state, *state.items) if one.changed]

    def unfolded(self) -> list[StepState]:
        """The steps under way that are done item by item."""
        return [state for state in self.states.values() if state.status == RUNNING and state.step.for_each]
