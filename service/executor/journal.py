"""Steps as the journal's statements take and give them."""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Row

from service.executor.kinds.workflow import WORKFLOW
from service.executor.progress import WAITING, JournalledStep, StepState
from service.executor.values import encode
from service.executor.waiting import Waiting


def encode_steps(steps: Sequence[StepState]) -> str:
    """The states as JSON text."""
    now = time.monotonic()
    return encode(
        [
            {
                "step_id": state.id,
                "status": state.status,
                "attempt": state.attempt,
                "output": state.output,
                "error": state.error,
                # Ages, not times: the database's clock is the only one that counts.
                "started_ago": None if state.started is None else now - state.started,
                "finished_ago": None if state.finished is None else now - state.finished,
                **_waits(state),
            }
            for state in steps
        ]
    )


def _waits(state: StepState) -> dict[str, Any]:
    """What it waits for; the run that a step has begun is told also when it has ended."""
    if state.waits is None or (state.status != WAITING and state.waits.kind != WORKFLOW):
        return {}
    return {"waits": state.waits.as_json()}


def journalled_step(row: Row[Any]) -> JournalledStep:
    """A row of the journal."""
    waits = None if row.waits is None else Waiting(**row.waits)
    wake = None
    if waits is not None and waits.timeout_seconds is not None:
        wake = time.monotonic() + waits.timeout_seconds - float(row.age or 0)
    return JournalledStep(row.step_id, row.status, row.attempt, row.output, waits, wake)
