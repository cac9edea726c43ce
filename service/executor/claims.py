"""A run as its executor has it: what was claimed, and what somebody asks of it meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Row


class LeaseLostError(RuntimeError):
    """The run is not ours any more: another executor claimed it, or it has ended."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What somebody asks of a run."""

    cancel: bool = False
    pause: bool = False
    signals: int = 0
    """How many of its waiting steps have been signalled so far."""


@dataclass(frozen=True)
class ClaimedRun:
    """A run that this executor may work on while it holds the lease."""

    id: UUID
    token: int
    workflow_id: UUID
    version: int
    correlation_id: str
    requested_by: str
    attempt: int
    cancel_requested: bool
    running_seconds: float
    input: Any
    error: Mapping[str, Any] | None
    pause_requested: bool = False
    signals: int = 0
    has_parent: bool = False
    """Whether a step of another run began it, and waits for its end."""


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that was ended without its executor."""

    id: UUID
    status: str
    correlation_id: str
    seconds: float


def claimed_run(row: Row[Any]) -> ClaimedRun:
    """What a claiming statement returned."""
    return ClaimedRun(
        id=row.id,
        token=row.lease_token,
        workflow_id=row.workflow_id,
        version=row.workflow_version,
        correlation_id=row.correlation_id,
        requested_by=row.requested_by,
        attempt=row.attempt,
        cancel_requested=bool(row.cancel_requested),
        running_seconds=float(row.running_seconds),
        input=row.input,
        error=row.error,
        pause_requested=bool(row.pause_requested),
        signals=row.signals,
        has_parent=row.parent_run_id is not None,
    )


def marks_of(row: Row[Any]) -> Marks:
    """What a statement about a run that we hold returned."""
    return Marks(cancel=bool(row.cancel_requested), pause=bool(row.pause_requested), signals=row.signals)


def lost(run: ClaimedRun) -> LeaseLostError:
    """The error for a run that a statement did not find ours any more."""
    return LeaseLostError(f"run {run.id} was taken over or has ended")
