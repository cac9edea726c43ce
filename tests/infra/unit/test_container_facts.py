"""Each judgement over `docker inspect` accepts a sound container and sees each planted fault."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.support import container_facts as facts

pytestmark = pytest.mark.ring("unit")

SOUND: dict[str, Any] = {
    "RestartCount": 0,
    "State": {"Running": True, "Status": "running", "ExitCode": 0, "Health": {"Status": "healthy"}},
    "Config": {
        "User": "10001:10001",
        "Env": ["API_PORT=8000", "EMPTY="],
        "Healthcheck": {
            "Test": ["CMD", "probe"],
            "Interval": 30_000_000_000,
            "Timeout": 10_000_000_000,
            "StartPeriod": 40_000_000_000,
            "Retries": 3,
        },
    },
    "HostConfig": {
        "Privileged": False,
        "CapAdd": None,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "ReadonlyRootfs": True,
        "NetworkMode": "orchestrator-network",
        "PidMode": "",
        "IpcMode": "private",
        "Memory": 512 * 1024 * 1024,
        "NanoCpus": 500_000_000,
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
    },
    "NetworkSettings": {"Ports": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8000"}], "8001/tcp": None}},
    "Mounts": [{"Type": "volume", "Name": "workflow-data", "Source": "/x", "Destination": "/data", "RW": True}],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    inspect = copy.deepcopy(SOUND)
    *way, last = path.split(".")
    place: Any = inspect
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    place[last] = value
    return inspect


CHECKS: list[Callable[[dict[str, Any]], list[str]]] = [
    facts.hardening_faults,
    facts.limit_faults,
    facts.log_faults,
    facts.binding_faults,
    facts.health_faults,
    facts.state_faults,
    lambda inspect: facts.volume_faults(inspect, "/data"),
    lambda inspect: facts.health_timing_faults(inspect, interval=30, timeout=10, start_period=40, retries=3),
]


@pytest.mark.parametrize("check", CHECKS)
def test_a_sound_container_has_no_fault(check: Callable[[dict[str, Any]], list[str]]) -> None:
    assert check(SOUND) == []


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("HostConfig.Privileged", True, "privileged"),
        ("HostConfig.CapAdd", ["NET_ADMIN"], "NET_ADMIN"),
        ("HostConfig.CapDrop", ["NET_RAW"], "does not drop all"),
        ("HostConfig.SecurityOpt", None, "no-new-privileges"),
        ("HostConfig.SecurityOpt", ["no-new-privileges:false"], "no-new-privileges"),
        ("HostConfig.SecurityOpt", ["no-new-privileges", "seccomp=unconfined"], "switched off"),
        ("HostConfig.ReadonlyRootfs", False, "writable"),
        ("HostConfig.NetworkMode", "host", "NetworkMode is the host's"),
        ("HostConfig.PidMode", "host", "PidMode is the host's"),
        ("HostConfig.Devices", [{"PathOnHost": "/dev/sda"}], "devices"),
        ("Mounts.0.Source", "/var/run/docker.sock", "engine's socket"),
        ("Config.User", "", "root"),
        ("Config.User", "0:0", "root"),
    ],
)
def test_each_excess_of_privilege_is_seen(path: str, value: Any, words: str) -> None:
    (fault,) = facts.hardening_faults(changed(path, value))
    assert words in fault


@pytest.mark.parametrize(
    ("check", "path", "value"),
    [
        (facts.limit_faults, "HostConfig.Memory", 0),
        (facts.limit_faults, "HostConfig.NanoCpus", 0),
        (facts.log_faults, "HostConfig.LogConfig.Config", {"max-file": "3"}),
        (facts.log_faults, "HostConfig.LogConfig.Config", {"max-size": "-1", "max-file": "3"}),
        (facts.log_faults, "HostConfig.LogConfig.Type", "none"),
        (facts.binding_faults, "NetworkSettings.Ports", {"5432/tcp": [{"HostIp": "192.0.2.1", "HostPort": "5432"}]}),
        (facts.binding_faults, "NetworkSettings.Ports", {"5432/tcp": [{"HostIp": "", "HostPort": "5432"}]}),
        (facts.health_faults, "Config.Healthcheck", None),
        (facts.health_faults, "Config.Healthcheck", {"Test": ["NONE"]}),
        (facts.health_faults, "State.Health", {"Status": "unhealthy"}),
        (facts.health_faults, "State.Health", None),
        (facts.state_faults, "State", {"Running": False, "Status": "exited", "ExitCode": 1}),
        (facts.state_faults, "State.Restarting", True),
        (facts.state_faults, "State.OOMKilled", True),
        (facts.state_faults, "RestartCount", 2),
        (facts.job_faults, "State", {"Status": "exited", "ExitCode": 3}),
        (facts.job_faults, "State", {"Status": "running", "ExitCode": 0}),
    ],
)
def test_each_planted_fault_is_seen(check: Callable[[dict[str, Any]], list[str]], path: str, value: Any) -> None:
    assert len(check(changed(path, value))) == 1


@pytest.mark.parametrize(
    ("mounts", "words"),
    [
        ([], "inside the container"),
        ([{"Type": "bind", "Source": "/srv", "Destination": "/data", "RW": True}], "not a volume"),
        ([{"Type": "volume", "Name": "ab" * 32, "Destination": "/data", "RW": True}], "anonymous"),
        ([{"Type": "volume", "Name": "data", "Destination": "/data", "RW": False}], "read-only"),
    ],
)
def test_data_without_a_named_volume_is_seen(mounts: list[dict[str, Any]], words: str) -> None:
    (fault,) = facts.volume_faults(changed("Mounts", mounts), "/data")
    assert words in fault


def test_another_health_timing_is_seen_number_by_number() -> None:
    faults = facts.health_timing_faults(SOUND, interval=5, timeout=10, start_period=40, retries=12)
    assert len(faults) == 2


def test_a_cpu_quota_counts_as_a_limit() -> None:
    inspect = changed("HostConfig.NanoCpus", 0)
    inspect["HostConfig"].update(CpuQuota=150_000, CpuPeriod=100_000)
    assert facts.cpus(inspect) == 1.5


def test_the_environment_is_read_as_pairs() -> None:
    assert facts.environment(SOUND) == {"API_PORT": "8000", "EMPTY": ""}
