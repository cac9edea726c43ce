"""Pause runs, let them go on, and decide what their steps wait for."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Request

from service.audit.change import change
from service.audit.record import Actor, record
from service.auth.access import GuardedRouter, requires
from service.auth.principal import Caller
from service.auth.roles import Role
from service.auth.scopes import Scope
from service.platform.database import AnyRow, transaction
from service.platform.logging import bind_contextvars, get_logger
from service.platform.middleware.correlation import correlation_id
from service.platform.problems import documented
from service.runs import pause
from service.runs.messages import Sender
from service.runs.schemas import PauseAnswer, SignalAnswer, SignalRequest
from service.runs.signal import Decision, give_signal
from service.state import State

router = GuardedRouter(tags=["runs"])
log = get_logger(__name__)


@router.post(
    "/runs/{run_id}/pause",
    status_code=202,
    dependencies=[requires(Role.OPERATOR, Scope.RUNS_PAUSE, audit="run.pause")],
    responses=documented(404, 409),
)
async def pause_run(run_id: UUID, request: Request, caller: Caller, state: State) -> PauseAnswer:
    """Ask a run to pause: tries under way end, nothing is begun any more. Asking again changes nothing."""
    async with transaction(state.engine) as connection:
        topic, sender = state.settings.kafka_cancellation_topic, Sender(caller.subject, correlation_id() or "")
        before, after = await pause.request_pause(connection, run_id, topic=topic, sender=sender)
        if after is not None:
            detail = change(pause.SHOWN, before, after)
            await record(connection, Actor.of(request, caller), "run.pause", "run", run_id, detail)
    return _answered(state, before, after, "Pause requested")


@router.post(
    "/runs/{run_id}/resume",
    status_code=202,
    dependencies=[requires(Role.OPERATOR, Scope.RUNS_PAUSE, audit="run.resume")],
    responses=documented(404, 409),
)
async def resume_run(run_id: UUID, request: Request, caller: Caller, state: State) -> PauseAnswer:
    """Let a paused run go on where it was. Of a run that is not paused nothing changes."""
    async with transaction(state.engine) as connection:
        topic, sender = state.settings.kafka_execution_topic, Sender(caller.subject, correlation_id() or "")
        before, after = await pause.resume(connection, run_id, topic=topic, sender=sender)
        if after is not None:
            detail = change(pause.SHOWN, before, after)
            await record(connection, Actor.of(request, caller), "run.resume", "run", run_id, detail)
    return _answered(state, before, after, "Run resumed")


@router.post(
    "/runs/{run_id}/steps/{step_id}/signal",
    status_code=202,
    dependencies=[requires(Role.OPERATOR, Scope.RUNS_SIGNAL, audit="run.signal")],
    responses=documented(404, 409),
)
async def signal_step(
    run_id: UUID,
    step_id: Annotated[str, Path(max_length=80, description="Of a step with `for_each`: with the place, `ask[0]`")],
    body: SignalRequest,
    request: Request,
    caller: Caller,
    state: State,
) -> SignalAnswer:
    """Decide what a step waits for. The first decision counts, for good: another is refused with 409."""
    decided = Decision(body.outcome == "approve", caller.subject, body.comment, body.data)
    async with transaction(state.engine) as connection:
        run = await give_signal(
            connection,
            run_id,
            step_id,
            decided,
            execution_topic=state.settings.kafka_execution_topic,
            cancellation_topic=state.settings.kafka_cancellation_topic,
            sender=Sender(caller.subject, correlation_id() or ""),
        )
        detail = {"step_id": step_id, **body.model_dump()}
        await record(connection, Actor.of(request, caller), "run.signal", "run", run_id, detail)
    bind_contextvars(workflow_id=str(run.workflow_id))
    state.wakeup.wake()
    log.info("Step signalled", run_id=str(run_id), step_id=step_id, outcome=body.outcome)
    return SignalAnswer(run_id=run_id, step_id=step_id, outcome=body.outcome, status=run.status)


def _answered(state: State, before: AnyRow, after: AnyRow | None, message: str) -> PauseAnswer:
    row = before if after is None else after
    bind_contextvars(workflow_id=str(row.workflow_id))
    if after is not None:
        state.wakeup.wake()
        log.info(message, run_id=str(row.id), status=row.status)
    return PauseAnswer(run_id=row.id, status=row.status, pause_requested_at=row.pause_requested_at)
