"""All that the page of a run shows, read by the functions of the API's routes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.console.diagram import Diagram, diagrams
from service.console.timeline import Bar, bars
from service.platform.database import AnyRow, autocommit
from service.platform.tables import FINAL_RUN_STATUSES
from service.runs.items import ItemGroup, find_items
from service.runs.logs import newest_lines
from service.runs.routes import read_run
from service.runs.schemas import RunAnswer, StepAnswer
from service.runs.waiting import Question, find_questions
from service.schedules.store import database_now
from service.state import ServiceState
from service.workflows import store
from service.workflows.routes import get_workflow_version
from service.workflows.schemas import Step

MOST_LINES = 200
"""Lines of the log that the page shows."""


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step of the definition, and how far it is."""

    step: Step
    after_failure: bool
    state: StepAnswer
    bar: Bar | None
    items: list[ItemGroup]
    is_copied: bool
    """Whether another run did it, which this one goes on with."""


@dataclass(frozen=True, slots=True)
class RunView:
    """One run."""

    run: RunAnswer
    workflow_name: str
    diagrams: list[Diagram]
    rows: list[StepRow]
    questions: list[Question]
    has_more_questions: bool
    log: Sequence[AnyRow]
    """The newest lines of its log, the last of them last."""
    is_live: bool
    now: datetime

    @property
    def log_is_cut(self) -> bool:
        """Whether there are older lines than the page shows."""
        return len(self.log) > MOST_LINES

    @property
    def shown_log(self) -> Sequence[AnyRow]:
        """The lines that the page shows."""
        return self.log[-MOST_LINES:]

    @property
    def summary(self) -> str:
        """How far it is in one sentence, for those who hear the page instead of seeing it."""
        done = sum(row.state.status == "completed" for row in self.rows)
        asked = ", asked to stop" if self.is_live and self.run.cancel_requested_at else ""
        if self.is_live and not asked and any(question.decided_by is None for question in self.questions):
            asked = ", a decision is waited for"
        return f"The run is {self.run.status}{asked}; {done} of {len(self.rows)} steps are completed."


async def view_of(run_id: UUID, service: ServiceState) -> RunView:
    """The run as it is now. Raises a 404 problem."""
    run = await read_run(run_id, service)
    flow = await get_workflow_version(run.workflow_id, run.workflow_version, service)
    steps = [*((step, False) for step in flow.steps), *((step, True) for step in flow.on_failure)]
    is_live = run.status not in FINAL_RUN_STATUSES
    async with autocommit(service.engine) as connection:
        names = await store.names(connection, [run.workflow_id])
        has_items = any(step.for_each for step, _ in steps)
        items = await find_items(connection, run_id) if has_items else {}
        # Bars end at the database's time, as they begin: the clock of this program may be another.
        now = run.finished_at or await database_now(connection)
        log = await newest_lines(connection, run_id, MOST_LINES + 1)
        questions, more = await find_questions(connection, run_id) if is_live else ([], False)
    states = {step.id: step for step in run.steps}
    copied = {step.id for step in run.steps if _is_copied(run, step)}
    found = bars(run, [step for step in run.steps if step.id not in copied], now)
    rows = []
    for step, late in steps:
        state = states.get(step.id, StepAnswer(id=step.id))
        rows.append(StepRow(step, late, state, found.get(step.id), items.get(step.id, []), step.id in copied))
    statuses = {name: answer.status for name, answer in states.items()}
    name = names.get(run.workflow_id, "")
    return RunView(run, name, diagrams(flow, statuses), rows, questions, more, log, is_live, now)


def _is_copied(run: RunAnswer, step: StepAnswer) -> bool:
    return run.origin_run_id is not None and step.finished_at is not None and step.finished_at < run.created_at
