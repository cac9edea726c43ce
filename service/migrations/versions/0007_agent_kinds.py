"""Packages bring kinds of agents, so which there are is not the database's to know."""

from collections.abc import Sequence

from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # Programs of the version before refuse other kinds by themselves, and go on doing so.
    op.execute("ALTER TABLE agents DROP CONSTRAINT IF EXISTS ck_agents_kind")


def downgrade() -> None:
    # NOT VALID: agents of other kinds stay, and can be changed to one of these or deleted.
    op.execute(
        "ALTER TABLE agents ADD CONSTRAINT ck_agents_kind"
        " CHECK (kind IN ('http', 'transform', 'delay', 'noop')) NOT VALID"
    )
