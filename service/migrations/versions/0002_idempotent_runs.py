"""Idempotency keys of accepted runs, and indexes by which a long list of runs is read from any row on."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

LISTS = {
    "ix_runs_created_at_id": ["created_at", "id"],
    "ix_runs_workflow_id_created_at_id": ["workflow_id", "created_at", "id"],
    "ix_runs_status_created_at_id": ["status", "created_at", "id"],
}
REPLACED = {"ix_runs_created_at": ["created_at"], "ix_runs_workflow_id_created_at": ["workflow_id", "created_at"]}


def upgrade() -> None:
    # First: what follows is one transaction, this is not, and may have been broken off before.
    with op.get_context().autocommit_block():
        for name, columns in LISTS.items():
            op.drop_index(name, table_name="runs", postgresql_concurrently=True, if_exists=True)
            op.create_index(name, "runs", columns, unique=False, postgresql_concurrently=True)
        for name in REPLACED:
            op.drop_index(name, table_name="runs", postgresql_concurrently=True, if_exists=True)
    op.create_table(
        "idempotency_keys",
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("workflow_version", sa.Integer(), nullable=False),
        sa.Column("run_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("principal", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name, columns in REPLACED.items():
            op.create_index(name, "runs", columns, unique=False, postgresql_concurrently=True)
        for name in LISTS:
            op.drop_index(name, table_name="runs", postgresql_concurrently=True, if_exists=True)
    op.drop_index("ix_idempotency_keys_created_at", table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
