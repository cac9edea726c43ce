"""What the routes of this subject take and give."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from service.runs.priority import Priority

RunStatus = Literal["queued", "running", "paused", "waiting", "completed", "failed", "cancelled"]
StepStatus = Literal["pending", "running", "waiting", "completed", "failed", "skipped", "cancelled"]


class ExecuteRequest(BaseModel):
    """What a run starts with."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"input": {"name": "Ada"}}]})

    input: dict[str, Any] = Field(default_factory=dict, description="Read by steps as `input`")
    priority: Priority = 0


class BulkRequest(BaseModel):
    """Many runs of one workflow: all are accepted, or none."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"runs": [{"input": {"name": "Ada"}}, {}]}]}
    )

    runs: list[ExecuteRequest] = Field(min_length=1, max_length=1000)


class AcceptedRun(BaseModel):
    """A run that is stored and will be executed."""

    run_id: UUID
    status: RunStatus
    workflow_id: UUID
    workflow_version: int
    created_at: datetime


class AcceptedAgain(AcceptedRun):
    """A run that does again what another did."""

    origin_run_id: UUID = Field(description="That other run")


class ReplayRequest(BaseModel):
    """What is to be other than with the run that is replayed."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"input": {"name": "Ada"}, "version": "current"}]}
    )

    input: dict[str, Any] | None = Field(None, description="null: that of the run")
    version: Literal["origin", "current"] = Field(
        "origin", description="`origin`: the version that the run executed; `current`: the workflow's current one"
    )


class AcceptedRuns(BaseModel):
    """Runs that are stored and will be executed, in the order in which they were asked for."""

    run_ids: list[UUID]
    workflow_id: UUID
    workflow_version: int
    created_at: datetime


class CancelAnswer(BaseModel):
    """A run that was asked to stop: running steps are interrupted, none is begun any more."""

    run_id: UUID
    status: RunStatus
    cancel_requested_at: datetime


class PauseAnswer(BaseModel):
    """How a run stands after it was asked to pause or to go on."""

    run_id: UUID
    status: RunStatus = Field(description="`running` with `pause_requested_at`: tries under way are let end before")
    pause_requested_at: datetime | None


class SignalRequest(BaseModel):
    """What was decided."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"outcome": "approve", "comment": "Looks right."}]}
    )

    outcome: Literal["approve", "reject"] = Field(description="`reject` fails the step with the code `rejected`")
    comment: str | None = Field(None, max_length=2000)
    data: Any = Field(None, description="Part of the step's output, for the steps after it")


class SignalAnswer(BaseModel):
    """How a run stands after one of its steps was decided about."""

    run_id: UUID
    step_id: str
    outcome: Literal["approve", "reject"]
    status: RunStatus = Field(description="`queued` where the run waited; a paused one goes on when it is resumed")


class RunSummary(BaseModel):
    """A run in a list."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    workflow_id: UUID
    workflow_version: int
    status: RunStatus
    correlation_id: str
    requested_by: str
    attempt: int = Field(description="How often executors have taken the run up")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested_at: datetime | None
    pause_requested_at: datetime | None = Field(description="Since when it is asked to pause; null again when resumed")
    paused_at: datetime | None = Field(description="Since when it is paused")
    origin_run_id: UUID | None = Field(description="The run that this one retries or replays")
    priority: int = Field(description="From 0 to 9; higher ones are taken up first")
    parent_run_id: UUID | None = Field(None, description="The run a step of which began this one and waits for it")
    parent_step_id: str | None = Field(None, description="That step; of one with `for_each`: with the place, `call[0]`")


class RunPage(BaseModel):
    """One page of a list of runs."""

    items: list[RunSummary]
    size: int
    next: str | None = Field(description="`cursor` of the next page; null on the last one")
    total: int | None = Field(description="How many runs fit, where `count` was asked for: counted up to 10,000")
    total_is_exact: bool | None = Field(description="False where there are more than were counted")


class StepAnswer(BaseModel):
    """How far a step is; ``pending`` when it was not begun."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    status: StepStatus = "pending"
    attempt: int = Field(0, description="Tries so far")
    output: Any = None
    error: dict[str, Any] | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    waits: dict[str, Any] | None = Field(None, description="What a waiting step waits for, with its prompt")


class RunAnswer(RunSummary):
    """A run with its data and its steps, these in the order of the workflow's definition."""

    waits_for: Literal["concurrency", "rate"] | None = Field(
        description="Which limit of its workflow keeps a queued run from being taken up now: that of runs at a time, or"
        " that of runs that begin in a time"
    )
    input: dict[str, Any]
    output: Any
    error: dict[str, Any] | None
    steps: list[StepAnswer]
