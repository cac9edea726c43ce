"""What an operator can do by a button. Each is a call of the API's own route, so checks and audit are the API's.

To add one, add an entry: its button appears, for those who may, where it is ``offered``.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from service.auth.principal import Principal
from service.auth.scopes import Scope
from service.console.forms import key_of, read_form
from service.deadletters.routes import discard_dead_letter, requeue_dead_letter
from service.deadletters.schemas import DeadLetterSummary
from service.platform.tables import FINAL_RUN_STATUSES
from service.runs.again import RETRIED
from service.runs.again_routes import retry_run
from service.runs.control import pause_run, resume_run
from service.runs.routes import cancel_run
from service.runs.schemas import AcceptedAgain, RunSummary
from service.schedules.routes import pause_schedule, resume_schedule
from service.schedules.schemas import ScheduleAnswer
from service.state import ServiceState
from service.webhooks.routes import delete_webhook, disable_webhook, enable_webhook
from service.webhooks.schemas import WebhookAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One button. ``name`` is the last part of its address, ``done`` is said when it was done."""

    name: str
    label: str
    question: str = ""
    """Asked before it is done; empty for what can be taken back at once."""
    done: str
    scope: Scope
    audit: str
    offered: Callable[[Any], bool]
    perform: Callable[[UUID, Request, Principal, ServiceState], Awaitable[object]]
    is_dangerous: bool = False
    """Whether something is lost by it."""
    is_keyed: bool = False
    """Whether its form has an idempotency key, because it begins a run. That is where it leads to."""
    is_last: bool = False
    """Whether the thing is gone after it. It leads to the list."""


def _can_go_on(run: RunSummary) -> bool:
    return run.status not in FINAL_RUN_STATUSES and run.cancel_requested_at is None


def _may_be_paused(run: RunSummary) -> bool:
    return _can_go_on(run) and run.pause_requested_at is None


def _may_be_resumed(run: RunSummary) -> bool:
    return _can_go_on(run) and run.pause_requested_at is not None


def _may_be_retried(run: RunSummary) -> bool:
    return run.status in RETRIED


async def _retry(run_id: UUID, request: Request, caller: Principal, state: ServiceState) -> AcceptedAgain:
    return await retry_run(run_id, request, Response(), caller, state, key_of(await read_form(request)))


def _is_active(schedule: ScheduleAnswer) -> bool:
    return schedule.paused_at is None


def _is_paused(schedule: ScheduleAnswer) -> bool:
    return schedule.paused_at is not None


def _is_open(letter: DeadLetterSummary) -> bool:
    return letter.state == "open"


def _is_enabled(webhook: WebhookAnswer) -> bool:
    return webhook.disabled_at is None


def _is_disabled(webhook: WebhookAnswer) -> bool:
    return webhook.disabled_at is not None


def _is_there(_webhook: WebhookAnswer) -> bool:
    return True


RUN_ACTIONS = (
    Action(
        name="resume",
        label="Resume",
        done="The run goes on.",
        scope=Scope.RUNS_PAUSE,
        audit="run.resume",
        offered=_may_be_resumed,
        perform=resume_run,
    ),
    Action(
        name="pause",
        label="Pause",
        done="The run was asked to pause; tries under way are let end.",
        scope=Scope.RUNS_PAUSE,
        audit="run.pause",
        offered=_may_be_paused,
        perform=pause_run,
    ),
    Action(
        name="cancel",
        label="Cancel run",
        question="Running steps are interrupted, and no other step is begun. This cannot be taken back.",
        done="The run was asked to stop.",
        scope=Scope.RUNS_CANCEL,
        audit="run.cancel",
        offered=_can_go_on,
        perform=cancel_run,
        is_dangerous=True,
    ),
    Action(
        name="retry",
        label="Retry",
        question="A new run goes on where this one ended: completed steps count as done, all others are done anew.",
        done="This is the new run.",
        scope=Scope.RUNS_EXECUTE,
        audit="run.retry",
        offered=_may_be_retried,
        perform=_retry,
        is_keyed=True,
    ),
)
SCHEDULE_ACTIONS = (
    Action(
        name="pause",
        label="Pause",
        done="The schedule is paused; runs under way go on.",
        scope=Scope.SCHEDULES_WRITE,
        audit="schedule.pause",
        offered=_is_active,
        perform=pause_schedule,
    ),
    Action(
        name="resume",
        label="Resume",
        done="The schedule fires again, from now on.",
        scope=Scope.SCHEDULES_WRITE,
        audit="schedule.resume",
        offered=_is_paused,
        perform=resume_schedule,
    ),
)
DEAD_LETTER_ACTIONS = (
    Action(
        name="requeue",
        label="Put back",
        question="The message is sent again, once, to the topic that it was for.",
        done="The message was put back; it is sent at once.",
        scope=Scope.DEAD_LETTERS_SETTLE,
        audit="dead_letter.requeue",
        offered=_is_open,
        perform=requeue_dead_letter,
    ),
    Action(
        name="discard",
        label="Discard",
        question="Nothing is done about the message any more, and it can no longer be put back. It can still be read.",
        done="The message was discarded.",
        scope=Scope.DEAD_LETTERS_SETTLE,
        audit="dead_letter.discard",
        offered=_is_open,
        perform=discard_dead_letter,
        is_dangerous=True,
    ),
)
WEBHOOK_ACTIONS = (
    Action(
        name="enable",
        label="Enable",
        done="The webhook is enabled; what was waiting is sent first.",
        scope=Scope.WEBHOOKS_WRITE,
        audit="webhook.enable",
        offered=_is_disabled,
        perform=enable_webhook,
    ),
    Action(
        name="disable",
        label="Disable",
        question="Nothing more is sent. Runs that end while it is disabled are not told, also not later.",
        done="The webhook is disabled.",
        scope=Scope.WEBHOOKS_WRITE,
        audit="webhook.disable",
        offered=_is_enabled,
        perform=disable_webhook,
    ),
    Action(
        name="delete",
        label="Delete",
        question="The webhook is deleted with all its deliveries, also those that wait. This cannot be taken back.",
        done="The webhook was deleted.",
        scope=Scope.WEBHOOKS_WRITE,
        audit="webhook.delete",
        offered=_is_there,
        perform=delete_webhook,
        is_dangerous=True,
        is_last=True,
    ),
)


def said(actions: tuple[Action, ...], name: str | None) -> str:
    """What to tell after the action of this name was done; nothing for another name."""
    return next((action.done for action in actions if action.name == name), "")
