"""Clocks of machines that are off by an hour: leases and schedules go by the database's."""

import re
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.settings import Settings
from tests.service.executor_support import add_workflow, finished, relaying, step, submit
from tests.service.faults.programs import ROOT, executor, programs
from tests.service.servers import free_port

# Read by Python when it starts, before anything of the service is imported.
_OFF = """
import datetime, time
_time, _datetime = time.time, datetime.datetime
class Shifted(_datetime):
    @classmethod
    def now(cls, tz=None):
        return _datetime.now(tz) + datetime.timedelta(seconds={seconds})
time.time = lambda: _time() + {seconds}
datetime.datetime = Shifted
"""

OWN_CLOCK = {
    "service/auth/known_keys.py",
    "service/auth/tokens.py",
    "service/auth/known_tokens.py",
    "service/executor/kinds/http.py",
    "service/health/routes.py",
    "service/platform/worker_http.py",
}
"""What may read its machine's clock: tokens (their ends are in them), keys for the seconds that they are remembered,
a date in an HTTP answer, a page's time stamp."""


@pytest.mark.ring("unit")
def test_nothing_but_what_is_named_reads_the_clock_of_its_machine() -> None:
    reads = re.compile(r"datetime\.now\(|time\.time\(|\butcnow\(|\bdate\.today\(")
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "service").rglob("*.py")
        if reads.search(path.read_text(encoding="utf-8"))
    }
    assert found == OWN_CLOCK


@pytest.mark.ring("service")
async def test_executors_whose_clocks_differ_by_two_hours_take_no_run_from_one_another(
    engine: AsyncEngine, settings: Settings, tmp_path: Path
) -> None:
    found = []
    for name, seconds in (("early", -3600), ("late", 3600)):
        (folder := tmp_path / name).mkdir()
        (folder / "sitecustomize.py").write_text(_OFF.format(seconds=seconds))
        lease = {"EXECUTOR_LEASE_SECONDS": "6", "EXECUTOR_CONCURRENCY": "4", "PYTHONPATH": str(folder)}
        found.append(executor(settings, tmp_path, free_port(), name, **lease))
    # Longer than a lease, so that it has to be extended.
    workflow_id = await add_workflow(engine, step("wait", "delay", seconds=8))
    async with relaying(settings), programs(*found):
        runs = [await submit(engine, settings, workflow_id) for _ in range(6)]
        rows = [await finished(engine, run_id, seconds=90) for run_id in runs]
    assert {(row.status, row.lease_token, row.attempt) for row in rows} == {("completed", 1, 1)}
    assert all(0 <= (row.finished_at - row.created_at).total_seconds() < 600 for row in rows)
