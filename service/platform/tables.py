"""The database schema, defined once.

Migrations are compared with this metadata (``alembic check``), queries are built from it. Times are written by the
database (``now()``), so that the clocks of the programs do not matter.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

RUN_STATUSES = ("queued", "running", "paused", "waiting", "completed", "failed", "cancelled")
FINAL_RUN_STATUSES = ("completed", "failed", "cancelled")
STEP_STATUSES = ("pending", "running", "waiting", "completed", "failed", "skipped", "cancelled")
ROLES = ("viewer", "operator", "admin")
CATCH_UPS = ("skip", "latest", "all")
OVERLAPS = ("allow", "skip")
LOG_LEVELS = ("debug", "info", "warning", "error")
DELIVERY_STATUSES = ("pending", "delivered", "dead")
DEAD_LETTER_STATES = ("open", "requeued", "discarded")
SCHEDULE_ACTOR = "schedule:"
"""What ``requested_by`` of a schedule's runs begins with; the schedule's id follows."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})", name=column)


def _time(name: str, *, nullable: bool = True) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _created(name: str = "created_at") -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


users = Table(
    "users",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("username", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    _created(),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("username"),
    _one_of("role", ROLES),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("key_hash", Text, nullable=False),
    Column("user_id", Uuid, nullable=True),
    Column("role", Text, nullable=False),
    _created(),
    _time("expires_at"),
    _time("revoked_at"),
    _time("last_used_at"),
    Column("scopes", ARRAY(Text), nullable=True),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("key_hash"),
    ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
    _one_of("role", ROLES),
)

agents = Table(
    "agents",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("settings", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    _created(),
    _created("updated_at"),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("name"),
)

workflows = Table(
    "workflows",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=text("''")),
    Column("current_version", Integer, nullable=False),
    _created(),
    _created("updated_at"),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("name"),
)

workflow_versions = Table(
    "workflow_versions",
    metadata,
    Column("workflow_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("definition", JSONB, nullable=False),
    Column("content_hash", Text, nullable=False),
    _created(),
    Column("created_by", Text, nullable=False),
    PrimaryKeyConstraint("workflow_id", "version"),
    ForeignKeyConstraint(["workflow_id"], ["workflows.id"], ondelete="CASCADE"),
)

# A row stays when its limits are taken away: it tells executors of runs that still wait for them.
workflow_limits = Table(
    "workflow_limits",
    metadata,
    Column("workflow_id", Uuid, ForeignKey("workflows.id", ondelete="CASCADE"), nullable=False),
    Column("max_running", Integer, nullable=True),
    Column("max_starts", Integer, nullable=True),
    Column("per_seconds", Integer, nullable=True),
    # Changes with every claim and every change: of two claims that saw the same rows, one comes too late.
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    _created("updated_at"),
    PrimaryKeyConstraint("workflow_id"),
    CheckConstraint("(max_starts IS NULL) = (per_seconds IS NULL)", name="rate"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("workflow_id", Uuid, nullable=False),
    Column("workflow_version", Integer, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'queued'")),
    Column("input", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("output", JSONB, nullable=True),
    Column("error", JSONB, nullable=True),
    Column("correlation_id", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    _created(),
    _time("started_at"),
    _time("finished_at"),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("lease_owner", Text, nullable=True),
    Column("lease_token", BigInteger, nullable=False, server_default=text("0")),
    _time("lease_expires_at"),
    _time("cancel_requested_at"),
    # Somebody asked for a pause; stays until the run is resumed. ``paused_at`` is when it began.
    _time("pause_requested_at"),
    _time("paused_at"),
    # Between start and end, of earlier pauses: the run's timeout does not count them.
    Column("paused_seconds", Double, nullable=False, server_default=text("0")),
    # When it was queued again; none while it has waited only once, since created_at.
    _time("queued_at"),
    # The run that this one does again. Not a foreign key: a run outlives its origin.
    Column("origin_run_id", Uuid, nullable=True),
    # How many signals there are for it; whoever lets go of it says how many it knows.
    Column("signals", Integer, nullable=False, server_default=text("0")),
    # When a waiting run goes on by itself.
    _time("wake_at"),
    Column("priority", SmallInteger, nullable=False, server_default=text("0")),
    # The order of runs that wait for the same: when it was made, earlier by what its priority is worth.
    _created("turn_at"),
    # When a limit of its workflow first kept it from being claimed; stays when it is claimed.
    _time("held_at"),
    # The step, or the item of one, that began it and waits for its end. Not a foreign key: a run outlives its parent.
    Column("parent_run_id", Uuid, nullable=True),
    Column("parent_step_id", Text, nullable=True),
    # How many runs lie above it.
    Column("depth", Integer, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("id"),
    ForeignKeyConstraint(
        ["workflow_id", "workflow_version"], ["workflow_versions.workflow_id", "workflow_versions.version"]
    ),
    _one_of("status", RUN_STATUSES),
    # The reconciler and the claim look only at runs that an executor has or may have; finished ones, the great
    # majority, stay out of it, and so do paused ones.
    Index(
        "ix_runs_unfinished",
        "status",
        "lease_expires_at",
        postgresql_where=text("status IN ('queued', 'running')"),
    ),
    # A step begins one run, whatever happens to its executor.
    Index(
        "ix_runs_parent",
        "parent_run_id",
        "parent_step_id",
        unique=True,
        postgresql_where=text("parent_run_id IS NOT NULL"),
    ),
    Index("ix_runs_wake_at", "wake_at", postgresql_where=text("status = 'waiting' AND wake_at IS NOT NULL")),
    # Few runs are in these: those with a priority, and those of workflows with limits.
    Index(
        "ix_runs_urgent",
        "turn_at",
        postgresql_where=text("status = 'queued' AND priority > 0 AND held_at IS NULL"),
    ),
    Index(
        "ix_runs_held",
        "workflow_id",
        "turn_at",
        postgresql_where=text("status = 'queued' AND held_at IS NOT NULL"),
    ),
    Index(
        "ix_runs_held_begun",
        "workflow_id",
        "turn_at",
        postgresql_where=text("status = 'queued' AND held_at IS NOT NULL AND started_at IS NOT NULL"),
    ),
    Index(
        "ix_runs_started_under_limits",
        "workflow_id",
        "started_at",
        postgresql_where=text("held_at IS NOT NULL"),
    ),
    # What was asked to stop and has not.
    Index(
        "ix_runs_cancel_requested_at",
        "cancel_requested_at",
        postgresql_where=text(
            "cancel_requested_at IS NOT NULL AND status IN ('queued', 'running', 'paused', 'waiting')"
        ),
    ),
    # A list is read in the order of (created_at, id), from any row on: one index for each filter that comes first.
    Index("ix_runs_created_at_id", "created_at", "id"),
    Index("ix_runs_workflow_id_created_at_id", "workflow_id", "created_at", "id"),
    Index("ix_runs_status_created_at_id", "status", "created_at", "id"),
    # Whether a schedule's run is still under way is asked at each of its times.
    Index(
        "ix_runs_open_of_schedules",
        "requested_by",
        postgresql_where=text(
            "status IN ('queued', 'running', 'paused', 'waiting') AND requested_by LIKE 'schedule:%'"
        ),
    ),
)

run_steps = Table(
    "run_steps",
    metadata,
    Column("run_id", Uuid, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("step_id", Text, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'pending'")),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("output", JSONB, nullable=True),
    Column("error", JSONB, nullable=True),
    _time("started_at"),
    _time("finished_at"),
    Column("lease_token", BigInteger, nullable=False, server_default=text("0")),
    # What a waiting step waits for.
    Column("waits", JSONB, nullable=True),
    PrimaryKeyConstraint("run_id", "step_id"),
    _one_of("status", STEP_STATUSES),
)

# How a waiting step ends: one signal for each, which is written once and then never changes.
signals = Table(
    "signals",
    metadata,
    Column("run_id", Uuid, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("step_id", Text, nullable=False),
    Column("output", JSONB, nullable=True),
    Column("error", JSONB, nullable=True),
    Column("given_by", Text, nullable=False),
    _created("given_at"),
    PrimaryKeyConstraint("run_id", "step_id"),
)

# What executors and their agents say about a run; it goes with the run.
run_logs = Table(
    "run_logs",
    metadata,
    Column("run_id", Uuid, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    # Rises within a run, with gaps: made of the lease's token and the line's place in that claim, so that writing a
    # line again changes nothing.
    Column("number", BigInteger, nullable=False),
    _created("at"),
    # None for what is about the whole run.
    Column("step_id", Text, nullable=True),
    Column("attempt", Integer, nullable=True),
    Column("level", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("fields", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    PrimaryKeyConstraint("run_id", "number"),
    _one_of("level", LOG_LEVELS),
)

schedules = Table(
    "schedules",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("workflow_id", Uuid, ForeignKey("workflows.id"), nullable=False),
    Column("expression", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("input", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("catch_up", Text, nullable=False),
    Column("catch_up_limit", Integer, nullable=False),
    Column("overlap", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False, server_default=text("0")),
    _time("paused_at"),
    # None while it is paused, and when its expression has no moment left.
    _time("next_fire_at"),
    _time("last_planned_at"),
    # Not a foreign key: the schedule outlives its runs.
    Column("last_run_id", Uuid, nullable=True),
    _time("last_skipped_at"),
    Column("last_skip_reason", Text, nullable=True),
    _created(),
    _created("updated_at"),
    Column("created_by", Text, nullable=False),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("name"),
    _one_of("catch_up", CATCH_UPS),
    _one_of("overlap", OVERLAPS),
    Index("ix_schedules_workflow_id", "workflow_id"),
    Index("ix_schedules_next_fire_at", "next_fire_at", postgresql_where=text("next_fire_at IS NOT NULL")),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False),
    Column("workflow_id", Uuid, ForeignKey("workflows.id"), nullable=True),
    # Its secret is derived from the number and never stored.
    Column("key_number", Integer, nullable=False, server_default=text("1")),
    _time("rotated_at"),
    _time("failing_since"),
    _time("disabled_at"),
    Column("disabled_reason", Text, nullable=True),
    _created(),
    _created("updated_at"),
    Column("created_by", Text, nullable=False),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("name"),
    Index("ix_webhooks_workflow_id", "workflow_id"),
)

# No foreign keys: a run's end would lock the webhook's row, and a delivery outlives its run.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    Column("webhook_id", Uuid, nullable=False),
    Column("run_id", Uuid, nullable=False),
    Column("event", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'pending'")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # Numbers every claim, so that a sender that was too slow changes nothing any more.
    Column("claims", BigInteger, nullable=False, server_default=text("0")),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    _time("last_attempt_at"),
    Column("last_status", Integer, nullable=True),
    Column("last_error", Text, nullable=True),
    _created(),
    PrimaryKeyConstraint("id"),
    _one_of("status", DELIVERY_STATUSES),
    Index(
        "ix_webhook_deliveries_waiting",
        "webhook_id",
        "next_attempt_at",
        postgresql_where=text("status = 'pending'"),
    ),
    Index("ix_webhook_deliveries_webhook_id_created_at_id", "webhook_id", "created_at", "id"),
    Index("ix_webhook_deliveries_created_at", "created_at"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, nullable=False, autoincrement=True),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("headers", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("payload", JSONB, nullable=False),
    _created(),
    PrimaryKeyConstraint("id"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("message_id", Text, nullable=False),
    _created("received_at"),
    PrimaryKeyConstraint("message_id"),
    # Costs next to nothing when a message comes, and finds those to be forgotten.
    Index("ix_inbox_received_at", "received_at", postgresql_using="brin"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("source", Text, nullable=False),
    # Where it came from: what is read from there again is the same letter.
    Column("place", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=True),
    Column("headers", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("payload_bytes", BigInteger, nullable=False),
    Column("kept", Text, nullable=False),
    _time("sent_at"),
    _created("first_seen_at"),
    _created("last_seen_at"),
    Column("times", Integer, nullable=False, server_default=text("1")),
    Column("state", Text, nullable=False, server_default=text("'open'")),
    _time("settled_at"),
    Column("settled_by", Text, nullable=True),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("place"),
    _one_of("state", DEAD_LETTER_STATES),
    Index("ix_dead_letters_first_seen_at_id", "first_seen_at", "id"),
    Index("ix_dead_letters_open", "reason", postgresql_where=text("state = 'open'")),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("principal", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("workflow_version", Integer, nullable=False),
    Column("run_ids", ARRAY(Uuid), nullable=False),
    _created(),
    PrimaryKeyConstraint("principal", "key"),
    Index("ix_idempotency_keys_created_at", "created_at"),
)

# In partitions, one a month (in UTC), which the database makes and drops: ``make_audit_partitions``, ``forget_audit``.
AUDIT_PARTITION = r"audit_log_(default|(before_)?[0-9]{6})"
"""The names of the partitions, as a regular expression."""

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", BigInteger, nullable=False, autoincrement=True),
    _created("at"),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject_type", Text, nullable=False),
    Column("subject_id", Text, nullable=True),
    Column("correlation_id", Text, nullable=True),
    Column("address", Text, nullable=True),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    # A key of a partitioned table holds what it is partitioned by.
    PrimaryKeyConstraint("id", "at"),
    Index("ix_audit_log_subject_type_subject_id", "subject_type", "subject_id"),
    Index("ix_audit_log_at", "at"),
    postgresql_partition_by="RANGE (at)",
)
