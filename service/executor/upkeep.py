"""What an executor does for runs that nobody holds, and with what is too old to be kept."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from service.deadletters.letter import DeadLetter, as_json
from service.deadletters.store import KEEP
from service.executor import statements
from service.executor.claims import EndedRun
from service.executor.statement_runner import StatementRunner
from service.executor.values import encode, problem


class Upkeep(StatementRunner):
    """The part of the repository that is about no run of this executor's."""

    async def keep_dead(self, letters: Iterable[DeadLetter]) -> None:
        """Keep messages that make no sense; one that was kept before is only counted."""
        await self.execute(KEEP, letters=as_json(letters))

    async def cancel_queued(self, run_id: UUID) -> bool:
        """End a run that was asked to be cancelled and that no executor holds; returns whether this did it."""
        return bool(await self.tell(statements.CANCEL_QUEUED, run_id=run_id))

    async def force_cancellations(self, limit: int, *, after_seconds: float) -> list[EndedRun]:
        """End runs that were asked to stop: those that no executor holds, and those whose executor did not stop them.

        Whoever holds one of the latter can write nothing of it any more.
        """
        detail = f"its executor did not stop within {after_seconds:g} s of the request"
        rows = await self.tell(
            statements.FORCE_CANCELLATIONS,
            limit=limit,
            after=after_seconds,
            error=encode(problem("cancel-forced", "The run was ended without its executor", detail)),
        )
        return [EndedRun(row.id, row.status, row.correlation_id, float(row.seconds)) for row in rows]

    async def answer_missed(self, limit: int, *, older_than_seconds: float) -> int:
        """Tell waiting runs the ends of their children that whoever ended them did not tell; returns how many."""
        return len(await self.tell(statements.ANSWER_MISSED, limit=limit, older_than=older_than_seconds))

    async def forget_messages(self, *, older_than_days: int, most: int) -> int:
        """Drop the marks of messages that are too old to come again, so many at most; returns how many there were."""
        return len(await self.execute(statements.FORGET_MESSAGES, days=older_than_days, most=most))

    async def forget_idempotency_keys(self, *, older_than_days: int) -> None:
        """Drop the keys of requests that are too old to be sent again."""
        await self.execute(statements.FORGET_KEYS, days=older_than_days)
