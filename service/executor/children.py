"""Runs that steps of other runs begin, as the journal's statements take them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from service.executor.kinds.workflow import WORKFLOW
from service.executor.progress import WAITING, StepState
from service.executor.values import encode


def changes_of_children(steps: Sequence[StepState]) -> dict[str, Any] | None:
    """The children that the steps begin, and those that they do not wait for any more; None where there are none."""
    begun, left = [], []
    for state in steps:
        waits = state.waits
        if waits is None or waits.kind != WORKFLOW:
            continue
        if state.status != WAITING:
            # It may have ended long ago; then nothing is changed.
            left.append(UUID(str(waits.shown["run_id"])))
        elif waits.child is not None:
            child = waits.child
            begun.append(
                {
                    "run_id": str(child.run_id),
                    "step_id": state.id,
                    "workflow_id": str(child.workflow_id),
                    "version": child.version,
                    "input": child.input,
                }
            )
    return {"children": encode(begun), "orphans": left} if begun or left else None
