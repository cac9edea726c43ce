"""What an API key may be narrowed to. The table here is the only place; routes name its scopes, OpenAPI shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from service.auth.roles import Role


class Scope(StrEnum):
    """A part of what the API can do; each guarded route needs exactly one."""

    AGENTS_READ = "agents:read"
    AGENTS_WRITE = "agents:write"
    AGENTS_DELETE = "agents:delete"
    WORKFLOWS_READ = "workflows:read"
    WORKFLOWS_WRITE = "workflows:write"
    WORKFLOWS_DELETE = "workflows:delete"
    RUNS_READ = "runs:read"
    RUNS_EXECUTE = "runs:execute"
    RUNS_CANCEL = "runs:cancel"
    RUNS_PAUSE = "runs:pause"
    RUNS_SIGNAL = "runs:signal"
    SCHEDULES_READ = "schedules:read"
    SCHEDULES_WRITE = "schedules:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    DEAD_LETTERS_READ = "dead-letters:read"
    DEAD_LETTERS_PAYLOAD = "dead-letters:payload"
    DEAD_LETTERS_SETTLE = "dead-letters:settle"
    AUDIT_READ = "audit:read"
    KEYS_MANAGE = "keys:manage"
    SELF_READ = "self:read"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a scope allows, and the least role that can be given it."""

    role: Role
    meaning: str


SCOPES: Mapping[Scope, Grant] = {
    Scope.AGENTS_READ: Grant(Role.VIEWER, "list and read agents"),
    Scope.AGENTS_WRITE: Grant(Role.OPERATOR, "create and change agents"),
    Scope.AGENTS_DELETE: Grant(Role.ADMIN, "delete agents"),
    Scope.WORKFLOWS_READ: Grant(Role.VIEWER, "list and read workflows"),
    Scope.WORKFLOWS_WRITE: Grant(Role.OPERATOR, "create and change workflows"),
    Scope.WORKFLOWS_DELETE: Grant(Role.ADMIN, "delete workflows"),
    Scope.RUNS_READ: Grant(Role.VIEWER, "list and read runs"),
    Scope.RUNS_EXECUTE: Grant(Role.OPERATOR, "execute workflows"),
    Scope.RUNS_CANCEL: Grant(Role.OPERATOR, "cancel runs"),
    Scope.RUNS_PAUSE: Grant(Role.OPERATOR, "pause and resume runs"),
    Scope.RUNS_SIGNAL: Grant(Role.OPERATOR, "decide what steps of runs wait for"),
    Scope.SCHEDULES_READ: Grant(Role.VIEWER, "list, read and preview schedules"),
    Scope.SCHEDULES_WRITE: Grant(Role.OPERATOR, "create, change, pause, resume and delete schedules"),
    Scope.WEBHOOKS_READ: Grant(Role.OPERATOR, "list and read webhooks and their deliveries"),
    Scope.WEBHOOKS_WRITE: Grant(
        Role.ADMIN, "create, change, enable, disable and delete webhooks, rotate their secrets, send deliveries again"
    ),
    Scope.DEAD_LETTERS_READ: Grant(Role.OPERATOR, "list dead letters and read them without payload"),
    Scope.DEAD_LETTERS_PAYLOAD: Grant(Role.ADMIN, "read the payload of dead letters"),
    Scope.DEAD_LETTERS_SETTLE: Grant(Role.OPERATOR, "put dead letters back, or discard them"),
    Scope.AUDIT_READ: Grant(Role.ADMIN, "read the audit log"),
    Scope.KEYS_MANAGE: Grant(Role.ADMIN, "list, create and revoke API keys"),
    Scope.SELF_READ: Grant(Role.VIEWER, "see whose credentials these are; every key has it"),
}

ALWAYS = frozenset({Scope.SELF_READ})
"""What every key has, however narrow."""


def beyond(role: Role, scopes: list[Scope]) -> list[int]:
    """The places in the list of those scopes that the role cannot have."""
    return [place for place, scope in enumerate(scopes) if not role.includes(SCOPES[scope].role)]
