"""The roles, each of which may do all that the one before it may."""

from enum import StrEnum


class Role(StrEnum):
    """viewer reads, operator also defines, runs and cancels, admin also deletes, manages keys and reads the audit."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, needed: "Role") -> bool:
        """Whether this role may do what the other one may."""
        return _RANKS[self] >= _RANKS[needed]

    def at_most(self, other: "Role") -> "Role":
        """The lesser one of both."""
        return other if self.includes(other) else self


_RANKS = {role: rank for rank, role in enumerate(Role)}
