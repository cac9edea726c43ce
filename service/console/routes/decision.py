"""The form by which somebody decides what a step waits for."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Request
from starlette.responses import Response

from service.auth.principal import Caller
from service.auth.scopes import Scope
from service.console.access import guarded
from service.console.forms import read_form
from service.console.json_field import read_json
from service.console.pages import go_to, page
from service.console.refusal import read_model, refused_page
from service.console.router import console_router
from service.platform.database import autocommit
from service.platform.problems import ProblemError, documented, not_found
from service.runs.control import signal_step
from service.runs.routes import read_run
from service.runs.schemas import SignalRequest
from service.runs.waiting import find_questions
from service.state import ServiceState, State

DECIDED = {"approve": "The step was approved.", "reject": "The step was rejected."}
"""What is said of the outcomes."""

StepId = Annotated[str, Path(max_length=80)]

router = console_router()


@dataclass(frozen=True, slots=True)
class TypedDecision:
    """What the form was filled with."""

    comment: str = ""
    data: str = ""


@router.get(
    "/runs/{run_id}/steps/{step_id}/signal", dependencies=[guarded(Scope.RUNS_SIGNAL)], responses=documented(404)
)
async def decision_page(run_id: UUID, step_id: StepId, request: Request, state: State) -> Response:
    """The form alone; it is on the page of the run, too."""
    about = await _about(run_id, step_id, state)
    return page(request, "decision.html", problem=None, problems=[], typed=TypedDecision(), **about)


@router.post(
    "/runs/{run_id}/steps/{step_id}/signal",
    dependencies=[guarded(Scope.RUNS_SIGNAL, audit="run.signal")],
    responses=documented(404, 409),
)
async def decide(run_id: UUID, step_id: StepId, request: Request, caller: Caller, state: State) -> Response:
    """Approve or reject, for good, and go back to the run."""
    fields = await read_form(request)
    # Browsers send the ends of lines in a way of their own.
    comment = fields.get("comment", "").replace("\r\n", "\n").strip()
    typed = TypedDecision(comment, fields.get("data", ""))
    try:
        data = read_json(typed.data, "data") if typed.data.strip() else None
        body = read_model(SignalRequest, {"outcome": fields.get("outcome"), "comment": comment or None, "data": data})
        await signal_step(run_id, step_id, body, request, caller, state)
    except Exception as error:
        if isinstance(error, ProblemError) and error.status_code == 409:
            # It is decided, or nothing waits any more.
            raise
        return await refused_page(request, "decision.html", error, typed=typed, **await _about(run_id, step_id, state))
    return go_to(request, f"/runs/{run_id}", done=body.outcome)


async def _about(run_id: UUID, step_id: str, state: ServiceState) -> dict[str, Any]:
    run = await read_run(run_id, state)
    async with autocommit(state.engine) as connection:
        questions, _ = await find_questions(connection, run_id, step_id)
    if not questions:
        raise not_found("step of this run that waits for a decision")
    return {"run": run, "question": questions[0]}
