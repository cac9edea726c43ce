"""Stores dead letters, and settles them: put back into the outbox, or discarded."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from service.audit.change import change
from service.audit.record import Actor, record
from service.deadletters.letter import Reason, readable_object
from service.executor.values import encode
from service.platform.database import AnyRow
from service.platform.tables import dead_letters, outbox

State = Literal["open", "requeued", "discarded"]

AUDITED = ("topic", "reason", "state")
"""The columns that audit entries show."""

# A place that is read again is the same letter. That it was seen again is worth knowing: its reader could not go on.
_KEEP = """
INSERT INTO dead_letters
    (id, source, place, topic, key, headers, reason, detail, payload, payload_bytes, kept, sent_at)
SELECT id, source, place, topic, key, headers, reason, detail, decode(payload, 'base64'), payload_bytes, kept,
       to_timestamp(sent)
FROM jsonb_to_recordset(CAST({letters} AS jsonb)) AS letter
    (id uuid, source text, place text, topic text, key text, headers jsonb, reason text, detail text, payload text,
     payload_bytes bigint, kept text, sent float8)
ORDER BY place
ON CONFLICT (place) DO UPDATE SET times = dead_letters.times + 1, last_seen_at = now()
"""
KEEP = text(_KEEP.format(letters=":letters"))
KEEP_PLAIN = _KEEP.format(letters="$1::text")
"""The same for a connection of asyncpg."""

_SUMMARY = [column for column in dead_letters.c if column.name not in ("payload", "headers")]


class CannotBeRequeuedError(ValueError):
    """The letter is no message that could be sent; the text says why."""


class SettledOtherwiseError(ValueError):
    """Somebody has decided something else about the letter; the text says what."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which letters are wanted; None leaves a filter out."""

    state: State | None = None
    reason: Reason | None = None
    topic: str | None = None


async def page(
    connection: AsyncConnection, filters: Filters, *, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[AnyRow]:
    """Letters without payload, newest first; those after the place in the order, if given."""
    place = tuple_(dead_letters.c.first_seen_at, dead_letters.c.id)
    conditions: list[ColumnElement[bool]] = [
        dead_letters.c[name] == value
        for name, value in (("state", filters.state), ("reason", filters.reason), ("topic", filters.topic))
        if value is not None
    ]
    if after is not None:
        conditions.append(place < tuple_(literal(after[0]), literal(after[1])))
    newest = (dead_letters.c.first_seen_at.desc(), dead_letters.c.id.desc())
    return (await connection.execute(select(*_SUMMARY).where(*conditions).order_by(*newest).limit(limit))).all()


async def find(connection: AsyncConnection, letter_id: UUID, *, lock: bool = False) -> AnyRow | None:
    """A whole letter, or None."""
    query = select(dead_letters).where(dead_letters.c.id == letter_id)
    return (await connection.execute(query.with_for_update() if lock else query)).one_or_none()


async def open_letters(connection: AsyncConnection, reason: Reason | None, *, limit: int) -> list[UUID]:
    """The oldest open letters."""
    conditions = [dead_letters.c.state == "open"]
    if reason is not None:
        conditions.append(dead_letters.c.reason == reason)
    query = select(dead_letters.c.id).where(*conditions).order_by(dead_letters.c.first_seen_at).limit(limit)
    return list((await connection.execute(query)).scalars())


def message_of(row: AnyRow) -> dict[str, Any]:
    """What is sent when the letter is put back. Raises CannotBeRequeuedError."""
    if row.kept == "beginning":
        raise CannotBeRequeuedError("only the beginning of its payload was kept")
    message = readable_object(row.payload)
    if message is None:
        raise CannotBeRequeuedError("its payload is no JSON object")
    try:
        encode(message)
    except (ValueError, RecursionError):
        raise CannotBeRequeuedError("its payload holds what the database cannot store") from None
    return message


async def requeue(connection: AsyncConnection, letter_id: UUID, actor: Actor) -> tuple[AnyRow, bool] | None:
    """Put the message back into the outbox, in the caller's transaction; returns the letter and whether this did it.

    A second time changes nothing. None where there is no such letter. Raises CannotBeRequeuedError and
    SettledOtherwiseError.
    """
    row = await find(connection, letter_id, lock=True)
    if row is None or row.state == "requeued":
        return None if row is None else (row, False)
    if row.state != "open":
        raise SettledOtherwiseError(f"it was {row.state}")
    message = message_of(row)
    key = row.key if row.key is not None else str(message.get("run_id", ""))
    await connection.execute(
        outbox.insert().values(topic=row.topic, key=key, headers=dict(row.headers), payload=message)
    )
    return await _settle(connection, row, "requeued", "dead_letter.requeue", actor), True


async def discard(connection: AsyncConnection, letter_id: UUID, actor: Actor) -> tuple[AnyRow, bool] | None:
    """Note that nothing is to be done about the letter; otherwise as for ``requeue``."""
    row = await find(connection, letter_id, lock=True)
    if row is None or row.state == "discarded":
        return None if row is None else (row, False)
    if row.state != "open":
        raise SettledOtherwiseError(f"it was {row.state}")
    return await _settle(connection, row, "discarded", "dead_letter.discard", actor), True


async def _settle(connection: AsyncConnection, before: AnyRow, state: State, action: str, actor: Actor) -> AnyRow:
    statement = (
        dead_letters.update()
        .where(dead_letters.c.id == before.id)
        .values(state=state, settled_at=func.now(), settled_by=actor.subject)
        .returning(*dead_letters.c)
    )
    after = (await connection.execute(statement)).one()
    await record(connection, actor, action, "dead_letter", before.id, change(AUDITED, before, after))
    return after
