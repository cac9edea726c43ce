"""What speaks against a fresh release, and what does not."""

import json
from typing import Any, cast

import pytest

from ops.health import Probe
from ops.kube_parts import KubePart
from ops.live import LiveStack
from ops.watch import Traffic, judge, traffic_of, watch

pytestmark = pytest.mark.ring("unit")

WELL = Probe("https://edge/health", True, "200 healthy", 0.01)
ILL = Probe("https://edge/health", False, "connection refused", 0.01)
CALM = Traffic(0, 0, [])


def part(restarts: int = 0, verdict: Any = "ok") -> KubePart:
    return KubePart("api", "api", "i", "service", "3/3 ready", verdict, restarts=restarts, health="CrashLoopBackOff")


def test_a_calm_watch_has_nothing_against_the_release() -> None:
    assert judge([WELL] * 60, Traffic(3000, 3, [0.1] * 3000), {"api": 1}, [part(restarts=1)]) == []


@pytest.mark.parametrize(
    ("probes", "traffic", "after", "said"),
    [
        ([WELL, ILL], CALM, [part()], "1 of 2 probes failed, the last with: connection refused"),
        ([WELL], Traffic(100, 2, [0.1] * 100), [part()], "2 of 100 requests were answered with a server's error"),
        ([WELL], Traffic(100, 0, [3.0] * 100), [part()], "95 of 100 requests took up to 3.00 s"),
        ([WELL], CALM, [part(restarts=2)], "api restarted 2 times"),
        ([WELL], CALM, [part(verdict="failed")], "api is failed: CrashLoopBackOff"),
    ],
    ids=["probes", "errors", "slow", "restarts", "failed part"],
)
def test_each_trouble_is_told(probes: Any, traffic: Traffic, after: Any, said: str) -> None:
    (why,) = judge(probes, traffic, {}, after)
    assert said in why


def test_one_failure_among_few_probes_counts_and_one_among_many_does_not() -> None:
    assert judge([ILL, *[WELL] * 50], CALM, {}, [])
    assert not judge([ILL, *[WELL] * 200], CALM, {}, [])


def test_traffic_is_read_from_the_edges_records_and_other_lines_are_passed_over() -> None:
    lines = [
        json.dumps({"status": "200", "duration_s": "0.010"}),
        json.dumps({"status": "503", "duration_s": "1.5"}),
        json.dumps({"message": "started"}),
        "not json",
    ]
    traffic = traffic_of(lines)
    assert (traffic.requests, traffic.errors, traffic.p95) == (2, 1, 1.5)
    assert CALM.p95 is None


def test_a_watch_lasts_as_long_as_it_was_asked_for_and_at_least_one_probe() -> None:
    now = [0.0]

    class Live:
        def parts(self) -> list[KubePart]:
            return [part()]

    def pause(seconds: float) -> None:
        now[0] += seconds

    def run(seconds: float) -> dict[str, Any]:
        live = cast(LiveStack, Live())
        return watch(live, lambda: WELL, lambda _since: CALM, seconds, lambda _l: None, pause, lambda: now[0])

    assert run(5)["probes"] == 5
    assert run(0)["probes"] == 1
    assert run(5)["passed"]
