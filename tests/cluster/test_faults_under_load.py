"""kill -9 of each part of a production stack under load: nothing committed is lost, writes are back in time."""

from collections.abc import Callable

import pytest

from tests.cluster.production import Production

pytestmark = [pytest.mark.ring("faults"), pytest.mark.item("failover-tested")]

KILLS: dict[str, Callable[[Production], int]] = {
    "postgres-primary": lambda production: production.kill_pod("postgres", "role=master"),
    "kafka-broker": lambda production: production.kill_pod("kafka"),
    "api": lambda production: production.kill_pod("api"),
    "executor": lambda production: production.kill_pod("executor"),
    "edge": lambda production: production.kill_pod("edge"),
    "kubelet": lambda production: production.kill_kubelet(),
}


@pytest.mark.parametrize("what", KILLS)
def test_killed_under_load_nothing_committed_is_lost(
    what: str, deployed: Production, record_property: Callable[[str, object], None]
) -> None:
    report = deployed.survives(lambda: KILLS[what](deployed), what)
    for name in ("longest_write_gap_seconds", "accepted_runs", "failed"):
        record_property(f"{what}_{name}", getattr(report, name))
