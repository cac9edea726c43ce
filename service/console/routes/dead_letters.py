"""Dead letters: messages that could not be read or delivered, put back or discarded by a button."""

from typing import Any, get_args
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from service.auth.scopes import Scope
from service.console.access import guarded
from service.console.actions import DEAD_LETTER_ACTIONS, said
from service.console.pages import page
from service.console.performing import add_actions
from service.console.router import console_router
from service.deadletters import store
from service.deadletters.letter import Reason
from service.deadletters.routes import get_dead_letter, get_dead_letter_payload, list_dead_letters
from service.deadletters.schemas import DeadLetterPage
from service.platform.problems import FieldProblem, ProblemError, documented, invalid
from service.state import ServiceState, State

STATES: tuple[str, ...] = get_args(store.State)
REASONS: tuple[str, ...] = get_args(Reason)
_ALL = "all"
_MOST_TOPIC = 249
_SIZE = 25

router = console_router()


@router.get("/dead-letters", dependencies=[guarded(Scope.DEAD_LETTERS_READ)], responses=documented())
async def dead_letters_page(request: Request, state: State) -> Response:
    """The list, newest first: of those that nobody has settled, unless others are asked for."""
    query = request.query_params
    filters = {name: query.get(name, "").strip()[:_MOST_TOPIC] for name in ("state", "reason", "topic")}
    filters["state"] = filters["state"] or "open"
    found, problems = DeadLetterPage(items=[], size=_SIZE, next=None), list[FieldProblem]()
    try:
        found = await _read(filters, query.get("cursor") or None, state)
    except ProblemError as error:
        if error.kind != "validation":
            raise
        problems = error.errors
    return page(
        request,
        "dead_letters.html",
        422 if problems else 200,
        found=found,
        filters=filters,
        problems=problems,
        states=(*STATES, _ALL),
        reasons=REASONS,
        is_first="cursor" not in query,
    )


async def _read(filters: dict[str, str], cursor: str | None, state: ServiceState) -> DeadLetterPage:
    problems = [
        FieldProblem(field=name, message=f"must be one of {', '.join(known)}")
        for name, known in (("state", (*STATES, _ALL)), ("reason", ("", *REASONS)))
        if filters[name] not in known
    ]
    if problems:
        raise invalid(problems)
    given: dict[str, Any] = {
        "status": None if filters["state"] == _ALL else filters["state"],
        "reason": filters["reason"] or None,
        "topic": filters["topic"] or None,
    }
    return await list_dead_letters(state, **given, cursor=cursor, size=_SIZE)


@router.get("/dead-letters/{letter_id}", dependencies=[guarded(Scope.DEAD_LETTERS_READ)], responses=documented(404))
async def dead_letter_page(letter_id: UUID, request: Request, state: State) -> Response:
    """A dead letter, without its payload."""
    return page(
        request,
        "dead_letter.html",
        letter=await get_dead_letter(letter_id, state),
        payload=None,
        actions=DEAD_LETTER_ACTIONS,
        done=said(DEAD_LETTER_ACTIONS, request.query_params.get("done")),
    )


@router.get(
    "/dead-letters/{letter_id}/payload",
    dependencies=[guarded(Scope.DEAD_LETTERS_PAYLOAD)],
    responses=documented(404),
)
async def dead_letter_payload_page(letter_id: UUID, request: Request, state: State) -> Response:
    """A dead letter with its payload, which may hold anything and so needs more."""
    return page(
        request,
        "dead_letter.html",
        letter=await get_dead_letter(letter_id, state),
        payload=await get_dead_letter_payload(letter_id, state),
        actions=DEAD_LETTER_ACTIONS,
        done="",
    )


add_actions(router, "/dead-letters", DEAD_LETTER_ACTIONS)
