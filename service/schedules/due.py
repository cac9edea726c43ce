"""Decides what becomes of the times of a schedule that are due. Pure: the database's time is given."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Literal

from service.schedules.schemas import CatchUp
from service.schedules.timetable import Timetable

ON_TIME = timedelta(seconds=60)
"""How late a time may be taken up without counting as missed; two times of a schedule are at least as far apart."""

AT_ONCE = 10
"""The most runs of one schedule in one transaction; more that are to be caught up follow in the next."""

MOST_COUNTED = 1000
"""Times that passed without a run are counted so far and no further: a schedule may have been away for years."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one schedule."""

    fire: Sequence[datetime]
    next_fire_at: datetime | None
    skipped: int
    last_skipped_at: datetime | None
    reason: Literal["missed", "overlap"]
    """Why times are skipped, where some are."""


def decide(
    timetable: Timetable, *, first: datetime, now: datetime, catch_up: CatchUp, limit: int, is_blocked: bool
) -> Decision:
    """What to do with all times from ``first``, the stored next time, to ``now``.

    ``is_blocked`` says that the schedule lets no run overlap and has one that is not finished.
    """
    # The stored time counts as one even where new zone data would not have it: it was announced.
    wanted = limit if catch_up == "all" else 1
    due = timetable.newest(first, now, wanted + 1)
    kept = due[-wanted:]
    if is_blocked or (catch_up == "skip" and kept[-1] <= now - ON_TIME):
        kept = []
    dropped = due[: len(due) - len(kept)]
    rest = kept[AT_ONCE:]
    return Decision(
        fire=kept[:AT_ONCE],
        next_fire_at=rest[0] if rest else timetable.next_after(now),
        skipped=_count(timetable, first, now) - len(kept) if dropped else 0,
        last_skipped_at=dropped[-1] if dropped else None,
        reason="overlap" if is_blocked else "missed",
    )


def _count(timetable: Timetable, first: datetime, until: datetime) -> int:
    later = takewhile(lambda each: each <= until, timetable.after(first))
    return 1 + sum(1 for _ in islice(later, MOST_COUNTED))
