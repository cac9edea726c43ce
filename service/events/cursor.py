"""What a reader of a run's events knows: the place from which it is told more, on any replica.

Nothing is written for events. Postgres notes with every row which transaction wrote it, and a snapshot says which
transactions had ended: whatever was written by one that the reader's snapshot does not see is news. So nothing
is missed, whatever clocks say and in whichever order transactions end.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any, Self, TypeGuard

_VERSION = 1
_MOST_PENDING = 64
_HIGHEST = 2**63 - 1
_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Transactions below ``next`` have ended, but those that are ``pending``."""

    next: int
    pending: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Postgres' own form: ``xmin:xmax:xip_list``."""
        _, following, pending = text.split(":")
        return cls(int(following), frozenset(map(int, filter(None, pending.split(",")))))

    def __str__(self) -> str:
        """As Postgres reads it."""
        pending = sorted(self.pending)
        return f"{pending[0] if pending else self.next}:{self.next}:{','.join(map(str, pending))}"


NOTHING = Snapshot(1)
"""Sees no transaction."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """What is known: the rows of the snapshot, those of the transaction ``xid`` up to ``step``, and the run as it
    was when it had the digest ``run``."""

    snapshot: Snapshot = NOTHING
    xid: int = 0
    step: str = ""
    run: str = ""

    def after(self, xid: int, step: str, now: Snapshot) -> "Cursor":
        """When one more row is known, where rows are told by transaction and step, out of the snapshot ``now``."""
        following = max(self.snapshot.next, xid)
        pending = {each for each in now.pending if each < following}
        pending |= {each for each in self.snapshot.pending if each >= xid}
        return Cursor(Snapshot(following, frozenset(pending)), xid, step, self.run)

    def at(self, now: Snapshot) -> "Cursor":
        """When all rows of the snapshot are known."""
        return Cursor(now, run=self.run)

    def knowing(self, run: str) -> "Cursor":
        """When the run is known as it has this digest."""
        return Cursor(self.snapshot, self.xid, self.step, run)

    def write(self) -> str:
        """As a text that readers hand back unread."""
        following, pending = self.snapshot.next, sorted(self.snapshot.pending)
        if len(pending) > _MOST_PENDING:
            # What is left out counts as unknown, so at worst it is told again.
            following, pending = pending[_MOST_PENDING], pending[:_MOST_PENDING]
        parts = [_VERSION, following, pending, self.xid, self.step, self.run]
        return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """The cursor of an event. Raises ValueError that says what is wrong."""
        try:
            padded = text + "=" * (-len(text) % 4)
            parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        except (ValueError, RecursionError):
            parts = None
        if not _is_cursor(parts):
            raise ValueError("is no id of an event; take that of the last event as it is")
        _, following, pending, xid, step, run = parts
        return cls(Snapshot(following, frozenset(pending)), xid, step, run)


def _is_cursor(parts: Any) -> TypeGuard[list[Any]]:
    if not isinstance(parts, list) or len(parts) != 6 or parts[0] != _VERSION or not isinstance(parts[2], list):
        return False
    _, following, pending, xid, step, run = parts
    texts = all(isinstance(each, str) and len(each) <= _LONGEST_TEXT and "\0" not in each for each in (step, run))
    numbers = len(pending) <= _MOST_PENDING and all(_is_xid(each) for each in (following, xid, *pending))
    return texts and numbers and _ends(following) and all(_ends(each) and each < following for each in pending)


def _is_xid(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _HIGHEST


def _ends(xid: int) -> bool:
    # Postgres has no transaction whose number's lower half is nothing, and reads none in a snapshot.
    return xid % 2**32 > 0
