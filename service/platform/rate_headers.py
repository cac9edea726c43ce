"""Where a client stands with its limits, in the fields of draft-ietf-httpapi-ratelimit-headers-11.

``RateLimit-Policy: "address";q=100;w=60`` says what is allowed, ``RateLimit: "address";r=73;t=21`` what of it is left
and after how many seconds the count begins anew.
"""

from collections.abc import Sequence

from starlette.types import Scope

from service.platform import metrics
from service.platform.logging import get_logger
from service.platform.problems import ProblemError
from service.platform.sliding_window import SlidingWindow, Standing

NAMES = ("RateLimit", "RateLimit-Policy")

_LEFT, _POLICIES = (name.lower().encode() for name in NAMES)
_STATE = "rate_limits"

log = get_logger(__name__)


def standings(scope: Scope) -> list[Standing]:
    """The limits that the request was counted against until now."""
    found: list[Standing] = scope.setdefault("state", {}).setdefault(_STATE, [])
    return found


def fields(found: Sequence[Standing]) -> list[tuple[bytes, bytes]]:
    """The header fields, none where nothing was counted."""
    if not found:
        return []
    left = ", ".join([f'"{each.policy}";r={each.remaining};t={each.resets_in}' for each in found])
    policies = ", ".join([f'"{each.policy}";q={each.limit};w={each.window}' for each in found])
    return [(_LEFT, left.encode()), (_POLICIES, policies.encode())]


def count(scope: Scope, limit: SlidingWindow, key: str) -> None:
    """Count the request against a limit, once however often it is handled, and note it for the header fields.

    Raises a 429 problem where it is one too many.
    """
    found = standings(scope)
    if any(each.policy == limit.policy for each in found):
        return
    standing = limit.take(key)
    found.append(standing)
    if standing.allowed:
        return
    metrics.RATE_LIMITED.inc()
    client = scope["client"][0] if scope.get("client") else None
    log.warning("Too many requests", policy=standing.policy, client=client, retry_after=standing.retry_after)
    raise ProblemError(
        429,
        "too-many-requests",
        f"At most {standing.limit} requests in {standing.window} seconds are answered for each {standing.policy}.",
        headers={"Retry-After": str(standing.retry_after)},
    )
