"""What an operator can do by a button. Each is a call of the API's own route, so checks and audit are the API's.

To add one, add an entry: its button appears, for those who may, where it is ``offered``.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import Request

from service.auth.principal import Principal
from service.auth.scopes import Scope
from service.platform.tables import FINAL_RUN_STATUSES
from service.runs.routes import cancel_run
from service.runs.schemas import RunAnswer
from service.schedules.routes import pause_schedule, resume_schedule
from service.schedules.schemas import ScheduleAnswer
from service.state import ServiceState


@dataclass(frozen=True, slots=True)
class Action:
    """One button. ``name`` is the last part of its address, ``done`` is said when it was done."""

    name: str
    label: str
    question: str
    """Asked before it is done; empty for what can be taken back at once."""
    done: str
    scope: Scope
    audit: str
    offered: Callable[[Any], bool]
    perform: Callable[[UUID, Request, Principal, ServiceState], Awaitable[object]]


def _may_be_cancelled(run: RunAnswer) -> bool:
    return run.status not in FINAL_RUN_STATUSES and run.cancel_requested_at is None


def _is_active(schedule: ScheduleAnswer) -> bool:
    return schedule.paused_at is None


def _is_paused(schedule: ScheduleAnswer) -> bool:
    return schedule.paused_at is not None


RUN_ACTIONS = (
    Action(
        "cancel",
        "Cancel run",
        "Running steps are interrupted, and no other step is begun. This cannot be taken back.",
        "The run was asked to stop.",
        Scope.RUNS_CANCEL,
        "run.cancel",
        _may_be_cancelled,
        cancel_run,
    ),
)
SCHEDULE_ACTIONS = (
    Action(
        "pause",
        "Pause",
        "",
        "The schedule is paused; runs under way go on.",
        Scope.SCHEDULES_WRITE,
        "schedule.pause",
        _is_active,
        pause_schedule,
    ),
    Action(
        "resume",
        "Resume",
        "",
        "The schedule fires again, from now on.",
        Scope.SCHEDULES_WRITE,
        "schedule.resume",
        _is_paused,
        resume_schedule,
    ),
)


def said(actions: tuple[Action, ...], name: str | None) -> str:
    """What to tell after the action of this name was done; nothing for another name."""
    return next((action.done for action in actions if action.name == name), "")
