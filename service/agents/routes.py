"""Create, read, change and delete agents."""

from typing import Any
from uuid import UUID

from fastapi import Request, Response

from service.agents import store
from service.agents.schemas import AgentAnswer, AgentKind, AgentKinds, AgentRequest
from service.audit.change import AGENT, change, locked
from service.audit.record import Actor, record
from service.auth.access import GuardedRouter, requires
from service.auth.principal import Caller
from service.auth.roles import Role
from service.auth.scopes import Scope
from service.executor.kinds.registry import (
    InvalidAgentSettingsError,
    UnknownKindError,
    known_kinds,
    settings_schema,
    validate_settings,
)
from service.platform.database import autocommit, transaction
from service.platform.paging import Page, Paging
from service.platform.problems import FieldProblem, documented, invalid, not_found
from service.platform.tables import agents
from service.state import State

router = GuardedRouter(prefix="/agents", tags=["agents"])


def _checked_settings(body: AgentRequest) -> dict[str, Any]:
    try:
        return validate_settings(body.kind, body.settings)
    except UnknownKindError as error:
        fields = [FieldProblem(field=found.path, message=found.message) for found in error.errors]
        raise invalid(fields, f"There are no agents of the kind {body.kind}.") from None
    except InvalidAgentSettingsError as error:
        fields = [
            FieldProblem(field=f"settings.{found.path}".rstrip("."), message=found.message) for found in error.errors
        ]
        raise invalid(fields, f"The settings do not fit an agent of the kind {body.kind}.") from None


@router.post(
    "",
    status_code=201,
    dependencies=[requires(Role.OPERATOR, Scope.AGENTS_WRITE, audit="agent.create")],
    responses=documented(409),
)
async def create_agent(
    body: AgentRequest, request: Request, response: Response, caller: Caller, state: State
) -> AgentAnswer:
    """Create an agent."""
    settings = _checked_settings(body)
    async with transaction(state.engine) as connection:
        row = await store.create(connection, body.name, body.kind, settings)
        detail = change(AGENT, after=row)
        await record(connection, Actor.of(request, caller), "agent.create", "agent", row.id, detail)
    response.headers["Location"] = f"{request.url.path}/{row.id}"
    return AgentAnswer.model_validate(row)


@router.get("", dependencies=[requires(Role.VIEWER, Scope.AGENTS_READ)], responses=documented())
async def list_agents(paging: Paging, state: State) -> Page[AgentAnswer]:
    """List the agents by name."""
    async with autocommit(state.engine) as connection:
        rows, total = await store.page(connection, limit=paging.size, offset=paging.offset)
    items = [AgentAnswer.model_validate(row) for row in rows]
    return Page(items=items, total=total, page=paging.page, size=paging.size)


@router.get("/kinds", dependencies=[requires(Role.VIEWER, Scope.AGENTS_READ)], responses=documented())
async def list_agent_kinds() -> AgentKinds:
    """List the kinds that agents can be of, with what their settings must be."""
    return AgentKinds(
        items=[
            AgentKind(kind=each.kind, package=each.package, settings_schema=settings_schema(each.kind))
            for each in known_kinds().values()
        ]
    )


@router.get("/{agent_id}", dependencies=[requires(Role.VIEWER, Scope.AGENTS_READ)], responses=documented(404))
async def get_agent(agent_id: UUID, state: State) -> AgentAnswer:
    """Read an agent."""
    async with autocommit(state.engine) as connection:
        row = await store.find(connection, agent_id)
    if row is None:
        raise not_found("agent")
    return AgentAnswer.model_validate(row)


@router.put(
    "/{agent_id}",
    dependencies=[requires(Role.OPERATOR, Scope.AGENTS_WRITE, audit="agent.update")],
    responses=documented(404, 409),
)
async def replace_agent(
    agent_id: UUID, body: AgentRequest, request: Request, caller: Caller, state: State
) -> AgentAnswer:
    """Change an agent. Saved versions of workflows keep the agent as it was when they were saved."""
    settings = _checked_settings(body)
    async with transaction(state.engine) as connection:
        before = await locked(connection, agents, agent_id)
        row = await store.replace(connection, agent_id, body.name, body.kind, settings)
        if row is None:
            raise not_found("agent")
        detail = change(AGENT, before, row)
        await record(connection, Actor.of(request, caller), "agent.update", "agent", agent_id, detail)
    return AgentAnswer.model_validate(row)


@router.delete(
    "/{agent_id}",
    status_code=204,
    dependencies=[requires(Role.ADMIN, Scope.AGENTS_DELETE, audit="agent.delete")],
    responses=documented(404),
)
async def delete_agent(agent_id: UUID, request: Request, caller: Caller, state: State) -> Response:
    """Delete an agent. Saved versions of workflows keep their copy of it and go on working."""
    async with transaction(state.engine) as connection:
        before = await locked(connection, agents, agent_id)
        if not await store.delete(connection, agent_id):
            raise not_found("agent")
        detail = change(AGENT, before)
        await record(connection, Actor.of(request, caller), "agent.delete", "agent", agent_id, detail)
    return Response(status_code=204)
