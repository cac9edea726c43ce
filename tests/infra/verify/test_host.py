"""The machine that carries the stack: tools and room."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ops.home import Home
from tests.infra.support.docker_live import DockerLive
from tests.infra.support.versions import version_in

pytestmark = pytest.mark.ring("verify")

MACHINES = "the machines of a cluster are asked through its API, see kubernetes/test_cluster.py"
LEAST_ENGINE = (20, 10)
LEAST_PULUMI = (3, 0)
LEAST_MEMORY = 2 * 1024**3  # bytes
LEAST_DISK = 10 * 1024**3  # bytes


@pytest.fixture(scope="module")
def info(live: DockerLive) -> dict[str, Any]:
    """What the engine says about its machine."""
    return dict(live.engine.info())


@pytest.mark.item("host-tool-versions")
@pytest.mark.target("docker", why=MACHINES)
def test_the_container_engine_is_recent_enough(live: DockerLive) -> None:
    assert version_in(live.engine.version()["Version"]) >= LEAST_ENGINE


@pytest.mark.item("host-tool-versions")
def test_pulumi_and_git_are_there() -> None:
    own = Home.of().pulumi / "bin" / "pulumi"
    pulumi = str(own) if own.exists() else shutil.which("pulumi")
    assert pulumi, "there is no Pulumi CLI on this machine"
    assert version_in(_said(pulumi, "version")) >= LEAST_PULUMI
    assert version_in(_said("git", "--version"))


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.mark.item("host-minimum-resources")
@pytest.mark.target("docker", why=MACHINES)
def test_the_machine_has_the_least_memory_cpu_and_disk(info: dict[str, Any]) -> None:
    assert info["MemTotal"] >= LEAST_MEMORY
    assert info["NCPU"] >= 1
    root = Path(info["DockerRootDir"])
    if not root.exists():
        pytest.skip("the engine runs on another machine, whose disk can't be seen from here")
    assert shutil.disk_usage(root).free >= LEAST_DISK


@pytest.mark.item("host-minimum-resources")
@pytest.mark.target("docker", why=MACHINES)
def test_the_limits_of_all_containers_fit_into_the_machines_memory(info: dict[str, Any], live: DockerLive) -> None:
    up = [each for each in live.all_containers() if each.attrs["State"]["Running"]]
    wanted = sum(each.attrs["HostConfig"]["Memory"] for each in up)
    assert 0 < wanted <= info["MemTotal"]
