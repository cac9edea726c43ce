"""Runs that steps of other runs begin."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # First, and after what an interrupted attempt left: what follows is one transaction, this is not.
    with op.get_context().autocommit_block():
        op.add_column("runs", sa.Column("parent_run_id", sa.Uuid(), nullable=True), if_not_exists=True)
        op.add_column("runs", sa.Column("parent_step_id", sa.Text(), nullable=True), if_not_exists=True)
        op.drop_index("ix_runs_parent", "runs", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_runs_parent",
            "runs",
            ["parent_run_id", "parent_step_id"],
            unique=True,
            postgresql_where=sa.text("parent_run_id IS NOT NULL"),
            postgresql_concurrently=True,
        )
    op.add_column("runs", sa.Column("depth", sa.Integer(), server_default=sa.text("0"), nullable=False))


def downgrade() -> None:
    op.drop_column("runs", "depth")
    op.drop_column("runs", "parent_step_id")
    op.drop_column("runs", "parent_run_id")
    with op.get_context().autocommit_block():
        op.drop_index("ix_runs_parent", "runs", if_exists=True, postgresql_concurrently=True)
