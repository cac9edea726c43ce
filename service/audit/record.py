"""Writes audit entries, in the transaction of the change that they tell about."""

from dataclasses import dataclass
from typing import Any

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncConnection

from service.auth.principal import Principal, address_of
from service.platform.logging import masked
from service.platform.middleware.correlation import correlation_id
from service.platform.tables import audit_log


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and from where."""

    subject: str
    address: str | None
    enabled: bool
    """Whether entries are written at all (ENABLE_AUDIT_LOGGING)."""
    declared: str | None = None
    """The only action that the route may write, as it declares it; None where no route is involved."""

    @classmethod
    def of(cls, request: Request, caller: Principal) -> "Actor":
        """The actor behind a request."""
        enabled = request.app.state.service.settings.enable_audit_logging
        return cls(caller.subject, address_of(request), enabled, request.state.audit)


async def record(
    connection: AsyncConnection,
    actor: Actor,
    action: str,
    subject_type: str,
    subject_id: object = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Add one entry; ``action`` reads like ``workflow.create``. What is named like a secret is masked in the detail.

    Raises RuntimeError for an action that the route does not declare.
    """
    if actor.declared is not None and action != actor.declared:
        raise RuntimeError(f"the route declares that it audits {actor.declared}, not {action}")
    if not actor.enabled:
        return
    await connection.execute(
        audit_log.insert().values(
            actor=actor.subject,
            action=action,
            subject_type=subject_type,
            subject_id=None if subject_id is None else str(subject_id),
            correlation_id=correlation_id(),
            address=actor.address,
            detail=masked(detail or {}),
        )
    )
