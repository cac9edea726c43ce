"""What the routes of this subject take and give."""

from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator

from service.agents.schemas import NAME_PATTERN

EventName = Literal["run.completed", "run.failed", "run.cancelled"]
DeliveryStatus = Literal["pending", "delivered", "dead"]


class WebhookRequest(BaseModel):
    """A webhook as it shall be."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "pager", "url": "https://hooks.example.com/runs", "events": ["run.failed"]},
            ]
        },
    )

    name: str = Field(min_length=1, max_length=200, pattern=NAME_PATTERN)
    url: str = Field(
        min_length=1,
        max_length=2000,
        description="Where deliveries are posted: https (in development also http), to a host of"
        " HTTP_AGENT_ALLOWED_HOSTS",
    )
    events: list[EventName] = Field(min_length=1, max_length=3, description="What is told")
    workflow_id: UUID | None = Field(None, description="Only runs of this workflow")

    @field_validator("url")
    @classmethod
    def _url_is_plain(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            _ = parts.port
        except ValueError:
            raise ValueError("is no URL; it must look like https://host/path") from None
        if not value.isascii() or not value.isprintable() or " " in value:
            raise ValueError("must have no spaces and only ASCII characters; write others percent-encoded")
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError("must look like https://host/path")
        if "@" in parts.netloc or "#" in value:
            raise ValueError("must hold no user, password or fragment")
        return value

    @field_validator("events")
    @classmethod
    def _events_differ(cls, value: list[EventName]) -> list[EventName]:
        if len(set(value)) < len(value):
            raise ValueError("names an event twice")
        return sorted(value)


class WebhookAnswer(BaseModel):
    """A webhook as it is."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    url: str
    events: list[EventName]
    workflow_id: UUID | None
    rotated_at: datetime | None = Field(description="When its secret was last replaced")
    failing_since: datetime | None = Field(description="Since when no delivery succeeded")
    disabled_at: datetime | None = Field(description="Since when nothing is sent")
    disabled_reason: str | None
    created_at: datetime
    updated_at: datetime
    created_by: str


class WebhookSecretAnswer(WebhookAnswer):
    """A webhook with its secret, which is shown this once."""

    secret: str = Field(description="Verifies the signatures, as Standard Webhooks says", examples=["whsec_..."])


class DeliveryAnswer(BaseModel):
    """What is, was or will be sent to a webhook."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID = Field(description="The header webhook-id, the same in every attempt")
    run_id: UUID
    event: EventName
    status: DeliveryStatus
    attempts: int
    created_at: datetime
    next_attempt_at: datetime = Field(description="Only for one that is pending: not before then")
    last_attempt_at: datetime | None
    last_status: int | None = Field(description="The status of the last answer")
    last_error: str | None


class DeliveryPage(BaseModel):
    """One page of deliveries, newest first."""

    items: list[DeliveryAnswer]
    size: int
    next: str | None = Field(description="`cursor` of the next page; null on the last one")
