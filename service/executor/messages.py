"""The messages on the two topics, and what makes one undecodable."""

from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

CANCEL, PAUSE, SIGNAL = "cancel", "pause", "signal"
"""What a control message asks for."""


class UndecodableMessageError(ValueError):
    """The message can never be processed; the text names what is wrong with it, not what is in it."""


class _Message(BaseModel):
    # Fields that a later version adds must not stop this one.
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    message_id: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")
    run_id: UUID
    correlation_id: str = Field(default="", max_length=200)


class ExecutionRequest(_Message):
    """A run was accepted and waits to be executed.

    What the run itself says is what counts. The other fields let it be computed before it is claimed, and that counts
    only where the run says the same; messages of earlier versions, or about a run that goes on, lack some of them.
    """

    workflow_id: UUID | None = None
    workflow_version: int | None = Field(default=None, ge=1, le=2**31 - 1)
    input: Any = None


class ControlRequest(_Message):
    """Somebody asks something of a run; the run's own marks are what counts.

    A kind that is not known is one of a later version. Messages without a kind are of a time when there was only one.
    """

    kind: str = Field(default=CANCEL, max_length=50)
    signals: int = Field(default=0, ge=0, description="How many of its steps have been signalled so far")


MessageT = TypeVar("MessageT", bound=_Message)


def decode(message_type: type[MessageT], value: bytes | None) -> MessageT:
    """Read one message; raises UndecodableMessageError."""
    if value is None:
        raise UndecodableMessageError("it has no value")
    try:
        return message_type.model_validate_json(value)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        raise UndecodableMessageError(
            "; ".join(f"{'.'.join(map(str, p['loc'])) or 'message'}: {p['msg']}" for p in problems)
        ) from None
