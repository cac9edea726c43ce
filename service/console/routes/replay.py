"""The form that executes again what a run executed, from the beginning."""

import json
from typing import Any
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from service.auth.principal import Caller
from service.auth.scopes import Scope
from service.console.access import guarded
from service.console.forms import key_of, read_form
from service.console.input_form import Typed, form_page, read_input
from service.console.pages import go_to
from service.console.router import console_router
from service.console.words import MOST_CHARACTERS
from service.platform.problems import ProblemError, documented
from service.runs.again_routes import replay_run
from service.runs.routes import read_run
from service.runs.schemas import ReplayRequest, RunAnswer
from service.state import ServiceState, State
from service.workflows.routes import get_workflow, get_workflow_version

router = console_router()


@router.get("/runs/{run_id}/replay", dependencies=[guarded(Scope.RUNS_EXECUTE)], responses=documented(404))
async def replay_page(run_id: UUID, request: Request, state: State) -> Response:
    """The form, filled with the run's input."""
    run = await read_run(run_id, state)
    text = json.dumps(run.input, indent=2, ensure_ascii=False)
    # What is too long to be shown is taken as it is. So is half a character, which cannot be sent.
    is_shown = len(text) <= MOST_CHARACTERS and _can_be_sent(text)
    return form_page(request, "replay.html", Typed(text if is_shown else None), **await _about(run, state))


@router.post(
    "/runs/{run_id}/replay",
    dependencies=[guarded(Scope.RUNS_EXECUTE, audit="run.replay")],
    responses=documented(404, 409),
)
async def replay(run_id: UUID, request: Request, caller: Caller, state: State) -> Response:
    """Execute it again, once however often the form is sent, and go to the new run."""
    fields = await read_form(request)
    version = "current" if fields.get("version") == "current" else "origin"
    typed = Typed(fields.get("input"), key_of(fields), version)
    run = await read_run(run_id, state)
    try:
        given = None if typed.text is None else read_input(typed.text)
        body = ReplayRequest(input=None if given == run.input else given, version=version)
        accepted = await replay_run(run_id, request, Response(), caller, state, body, typed.key)
    except ProblemError as error:
        if error.status_code == 404:
            raise
        return form_page(request, "replay.html", typed, error, **await _about(run, state))
    return go_to(request, f"/runs/{accepted.run_id}")


async def _about(run: RunAnswer, state: ServiceState) -> dict[str, Any]:
    workflow = await get_workflow(run.workflow_id, state)
    return {
        "run": run,
        "workflow": workflow,
        "schema": (await get_workflow_version(run.workflow_id, run.workflow_version, state)).input_schema,
    }


def _can_be_sent(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
