"""What the routes of this subject take and give."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.agents.schemas import NAME_PATTERN
from service.executor.retry import MAX_PAUSE_SECONDS, RetryStrategy
from service.platform.problems import FieldProblem

STEP_ID_PATTERN = r"^[A-Za-z_][A-Za-z0-9_-]*$"
MAX_STEPS = 200
MAX_RUN_SECONDS = 86_400.0 * 30


class Retry(BaseModel):
    """How often a failing step is tried, and how long the pauses in between are."""

    model_config = ConfigDict(extra="forbid")

    max_attempts: int = Field(3, ge=1, le=20, description="Tries in all")
    backoff_seconds: float = Field(
        0.2, ge=0, le=300, description="Pause before the second try; doubles after each unless the strategy is fixed"
    )
    strategy: RetryStrategy = Field(
        "exponential", description="How the pauses grow: `exponential` doubles, `fixed` not"
    )
    max_pause_seconds: float = Field(
        MAX_PAUSE_SECONDS,
        ge=0,
        le=3600,
        description="No pause is longer, also when the called side asks for more by Retry-After",
    )
    jitter: bool = Field(
        True, description="Shorten each pause by a random part, up to half, so that runs do not come back together"
    )

    @model_validator(mode="after")
    def _longest_pause_fits(self) -> Self:
        if self.backoff_seconds > self.max_pause_seconds:
            raise ValueError(
                f"backoff_seconds is {self.backoff_seconds:g}; it must be at most max_pause_seconds,"
                f" which is {self.max_pause_seconds:g}"
            )
        return self


class ForEach(BaseModel):
    """The list for each item of which a step is done."""

    model_config = ConfigDict(extra="forbid")

    items: str = Field(
        min_length=1,
        max_length=10_000,
        description="JMESPath over the same data as `input`; it must give a list of at most 1,000 items",
        examples=["input.orders"],
    )
    max_parallel: int = Field(10, ge=1, le=100, description="How many items are under way at a time")


class Step(BaseModel):
    """One step: an agent, called when the steps it needs are done."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1, max_length=64, pattern=STEP_ID_PATTERN)
    agent: str = Field(description="An agent's name")
    needs: list[str] = Field(default_factory=list, max_length=MAX_STEPS, description="Ids of steps to be done before")
    when: str | None = Field(
        None,
        min_length=1,
        max_length=10_000,
        description="JMESPath over the same data as `input`, asked when the needs are done; where it gives null, false"
        " or something empty, the step is skipped",
        examples=["steps.check.json.ok && input.amount > `100`"],
    )
    for_each: ForEach | None = Field(
        None,
        description="Do the step once for each item of a list; its `input` sees the item as `item` and its place,"
        " from 0, as `index`. The output is the list of the items' outputs in their order. Retries and the timeout are"
        " for an item; one that fails for good fails the step.",
    )
    input: dict[str, Any] = Field(
        default_factory=dict,
        description='What the agent gets. `{"$jmespath": "expression"}`, at any depth, is replaced by its result over'
        ' `{"input": <input of the run>, "steps": {<step id>: <its output>}}`.',
    )
    retry: Retry = Field(default_factory=Retry)
    timeout_seconds: float = Field(30, gt=0, le=86_400 * 2, description="For one try")


class Flow(BaseModel):
    """What a version of a workflow holds: its steps, and what holds for a run as a whole."""

    steps: list[Step] = Field(min_length=1, max_length=MAX_STEPS)
    on_failure: list[Step] = Field(
        default_factory=list,
        max_length=MAX_STEPS,
        description="Steps that are done after the run has failed. They read what went wrong as `error`, and need only"
        " one another. The run stays failed with its first error, whatever becomes of them; a cancelled run has none.",
    )
    timeout_seconds: float | None = Field(
        None,
        gt=0,
        le=MAX_RUN_SECONDS,
        description="For the whole run, from its start, pauses and retries included; null: no limit."
        " Past it running steps are interrupted and the run fails with the code `run-timeout`.",
    )
    input_schema: dict[str, Any] | None = Field(
        None,
        description="JSON Schema (2020-12) that the input of a run must fit, else the run is not accepted;"
        " references only within it",
        examples=[{"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}],
    )
    output_schema: dict[str, Any] | None = Field(
        None,
        description="JSON Schema (2020-12) that the output of a run must fit, else the run fails with the code"
        " `output-schema`",
    )


class WorkflowRequest(Flow):
    """A workflow as it shall be."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "greet",
                    "description": "Waits, then greets.",
                    "steps": [
                        {"id": "pause", "agent": "wait"},
                        {
                            "id": "greeting",
                            "agent": "greeter",
                            "needs": ["pause"],
                            "input": {"name": {"$jmespath": "input.name"}},
                        },
                    ],
                }
            ]
        },
    )

    name: str = Field(min_length=1, max_length=200, pattern=NAME_PATTERN)
    description: str = Field("", max_length=10_000)


class ValidationAnswer(BaseModel):
    """Whether a workflow could be saved as it is, but for its name, which another may have."""

    valid: bool
    problems: list[FieldProblem] = Field(description="Everything that is wrong; empty when nothing is")


class PlanRequest(BaseModel):
    """What a run would start with."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"input": {"name": "Ada"}}]})

    input: dict[str, Any] = Field(default_factory=dict)


class PlannedStep(BaseModel):
    """What is known of a step before anything is executed."""

    id: str
    agent: str
    kind: str
    needs: list[str]
    runs: bool | None = Field(description="False: it will be skipped; null: known only when it is due")
    input: Any = Field(description="What the agent would get; expressions stay where the result is not known yet")
    items: int | None = Field(description="Of a step with `for_each`: how many, where that is known")
    unknown: list[str] = Field(description="Where in the input such expressions are", examples=[["input.amount"]])
    timeout_seconds: float
    retry: Retry
    problems: list[FieldProblem] = Field(description="Expressions that cannot be evaluated over this input")


class PlanAnswer(BaseModel):
    """What a run of the current version would do. Nothing was executed or stored."""

    workflow_id: UUID
    version: int
    timeout_seconds: float | None
    waves: list[list[PlannedStep]] = Field(
        description="Steps in groups: the steps of a group may start when those before are done"
    )
    on_failure: list[list[PlannedStep]] = Field(description="The same for the steps that are done if the run fails")


class WorkflowSummary(BaseModel):
    """A workflow in a list."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    description: str
    version: int = Field(description="The version that is executed")
    created_at: datetime
    updated_at: datetime


class WorkflowAnswer(WorkflowSummary, Flow):
    """A workflow as its current version has it."""


class VersionAnswer(Flow):
    """One version of a workflow; it never changes."""

    workflow_id: UUID
    version: int
    content_hash: str = Field(description="SHA-256 of the definition")
    created_at: datetime
    created_by: str
