"""The header by which a request may be sent again without being done again."""

import hashlib
import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import Header

REPEATED = "Idempotency-Replayed"
"""Answer header: what is told was stored for an earlier request with the same key."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text that the caller uses for this request only, such as a UUID. The same request with the"
        " same key, sent again within 30 days, gives the same runs; another request with it is refused with 422.",
    ),
]
"""A route's parameter of this type receives the key, or None."""


def fingerprint(workflow_id: UUID, asked: Any) -> str:
    """What is asked for, as a hash that is the same however the JSON was written."""
    canonical = json.dumps([str(workflow_id), asked], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
