"""What tells that two stacks have the same secret, and nothing else about it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Fingerprints:
    """Of the secrets of other stacks, as they were recorded. Without the key they tell nothing, not even of a guess."""

    key: bytes
    recorded: Mapping[str, Collection[str]]
    """By the stack's name."""

    def of(self, secret: str) -> str:
        """The fingerprint of a secret: a keyed hash."""
        return hmac.new(self.key, secret.encode(), hashlib.sha256).hexdigest()[:32]

    def stacks_with(self, secret: str, besides: str) -> list[str]:
        """The other stacks that have this secret too, sorted."""
        wanted = self.of(secret)
        return sorted(stack for stack, found in self.recorded.items() if stack != besides and wanted in found)
