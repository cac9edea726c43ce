"""Read dead letters, put them back, or settle them otherwise."""

import base64
from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request
from sqlalchemy.ext.asyncio import AsyncConnection

from service.audit.record import Actor
from service.auth.access import GuardedRouter, requires
from service.auth.principal import Caller
from service.auth.roles import Role
from service.auth.scopes import Scope
from service.deadletters import store
from service.deadletters.letter import Reason
from service.deadletters.schemas import DeadLetterAnswer, DeadLetterPage, DeadLetterSummary, PayloadAnswer
from service.platform.database import AnyRow, autocommit, transaction
from service.platform.logging import get_logger
from service.platform.problems import FieldProblem, ProblemError, documented, invalid, not_found
from service.runs.lists import Cursor, Sort
from service.state import ServiceState, State

router = GuardedRouter(prefix="/dead-letters", tags=["dead letters"])
log = get_logger(__name__)

_ORDER: Sort = "-created_at"


@router.get("", dependencies=[requires(Role.OPERATOR, Scope.DEAD_LETTERS_READ)], responses=documented())
async def list_dead_letters(
    state: State,
    status: Annotated[store.State | None, Query(alias="state", description="Only letters in this state")] = None,
    reason: Annotated[Reason | None, Query(description="Only letters set aside for this reason")] = None,
    topic: Annotated[str | None, Query(max_length=249, description="Only letters of this topic")] = None,
    cursor: Annotated[str | None, Query(description="`next` of the page before, with the same filters")] = None,
    size: Annotated[
        int | None, Query(ge=1, description="Items a page: DEFAULT_PAGE_SIZE unless given, MAX_PAGE_SIZE at most")
    ] = None,
) -> DeadLetterPage:
    """List messages that could not be read or delivered, newest first, a page at a time."""
    limit = min(size or state.settings.default_page_size, state.settings.max_page_size)
    try:
        mark = None if cursor is None else Cursor.read(cursor, _ORDER)
    except ValueError as error:
        raise invalid([FieldProblem(field="query.cursor", message=str(error))]) from None
    after = None if mark is None else (mark.created_at, mark.id)
    async with autocommit(state.engine) as connection:
        # One more than asked for tells whether there is a next page.
        rows = await store.page(connection, store.Filters(status, reason, topic), after=after, limit=limit + 1)
    following = Cursor(_ORDER, rows[limit - 1].first_seen_at, rows[limit - 1].id).write() if len(rows) > limit else None
    items = [DeadLetterSummary.model_validate(row) for row in rows[:limit]]
    return DeadLetterPage(items=items, size=limit, next=following)


async def _found(state: ServiceState, letter_id: UUID) -> AnyRow:
    async with autocommit(state.engine) as connection:
        row = await store.find(connection, letter_id)
    if row is None:
        raise not_found("dead letter")
    return row


@router.get("/{letter_id}", dependencies=[requires(Role.OPERATOR, Scope.DEAD_LETTERS_READ)], responses=documented(404))
async def get_dead_letter(letter_id: UUID, state: State) -> DeadLetterAnswer:
    """Read a dead letter, without its payload."""
    return DeadLetterAnswer.model_validate(await _found(state, letter_id))


@router.get(
    "/{letter_id}/payload",
    dependencies=[requires(Role.ADMIN, Scope.DEAD_LETTERS_PAYLOAD)],
    responses=documented(404),
)
async def get_dead_letter_payload(letter_id: UUID, state: State) -> PayloadAnswer:
    """Read what is in a dead letter. It may come from anywhere and hold anything, so this needs more."""
    row = await _found(state, letter_id)
    try:
        return PayloadAnswer(encoding="utf-8", payload=row.payload.decode("utf-8"), kept=row.kept)
    except UnicodeDecodeError:
        return PayloadAnswer(encoding="base64", payload=base64.b64encode(row.payload).decode(), kept=row.kept)


Settle = Callable[[AsyncConnection, UUID, Actor], Awaitable[tuple[AnyRow, bool] | None]]


async def _settle(settle: Settle, letter_id: UUID, request: Request, caller: Caller, state: ServiceState) -> AnyRow:
    try:
        async with transaction(state.engine) as connection:
            found = await settle(connection, letter_id, Actor.of(request, caller))
    except store.SettledOtherwiseError as error:
        raise ProblemError(409, "dead-letter-settled", f"The dead letter is settled: {error}.") from None
    except store.CannotBeRequeuedError as error:
        raise ProblemError(
            409, "dead-letter-unsendable", f"The dead letter cannot be sent again: {error}. It can be discarded."
        ) from None
    if found is None:
        raise not_found("dead letter")
    row, is_new = found
    if is_new:
        log.info("Dead letter settled", dead_letter_id=str(letter_id), state=row.state)
    return row


@router.post(
    "/{letter_id}/requeue",
    dependencies=[requires(Role.OPERATOR, Scope.DEAD_LETTERS_SETTLE, audit="dead_letter.requeue")],
    responses=documented(404, 409),
)
async def requeue_dead_letter(letter_id: UUID, request: Request, caller: Caller, state: State) -> DeadLetterAnswer:
    """Send the message again, once: it goes back into the outbox. Asking again changes nothing."""
    row = await _settle(store.requeue, letter_id, request, caller, state)
    state.wakeup.wake()
    return DeadLetterAnswer.model_validate(row)


@router.post(
    "/{letter_id}/discard",
    dependencies=[requires(Role.OPERATOR, Scope.DEAD_LETTERS_SETTLE, audit="dead_letter.discard")],
    responses=documented(404, 409),
)
async def discard_dead_letter(letter_id: UUID, request: Request, caller: Caller, state: State) -> DeadLetterAnswer:
    """Note that nothing is to be done about the message. It can still be read. Asking again changes nothing."""
    return DeadLetterAnswer.model_validate(await _settle(store.discard, letter_id, request, caller, state))
