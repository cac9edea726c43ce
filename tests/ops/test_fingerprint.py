"""What counts as a change behind Pulumi's back, and what does not."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from ops.fingerprint import fingerprint

pytestmark = pytest.mark.ring("unit")

CONTAINER: dict[str, Any] = {
    "Id": "c1",
    "Image": "sha256:aa",
    "Config": {"Env": ["A=1"], "Labels": {"workflow.part": "api"}},
    "HostConfig": {"Memory": 512, "NanoCpus": 1},
    "Mounts": [{"Name": "api-config", "RW": False}, {"Name": "data", "RW": True}],
    "NetworkSettings": {"Networks": {"orchestrator-network": {"Aliases": ["c1", "api"], "IPAddress": "172.18.0.2"}}},
    "State": {"Status": "running", "ExitCode": 0, "Pid": 4, "StartedAt": "t1", "Health": {"Status": "starting"}},
}
NETWORK: dict[str, Any] = {"Id": "n1", "Internal": False, "Created": "t1", "Containers": {"c1": {}}}
VOLUME: dict[str, Any] = {"Name": "data", "Labels": {"workflow.stack": "dev"}}

Change = Callable[[dict[str, Any]], object]


def of(change: Change = lambda _container: None) -> str:
    container = copy.deepcopy(CONTAINER)
    change(container)
    return fingerprint([container], [NETWORK], [VOLUME])


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["HostConfig"].update(Memory=1024),
        lambda c: c["State"].update(Status="exited", ExitCode=137),
        lambda c: c.update(Image="sha256:bb"),
        lambda c: c.update(Id="c2"),
        lambda c: c["Config"].update(Env=["A=2"]),
        lambda c: c["Mounts"].pop(),
        lambda c: c["NetworkSettings"]["Networks"].clear(),
    ],
    ids=["memory limit", "stopped", "image", "recreated", "environment", "mount", "network"],
)
def test_a_change_by_hand_is_seen(change: Change) -> None:
    assert of(change) != of()


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["State"].update(Health={"Status": "healthy"}, Pid=9, StartedAt="t2"),
        lambda c: c["NetworkSettings"]["Networks"]["orchestrator-network"].update(IPAddress="172.18.0.9"),
        lambda c: c["Mounts"].reverse(),
    ],
    ids=["health and restart", "address", "order"],
)
def test_what_changes_by_itself_is_not(change: Change) -> None:
    assert of(change) == of()


def test_a_container_a_network_or_a_volume_that_is_gone_is_seen() -> None:
    whole = of()
    assert fingerprint([], [NETWORK], [VOLUME]) != whole
    assert fingerprint([CONTAINER], [], [VOLUME]) != whole
    assert fingerprint([CONTAINER], [NETWORK], []) != whole
