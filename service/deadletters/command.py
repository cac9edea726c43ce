"""The command ``requeue``: puts dead letters back into the outbox, as the API's route does."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from service.audit.record import Actor
from service.deadletters import store
from service.deadletters.letter import Reason
from service.platform.database import autocommit, create_engine, is_unavailable, transaction
from service.platform.settings import Settings

ACTOR = "command:requeue"
"""Who is named in the audit."""

MOST = 10_000
"""Letters that one call with ``--all`` puts back at most."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one letter."""

    id: str
    requeued: bool
    detail: str


async def requeue(settings: Settings, letters: Sequence[UUID], *, reason: Reason | None = None) -> list[Outcome]:
    """Put back the given letters, or without any all open ones (set aside for the reason); each in its transaction.

    Raises what the database raises when it is away.
    """
    engine = create_engine(settings, application="workflow-requeue")
    try:
        if not letters:
            async with autocommit(engine) as connection:
                letters = await store.open_letters(connection, reason, limit=MOST)
        actor = Actor(ACTOR, None, settings.enable_audit_logging)
        return [await _requeue_one(engine, letter_id, actor) for letter_id in letters]
    finally:
        await engine.dispose()


async def _requeue_one(engine: AsyncEngine, letter_id: UUID, actor: Actor) -> Outcome:
    try:
        async with transaction(engine) as connection:
            found = await store.requeue(connection, letter_id, actor)
    except (store.CannotBeRequeuedError, store.SettledOtherwiseError) as error:
        return Outcome(str(letter_id), False, str(error))
    except DBAPIError as error:
        if is_unavailable(error):
            raise
        return Outcome(str(letter_id), False, f"refused by the database: {error.orig}")
    if found is None:
        return Outcome(str(letter_id), False, "there is no dead letter with this id")
    return Outcome(str(letter_id), True, "requeued" if found[1] else "was requeued before")


def show(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    """Write what became of the letters."""
    if as_json:
        sys.stdout.write(json.dumps([asdict(each) for each in outcomes]) + "\n")
        return
    for each in outcomes:
        sys.stdout.write(f"{each.id}: {each.detail}\n")
    done = sum(each.requeued for each in outcomes)
    sys.stdout.write(f"{done} requeued, {len(outcomes) - done} not\n")
