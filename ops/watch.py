"""Looks at a fresh release for a while: does it answer, do its users get errors, does anything restart."""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.console import Report
from ops.health import Probe
from ops.live import LivePart, LiveStack

PROBE_SECONDS = 1.0
MOST_ERRORS = 0.01
"""Share of requests that may fail in the first minutes."""

SLOWEST_P95_SECONDS = 2.0
LEAST_REQUESTS = 20
"""From so many requests on their times and errors are a figure; before, each failure counts."""

SERVER_ERROR = 500


@dataclass(frozen=True)
class Traffic:
    """What users got: requests, those answered with a server's error, and the times of all (seconds)."""

    requests: int
    errors: int
    seconds: Sequence[float]

    @property
    def p95(self) -> float | None:
        """The time that 95 of 100 requests did not exceed."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))] if ordered else None


def traffic_of(lines: Iterable[str]) -> Traffic:
    """What the edge's access records tell. Lines that are none are passed over."""
    statuses: list[int] = []
    times: list[float] = []
    for line in lines:
        try:
            record = json.loads(line)
            status, seconds = int(record["status"]), float(record["duration_s"])
        except (ValueError, KeyError, TypeError):
            continue
        statuses.append(status)
        times.append(seconds)
    return Traffic(len(statuses), sum(status >= SERVER_ERROR for status in statuses), times)


def judge(probes: Sequence[Probe], traffic: Traffic, before: Mapping[str, int], after: Sequence[LivePart]) -> list[str]:
    """Everything that speaks against the release; nothing when all is well."""
    why = []
    failed = [probe for probe in probes if not probe.ok]
    if len(failed) > len(probes) * MOST_ERRORS:
        why.append(f"{len(failed)} of {len(probes)} probes failed, the last with: {failed[-1].detail}")
    if traffic.errors > traffic.requests * MOST_ERRORS:
        why.append(f"{traffic.errors} of {traffic.requests} requests were answered with a server's error")
    if traffic.requests >= LEAST_REQUESTS and (p95 := traffic.p95) is not None and p95 > SLOWEST_P95_SECONDS:
        why.append(f"95 of 100 requests took up to {p95:.2f} s, more than {SLOWEST_P95_SECONDS:g} s")
    for part in after:
        restarts = int(part.as_json()["restarts"]) - before.get(part.name, 0)
        if part.kind not in {"job", "schedule"} and restarts > 0:
            why.append(f"{part.name} restarted {restarts} times")
        if part.verdict not in {"ok", "starting"}:
            why.append(f"{part.name} is {part.verdict}: {part.as_json()['health'] or part.as_json()['state']}")
    return why


def watch(
    live: LiveStack,
    ask: Callable[[], Probe],
    traffic_since: Callable[[float], Traffic],
    seconds: float,
    report: Report,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """Probes once a second for `seconds`, then judges probes, traffic and parts together."""
    started = clock()
    before = {part.name: int(part.as_json()["restarts"]) for part in live.parts()}
    probes: list[Probe] = []
    while not probes or clock() - started < seconds:
        probes.append(ask())
        report(f"{clock() - started:.0f} of {seconds:.0f} s, {sum(not probe.ok for probe in probes)} failed probes")
        pause(PROBE_SECONDS)
    traffic = traffic_since(started)
    why = judge(probes, traffic, before, live.parts())
    failed = sum(not probe.ok for probe in probes)
    return {
        "passed": not why,
        "why": why,
        "seconds": round(clock() - started, 1),
        "probes": len(probes),
        "failedProbes": failed,
        "requests": traffic.requests,
        "errors": traffic.errors,
        "p95Seconds": traffic.p95,
        "summary": f"{len(probes)} probes, {failed} failed; {traffic.requests} requests at the edge, "
        f"{traffic.errors} server errors",
    }
