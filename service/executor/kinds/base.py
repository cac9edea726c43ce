"""What every agent kind is: typed settings, and one coroutine that turns a step's input into its output."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class AgentSettings(BaseModel):
    """Base of the kinds' settings: immutable, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class StepFailed(Exception):  # noqa: N818 - reads as what happened
    """A step's attempt did not succeed.

    ``code`` is stable and short (``http-status``), ``detail`` is for people and holds no secret, ``retryable`` says
    whether another attempt may help, ``retry_after`` is the pause in seconds that the called side asked for.
    """

    def __init__(self, code: str, detail: str, *, retryable: bool, retry_after: float = 0.0) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.retryable = retryable
        self.retry_after = retry_after

    def as_json(self) -> dict[str, Any]:
        """The form in which it is journalled."""
        return {"code": self.code, "detail": self.detail, "retryable": self.retryable}


@dataclass(frozen=True)
class StepContext:
    """Which attempt this is; agents use it to identify themselves to what they call."""

    run_id: str
    step_id: str
    attempt: int
    correlation_id: str


class Agent[SettingsT: AgentSettings](ABC): ...
