"""A run as the API answers it, written by the database: its JSON is not made of rows, models and dicts by this program.

What each field means is said by ``RunAnswer``, which the text fits; a test compares it with what that would write.
"""
# ruff: noqa: S608 - the parts that are put together are constants of this file

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.database import fetch
from service.workflows.room import WAITS_FOR


def _moment(column: str) -> str:
    # Pydantic writes no fraction where it is zero, and else six digits.
    written = f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    return f"replace({written}, '.000000Z', 'Z')"


# Of the definition only the steps' names are read; it may be long. A row as JSON has its columns' names and order.
_STEPS = f"""
    SELECT row_to_json(step) FROM (
        SELECT named.id, COALESCE(run_steps.status, 'pending') AS status, COALESCE(run_steps.attempt, 0) AS attempt,
               run_steps.output, run_steps.error, {_moment("run_steps.started_at")} AS started_at,
               {_moment("run_steps.finished_at")} AS finished_at, run_steps.waits
        FROM jsonb_array_elements_text(
                 jsonb_path_query_array(version.definition, '$.steps[*].id')
                 || jsonb_path_query_array(version.definition, '$.on_failure[*].id')
             ) WITH ORDINALITY AS named (id, place)
        LEFT JOIN run_steps ON run_steps.run_id = runs.id AND run_steps.step_id = named.id
        ORDER BY named.place
    ) AS step"""

# The parameter stands in a sub-select, where the planner doesn't look at it. Else it thinks a plan for just these ids
# cheaper than one for any, and makes one at each execution, which takes four times as long as to read the run.
_WRITE = f"""
SELECT runs.id, runs.workflow_id::text, row_to_json(answer)::text
FROM runs
JOIN workflow_versions AS version
  ON version.workflow_id = runs.workflow_id AND version.version = runs.workflow_version
CROSS JOIN LATERAL (
    SELECT runs.id, runs.workflow_id, runs.workflow_version, runs.status, runs.correlation_id, runs.requested_by,
           runs.attempt, {_moment("runs.created_at")} AS created_at, {_moment("runs.started_at")} AS started_at,
           {_moment("runs.finished_at")} AS finished_at, {_moment("runs.cancel_requested_at")} AS cancel_requested_at,
           {_moment("runs.pause_requested_at")} AS pause_requested_at, {_moment("runs.paused_at")} AS paused_at,
           runs.origin_run_id, runs.priority, runs.parent_run_id, runs.parent_step_id,
           {WAITS_FOR} AS waits_for,
           runs.input, runs.output, runs.error, array_to_json(ARRAY({_STEPS})) AS steps
) AS answer
WHERE runs.id = ANY((SELECT $1::uuid[])::uuid[])"""


@dataclass(frozen=True, slots=True)
class WrittenRun:
    """A run with all steps of its version, also those not begun."""

    workflow_id: str
    json: bytes
    """A RunAnswer."""


async def write_many(engine: AsyncEngine, run_ids: Sequence[UUID]) -> dict[UUID, WrittenRun]:
    """The runs that there are, by their ids. One statement."""
    rows = await fetch(engine, _WRITE, run_ids)
    return {run_id: WrittenRun(workflow_id, written.encode()) for run_id, workflow_id, written in rows}
