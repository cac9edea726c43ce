"""Read and set the limits of a workflow."""

from uuid import UUID

from fastapi import Request

from service.audit.change import change
from service.audit.record import Actor, record
from service.auth.access import GuardedRouter, requires
from service.auth.principal import Caller
from service.auth.roles import Role
from service.auth.scopes import Scope
from service.platform.database import autocommit, transaction
from service.platform.logging import bind_contextvars
from service.platform.problems import documented, not_found
from service.state import State
from service.workflows import limits as store
from service.workflows.limits import LIMITS, Limits

router = GuardedRouter(prefix="/workflows", tags=["workflows"])


@router.get(
    "/{workflow_id}/limits",
    dependencies=[requires(Role.VIEWER, Scope.WORKFLOWS_READ)],
    responses=documented(404),
)
async def get_workflow_limits(workflow_id: UUID, state: State) -> Limits:
    """Read how many runs of a workflow go on at a time and begin in a time at most."""
    bind_contextvars(workflow_id=str(workflow_id))
    async with autocommit(state.engine) as connection:
        row = await store.find(connection, workflow_id)
    if row is None:
        raise not_found("workflow")
    return Limits.model_validate(row)


@router.put(
    "/{workflow_id}/limits",
    dependencies=[requires(Role.OPERATOR, Scope.WORKFLOWS_WRITE, audit="workflow.limits")],
    responses=documented(404),
)
async def set_workflow_limits(
    workflow_id: UUID, body: Limits, request: Request, caller: Caller, state: State
) -> Limits:
    """Set all limits of a workflow; what is left out is not limited any more. Runs under way go on.

    Runs that find no room wait as `queued`, with `waits_for`, and are taken up in the order of priority and age.
    """
    bind_contextvars(workflow_id=str(workflow_id))
    async with transaction(state.engine) as connection:
        before = await store.lock(connection, workflow_id)
        if before is None:
            raise not_found("workflow")
        after = await store.store(connection, workflow_id, body)
        detail = change(LIMITS, before, after)
        await record(connection, Actor.of(request, caller), "workflow.limits", "workflow", workflow_id, detail)
    return body
