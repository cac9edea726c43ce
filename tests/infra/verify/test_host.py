"""The machine that carries the stack: tools and room."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import docker
import pytest

from ops.home import Home
from tests.infra.support.versions import version_in

pytestmark = pytest.mark.ring("verify")

LEAST_ENGINE = (20, 10)
LEAST_PULUMI = (3, 0)
LEAST_MEMORY = 2 * 1024**3  # bytes
LEAST_DISK = 10 * 1024**3  # bytes


@pytest.fixture(scope="module")
def info(engine: docker.DockerClient) -> dict[str, Any]:
    """What the engine says about its machine."""
    return dict(engine.info())


@pytest.mark.item("host-tool-versions")
def test_the_container_engine_is_recent_enough(engine: docker.DockerClient) -> None:
    assert version_in(engine.version()["Version"]) >= LEAST_ENGINE


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
def test_the_machine_has_the_least_memory_cpu_and_disk(info: dict[str, Any]) -> None:
    assert info["MemTotal"] >= LEAST_MEMORY
    assert info["NCPU"] >= 1
    root = Path(info["DockerRootDir"])
    if not root.exists():
        pytest.skip("the engine runs on another machine, whose disk can't be seen from here")
    assert shutil.disk_usage(root).free >= LEAST_DISK


@pytest.mark.item("host-minimum-resources")
def test_the_limits_of_all_containers_fit_into_the_machines_memory(
    info: dict[str, Any], engine: docker.DockerClient, stack_label: str
) -> None:
    up = engine.containers.list(filters={"label": f"workflow.stack={stack_label}"})
    wanted = sum(each.attrs["HostConfig"]["Memory"] for each in up)
    assert 0 < wanted <= info["MemTotal"]
