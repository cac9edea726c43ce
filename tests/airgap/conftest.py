"""The plugin as a process, names that are cleaned up, and a PULUMI_HOME of our own."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.airgap.project import lay_pulumi_home
from tests.airgap.support import IMAGE, Plugin, Process, clean, configured, start


@pytest.fixture(scope="session")
def plugin_process() -> Iterator[Process]:
    process = start("airgap.docker_plugin.server", "127.0.0.1:1")
    yield process
    process.end()


@pytest.fixture(scope="session")
def plugin(plugin_process: Process) -> Plugin:
    return configured(plugin_process)


@pytest.fixture(scope="session")
def engine() -> Iterator[Any]:
    client = docker.APIClient(version="auto", timeout=60)
    client.inspect_image(IMAGE)
    yield client
    client.close()


@pytest.fixture
def unique(engine: Any) -> Iterator[Callable[[str], str]]:
    """Names with a random suffix; whatever bears it on the engine is removed afterwards, also when the test failed."""
    suffix = f"airgap-{secrets.token_hex(4)}"
    yield lambda name: f"{name}-{suffix}"
    clean(engine, suffix)


@pytest.fixture(scope="session")
def pulumi_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PULUMI_HOME with the CLI of the machine (built when it is not there) and the plugins of this very tree."""
    return lay_pulumi_home(tmp_path_factory.mktemp("pulumi-home"))
