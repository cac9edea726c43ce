"""What the API takes and gives. Made by ``python -m wfm.generate --write``; do not edit."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class Sent(BaseModel):
    """What only is sent: a misspelt field is refused here already."""

    model_config = ConfigDict(extra="forbid")


class Received(BaseModel):
    """What is received: fields that this version does not know are kept."""

    model_config = ConfigDict(extra="allow")


class AcceptedAgain(Received):
    """A run that does again what another did."""

    created_at: datetime
    origin_run_id: UUID
    """That other run"""
    run_id: UUID
    status: Literal["queued", "running", "paused", "waiting", "completed", "failed", "cancelled"] | str
    workflow_id: UUID
    workflow_version: int


class AcceptedRun(Received):
    """A run that is stored and will be executed."""

    created_at: datetime
    run_id: UUID
    status: Literal["queued", "running", "paused", "waiting", "completed", "failed", "cancelled"] | str
    workflow_id: UUID
    workflow_version: int


class AcceptedRuns(Received):
    """Runs that are stored and will be executed, in the order in which they were asked for."""

    created_at: datetime
    run_ids: list[UUID]
    workflow_id: UUID
    workflow_version: int


class AgentAnswer(Received):
    """An agent as it is."""

    created_at: datetime
    id: UUID
    kind: str
    """One of those that GET /agents/kinds lists"""
    name: str
    settings: dict[str, Any]
    updated_at: datetime


class AgentKind(Received):
    """A kind of agents."""

    kind: str
    package: str | None
    """The installed package that brings it; null for a builtin kind"""
    settings_schema: dict[str, Any]
    """What the settings of its agents must be, as a JSON Schema"""


class AgentKinds(Received):
    """All kinds, by name."""

    items: list[AgentKind]


class AgentRequest(Sent):
    """An agent as it shall be."""

    kind: str
    """One of those that GET /agents/kinds lists"""
    name: str
    settings: dict[str, Any] = Field(default_factory=dict)
    """What the kind needs to know"""


class AuditEntry(Received):
    """One thing that somebody did."""

    action: str
    actor: str
    address: str | None
    at: datetime
    correlation_id: str | None
    detail: dict[str, Any]
    id: int
    subject_id: str | None
    subject_type: str


class ExecuteRequest(Sent):
    """What a run starts with."""

    input: dict[str, Any] = Field(default_factory=dict)
    """Read by steps as `input`"""
    priority: int = 0
    """Runs with a higher one are taken up before others that wait; each step counts as much as a minute of waiting,
    so that none waits for ever
    """


class BulkRequest(Sent):
    """Many runs of one workflow: all are accepted, or none."""

    runs: list[ExecuteRequest]


Role = Literal["viewer", "operator", "admin"] | str


class CallerAnswer(Received):
    """Who the presented credentials belong to."""

    expires_at: datetime | None
    kind: Literal["user", "api_key", "anonymous"] | str
    role: Role
    scopes: list[str] | None
    """What a key is narrowed to; null for all that the role may"""
    subject: str


class CancelAnswer(Received):
    """A run that was asked to stop: running steps are interrupted, none is begun any more."""

    cancel_requested_at: datetime
    run_id: UUID
    status: Literal["queued", "running", "paused", "waiting", "completed", "failed", "cancelled"] | str


class Checks(Received):
    """The state of each dependency."""

    database: Literal["connected", "disconnected"] | str
    kafka: Literal["connected", "disconnected"] | str


class DeadLetterAnswer(Received):
    """A message that was set aside, with its headers."""

    detail: str
    """What was wrong with it, without what is in it"""
    first_seen_at: datetime
    headers: dict[str, str]
    id: UUID
    kept: Literal["whole", "without-input", "beginning"] | str
    """`without-input`: the run's input was left out, which is with the run; `beginning`: cut off"""
    key: str | None
    last_seen_at: datetime
    payload_bytes: int
    """Size of the message's payload, which may be more than what is kept"""
    place: str
    """Topic, partition and offset, or the row of the outbox"""
    reason: Literal["unreadable", "too-large"] | str
    sent_at: datetime | None
    settled_at: datetime | None
    settled_by: str | None
    source: Literal["kafka", "outbox"] | str
    """`kafka`: read and not understood; `outbox`: not taken by Kafka"""
    state: Literal["open", "requeued", "discarded"] | str
    times: int
    """How often it was read at this place"""
    topic: str


class DeadLetterSummary(Received):
    """A message that was set aside, without what is in it."""

    detail: str
    """What was wrong with it, without what is in it"""
    first_seen_at: datetime
    id: UUID
    kept: Literal["whole", "without-input", "beginning"] | str
    """`without-input`: the run's input was left out, which is with the run; `beginning`: cut off"""
    key: str | None
    last_seen_at: datetime
    payload_bytes: int
    """Size of the message's payload, which may be more than what is kept"""
    place: str
    """Topic, partition and offset, or the row of the outbox"""
    reason: Literal["unreadable", "too-large"] | str
    sent_at: datetime | None
    settled_at: datetime | None
    settled_by: str | None
    source: Literal["kafka", "outbox"] | str
    """`kafka`: read and not understood; `outbox`: not taken by Kafka"""
    state: Literal["open", "requeued", "discarded"] | str
    times: int
    """How often it was read at this place"""
    topic: str


class DeadLetterPage(Received):
    """Some dead letters, and where the next ones begin."""

    items: list[DeadLetterSummary]
    next: str | None
    """Give it as `cursor` for the next page; null on the last one"""
    size: int


class DeliveryAnswer(Received):
    """What is, was or will be sent to a webhook."""

    attempts: int
    created_at: datetime
    event: Literal["run.completed", "run.failed", "run.cancelled"] | str
    id: UUID
    """The header webhook-id, the same in every attempt"""
    last_attempt_at: datetime | None
    last_error: str | None
    last_status: int | None
    """The status of the last answer"""
    next_attempt_at: datetime
    """Only for one that is pending: not before then"""
    run_id: UUID
    status: Literal["pending", "delivered", "dead"] | str


class DeliveryPage(Received):
    """One page of deliveries, newest first."""

    items: list[DeliveryAnswer]
    next: str | None
    """`cursor` of the next page; null on the last one"""
    size: int


class FieldProblem(Received):
    """One field that is wrong: where it is and what would be right."""

    field: str
    message: str


class ForEach(Received):
    """The list for each item of which a step is done."""

    items: str
    """JMESPath over the same data as `input`; it must give a list of at most 1,000 items"""
    max_parallel: int = 10
    """How many items are under way at a time"""


class KeyAnswer(Received):
    """An API key without the key itself."""

    created_at: datetime
    expires_at: datetime | None
    id: UUID
    last_used_at: datetime | None
    name: str
    prefix: str
    """Part of the key, to recognise it by"""
    revoked_at: datetime | None
    role: Role
    scopes: list[str] | None
    """What it is narrowed to; null for all that its role may"""
    user_id: UUID | None


Scope = Literal[
    "agents:read",
    "agents:write",
    "agents:delete",
    "workflows:read",
    "workflows:write",
    "workflows:delete",
    "runs:read",
    "runs:execute",
    "runs:cancel",
    "runs:pause",
    "runs:signal",
    "schedules:read",
    "schedules:write",
    "webhooks:read",
    "webhooks:write",
    "dead-letters:read",
    "dead-letters:payload",
    "dead-letters:settle",
    "audit:read",
    "keys:manage",
    "self:read",
]


class KeyRequest(Sent):
    """A new API key."""

    expires_at: datetime | None = None
    """When it ends, with a time zone; never, if left out"""
    name: str
    """What the key is for"""
    role: Role = "viewer"
    scopes: list[Scope] | None = None
    """What it is narrowed to; all that its role may, if left out"""


class Limits(Received):
    """What executors keep to when they take up runs of a workflow; what is null is not limited."""

    max_running: int | None = None
    """So many of its runs at most are `running` at a time"""
    max_starts: int | None = None
    """So many of its runs at most begin within any `per_seconds`"""
    per_seconds: int | None = None
    """Given with `max_starts`, and only then"""


class LivenessAnswer(Received):
    """The process runs and answers."""

    status: Literal["healthy"] | str = "healthy"
    timestamp: str | None = None


class LoginRequest(Sent):
    """A user's name and password."""

    password: str = Field(repr=False)
    username: str


class Moment(Received):
    """A planned time."""

    at: datetime
    """In UTC"""
    local: datetime
    """As the clocks of the zone show it, with their offset"""


class NewKeyAnswer(Received):
    """A new API key; this is the only time that it can be read."""

    created_at: datetime
    expires_at: datetime | None
    id: UUID
    key: str
    last_used_at: datetime | None
    name: str
    prefix: str
    """Part of the key, to recognise it by"""
    revoked_at: datetime | None
    role: Role
    scopes: list[str] | None
    """What it is narrowed to; null for all that its role may"""
    user_id: UUID | None


class PageOfAgentAnswer(Received):
    """Page[AgentAnswer]."""

    items: list[AgentAnswer]
    page: int
    size: int
    total: int
    """Number of items on all pages"""


class PageOfAuditEntry(Received):
    """Page[AuditEntry]."""

    items: list[AuditEntry]
    page: int
    size: int
    total: int
    """Number of items on all pages"""


class PageOfKeyAnswer(Received):
    """Page[KeyAnswer]."""

    items: list[KeyAnswer]
    page: int
    size: int
    total: int
    """Number of items on all pages"""


class ScheduleAnswer(Received):
    """A schedule as it is."""

    catch_up: Literal["skip", "latest", "all"] | str
    catch_up_limit: int
    created_at: datetime
    created_by: str
    expression: str
    """Cron expression of five fields: minute, hour, day of month, month, day of week. Where the minute or hour field
    begins with `*` it follows the clock: nothing in an hour that is missing when clocks change, everything twice in
    one that is doubled. Otherwise each time comes once: at the end of the gap, or in the first of the two hours.
    """
    id: UUID
    input: dict[str, Any]
    last_planned_at: datetime | None
    """The planned time of its last run"""
    last_run_id: UUID | None
    last_skip_reason: Literal["missed", "overlap"] | str | None
    last_skipped_at: datetime | None
    """The last planned time that passed without a run"""
    name: str
    next_fire_at: datetime | None
    """Null while it is paused, and when no time is left"""
    overlap: Literal["allow", "skip"] | str
    paused_at: datetime | None
    """Since when it is paused"""
    priority: int
    """Of its runs"""
    time_zone: str = "UTC"
    """IANA time zone"""
    updated_at: datetime
    workflow_id: UUID


class PageOfScheduleAnswer(Received):
    """Page[ScheduleAnswer]."""

    items: list[ScheduleAnswer]
    page: int
    size: int
    total: int
    """Number of items on all pages"""


class WebhookAnswer(Received):
    """A webhook as it is."""

    created_at: datetime
    created_by: str
    disabled_at: datetime | None
    """Since when nothing is sent"""
    disabled_reason: str | None
    events: list[Literal["run.completed", "run.failed", "run.cancelled"] | str]
    failing_since: datetime | None
    """Since when no delivery succeeded"""
    id: UUID
    name: str
    rotated_at: datetime | None
    """When its secret was last replaced"""
    updated_at: datetime
    url: str
    workflow_id: UUID | None


class PageOfWebhookAnswer(Received):
    """Page[WebhookAnswer]."""

    items: list[WebhookAnswer]
    page: int
    size: int
    total: int
    """Number of items on all pages"""


class WorkflowSummary(Received):
    """A workflow in a list."""

    created_at: datetime
    description: str
    id: UUID
    name: str
    updated_at: datetime
    version: int
    """The version that is executed"""


class PageOfWorkflowSummary(Received):
    """Page[WorkflowSummary]."""

    items: list[WorkflowSummary]
    page: int
    size: int
    total: int
    """Number of items on all pages"""


class PauseAnswer(Received):
    """How a run stands after it was asked to pause or to go on."""

    pause_requested_at: datetime | None
    run_id: UUID
    status: Literal["queued", "running", "paused", "waiting", "completed", "failed", "cancelled"] | str
    """`running` with `pause_requested_at`: tries under way are let end before"""


class PayloadAnswer(Received):
    """What is kept of a message's payload."""

    encoding: Literal["utf-8", "base64"] | str
    """`base64` for what is no text"""
    kept: Literal["whole", "without-input", "beginning"] | str
    payload: str


class Retry(Received):
    """How often a failing step is tried, and how long the pauses in between are."""

    backoff_seconds: float = 0.2
    """Pause before the second try; doubles after each unless the strategy is fixed"""
    jitter: bool = True
    """Shorten each pause by a random part, up to half, so that runs do not come back together"""
    max_attempts: int = 3
    """Tries in all"""
    max_pause_seconds: float = 300.0
    """No pause is longer, also when the called side asks for more by Retry-After"""
    strategy: Literal["fixed", "exponential"] | str = "exponential"
    """How the pauses grow: `exponential` doubles, `fixed` not"""


class PlannedStep(Received):
    """What is known of a step before anything is executed."""

    agent: str
    id: str
    input: Any
    """What the agent would get; expressions stay where the result is not known yet"""
    items: int | None
    """Of a step with `for_each`: how many, where that is known"""
    kind: str
    needs: list[str]
    problems: list[FieldProblem]
    """Expressions that cannot be evaluated over this input"""
    retry: Retry
    runs: bool | None
    """False: it will be skipped; null: known only when it is due"""
    timeout_seconds: float
    unknown: list[str]
    """Where in the input such expressions are"""


class PlanAnswer(Received):
    """What a run of the current version would do. Nothing was executed or stored."""

    on_failure: list[list[PlannedStep]]
    """The same for the steps that are done if the run fails"""
    timeout_seconds: float | None
    version: int
    waves: list[list[PlannedStep]]
    """Steps in groups: the steps of a group may start when those before are done"""
    workflow_id: UUID


class PlanRequest(Sent):
    """What a run would start with."""

    input: dict[str, Any] = Field(default_factory=dict)


class Preview(Received):
    """Planned times, in order."""

    time_zone: str
    times: list[Moment]
    """Fewer than asked for when no more come within 50 years"""


class PreviewRequest(Sent):
    """An expression to try."""

    after: datetime | None = None
    """Times later than this; now when it is not given"""
    count: int = 5
    expression: str
    """Cron expression of five fields: minute, hour, day of month, month, day of week. Where the minute or hour field
    begins with `*` it follows the clock: nothing in an hour that is missing when clocks change, everything twice in
    one that is doubled. Otherwise each time comes once: at the end of the gap, or in the first of the two hours.
    """
    time_zone: str = "UTC"
    """IANA time zone"""


class Problem(Received):
    """An error's document (RFC 9457)."""

    correlation_id: str | None = None
    detail: str | None = None
    errors: list[FieldProblem] | None = None
    """The fields that are wrong"""
    status: int
    title: str
    type: str
    """Stable name of this kind of error"""


class ReadinessAnswer(Received):
    """Whether requests can be served."""

    checks: Checks
    status: Literal["ready", "not_ready"] | str
    timestamp: str | None = None


class ReplayRequest(Sent):
    """What is to be other than with the run that is replayed."""

    input: dict[str, Any] | None = None
    """null: that of the run"""
    version: Literal["origin", "current"] = "origin"
    """`origin`: the version that the run executed; `current`: the workflow's current one"""


class StepAnswer(Received):
    """How far a step is; ``pending`` when it was not begun."""

    attempt: int = 0
    """Tries so far"""
    error: dict[str, Any] | None = None
    finished_at: datetime | None = None
    id: str
    output: Any = None
    started_at: datetime | None = None
    status: Literal["pending", "running", "waiting", "completed", "failed", "skipped", "cancelled"] | str = "pending"
    waits: dict[str, Any] | None = None
    """What a waiting step waits for, with its prompt"""


class RunAnswer(Received):
    """A run with its data and its steps, these in the order of the workflow's definition."""

    attempt: int
    """How often executors have taken the run up"""
    cancel_requested_at: datetime | None
    correlation_id: str
    created_at: datetime
    error: dict[str, Any] | None
    finished_at: datetime | None
    id: UUID
    input: dict[str, Any]
    origin_run_id: UUID | None
    """The run that this one retries or replays"""
    output: Any
    parent_run_id: UUID | None = None
    """The run a step of which began this one and waits for it"""
    parent_step_id: str | None = None
    """That step; of one with `for_each`: with the place, `call[0]`"""
    pause_requested_at: datetime | None
    """Since when it is asked to pause; null again when resumed"""
    paused_at: datetime | None
    """Since when it is paused"""
    priority: int
    """From 0 to 9; higher ones are taken up first"""
    requested_by: str
    started_at: datetime | None
    status: Literal["queued", "running", "paused", "waiting", "completed", "failed", "cancelled"] | str
    steps: list[StepAnswer]
    waits_for: Literal["concurrency", "rate"] | str | None
    """Which limit of its workflow keeps a queued run from being taken up now: that of runs at a time, or that of runs
    that begin in a time
    """
    workflow_id: UUID
    workflow_version: int


class RunLogLine(Received):
    """What an executor, or the agent of a step, says about a run."""

    at: datetime
    attempt: int | None
    """Which try of that"""
    fields: dict[str, Any]
    level: Literal["debug", "info", "warning", "error"] | str
    message: str
    step_id: str | None
    """The step or item that it is about; null: the whole run"""


class RunLogPage(Received):
    """One page of a run's log, oldest lines first."""

    items: list[RunLogLine]
    latest: str
    """As `cursor` it gives what is logged after this page, also when that comes later"""
    next: str | None
    """`cursor` of the next page; null on the last one"""
    run_status: Literal["queued", "running", "paused", "waiting", "completed", "failed", "cancelled"] | str
    """As it was when the lines were read: nothing follows once it is final"""
    size: int


class RunSummary(Received):
    """A run in a list."""

    attempt: int
    """How often executors have taken the run up"""
    cancel_requested_at: datetime | None
    correlation_id: str
    created_at: datetime
    finished_at: datetime | None
    id: UUID
    origin_run_id: UUID | None
    """The run that this one retries or replays"""
    parent_run_id: UUID | None = None
    """The run a step of which began this one and waits for it"""
    parent_step_id: str | None = None
    """That step; of one with `for_each`: with the place, `call[0]`"""
    pause_requested_at: datetime | None
    """Since when it is asked to pause; null again when resumed"""
    paused_at: datetime | None
    """Since when it is paused"""
    priority: int
    """From 0 to 9; higher ones are taken up first"""
    requested_by: str
    started_at: datetime | None
    status: Literal["queued", "running", "paused", "waiting", "completed", "failed", "cancelled"] | str
    workflow_id: UUID
    workflow_version: int


class RunPage(Received):
    """One page of a list of runs."""

    items: list[RunSummary]
    next: str | None
    """`cursor` of the next page; null on the last one"""
    size: int
    total: int | None
    """How many runs fit, where `count` was asked for: counted up to 10,000"""
    total_is_exact: bool | None
    """False where there are more than were counted"""


class ScheduleRequest(Sent):
    """A schedule as it shall be."""

    catch_up: Literal["skip", "latest", "all"] = "skip"
    """What becomes of times that were missed (not taken up within a minute, because of an outage): nothing, one run
    for the latest, or one for each of the last `catch_up_limit`
    """
    catch_up_limit: int = 10
    """Only for `catch_up: all`"""
    expression: str
    """Cron expression of five fields: minute, hour, day of month, month, day of week. Where the minute or hour field
    begins with `*` it follows the clock: nothing in an hour that is missing when clocks change, everything twice in
    one that is doubled. Otherwise each time comes once: at the end of the gap, or in the first of the two hours.
    """
    input: dict[str, Any] = Field(default_factory=dict)
    """The input of each run, which finds under `schedule` in it: `id`, `name`, `planned_at` (UTC) and `planned_local`
    (with the zone's offset)
    """
    name: str
    overlap: Literal["allow", "skip"] = "allow"
    """`skip`: a time passes without a run while one of this schedule is not finished"""
    priority: int = 0
    """Runs with a higher one are taken up before others that wait; each step counts as much as a minute of waiting,
    so that none waits for ever
    """
    time_zone: str = "UTC"
    """IANA time zone"""
    workflow_id: UUID
    """What is executed, each time in its current version"""


class SignalAnswer(Received):
    """How a run stands after one of its steps was decided about."""

    outcome: Literal["approve", "reject"] | str
    run_id: UUID
    status: Literal["queued", "running", "paused", "waiting", "completed", "failed", "cancelled"] | str
    """`queued` where the run waited; a paused one goes on when it is resumed"""
    step_id: str


class SignalRequest(Sent):
    """What was decided."""

    comment: str | None = None
    data: Any = None
    """Part of the step's output, for the steps after it"""
    outcome: Literal["approve", "reject"]
    """`reject` fails the step with the code `rejected`"""


class Step(Received):
    """One step: an agent, called when the steps it needs are done."""

    agent: str
    """An agent's name"""
    for_each: ForEach | None = None
    """Do the step once for each item of a list; its `input` sees the item as `item` and its place, from 0, as
    `index`. The output is the list of the items' outputs in their order. Retries and the timeout are for an item; one
    that fails for good fails the step.
    """
    id: str
    input: dict[str, Any] = Field(default_factory=dict)
    """What the agent gets. `{"$jmespath": "expression"}`, at any depth, is replaced by its result over `{"input":
    <input of the run>, "steps": {<step id>: <its output>}}`.
    """
    needs: list[str] = Field(default_factory=list)
    """Ids of steps to be done before"""
    retry: Retry = Field(default_factory=Retry)
    timeout_seconds: float = 30
    """For one try"""
    when: str | None = None
    """JMESPath over the same data as `input`, asked when the needs are done; where it gives null, false or something
    empty, the step is skipped
    """


class TokenAnswer(Received):
    """A token, to be sent as ``Authorization: Bearer``."""

    access_token: str
    expires_in: int
    """Seconds until the token ends"""
    token_type: Literal["bearer"] | str = "bearer"  # noqa: S105 - the name of a scheme


class ValidationAnswer(Received):
    """Whether a workflow could be saved as it is, but for its name, which another may have."""

    problems: list[FieldProblem]
    """Everything that is wrong; empty when nothing is"""
    valid: bool


class VersionAnswer(Received):
    """One version of a workflow; it never changes."""

    content_hash: str
    """SHA-256 of the definition"""
    created_at: datetime
    created_by: str
    input_schema: dict[str, Any] | None = None
    """JSON Schema (2020-12) that the input of a run must fit, else the run is not accepted; references only within it
    """
    on_failure: list[Step] = Field(default_factory=list)
    """Steps that are done after the run has failed. They read what went wrong as `error`, and need only one another.
    The run stays failed with its first error, whatever becomes of them; a cancelled run has none.
    """
    output_schema: dict[str, Any] | None = None
    """JSON Schema (2020-12) that the output of a run must fit, else the run fails with the code `output-schema`"""
    steps: list[Step]
    timeout_seconds: float | None = None
    """For the whole run, from its start, pauses and retries included; null: no limit. Past it running steps are
    interrupted and the run fails with the code `run-timeout`.
    """
    version: int
    workflow_id: UUID


class WebhookRequest(Sent):
    """A webhook as it shall be."""

    events: list[Literal["run.completed", "run.failed", "run.cancelled"]]
    """What is told"""
    name: str
    url: str
    """Where deliveries are posted: https (in development also http), to a host of HTTP_AGENT_ALLOWED_HOSTS"""
    workflow_id: UUID | None = None
    """Only runs of this workflow"""


class WebhookSecretAnswer(Received):
    """A webhook with its secret, which is shown this once."""

    created_at: datetime
    created_by: str
    disabled_at: datetime | None
    """Since when nothing is sent"""
    disabled_reason: str | None
    events: list[Literal["run.completed", "run.failed", "run.cancelled"] | str]
    failing_since: datetime | None
    """Since when no delivery succeeded"""
    id: UUID
    name: str
    rotated_at: datetime | None
    """When its secret was last replaced"""
    secret: str
    """Verifies the signatures, as Standard Webhooks says"""
    updated_at: datetime
    url: str
    workflow_id: UUID | None


class WorkflowAnswer(Received):
    """A workflow as its current version has it."""

    created_at: datetime
    description: str
    id: UUID
    input_schema: dict[str, Any] | None = None
    """JSON Schema (2020-12) that the input of a run must fit, else the run is not accepted; references only within it
    """
    name: str
    on_failure: list[Step] = Field(default_factory=list)
    """Steps that are done after the run has failed. They read what went wrong as `error`, and need only one another.
    The run stays failed with its first error, whatever becomes of them; a cancelled run has none.
    """
    output_schema: dict[str, Any] | None = None
    """JSON Schema (2020-12) that the output of a run must fit, else the run fails with the code `output-schema`"""
    steps: list[Step]
    timeout_seconds: float | None = None
    """For the whole run, from its start, pauses and retries included; null: no limit. Past it running steps are
    interrupted and the run fails with the code `run-timeout`.
    """
    updated_at: datetime
    version: int
    """The version that is executed"""


class WorkflowRequest(Sent):
    """A workflow as it shall be."""

    description: str = ""
    input_schema: dict[str, Any] | None = None
    """JSON Schema (2020-12) that the input of a run must fit, else the run is not accepted; references only within it
    """
    name: str
    on_failure: list[Step] = Field(default_factory=list)
    """Steps that are done after the run has failed. They read what went wrong as `error`, and need only one another.
    The run stays failed with its first error, whatever becomes of them; a cancelled run has none.
    """
    output_schema: dict[str, Any] | None = None
    """JSON Schema (2020-12) that the output of a run must fit, else the run fails with the code `output-schema`"""
    steps: list[Step]
    timeout_seconds: float | None = None
    """For the whole run, from its start, pauses and retries included; null: no limit. Past it running steps are
    interrupted and the run fails with the code `run-timeout`.
    """
