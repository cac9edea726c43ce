"""What the routes of this subject take and give."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from service.agents.schemas import NAME_PATTERN
from service.platform.moments import WrittenMoment
from service.runs.priority import Priority
from service.schedules.timetable import EXPRESSION_LENGTH

CatchUp = Literal["skip", "latest", "all"]
Overlap = Literal["allow", "skip"]

MAX_INPUT_BYTES = 64 * 1024
"""Of a schedule's input as JSON: a loop that fires many schedules at once holds all their inputs."""

MAX_CATCH_UP = 100
MAX_PREVIEW = 100
RESERVED = "schedule"
"""The key of a run's input below which the run finds what planned it."""


def _in_range(value: datetime) -> datetime:
    if not 2000 <= value.astimezone(UTC).year < 2200:
        raise ValueError("must be from 2000 to 2199")
    return value


Begin = Annotated[WrittenMoment, AfterValidator(_in_range)]
"""A moment from which moments are asked for, with its offset."""


class Timing(BaseModel):
    """When something shall happen."""

    expression: str = Field(
        max_length=EXPRESSION_LENGTH,
        description="Cron expression of five fields: minute, hour, day of month, month, day of week. Where the minute"
        " or hour field begins with `*` it follows the clock: nothing in an hour that is missing when clocks change,"
        " everything twice in one that is doubled. Otherwise each time comes once: at the end of the gap, or in the"
        " first of the two hours.",
        examples=["30 7 * * MON-FRI"],
    )
    time_zone: str = Field("UTC", max_length=100, description="IANA time zone", examples=["Europe/Berlin"])


class ScheduleRequest(Timing):
    """A schedule as it shall be."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "weekday mornings",
                    "workflow_id": "01a20245-580a-721f-b174-27897f913689",
                    "expression": "30 7 * * MON-FRI",
                    "time_zone": "Europe/Berlin",
                    "input": {"name": "Ada"},
                }
            ]
        },
    )

    name: str = Field(min_length=1, max_length=200, pattern=NAME_PATTERN)
    workflow_id: UUID = Field(description="What is executed, each time in its current version")
    input: dict[str, Any] = Field(
        default_factory=dict,
        description="The input of each run, which finds under `schedule` in it: `id`, `name`, `planned_at` (UTC) and"
        " `planned_local` (with the zone's offset)",
    )
    catch_up: CatchUp = Field(
        "skip",
        description="What becomes of times that were missed (not taken up within a minute, because of an outage):"
        " nothing, one run for the latest, or one for each of the last `catch_up_limit`",
    )
    catch_up_limit: int = Field(10, ge=1, le=MAX_CATCH_UP, description="Only for `catch_up: all`")
    overlap: Overlap = Field(
        "allow", description="`skip`: a time passes without a run while one of this schedule is not finished"
    )
    priority: Priority = 0

    @field_validator("input")
    @classmethod
    def _input_fits(cls, value: dict[str, Any]) -> dict[str, Any]:
        if RESERVED in value:
            raise ValueError(f"must not have the key {RESERVED!r}: each run finds there what planned it")
        size = len(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        if size > MAX_INPUT_BYTES:
            raise ValueError(f"has {size} bytes as JSON, must have at most {MAX_INPUT_BYTES}")
        return value

    @model_validator(mode="after")
    def _policies_fit(self) -> Self:
        if self.catch_up == "all" and self.overlap == "skip":
            raise ValueError(
                "catch_up 'all' starts several runs at once, which overlap 'skip' would not let start;"
                " use catch_up 'latest', or overlap 'allow'"
            )
        return self


class ScheduleAnswer(Timing):
    """A schedule as it is."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    workflow_id: UUID
    input: dict[str, Any]
    catch_up: CatchUp
    catch_up_limit: int
    overlap: Overlap
    priority: int = Field(description="Of its runs")
    paused_at: datetime | None = Field(description="Since when it is paused")
    next_fire_at: datetime | None = Field(description="Null while it is paused, and when no time is left")
    last_planned_at: datetime | None = Field(description="The planned time of its last run")
    last_run_id: UUID | None
    last_skipped_at: datetime | None = Field(description="The last planned time that passed without a run")
    last_skip_reason: Literal["missed", "overlap"] | None
    created_at: datetime
    updated_at: datetime
    created_by: str


class PreviewRequest(Timing):
    """An expression to try."""

    model_config = ConfigDict(extra="forbid")

    count: int = Field(5, ge=1, le=MAX_PREVIEW)
    after: Begin | None = Field(None, description="Times later than this; now when it is not given")


class Moment(BaseModel):
    """A planned time."""

    at: datetime = Field(description="In UTC")
    local: datetime = Field(description="As the clocks of the zone show it, with their offset")


class Preview(BaseModel):
    """Planned times, in order."""

    time_zone: str
    times: list[Moment] = Field(description="Fewer than asked for when no more come within 50 years")
