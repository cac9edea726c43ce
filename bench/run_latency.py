"""How long a run takes from its acceptance to its end, measured through the public API.

    WORKFLOW_PASSWORD_FILE=... python -m bench.run_latency --url http://127.0.0.1:8000 [--runs 100] [--json]

Makes a workflow of three noop steps, executes it again and again, one run at a time, and polls each run tightly. Two
figures come of it: what a caller sees (request sent -> ``completed`` read, polling included) and what the server wrote
(``created_at`` -> ``finished_at``). Credentials come from the environment: ``WORKFLOW_PASSWORD`` (user
``WORKFLOW_USERNAME``, default ``admin``) or ``WORKFLOW_API_KEY``, each also as ``..._FILE``. The workflow
(``bench-...``) stays, because its runs do; its agent is removed.
"""

import argparse
import json
import math
import os
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

POLL_SECONDS = 0.001
RUN_SECONDS = 60.0
WARM_UP_RUNS = 5
FINAL = ("completed", "failed", "cancelled")


class BenchError(RuntimeError):
    """The measurement is impossible; the message says why and what would help."""


@dataclass
class Samples:
    """Milliseconds of each run; a run during which the API refused by its rate limit has no caller's figure."""

    caller: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    throttled: int = 0


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share (0..1) of the values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def summary(values: Sequence[float]) -> dict[str, float] | None:
    """p50, p95, least and greatest of the values; None where there are none."""
    if not values:
        return None
    found = {"p50": percentile(values, 0.5), "p95": percentile(values, 0.95), "min": min(values), "max": max(values)}
    return {name: round(value, 2) for name, value in found.items()}


class Api:
    """The few calls that are needed, with the rate limit obeyed."""

    def __init__(self, url: str, prefix: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=15, trust_env=False)
        self._prefix = prefix
        self.refused = 0

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def log_in(self) -> None:
        """Prove who we are by what the environment gives; without any, go on as nobody."""
        if key := read_secret("WORKFLOW_API_KEY"):
            self._client.headers[os.environ.get("WORKFLOW_API_KEY_HEADER", "X-API-Key")] = key
        elif password := read_secret("WORKFLOW_PASSWORD"):
            name = os.environ.get("WORKFLOW_USERNAME", "admin")
            token = self.call("POST", "/auth/login", {"username": name, "password": password})["access_token"]
            self._client.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One request below the prefix; waits and repeats when refused by the rate limit. Raises BenchError."""
        while True:
            try:
                answer = self._client.request(method, self._prefix + path, json=body)
            except httpx.HTTPError as error:
                raise BenchError(f"{self._client.base_url} does not answer: {error}") from None
            if answer.status_code != 429:
                break
            self.refused += 1
            time.sleep(min(60.0, float(answer.headers.get("Retry-After", "1"))))
        if answer.is_error:
            hint = "; give WORKFLOW_PASSWORD_FILE or WORKFLOW_API_KEY_FILE" if answer.status_code == 401 else ""
            raise BenchError(f"{method} {self._prefix}{path} was answered with {answer.status_code}{hint}")
        return answer.json() if answer.content else None


def read_secret(name: str) -> str | None:
    """A credential from the variable of that name, or from the file named by `<name>_FILE`. Raises BenchError."""
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return os.environ.get(name)
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise BenchError(f"{name}_FILE names {path}, which cannot be read: {error.strerror}") from None


def measure(api: Api, runs: int) -> Samples:
    """Execute the workflow so many times, after a few runs that do not count."""
    name = f"bench-{secrets.token_hex(4)}"
    agent = api.call("POST", "/agents", {"name": name, "kind": "noop", "settings": {}})
    try:
        chain = [{"id": f"s{n}", "agent": name, "needs": [f"s{n - 1}"] if n > 1 else []} for n in (1, 2, 3)]
        workflow = api.call("POST", "/workflows", {"name": name, "description": "latency bench", "steps": chain})
        samples = Samples()
        for number in range(WARM_UP_RUNS + runs):
            _one_run(api, workflow["id"], samples if number >= WARM_UP_RUNS else Samples())
        return samples
    finally:
        api.call("DELETE", f"/agents/{agent['id']}")


def _one_run(api: Api, workflow_id: str, samples: Samples) -> None:
    refused_before = api.refused
    began = time.perf_counter()
    run_id = api.call("POST", f"/workflows/{workflow_id}/execute", {"input": {}})["run_id"]
    while (run := api.call("GET", f"/runs/{run_id}"))["status"] not in FINAL:
        if time.perf_counter() - began > RUN_SECONDS:
            raise BenchError(
                f"run {run_id} is still {run['status']} after {RUN_SECONDS:g} s: are relay and executor up?"
            )
        time.sleep(POLL_SECONDS)
    elapsed = time.perf_counter() - began
    if run["status"] != "completed":
        raise BenchError(f"run {run_id} ended as {run['status']}: {run.get('error')}")
    created, finished = (datetime.fromisoformat(run[name]) for name in ("created_at", "finished_at"))
    samples.server.append((finished - created).total_seconds() * 1000)
    if api.refused == refused_before:
        samples.caller.append(elapsed * 1000)
    else:
        samples.throttled += 1


def main(arguments: Sequence[str]) -> int:
    """Measure and print; exit code 1 when that was impossible."""
    parser = argparse.ArgumentParser(prog="python -m bench.run_latency", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--url", default=os.environ.get("WORKFLOW_URL", "http://127.0.0.1:8000"), help="of the API")
    parser.add_argument("--prefix", default="/api/v1", help="of the business routes")
    parser.add_argument("--runs", type=int, default=100, help="that count")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    if given.runs < 1:
        parser.error("--runs must be at least 1")
    api = Api(given.url.rstrip("/"), given.prefix)
    try:
        api.log_in()
        samples = measure(api, given.runs)
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    finally:
        api.close()
    result = {
        "runs": given.runs,
        "throttled": samples.throttled,
        "caller_ms": summary(samples.caller),
        "server_ms": summary(samples.server),
    }
    if given.json:
        sys.stdout.write(json.dumps(result) + "\n")
        return 0
    for title, figures in (("caller", result["caller_ms"]), ("server", result["server_ms"])):
        line = "  ".join(f"{name} {value:8.2f} ms" for name, value in figures.items()) if figures else "throttled"
        sys.stdout.write(f"{title:<8}{line}\n")
    if samples.throttled:
        sys.stdout.write(f"{samples.throttled} of {given.runs} runs met the rate limit and have no caller's figure\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
