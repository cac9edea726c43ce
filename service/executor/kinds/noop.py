"""The kind that does nothing."""

from typing import Any

from service.executor.kinds.base import Agent, AgentSettings, StepContext


class NoopSettings(AgentSettings):
    """A noop agent has no settings."""


class NoopAgent(Agent[NoopSettings]):
    """Returns the step's input; for trying a workflow's shape, and for joining branches."""

    kind = "noop"
    instant = True
    settings_model = NoopSettings

    async def run(self, settings: NoopSettings, step_input: dict[str, Any], context: StepContext) -> Any:
        """The input as it is."""
        return step_input
