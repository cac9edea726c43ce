"""The caller of a request."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, cast
from uuid import UUID

from fastapi import Depends, Request

from service.auth.roles import Role


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: ``subject`` is opaque (no name, no address) and goes into logs and audit."""

    subject: str
    role: Role
    kind: Literal["user", "api_key", "anonymous"]
    user_id: UUID | None = None
    expires_at: datetime | None = None
    scopes: frozenset[str] | None = None
    """What a key is narrowed to; None for all that the role may."""

    def may(self, scope: str) -> bool:
        """Whether the caller is not narrowed to other things."""
        return self.scopes is None or scope in self.scopes


ANONYMOUS = Principal("anonymous", Role.ADMIN, "anonymous")
"""Everybody, where authentication is switched off because no JWT_SECRET is set."""


async def _principal(request: Request) -> Principal:
    return cast(Principal, request.state.principal)


Caller = Annotated[Principal, Depends(_principal)]
"""A route's parameter of this type receives the caller; the route must declare its role."""


def address_of(request: Request) -> str | None:
    """The network address that a request came from."""
    return request.client.host if request.client else None
