"""A steady load of requests and runs, and what became of them: nothing of it may fail while a stack is being changed.

    WORKFLOW_PASSWORD_FILE=... python -m bench.steady_load --url https://127.0.0.1:30443 --ca ca.pem [--seconds 60]

Requests are sent when they are due, whether or not earlier ones were answered (an open loop), so that a pause of the
server is seen as it is. Nothing is sent twice: what a caller would have to repeat counts as failed. After the load
every accepted run is looked up until it has ended; one that does not end in time, or is not there, is lost.
"""

import argparse
import asyncio
import itertools
import json
import os
import secrets
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp
import httpx

from bench.run_latency import FINAL, BenchError, percentile, read_secret

REQUESTS_PER_SECOND, RUNS_PER_SECOND = 50.0, 20.0
REQUEST_SECONDS = 20.0
LOOKUPS_AT_ONCE = 16
CONNECTIONS = 64
MOST_UNANSWERED = 500
"""Requests in flight beyond which the load stops making more and counts what is due as failed."""


@dataclass
class LoadReport:
    """What became of the load. Seconds and milliseconds as named; `failed` counts by reason."""

    seconds: float = 0.0
    requests: int = 0
    accepted_runs: int = 0
    completed_runs: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    failed_runs: list[str] = field(default_factory=list)
    lost_runs: list[str] = field(default_factory=list)
    longest_write_gap_seconds: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0

    @property
    def flawless(self) -> bool:
        """Whether nothing failed and nothing was lost."""
        return not (self.failed or self.failed_runs or self.lost_runs)


class SteadyLoad:
    """Reads and runs against one API at fixed rates, in a thread of its own, until it is told to stop."""

    def __init__(
        self,
        url: str,
        *,
        headers: dict[str, str],
        ca: str | None = None,
        prefix: str = "/api/v1",
        requests_per_second: float = REQUESTS_PER_SECOND,
        runs_per_second: float = RUNS_PER_SECOND,
    ) -> None:
        """Of the requests so many start a run, the others read. `ca` is the PEM text by which the server is trusted;
        the public authorities when not given."""
        self._base = url.rstrip("/") + prefix
        self._headers = headers
        self._verify = ssl.create_default_context(cadata=ca) if ca else ssl.create_default_context()
        self._rates = (requests_per_second - runs_per_second, runs_per_second)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._failed: Counter[str] = Counter()
        self._runs: list[str] = []
        self._latencies: list[float] = []
        self._writes: list[float] = []
        self._requests = 0
        self._unanswered = 0
        self.report = LoadReport()

    def start(self) -> None:
        """Begin. The workflow is made first; raises BenchError when that does not work."""
        workflow, agent = self._prepare()
        self._thread = threading.Thread(target=self._run, args=(workflow, agent), name="steady-load", daemon=True)
        self._thread.start()

    def stop(self, settle_seconds: float = 120.0) -> LoadReport:
        """End the load, wait for the accepted runs to end, and tell. Raises what broke the load itself."""
        self._settle = settle_seconds
        self._stop.set()
        if self._thread is not None:
            self._thread.join(settle_seconds + 2 * REQUEST_SECONDS + 30)
        if self._failure is not None:
            raise self._failure
        return self.report

    @property
    def accepted(self) -> int:
        """Runs accepted so far, while the load runs."""
        return len(self._runs)

    @property
    def failures_so_far(self) -> dict[str, int]:
        """Failed requests by reason, while the load runs."""
        return dict(self._failed)

    def _prepare(self) -> tuple[str, str]:
        name = f"load-{secrets.token_hex(4)}"
        with httpx.Client(
            verify=self._verify, headers=self._headers, timeout=REQUEST_SECONDS, trust_env=False
        ) as client:
            agent = _made(client.post(f"{self._base}/agents", json={"name": name, "kind": "noop", "settings": {}}))
            steps = [{"id": f"s{n}", "agent": name, "needs": [f"s{n - 1}"] if n > 1 else []} for n in (1, 2, 3)]
            body = {"name": name, "description": "steady load", "steps": steps}
            return _made(client.post(f"{self._base}/workflows", json=body)), agent

    def _run(self, workflow: str, agent: str) -> None:
        try:
            asyncio.run(self._drive(workflow, agent))
        except BaseException as error:  # noqa: BLE001 - handed over to the thread that asks for the report
            self._failure = error

    async def _drive(self, workflow: str, agent: str) -> None:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=self._verify),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
            raise_for_status=True,
        ) as client:
            began = time.monotonic()
            reads, runs = self._rates
            async with asyncio.TaskGroup() as group:
                group.create_task(self._at_rate(reads, "read", lambda: self._read(client)))
                group.create_task(self._at_rate(runs, "run", lambda: self._execute(client, workflow)))
            ended = time.monotonic()
            self._summarise(began, ended)
            await self._look_up(client)
            with suppress(aiohttp.ClientError, TimeoutError):
                await client.delete(f"{self._base}/agents/{agent}")

    async def _at_rate(self, rate: float, name: str, act: Callable[[], Awaitable[None]]) -> None:
        if rate <= 0:
            return
        due = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while not self._stop.is_set():
                if self._unanswered < MOST_UNANSWERED:
                    group.create_task(self._counted(name, act))
                else:
                    self._failed["not sent: too many unanswered"] += 1
                due += 1 / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _counted(self, name: str, act: Callable[[], Awaitable[None]]) -> None:
        self._requests += 1
        self._unanswered += 1
        began = time.monotonic()
        try:
            await act()
            self._latencies.append((time.monotonic() - began) * 1000)
        except aiohttp.ClientResponseError as error:
            self._failed[f"{error.request_info.method} answered {error.status}"] += 1
        except (aiohttp.ClientError, TimeoutError) as error:
            self._failed[f"{name} {type(error).__name__}"] += 1
        finally:
            self._unanswered -= 1

    async def _read(self, client: aiohttp.ClientSession) -> None:
        path = f"/runs/{secrets.choice(self._runs)}" if self._runs and self._requests % 2 else "/workflows?page_size=5"
        async with client.get(self._base + path) as answer:
            await answer.read()

    async def _execute(self, client: aiohttp.ClientSession, workflow: str) -> None:
        async with client.post(f"{self._base}/workflows/{workflow}/execute", json={"input": {}}) as answer:
            self._runs.append((await answer.json())["run_id"])
            self._writes.append(time.monotonic())

    def _summarise(self, began: float, ended: float) -> None:
        moments = [began, *sorted(self._writes), ended]
        latencies = self._latencies or [0.0]
        self.report = LoadReport(
            seconds=round(ended - began, 1),
            requests=self._requests,
            accepted_runs=len(self._runs),
            failed=dict(self._failed),
            longest_write_gap_seconds=round(max(after - before for before, after in itertools.pairwise(moments)), 2),
            p50_ms=round(percentile(latencies, 0.5), 1),
            p95_ms=round(percentile(latencies, 0.95), 1),
            p99_ms=round(percentile(latencies, 0.99), 1),
        )

    async def _look_up(self, client: aiohttp.ClientSession) -> None:
        """Follows every accepted run to its end, with a bound for all of them together."""
        deadline = time.monotonic() + self._settle
        at_once = asyncio.Semaphore(LOOKUPS_AT_ONCE)

        async def follow(run: str) -> str:
            status = "unknown"
            async with at_once:
                while status not in FINAL:
                    try:
                        async with client.get(f"{self._base}/runs/{run}") as answer:
                            status = str((await answer.json())["status"])
                    except aiohttp.ClientResponseError as error:
                        status = f"answered {error.status}"
                    except (aiohttp.ClientError, TimeoutError) as error:
                        status = f"not answered: {type(error).__name__}"
                    if status not in FINAL:
                        if time.monotonic() > deadline:
                            return status
                        await asyncio.sleep(0.2)
            return status

        ends = dict(zip(self._runs, await asyncio.gather(*map(follow, self._runs)), strict=True))
        self.report.completed_runs = sum(status == "completed" for status in ends.values())
        self.report.failed_runs = [run for run, status in ends.items() if status in FINAL and status != "completed"]
        self.report.lost_runs = [f"{run}: {status}" for run, status in ends.items() if status not in FINAL]

    _settle: float = 120.0


def _made(answer: httpx.Response) -> str:
    if answer.status_code != httpx.codes.CREATED:
        raise BenchError(f"{answer.request.method} {answer.request.url.path} was answered with {answer.status_code}")
    return str(answer.json()["id"])


def log_in(url: str, ca: str | None, username: str, password: str, prefix: str = "/api/v1") -> dict[str, str]:
    """The headers of a signed-in caller. Raises BenchError."""
    verify = ssl.create_default_context(cadata=ca) if ca else ssl.create_default_context()
    body = {"username": username, "password": password}
    try:
        answer = httpx.post(f"{url.rstrip('/')}{prefix}/auth/login", json=body, verify=verify, timeout=REQUEST_SECONDS)
    except httpx.HTTPError as error:
        raise BenchError(f"{url} does not answer: {error}") from None
    if answer.is_error:
        raise BenchError(f"the log-in was answered with {answer.status_code}")
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def main(arguments: Sequence[str]) -> int:
    """Load, tell, and end with 1 when anything failed or was lost."""
    parser = argparse.ArgumentParser(prog="python -m bench.steady_load", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--url", default=os.environ.get("WORKFLOW_URL", "http://127.0.0.1:8000"), help="of the API")
    parser.add_argument("--ca", type=argparse.FileType(), help="file with the certificates to trust, PEM")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--requests", type=float, default=REQUESTS_PER_SECOND, help="a second, those for runs included")
    parser.add_argument("--runs", type=float, default=RUNS_PER_SECOND, help="a second")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    ca = given.ca.read() if given.ca else None
    username = os.environ.get("WORKFLOW_USERNAME", "admin")
    try:
        headers = log_in(given.url, ca, username, read_secret("WORKFLOW_PASSWORD") or "")
        load = SteadyLoad(
            given.url, headers=headers, ca=ca, requests_per_second=given.requests, runs_per_second=given.runs
        )
        load.start()
        time.sleep(given.seconds)
        report = load.stop()
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    found: dict[str, Any] = asdict(report)
    if given.json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        for name, value in found.items():
            sys.stdout.write(f"{name:<28}{len(value) if isinstance(value, list) else value}\n")
    return 0 if report.flawless else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
