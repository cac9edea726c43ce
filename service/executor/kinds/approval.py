"""The kind that waits for somebody's decision."""

from typing import Any

from pydantic import Field

from service.executor.kinds.base import Agent, AgentSettings, StepContext
from service.executor.waiting import OnTimeout, Waiting

MAX_WAIT_SECONDS = 86_400.0 * 30
APPROVAL = "approval"


class ApprovalSettings(AgentSettings):
    """What is asked, and how long."""

    prompt: str = Field(min_length=1, max_length=2000, description="What whoever decides reads")
    timeout_seconds: float | None = Field(
        None, gt=0, le=MAX_WAIT_SECONDS, allow_inf_nan=False, description="null: as long as the run may take"
    )
    on_timeout: OnTimeout = Field("fail", description="`continue`: the step completes with `approved: null`")


class ApprovalAgent(Agent[ApprovalSettings]):
    """Waits for a decision by the API, without holding one of an executor's places."""

    kind = APPROVAL
    # It only says what is waited for, and would say the same again.
    instant = True
    settings_model = ApprovalSettings

    async def run(self, settings: ApprovalSettings, step_input: dict[str, Any], context: StepContext) -> Any:
        """What is waited for; the step's input is shown beside the prompt."""
        return Waiting(
            APPROVAL,
            {"prompt": settings.prompt, "input": step_input},
            settings.timeout_seconds,
            settings.on_timeout,
            decision(None),
        )


def decision(
    approved: bool | None, by: str | None = None, comment: str | None = None, data: Any = None
) -> dict[str, Any]:
    """The output of such a step; ``approved`` is null where nobody decided in time."""
    return {"approved": approved, "by": by, "comment": comment, "data": data}
