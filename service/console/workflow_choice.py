"""A field that names a workflow: by its name or its id."""

from uuid import UUID

from service.platform.database import autocommit
from service.platform.paging import PageRequest
from service.state import ServiceState
from service.workflows import store
from service.workflows.routes import list_workflows

UNKNOWN = "there is no workflow of this name or id"
_MOST_OFFERED = 200


async def workflow_called(text: str, state: ServiceState) -> UUID | None:
    """The id of the workflow that was typed; None where there is none of this name, or nothing was typed."""
    try:
        return UUID(text)
    except ValueError:
        pass
    if not text:
        return None
    async with autocommit(state.engine) as connection:
        return await store.id_of(connection, text)


async def offered_names(state: ServiceState) -> list[str]:
    """Names to choose from, where there are not too many."""
    offered = await list_workflows(PageRequest(page=1, size=_MOST_OFFERED), state)
    return [workflow.name for workflow in offered.items]
