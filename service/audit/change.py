"""What a change changed: the row as it was and as it is, for the detail of its audit entry."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.platform.database import AnyRow

AGENT = ("name", "kind", "settings")
WORKFLOW = ("name", "description", "current_version")
SCHEDULE = (
    "name", "workflow_id", "expression", "time_zone", "input", "catch_up", "catch_up_limit", "overlap", "priority",
    "paused_at",
)  # fmt: skip
WEBHOOK = ("name", "url", "events", "workflow_id", "key_number", "disabled_at", "disabled_reason")
API_KEY = ("name", "prefix", "role", "scopes", "user_id", "expires_at", "revoked_at")
"""The columns that entries show: what a caller chooses and may read again."""


async def locked(connection: AsyncConnection, table: Table, row_id: UUID) -> AnyRow | None:
    """The row as it is until this transaction ends, because nobody else can change it before; None without one."""
    return (await connection.execute(select(table).where(table.c.id == row_id).with_for_update())).one_or_none()


def change(columns: Sequence[str], before: AnyRow | None = None, after: AnyRow | None = None) -> dict[str, Any]:
    """``{"before": ..., "after": ...}``; a creation has no before, a deletion no after."""
    rows = {"before": before, "after": after}
    return {
        name: {column: _plain(row._mapping[column]) for column in columns}
        for name, row in rows.items()
        if row is not None
    }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
