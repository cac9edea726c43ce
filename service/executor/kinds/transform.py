"""The kind that reshapes data."""

from typing import Any

from pydantic import Field, field_validator

from service.executor.expressions import compile_expression, search
from service.executor.kinds.base import Agent, AgentSettings, StepContext, StepFailedError


class TransformSettings(AgentSettings):
    """The JMESPath expression that a transform agent evaluates over the step's input."""

    expression: str = Field(min_length=1, max_length=10_000)

    @field_validator("expression")
    @classmethod
    def _expression_parses(cls, value: str) -> str:
        compile_expression(value)
        return value


class TransformAgent(Agent[TransformSettings]):
    """Evaluates a JMESPath expression over the step's input."""

    kind = "transform"
    instant = True
    settings_model = TransformSettings

    async def run(self, settings: TransformSettings, step_input: dict[str, Any], context: StepContext) -> Any:
        """The expression's result; an expression that does not fit the data fails the step for good."""
        try:
            return search(settings.expression, step_input)
        except ValueError as error:
            raise StepFailedError("expression", str(error), retryable=False) from None
