"""`./deploy-api.sh bench`: how fast the service is on this machine, all its parts and their callers together on it.

    python -m bench.service [--quick] [--only NAME ...] [--executors N] [--json]

Every run has three steps that do nothing, one after the other; Postgres writes to the disk and waits for it. The
figures are of one machine at one time: compare only what was measured in one session.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass

from bench.service.growth import by_steps, by_stored_runs
from bench.service.hello import hello_world
from bench.service.load import Callers, Spread, callers, closed_loop, median, open_loop
from bench.service.system import System, system

Call = Callable[[int], Awaitable[object]]

MANY_RUNS = """
INSERT INTO runs (id, workflow_id, workflow_version, status, correlation_id, requested_by, created_at, finished_at)
SELECT gen_random_uuid(), $1, 1, CASE WHEN number % 20 = 0 THEN 'failed' ELSE 'completed' END, 'bench', 'bench',
    now() - make_interval(secs => $2 - number), now() FROM generate_series(1, $2) AS number
"""


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    what: str
    value: str


@dataclass
class Bench:
    """One session."""

    system: System
    callers: Callers
    quick: bool

    async def completed(self, name: str, count: int, at_once: int) -> tuple[float, float, Spread]:
        """Ask for runs one by one; completed a second, accepted a second, and how long acceptance took."""
        path = f"/workflows/{await self.callers.workflow(name)}/execute"

        async def execute(_number: int) -> None:
            await self.callers.post(path, {})

        accepted, spread = await closed_loop(count, at_once, execute)
        took = await self.callers.completed(path.split("/")[2], count)
        return count / took, accepted, spread

    async def single(self) -> list[Figure]:
        """Completed runs a second when each is asked for by itself."""
        count = 500 if self.quick else 5000
        completed, accepted, spread = await self.completed("single", count, 32)
        return [
            Figure(f"runs completed a second, {count} single requests, 32 callers", f"{completed:.0f}"),
            Figure("  of which accepted a second; latency p50 / p95 / p99", f"{accepted:.0f}; {spread.shown()}"),
        ]

    async def bulk(self) -> list[Figure]:
        """Completed runs a second when they are asked for by the thousand."""
        workflow = await self.callers.workflow("bulk")
        requests, each = (2, 500) if self.quick else (20, 1000)
        body: dict[str, list[object]] = {"runs": [{}] * each}
        path = f"/workflows/{workflow}/execute-many"
        rate, _ = await closed_loop(requests, 2, self.callers.posting(path, body))
        took = await self.callers.completed(workflow, requests * each)
        what = f"runs completed a second, {requests} requests of {each} runs"
        return [
            Figure(what, f"{requests * each / took:.0f}"),
            Figure("  of which accepted a second", f"{rate * each:.0f}"),
        ]

    async def latency(self) -> list[Figure]:
        """From the acceptance to the claim and to the end, under a steady load."""
        found = []
        for rate, seconds in ((1, 5), (100, 2)) if self.quick else ((1, 30), (100, 15), (500, 10)):
            workflow = await self.callers.workflow(f"latency-{rate}")
            path = f"/workflows/{workflow}/execute"
            count = await open_loop(rate, seconds, self.callers.posting(path, {}))
            await self.callers.completed(workflow, count)
            claimed, done = await self.callers.stages(workflow)
            found.append(Figure(f"accepted to claimed at {rate}/s, p50 / p95 / p99", claimed.shown()))
            found.append(Figure(f"accepted to completed at {rate}/s, p50 / p95 / p99", done.shown()))
        return found

    async def execute_alone(self) -> list[Figure]:
        """How long one caller waits for the acceptance of a run, when nothing else is asked for."""
        _, _, spread = await self.completed("alone", 50 if self.quick else 300, 1)
        return [Figure("execute, one caller, p50 / p95 / p99", spread.shown())]

    async def read(self) -> list[Figure]:
        """Reading finished runs, beside the least that FastAPI can do."""
        workflow = await self.callers.workflow("read")
        runs = 100 if self.quick else 1000
        made = await self.callers.post(f"/workflows/{workflow}/execute-many", {"runs": [{"input": {}}] * runs})
        await self.callers.completed(workflow, runs)
        gets = [self.callers.getting(f"/api/v1/runs/{run_id}") for run_id in made["run_ids"]]
        found: list[Figure] = []
        with hello_world() as url:
            for at_once in (16, 64):
                found += await self._share(gets, self.callers.getting(url), at_once)
        return found

    async def _share(
        self,
        gets: Sequence[Callable[[int], Awaitable[object]]],
        floor: Callable[[int], Awaitable[object]],
        at_once: int,
    ) -> list[Figure]:
        count, ours, theirs = 300 if self.quick else 5000, [], []
        for _ in range(1 if self.quick else 5):
            ours.append((await closed_loop(count, at_once, lambda number: gets[number % len(gets)](number)))[0])
            theirs.append((await closed_loop(count, at_once, floor))[0])
        shares = [mine / least for mine, least in zip(ours, theirs, strict=True)]
        return [
            Figure(f"GET of finished runs a second, {at_once} callers", f"{median(ours):.0f}"),
            Figure("  FastAPI that answers a constant, same callers", f"{median(theirs):.0f}"),
            Figure("  share: median, least, most", f"{median(shares):.0%} / {min(shares):.0%} / {max(shares):.0%}"),
        ]

    async def lists(self) -> list[Figure]:
        """Pages of a long list."""
        workflow = await self.callers.workflow("lists")
        count = 20_000 if self.quick else 1_000_000
        await self.callers.execute_sql(MANY_RUNS, workflow, count)
        await self.callers.execute_sql("ANALYZE runs")
        found = []
        for name, asked in (
            ("newest", ""),
            ("oldest", "&sort=created_at"),
            ("of one status", "&status=failed"),
            ("of one workflow", f"&workflow_id={workflow}"),
        ):
            path = f"/api/v1/runs?size=100{asked}"
            first = json.loads(await self.callers.get(path))
            # Somewhere in the middle: following pages cost the same, so a few are followed only.
            pages = path
            for _ in range(5):
                pages = f"{path}&cursor={first['next']}"
                first = json.loads(await self.callers.get(pages))
            _, spread = await closed_loop(100, 1, self.callers.getting(pages))
            found.append(Figure(f"a page of 100 of {count} runs, {name}, p50 / p95 / p99", spread.shown()))
        return found

    async def growth(self) -> list[Figure]:
        """How costs grow with the runs that are stored and with the steps of a workflow; some minutes."""
        rows = await by_steps(self.system, self.callers, self.quick)
        rows += await by_stored_runs(self.system, self.callers, self.quick)
        return [Figure(what, value) for what, value in rows]

    async def memory(self) -> list[Figure]:
        """What the processes have in memory at the end."""
        used = self.system.memory()
        return [Figure(f"memory of {name}", f"{size / 1024 / 1024:.0f} MB") for name, size in used.items()]


USUAL = ("execute_alone", "latency", "single", "bulk", "read", "lists", "memory")
NAMES = (*USUAL, "growth")


async def measure(running: System, quick: bool, only: Sequence[str]) -> list[Figure]:
    """All that is asked for, in one session."""
    found: list[Figure] = []
    async with callers(running) as calling:
        bench = Bench(running, calling, quick)
        await bench.completed("warm", 50, 4)
        for name in only or USUAL:
            began, used = time.monotonic(), running.cpu()
            part: Callable[[], Awaitable[list[Figure]]] = getattr(bench, name)
            found += await part()
            spent = {each: round(total - used[each], 1) for each, total in running.cpu().items()}
            sys.stderr.write(f"{name}: {time.monotonic() - began:.1f} s, seconds of a processor {spent}\n")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the load: it works, but measures little")
    parser.add_argument("--only", action="append", choices=NAMES, default=[], help="one part; may be repeated")
    parser.add_argument("--executors", type=int, choices=range(1, 9), default=1, metavar="N", help="replicas, 1 to 8")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args(arguments)
    with system(given.executors) as running:
        figures = asyncio.run(measure(running, given.quick, given.only))
    if given.json:
        sys.stdout.write(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")
        return 0
    width = max(len(figure.what) for figure in figures)
    for figure in figures:
        sys.stdout.write(f"{figure.what:<{width}}  {figure.value}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
