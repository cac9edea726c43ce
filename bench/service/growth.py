"""How the cost of a request and of a run grows: with the runs that there are, and with the steps of a workflow.

Figures are of one caller at a time, or of a processor's time, which other work on the machine disturbs less than rates.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.service.load import Callers, Spread, closed_loop
from bench.service.system import System

STORED_RUNS = (10_000, 100_000, 1_000_000)
STEPS = (1, 3, 10, 50)
JOURNALLED = 3
"""Steps of each stored run."""

_CALLS = 200

# Runs as those that were made before: over the last weeks, some of them failed.
_FILL = """
WITH made AS (
    INSERT INTO runs (id, workflow_id, workflow_version, status, correlation_id, requested_by, created_at, finished_at)
    SELECT gen_random_uuid(), $1, 1, CASE WHEN number % 20 = 0 THEN 'failed' ELSE 'completed' END, 'bench', 'bench',
        now() - make_interval(secs => number), now() FROM generate_series($2::int, $3::int) AS number
    RETURNING id
)
INSERT INTO run_steps (run_id, step_id, status, attempt, output, started_at, finished_at, lease_token)
SELECT made.id, 's' || step, 'completed', 1, '{}', now(), now(), 1 FROM made, generate_series(0, $4::int - 1) AS step
"""


@dataclass(frozen=True)
class Costs:
    """What one run costs, in milliseconds."""

    execute: Spread
    done: Spread
    executor_processor: float
    database_processor: float


async def fill(callers: Callers, workflow_id: str, present: int, wanted: int) -> None:
    """Add finished runs with their journal to those ``present``, so that there are ``wanted`` of the workflow."""
    await callers.execute_sql(_FILL, workflow_id, present + 1, wanted, JOURNALLED)
    for table in ("runs", "run_steps"):
        await callers.execute_sql(f"VACUUM ANALYZE {table}")


async def of_runs(running: System, callers: Callers, name: str, steps: int, calls: int = _CALLS) -> Costs:
    """What runs of so many steps cost when they are asked for one after the other and done by then or later."""
    workflow = await callers.workflow(name, steps)
    before = running.cpu()
    _, execute = await closed_loop(calls, 1, callers.posting(f"/workflows/{workflow}/execute", {}))
    await callers.completed(workflow, calls)
    spent = {part: used - before[part] for part, used in running.cpu().items()}
    _, done = await callers.stages(workflow)
    executors = sum(used for part, used in spent.items() if part.startswith("executor"))
    return Costs(execute, done, _each(executors, calls), _each(spent["postgres"], calls))


async def of_reading(callers: Callers, run_id: str, workflow_id: str) -> dict[str, Spread]:
    """What one caller waits for a run and for pages of 100, by the name of what is read."""
    paths = {
        "GET of a run": f"/api/v1/runs/{run_id}",
        "the newest page": "/api/v1/runs?size=100",
        "a page of one status": "/api/v1/runs?size=100&status=failed",
        "a page of one workflow": f"/api/v1/runs?size=100&workflow_id={workflow_id}",
    }
    return {name: (await closed_loop(_CALLS, 1, callers.getting(path)))[1] for name, path in paths.items()}


async def by_stored_runs(running: System, callers: Callers, quick: bool) -> list[tuple[str, str]]:
    """Rows of the table: each cost beside the number of runs that are stored."""
    stored = await callers.workflow("growth-stored")
    run = (await callers.post(f"/workflows/{stored}/execute", {}))["run_id"]
    await callers.completed(stored, 1)
    rows, present = [], 0
    for wanted in (number // 100 if quick else number for number in STORED_RUNS):
        await fill(callers, stored, present, wanted)
        present = wanted
        costs = await of_runs(running, callers, f"growth-among-{wanted}", JOURNALLED)
        rows.append((f"{wanted} runs stored: execute, one caller, p50 / p95 / p99", costs.execute.shown()))
        rows.append(("  accepted to completed, three steps", costs.done.shown()))
        rows.append(("  processor of executor, of Postgres, for each run", _processors(costs)))
        for name, spread in (await of_reading(callers, run, stored)).items():
            rows.append((f"  {name}", spread.shown()))
    return rows


async def by_steps(running: System, callers: Callers, quick: bool) -> list[tuple[str, str]]:
    """Rows of the table: what a run costs beside the number of its steps."""
    rows = []
    for steps in STEPS:
        costs = await of_runs(running, callers, f"growth-steps-{steps}", steps, _CALLS // 10 if quick else _CALLS)
        rows.append((f"{steps} steps one after the other: accepted to completed, p50 / p95 / p99", costs.done.shown()))
        rows.append(("  processor of executors, of Postgres, for each run", _processors(costs)))
    return rows


def _each(seconds: float, count: int) -> float:
    return round(seconds * 1000 / count, 2)


def _processors(costs: Costs) -> str:
    return f"{costs.executor_processor:g} ms, {costs.database_processor:g} ms"
