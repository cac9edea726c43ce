"""What the routes of this subject take and give."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Kind = Annotated[
    str,
    Field(min_length=1, max_length=63, description="One of those that GET /agents/kinds lists", examples=["http"]),
]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$"


class AgentRequest(BaseModel):
    """An agent as it shall be."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "wait", "kind": "delay", "settings": {"seconds": 1.5}}]},
    )

    name: str = Field(min_length=1, max_length=200, pattern=NAME_PATTERN)
    kind: Kind
    settings: dict[str, Any] = Field(default_factory=dict, description="What the kind needs to know")


class AgentAnswer(BaseModel):
    """An agent as it is."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    kind: Kind
    settings: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class AgentKind(BaseModel):
    """A kind of agents."""

    model_config = ConfigDict(from_attributes=True)

    kind: str
    package: str | None = Field(description="The installed package that brings it; null for a builtin kind")
    settings_schema: dict[str, Any] = Field(description="What the settings of its agents must be, as a JSON Schema")


class AgentKinds(BaseModel):
    """All kinds, by name."""

    items: list[AgentKind]
