"""Read the audit log."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, select

from service.auth.access import GuardedRouter, requires
from service.auth.roles import Role
from service.auth.scopes import Scope
from service.platform.database import autocommit
from service.platform.paging import Page, Paging
from service.platform.problems import documented
from service.platform.tables import audit_log
from service.state import State

router = GuardedRouter(prefix="/audit", tags=["audit"])


class AuditEntry(BaseModel):
    """One thing that somebody did."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    at: datetime
    actor: str
    action: str
    subject_type: str
    subject_id: str | None
    correlation_id: str | None
    address: str | None
    detail: dict[str, Any]


@router.get("", dependencies=[requires(Role.ADMIN, Scope.AUDIT_READ)], responses=documented())
async def list_audit(
    paging: Paging,
    state: State,
    actor: Annotated[str | None, Query(max_length=200)] = None,
    action: Annotated[str | None, Query(max_length=100, description="For instance workflow.create")] = None,
    subject_type: Annotated[str | None, Query(max_length=100)] = None,
    subject_id: Annotated[str | None, Query(max_length=200)] = None,
) -> Page[AuditEntry]:
    """List what was done, newest first."""
    wanted = {"actor": actor, "action": action, "subject_type": subject_type, "subject_id": subject_id}
    conditions = [audit_log.c[name] == value for name, value in wanted.items() if value is not None]
    query = select(audit_log).where(*conditions).order_by(audit_log.c.id.desc())
    count = select(func.count()).select_from(audit_log).where(*conditions)
    async with autocommit(state.engine) as connection:
        rows = (await connection.execute(query.limit(paging.size).offset(paging.offset))).all()
        total = int(await connection.scalar(count) or 0)
    items = [AuditEntry.model_validate(row) for row in rows]
    return Page(items=items, total=total, page=paging.page, size=paging.size)
