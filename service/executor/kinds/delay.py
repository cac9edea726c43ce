"""The kind that waits."""

import asyncio
from typing import Any

from pydantic import Field

from service.executor.kinds.base import Agent, AgentSettings, StepContext

MAX_DELAY_SECONDS = 86_400.0
"""A day; longer pauses belong into a schedule, not into a step that holds one of an executor's places."""


class DelaySettings(AgentSettings):
    """How long a delay agent waits."""

    seconds: float = Field(ge=0, le=MAX_DELAY_SECONDS, allow_inf_nan=False)

    def least_seconds(self) -> float:
        """The wait itself."""
        return self.seconds


class DelayAgent(Agent[DelaySettings]):
    """Waits, then returns the step's input. A cancelled run does not wait to the end."""

    kind = "delay"
    settings_model = DelaySettings

    async def run(self, settings: DelaySettings, step_input: dict[str, Any], context: StepContext) -> Any:
        """The input, after the wait."""
        await asyncio.sleep(settings.seconds)
        return step_input
