"""The audit log."""

from wfm.calls import Call, Everything, operation
from wfm.models import AuditEntry, PageOfAuditEntry


@operation("GET /api/v1/audit")
def list_audit(
    *,
    actor: str | None = None,
    action: str | None = None,
    subject_type: str | None = None,
    subject_id: str | None = None,
    page: int = 1,
    size: int | None = None,
) -> Call[PageOfAuditEntry]:
    """A page of what was done, newest first."""
    query = {"actor": actor, "action": action, "subject_type": subject_type, "subject_id": subject_id}
    return Call(PageOfAuditEntry, query={**query, "page": page, "size": size})


class AuditOperations:
    """The audit log."""

    list = list_audit
    all = Everything(list_audit, AuditEntry)
