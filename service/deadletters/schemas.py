"""What the API tells about dead letters."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from service.deadletters.letter import Kept, Reason, Source
from service.deadletters.store import State


class DeadLetterSummary(BaseModel):
    """A message that was set aside, without what is in it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    source: Source = Field(description="`kafka`: read and not understood; `outbox`: not taken by Kafka")
    place: str = Field(description="Topic, partition and offset, or the row of the outbox")
    topic: str
    key: str | None
    reason: Reason
    detail: str = Field(description="What was wrong with it, without what is in it")
    payload_bytes: int = Field(description="Size of the message's payload, which may be more than what is kept")
    kept: Kept = Field(
        description="`without-input`: the run's input was left out, which is with the run; `beginning`: cut off"
    )
    sent_at: datetime | None
    first_seen_at: datetime
    last_seen_at: datetime
    times: int = Field(description="How often it was read at this place")
    state: State
    settled_at: datetime | None
    settled_by: str | None


class DeadLetterAnswer(DeadLetterSummary):
    """A message that was set aside, with its headers."""

    headers: dict[str, str]


class PayloadAnswer(BaseModel):
    """What is kept of a message's payload."""

    encoding: Literal["utf-8", "base64"] = Field(description="`base64` for what is no text")
    payload: str
    kept: Kept


class DeadLetterPage(BaseModel):
    """Some dead letters, and where the next ones begin."""

    items: list[DeadLetterSummary]
    size: int
    next: str | None = Field(description="Give it as `cursor` for the next page; null on the last one")
