"""What the events of a run say."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from service.runs.schemas import RunStatus, StepStatus


class RunEvent(BaseModel):
    """``event: run``: the run's newest state, without its data."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    workflow_id: UUID
    workflow_version: int
    status: RunStatus
    attempt: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested_at: datetime | None
    error: dict[str, Any] | None


class StepEvent(BaseModel):
    """``event: step``: the newest state of a step, or of an item of one, without its output."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    status: StepStatus
    attempt: int
    started_at: datetime | None
    finished_at: datetime | None
    error: dict[str, Any] | None


class EndEvent(BaseModel):
    """``event: end``: the run has ended and everything was told; close the stream."""

    status: RunStatus
