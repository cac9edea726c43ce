"""When each step of a run was under way, as bars on one scale from the run's first moment to its last. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from service.runs.schemas import RunAnswer, StepAnswer

_LEAST = 0.8
"""Percent; what is narrower cannot be seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Percent of the whole time."""

    begin: float
    width: float


def bars(run: RunAnswer, steps: Iterable[StepAnswer], now: datetime) -> dict[str, Bar]:
    """The bar of each step that was begun; what has not ended goes on until now."""
    begun = [step for step in steps if step.started_at is not None]
    first = min([run.started_at or run.created_at, *(step.started_at for step in begun if step.started_at)])
    last = max([run.finished_at or now, *(step.finished_at for step in begun if step.finished_at)])
    whole = (last - first).total_seconds()
    if whole <= 0:
        return {}
    found = {}
    for step in begun:
        if step.started_at is None:
            continue
        end = step.finished_at or run.finished_at or now
        width = max(_LEAST, 100 * (end - step.started_at).total_seconds() / whole)
        begin = min(100 * (step.started_at - first).total_seconds() / whole, 100 - _LEAST)
        found[step.id] = Bar(round(begin, 2), round(min(width, 100 - begin), 2))
    return found
