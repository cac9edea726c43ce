"""Do again what a run did: go on where it failed, or begin anew."""

import json
from uuid import UUID

from fastapi import Request, Response

from service.audit.record import Actor
from service.auth.access import GuardedRouter, requires
from service.auth.principal import Caller
from service.auth.roles import Role
from service.auth.scopes import Scope
from service.platform import metrics
from service.platform.database import AnyRow, transaction
from service.platform.logging import bind_contextvars, get_logger
from service.platform.middleware.correlation import correlation_id
from service.platform.problems import FieldProblem, ProblemError, documented, invalid, not_found
from service.runs.again import NO_VERSION, RETRIED, Again, read_origin, store_again
from service.runs.backlog import RETRY_SECONDS
from service.runs.idempotency import REPEATED, IdempotencyKey, fingerprint
from service.runs.insert import Accepted, KeyTakenError
from service.runs.schemas import AcceptedAgain, ReplayRequest
from service.state import State
from service.workflows.inputs import schema_problems

router = GuardedRouter(tags=["runs"])
log = get_logger(__name__)


@router.post(
    "/runs/{run_id}/retry",
    status_code=202,
    dependencies=[requires(Role.OPERATOR, Scope.RUNS_EXECUTE, audit="run.retry")],
    responses=documented(404, 409),
)
async def retry_run(
    run_id: UUID, request: Request, response: Response, caller: Caller, state: State, key: IdempotencyKey = None
) -> AcceptedAgain:
    """Go on with a failed or cancelled run where it ended, as a new run.

    It has the same version and input. The completed steps count as done, with their outputs; those that were done after
    the failure do not.
    """
    _require_place(state)
    actor = Actor.of(request, caller)
    async with transaction(state.engine) as connection:
        origin = await read_origin(connection, run_id, current=False)
        if origin is None:
            raise not_found("run")
        if origin.status not in RETRIED:
            text = f"The run is {origin.status}; only one that is {' or '.join(RETRIED)} can be retried."
            raise ProblemError(409, "run-not-failed", text)
        wanted = Again(
            origin_id=run_id,
            version=origin.version,
            retry=True,
            input=None,
            actor=actor.subject,
            address=actor.address,
            correlation_id=correlation_id() or "",
            key=key,
            fingerprint=fingerprint(run_id, "retry") if key else "",
        )
        topic = state.settings.kafka_execution_topic
        try:
            accepted = await store_again(connection, wanted, topic=topic, action="run.retry", audit=actor.enabled)
        except KeyTakenError:
            raise _key_taken() from None
    return _answered(state, response, origin, accepted)


@router.post(
    "/runs/{run_id}/replay",
    status_code=202,
    dependencies=[requires(Role.OPERATOR, Scope.RUNS_EXECUTE, audit="run.replay")],
    responses=documented(404, 409),
)
async def replay_run(
    run_id: UUID,
    request: Request,
    response: Response,
    caller: Caller,
    state: State,
    body: ReplayRequest | None = None,
    key: IdempotencyKey = None,
) -> AcceptedAgain:
    """Execute what a run executed from the beginning, as a new run: the same version and input unless others are given.

    The run may be in any status.
    """
    _require_place(state)
    asked = body or ReplayRequest()
    actor = Actor.of(request, caller)
    async with transaction(state.engine) as connection:
        origin = await read_origin(connection, run_id, current=asked.version == "current")
        if origin is None:
            raise not_found("run")
        problems = schema_problems(origin.input_schema, origin.input if asked.input is None else asked.input)
        wanted = Again(
            origin_id=run_id,
            # An input that no longer fits may still have been accepted before, under its key.
            version=NO_VERSION if problems else origin.version,
            retry=False,
            input=None if asked.input is None else json.dumps(asked.input),
            actor=actor.subject,
            address=actor.address,
            correlation_id=correlation_id() or "",
            key=key,
            fingerprint=fingerprint(run_id, asked.model_dump()) if key else "",
        )
        topic = state.settings.kafka_execution_topic
        try:
            accepted = await store_again(connection, wanted, topic=topic, action="run.replay", audit=actor.enabled)
        except KeyTakenError:
            raise _key_taken() from None
        if accepted is None and problems:
            raise invalid(problems, "The input does not fit the input schema of the version.")
    return _answered(state, response, origin, accepted)


def _require_place(state: State) -> None:
    if state.backlog.is_full():
        text = "Too many runs wait to be executed."
        raise ProblemError(429, "backlog-full", text, headers={"Retry-After": str(RETRY_SECONDS)})


def _key_taken() -> ProblemError:
    message = "was used for another request; take a new key, or send the same request"
    return invalid([FieldProblem(field="header.Idempotency-Key", message=message)])


def _answered(state: State, response: Response, origin: AnyRow, accepted: Accepted | None) -> AcceptedAgain:
    if accepted is None:
        raise not_found("run")
    run_id = accepted.run_ids[0]
    bind_contextvars(workflow_id=str(origin.workflow_id))
    if accepted.repeated:
        response.headers[REPEATED] = "true"
    else:
        state.wakeup.wake()
        metrics.RUNS_SUBMITTED.inc()
    log.info("Run accepted", run_id=str(run_id), origin_run_id=str(origin.id), repeated=accepted.repeated)
    response.headers["Location"] = f"{state.settings.api_prefix}/runs/{run_id}"
    return AcceptedAgain(
        run_id=run_id,
        status="queued",
        workflow_id=origin.workflow_id,
        workflow_version=accepted.workflow_version,
        created_at=accepted.created_at,
        origin_run_id=origin.id,
    )
