"""Agents: what steps call."""

from wfm.calls import Body, Call, Everything, Id, operation
from wfm.models import AgentAnswer, AgentKinds, AgentRequest, PageOfAgentAnswer


@operation("GET /api/v1/agents")
def list_agents(*, page: int = 1, size: int | None = None) -> Call[PageOfAgentAnswer]:
    """A page of the agents, by name."""
    return Call(PageOfAgentAnswer, query={"page": page, "size": size})


@operation("POST /api/v1/agents")
def create_agent(body: AgentRequest | Body) -> Call[AgentAnswer]:
    """Create an agent."""
    return Call(AgentAnswer, body=body)


@operation("GET /api/v1/agents/kinds")
def list_kinds() -> Call[AgentKinds]:
    """The kinds that agents can be of, with what their settings must be."""
    return Call(AgentKinds)


@operation("GET /api/v1/agents/{agent_id}")
def get_agent(agent_id: Id) -> Call[AgentAnswer]:
    """Read an agent."""
    return Call(AgentAnswer, path={"agent_id": agent_id})


@operation("PUT /api/v1/agents/{agent_id}")
def replace_agent(agent_id: Id, body: AgentRequest | Body) -> Call[AgentAnswer]:
    """Change an agent; workflows take it up with their next version."""
    return Call(AgentAnswer, path={"agent_id": agent_id}, body=body)


@operation("DELETE /api/v1/agents/{agent_id}")
def delete_agent(agent_id: Id) -> Call[None]:
    """Delete an agent."""
    return Call(None, path={"agent_id": agent_id})


class AgentOperations:
    """Agents: what steps call."""

    list = list_agents
    all = Everything(list_agents, AgentAnswer)
    kinds = list_kinds
    create = create_agent
    get = get_agent
    replace = replace_agent
    delete = delete_agent
