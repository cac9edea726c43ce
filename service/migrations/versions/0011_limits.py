"""Runs have a priority, and workflows limits of how many of their runs may go on at a time and begin in a time."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

URGENT = "status = 'queued' AND priority > 0 AND held_at IS NULL"
HELD = "status = 'queued' AND held_at IS NOT NULL"
HELD_BEGUN = "status = 'queued' AND held_at IS NOT NULL AND started_at IS NOT NULL"
RATE = "(max_starts IS NULL) = (per_seconds IS NULL)"


def upgrade() -> None:
    # First, and after what an interrupted attempt left: what follows is one transaction, this is not.
    with op.get_context().autocommit_block():
        op.add_column(
            "runs",
            sa.Column("priority", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
            if_not_exists=True,
        )
        op.add_column(
            "runs",
            sa.Column("turn_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
            if_not_exists=True,
        )
        op.add_column("runs", sa.Column("held_at", sa.DateTime(timezone=True), nullable=True), if_not_exists=True)
        op.drop_index("ix_runs_urgent", "runs", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_runs_urgent",
            "runs",
            ["turn_at"],
            unique=False,
            postgresql_where=sa.text(URGENT),
            postgresql_concurrently=True,
        )
        op.drop_index("ix_runs_held", "runs", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_runs_held",
            "runs",
            ["workflow_id", "turn_at"],
            unique=False,
            postgresql_where=sa.text(HELD),
            postgresql_concurrently=True,
        )
        op.drop_index("ix_runs_held_begun", "runs", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_runs_held_begun",
            "runs",
            ["workflow_id", "turn_at"],
            unique=False,
            postgresql_where=sa.text(HELD_BEGUN),
            postgresql_concurrently=True,
        )
        op.drop_index("ix_runs_started_under_limits", "runs", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_runs_started_under_limits",
            "runs",
            ["workflow_id", "started_at"],
            unique=False,
            postgresql_where=sa.text("held_at IS NOT NULL"),
            postgresql_concurrently=True,
        )
    op.add_column("schedules", sa.Column("priority", sa.SmallInteger(), server_default=sa.text("0"), nullable=False))
    op.create_table(
        "workflow_limits",
        sa.Column("workflow_id", sa.Uuid(), nullable=False),
        sa.Column("max_running", sa.Integer(), nullable=True),
        sa.Column("max_starts", sa.Integer(), nullable=True),
        sa.Column("per_seconds", sa.Integer(), nullable=True),
        sa.Column("revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(RATE, name=op.f("ck_workflow_limits_rate")),
        sa.ForeignKeyConstraint(
            ["workflow_id"], ["workflows.id"], name=op.f("fk_workflow_limits_workflow_id_workflows"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workflow_id", name=op.f("pk_workflow_limits")),
    )


def downgrade() -> None:
    # A version that knows no limits finds held runs like those whose message was lost.
    op.drop_table("workflow_limits")
    op.drop_column("schedules", "priority")
    # Their indexes go with them.
    op.drop_column("runs", "held_at")
    op.drop_column("runs", "turn_at")
    op.drop_column("runs", "priority")
