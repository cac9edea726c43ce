"""Runs that no executor holds and that go on later: paused ones, and ones that wait."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BEFORE = "status IN ('queued', 'running', 'completed', 'failed', 'cancelled')"
RUN_STATUS = "status IN ('queued', 'running', 'paused', 'waiting', 'completed', 'failed', 'cancelled')"
STEP_BEFORE = "status IN ('pending', 'running', 'completed', 'failed', 'skipped', 'cancelled')"
STEP_STATUS = "status IN ('pending', 'running', 'waiting', 'completed', 'failed', 'skipped', 'cancelled')"
OF_SCHEDULES = "AND requested_by LIKE 'schedule:%'"


def upgrade() -> None:
    # First, and after what an interrupted attempt left: what follows is one transaction, this is not.
    with op.get_context().autocommit_block():
        # Constraints are replaced by wider ones without holding the tables while their rows are read.
        op.execute("ALTER TABLE runs DROP CONSTRAINT IF EXISTS ck_runs_status_wider")
        op.create_check_constraint(op.f("ck_runs_status_wider"), "runs", RUN_STATUS, postgresql_not_valid=True)
        op.execute("ALTER TABLE runs VALIDATE CONSTRAINT ck_runs_status_wider")
        op.execute("ALTER TABLE runs DROP CONSTRAINT IF EXISTS ck_runs_status")
        op.execute("ALTER TABLE runs RENAME CONSTRAINT ck_runs_status_wider TO ck_runs_status")
        op.execute("ALTER TABLE run_steps DROP CONSTRAINT IF EXISTS ck_run_steps_status_wider")
        op.create_check_constraint(
            op.f("ck_run_steps_status_wider"), "run_steps", STEP_STATUS, postgresql_not_valid=True
        )
        op.execute("ALTER TABLE run_steps VALIDATE CONSTRAINT ck_run_steps_status_wider")
        op.execute("ALTER TABLE run_steps DROP CONSTRAINT IF EXISTS ck_run_steps_status")
        op.execute("ALTER TABLE run_steps RENAME CONSTRAINT ck_run_steps_status_wider TO ck_run_steps_status")
        # The new statuses are in the index that schedules ask for their unfinished runs.
        op.drop_index("ix_runs_open_of_schedules", "runs", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_runs_open_of_schedules",
            "runs",
            ["requested_by"],
            unique=False,
            postgresql_where=sa.text(f"status IN ('queued', 'running', 'paused', 'waiting') {OF_SCHEDULES}"),
            postgresql_concurrently=True,
        )
        op.drop_index("ix_runs_unfinished_of_schedules", "runs", if_exists=True, postgresql_concurrently=True)
        op.drop_index("ix_runs_cancel_requested_at", "runs", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_runs_cancel_requested_at",
            "runs",
            ["cancel_requested_at"],
            unique=False,
            postgresql_where=sa.text(
                "cancel_requested_at IS NOT NULL AND status IN ('queued', 'running', 'paused', 'waiting')"
            ),
            postgresql_concurrently=True,
        )
        op.add_column("runs", sa.Column("wake_at", sa.DateTime(timezone=True), nullable=True), if_not_exists=True)
        op.drop_index("ix_runs_wake_at", "runs", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_runs_wake_at",
            "runs",
            ["wake_at"],
            unique=False,
            postgresql_where=sa.text("status = 'waiting' AND wake_at IS NOT NULL"),
            postgresql_concurrently=True,
        )
    op.add_column("runs", sa.Column("pause_requested_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("paused_seconds", sa.Double(), server_default=sa.text("0"), nullable=False))
    op.add_column("runs", sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("origin_run_id", sa.Uuid(), nullable=True))
    op.add_column("runs", sa.Column("signals", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("run_steps", sa.Column("waits", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.create_table(
        "signals",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("step_id", sa.Text(), nullable=False),
        sa.Column("output", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("given_by", sa.Text(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_signals_run_id_runs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "step_id", name=op.f("pk_signals")),
    )


def downgrade() -> None:
    # A version that knows no pause goes on with what is paused; executors find queued runs without a message.
    op.execute("UPDATE runs SET status = 'queued' WHERE status IN ('paused', 'waiting')")
    op.drop_constraint(op.f("ck_runs_status"), "runs", type_="check")
    op.create_check_constraint(op.f("ck_runs_status"), "runs", BEFORE)
    op.execute("UPDATE run_steps SET status = 'running' WHERE status = 'waiting'")
    op.drop_constraint(op.f("ck_run_steps_status"), "run_steps", type_="check")
    op.create_check_constraint(op.f("ck_run_steps_status"), "run_steps", STEP_BEFORE)
    op.drop_table("signals")
    op.drop_column("run_steps", "waits")
    for column in (
        "wake_at",
        "signals",
        "origin_run_id",
        "queued_at",
        "paused_seconds",
        "paused_at",
        "pause_requested_at",
    ):
        op.drop_column("runs", column)
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_runs_unfinished_of_schedules",
            "runs",
            ["requested_by"],
            unique=False,
            postgresql_where=sa.text(f"status IN ('queued', 'running') {OF_SCHEDULES}"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.drop_index("ix_runs_open_of_schedules", "runs", if_exists=True, postgresql_concurrently=True)
        op.drop_index("ix_runs_cancel_requested_at", "runs", if_exists=True, postgresql_concurrently=True)
