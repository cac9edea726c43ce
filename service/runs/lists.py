"""What a list of runs can be asked for, and the mark at which its next page begins."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from service.runs.schemas import RunStatus

Sort = Literal["-created_at", "created_at"]
"""Orders that an index has; a minus is downwards."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which runs are wanted; None leaves a filter out."""

    workflow_id: UUID | None = None
    status: RunStatus | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    parent_run_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last run of a page. New runs that come meanwhile neither shift nor double what follows."""

    sort: Sort
    created_at: datetime
    id: UUID

    def write(self) -> str:
        """As a text that callers hand back unread."""
        text = json.dumps([self.sort, self.created_at.isoformat(), str(self.id)], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str, sort: Sort) -> "Cursor":
        """The cursor of a list in this order. Raises ValueError that says what is wrong."""
        try:
            padded = text + "=" * (-len(text) % 4)
            its_sort, created_at, run_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            found = cls(its_sort, datetime.fromisoformat(created_at).astimezone(UTC), UUID(run_id))
        except (ValueError, TypeError, AttributeError, OverflowError):
            raise ValueError("is no cursor; take `next` of a page as it is") from None
        if found.sort != sort:
            raise ValueError("is of a list in another order")
        return found
