"""The plugin as a process, names that are cleaned up, and a PULUMI_HOME of our own."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from airgap import plugins, pulumi_cli
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
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    shared = Path(os.environ.get("WORKFLOW_HOME") or Path(data, "workflow-platform")) / "pulumi"
    cli = pulumi_cli.install(shared, lambda line: sys.stderr.write(f"{line}\n"))
    home = tmp_path_factory.mktemp("pulumi-home")
    (home / "bin").mkdir()
    for name in ("pulumi-language-python-exec", "pulumi-resource-pulumi-python"):
        shutil.copy2(cli.parent / name, home / "bin" / name)
    (home / "bin" / "pulumi").symlink_to(cli)
    plugins.install(home, Path(sys.executable), lambda line: None)
    return home
