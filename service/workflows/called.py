"""Whether the workflows that steps execute are there."""

from collections.abc import Iterator, Mapping
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.executor.kinds.workflow import WORKFLOW
from service.platform.problems import FieldProblem
from service.platform.tables import workflow_versions, workflows
from service.workflows.checks import AgentUse
from service.workflows.schemas import Flow


async def missing_workflows(
    connection: AsyncConnection, flow: Flow, agents: Mapping[str, AgentUse], *, own_name: str | None = None
) -> list[FieldProblem]:
    """A problem for each step whose agent executes a workflow, or a version of one, that is not there.

    ``own_name`` is that of the workflow itself, which may not be stored yet. At most two statements, and none for
    workflows that execute no others.
    """
    called = list(_called(flow, agents))
    if not called:
        return []
    wanted = {workflow for _, _, workflow, _ in called}
    ids = [found for found in map(_as_id, wanted) if found is not None]
    query = select(workflows.c.id, workflows.c.name).where(
        or_(workflows.c.name.in_(sorted(wanted)), workflows.c.id.in_(ids))
    )
    rows = (await connection.execute(query)).all()
    found = {row.name: row.id for row in rows} | {str(row.id): row.id for row in rows}
    pinned = {found[_key(workflow)] for _, _, workflow, version in called if version and _key(workflow) in found}
    known = await _versions(connection, pinned) if pinned else set()
    problems = []
    for field, agent, workflow, version in called:
        workflow_id = found.get(_key(workflow))
        if workflow_id is None and workflow != own_name:
            text = f"the agent {agent!r} executes the workflow {workflow!r}, and there is none of this name or id"
            problems.append(FieldProblem(field=field, message=text))
        elif version is not None and (workflow_id, version) not in known:
            text = (
                f"the agent {agent!r} executes version {version} of the workflow {workflow!r}, which it does not have"
            )
            problems.append(FieldProblem(field=field, message=text))
    return problems


def _called(flow: Flow, agents: Mapping[str, AgentUse]) -> Iterator[tuple[str, str, str, int | None]]:
    for name in ("steps", "on_failure"):
        for index, step in enumerate(getattr(flow, name)):
            agent = agents.get(step.agent)
            if agent is not None and agent.kind == WORKFLOW and isinstance(agent.settings.get("workflow"), str):
                yield f"{name}.{index}.agent", agent.name, agent.settings["workflow"], agent.settings.get("version")


async def _versions(connection: AsyncConnection, ids: set[UUID]) -> set[tuple[UUID, int]]:
    query = select(workflow_versions.c.workflow_id, workflow_versions.c.version)
    rows = await connection.execute(query.where(workflow_versions.c.workflow_id.in_(sorted(ids))))
    return {(row.workflow_id, row.version) for row in rows}


def _as_id(workflow: str) -> UUID | None:
    try:
        return UUID(workflow)
    except ValueError:
        return None


def _key(workflow: str) -> str:
    """An id in the one spelling in which it is compared, or the name as it is."""
    return str(_as_id(workflow) or workflow)
