"""API keys may be narrowed to scopes."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0005"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=True))


def downgrade() -> None:
    # Without the column a narrowed key would be able to do all that its role may.
    op.execute("UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE scopes IS NOT NULL")
    op.drop_column("api_keys", "scopes")
