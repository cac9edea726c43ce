"""What the routes of this subject take and give."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from service.auth.roles import Role
from service.auth.scopes import Scope
from service.platform.moments import WrittenMoment


class LoginRequest(BaseModel):
    """A user's name and password."""

    model_config = ConfigDict(extra="forbid")

    username: str = Field(min_length=1, max_length=200)
    password: SecretStr = Field(min_length=1, max_length=1024)


class TokenAnswer(BaseModel):
    """A token, to be sent as ``Authorization: Bearer``."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the name of a scheme
    expires_in: int = Field(description="Seconds until the token ends")


class CallerAnswer(BaseModel):
    """Who the presented credentials belong to."""

    subject: str
    kind: Literal["user", "api_key", "anonymous"]
    role: Role
    scopes: list[str] | None = Field(description="What a key is narrowed to; null for all that the role may")
    expires_at: datetime | None


class KeyRequest(BaseModel):
    """A new API key."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200, description="What the key is for")
    role: Role = Role.VIEWER
    scopes: list[Scope] | None = Field(
        None,
        min_length=1,
        max_length=len(Scope),
        description="What it is narrowed to; all that its role may, if left out",
    )
    expires_at: WrittenMoment | None = Field(None, description="When it ends, with a time zone; never, if left out")


class KeyAnswer(BaseModel):
    """An API key without the key itself."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    prefix: str = Field(description="Part of the key, to recognise it by")
    role: Role
    scopes: list[str] | None = Field(description="What it is narrowed to; null for all that its role may")
    user_id: UUID | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class NewKeyAnswer(KeyAnswer):
    """A new API key; this is the only time that it can be read."""

    key: str
