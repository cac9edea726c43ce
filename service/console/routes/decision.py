"""The form by which somebody decides what a step waits for."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Request
from pydantic import ValidationError
from starlette.responses import Response

from service.auth.principal import Caller
from service.auth.scopes import Scope
from service.console.access import guarded
from service.console.forms import read_form
from service.console.pages import go_to
from service.console.router import console_router
from service.platform.problems import FieldProblem, documented, invalid
from service.runs.control import signal_step
from service.runs.schemas import SignalRequest
from service.state import State

DECIDED = {"approve": "The step was approved.", "reject": "The step was rejected."}
"""What is said of the outcomes."""

router = console_router()


@router.post(
    "/runs/{run_id}/steps/{step_id}/signal",
    dependencies=[guarded(Scope.RUNS_SIGNAL, audit="run.signal")],
    responses=documented(404, 409),
)
async def decide(
    run_id: UUID, step_id: Annotated[str, Path(max_length=80)], request: Request, caller: Caller, state: State
) -> Response:
    """Approve or reject, for good, and go back to the run."""
    fields = await read_form(request)
    # Browsers send the ends of lines in a way of their own.
    comment = fields.get("comment", "").replace("\r\n", "\n").strip()
    try:
        body = SignalRequest.model_validate({"outcome": fields.get("outcome"), "comment": comment or None})
    except ValidationError as error:
        raise invalid(
            [FieldProblem(field=".".join(map(str, each["loc"])), message=each["msg"]) for each in error.errors()]
        ) from None
    await signal_step(run_id, step_id, body, request, caller, state)
    return go_to(request, f"/runs/{run_id}", done=body.outcome)
