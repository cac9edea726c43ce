"""Schedules, and an index that finds their unfinished runs."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # First, and after what an interrupted attempt left: what follows is one transaction, this is not.
    with op.get_context().autocommit_block():
        op.drop_index("ix_runs_unfinished_of_schedules", "runs", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_runs_unfinished_of_schedules",
            "runs",
            ["requested_by"],
            unique=False,
            postgresql_where=sa.text("status IN ('queued', 'running') AND requested_by LIKE 'schedule:%'"),
            postgresql_concurrently=True,
        )
    op.create_table(
        "schedules",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("expression", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column(
            "input", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("catch_up", sa.Text(), nullable=False),
        sa.Column("catch_up_limit", sa.Integer(), nullable=False),
        sa.Column("overlap", sa.Text(), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_fire_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_planned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_run_id", sa.Uuid(), nullable=True),
        sa.Column("last_skipped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_skip_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.CheckConstraint("catch_up IN ('skip', 'latest', 'all')", name=op.f("ck_schedules_catch_up")),
        sa.CheckConstraint("overlap IN ('allow', 'skip')", name=op.f("ck_schedules_overlap")),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflows.id"], name=op.f("fk_schedules_workflow_id_workflows")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
        sa.UniqueConstraint("name", name=op.f("uq_schedules_name")),
    )
    op.create_index("ix_schedules_workflow_id", "schedules", ["workflow_id"], unique=False)
    op.create_index(
        "ix_schedules_next_fire_at",
        "schedules",
        ["next_fire_at"],
        unique=False,
        postgresql_where=sa.text("next_fire_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_schedules_next_fire_at", table_name="schedules", postgresql_where=sa.text("next_fire_at IS NOT NULL")
    )
    op.drop_index("ix_schedules_workflow_id", table_name="schedules")
    op.drop_table("schedules")
    with op.get_context().autocommit_block():
        op.drop_index("ix_runs_unfinished_of_schedules", "runs", if_exists=True, postgresql_concurrently=True)
