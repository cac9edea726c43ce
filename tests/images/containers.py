"""Containers for the tests of the images: random names, the same hardening as in a stack, gone when the test ends."""

import contextlib
import io
import secrets
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import docker
import docker.errors
import pytest
from docker.models.containers import Container
from docker.models.networks import Network
from docker.models.volumes import Volume

from images.build import build

APP = 10001
START_SECONDS = 180.0


def wait_until(met: Callable[[], bool], what: str, *, seconds: float = START_SECONDS) -> None:
    """Ask again and again until the condition is met; fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.1)


def archive(files: dict[str, str], *, owner: int = APP, mode: int = 0o400) -> bytes:
    """A tar stream of these files, with their folders."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as stream:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            data = content.encode()
            entry.size, entry.mode, entry.uid, entry.gid = len(data), mode, owner, owner
            stream.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


class Engine:
    """The engine, the images on it, and everything that a test has made there."""

    def __init__(self, client: docker.DockerClient, cleanup: contextlib.ExitStack) -> None:
        self.client = client
        self._cleanup = cleanup

    def image(self, name: str) -> str:
        """The reference of an image of the catalogue, built when it is missing."""
        return build([name], lambda _line: None, self.client)[name].reference

    def volume(self) -> Volume:
        """An empty named volume."""
        volume = self.client.volumes.create(f"workflow-test-{secrets.token_hex(6)}")
        self._cleanup.callback(_removed, volume)
        return volume

    def network(self) -> Network:
        """A network without anybody on it. Make it before the containers that join it."""
        network = self.client.networks.create(f"workflow-test-{secrets.token_hex(6)}")
        self._cleanup.callback(_removed, network)
        return network

    def join(self, network: Network, alias: str) -> dict[str, Any]:
        """Options of a container that others find on the network under this name."""
        joined = self.client.api.create_endpoint_config(aliases=[alias])
        return {"network": network.name, "networking_config": {network.name: joined}}

    def start(self, image: str, *, config: dict[str, str] | None = None, **options: Any) -> Container:
        """A running container: read-only root, no capabilities, scratch space in memory, `config` below /config."""
        settings: dict[str, Any] = {
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "tmpfs": {
                "/tmp": "rw,noexec,nosuid,size=64m,uid=10001,mode=1770",  # noqa: S108 - the container's own
                **({"/var/run/postgresql": "uid=10001,mode=0755"} if image == "postgres" else {}),
            },
            "mem_limit": "1g",
            **options,
        }
        mounts = dict(settings.pop("volumes", {}))
        if config:
            mounts[self.volume().name] = {"bind": "/config", "mode": "rw"}
        container = self.client.containers.create(
            self.image(image),
            name=f"workflow-test-{image}-{secrets.token_hex(6)}",
            labels={"workflow.test": image},
            volumes=mounts,
            **settings,
        )
        self._cleanup.callback(_removed, container, force=True, v=True)
        if config:
            assert container.put_archive("/config", archive(config))
        container.start()
        return container


@contextmanager
def engine() -> Iterator[Engine]:
    """An engine whose containers and volumes of the block are gone after it."""
    with contextlib.ExitStack() as stack:
        client = docker.from_env(timeout=120)
        stack.callback(client.close)
        yield Engine(client, stack)


def logs(container: Container) -> str:
    """Everything that the container has said."""
    return bytes(container.logs()).decode(errors="replace")


def health(container: Container) -> str:
    """The health as the engine sees it; fails at once when the container has stopped."""
    container.reload()
    assert container.status == "running", f"{container.name} has stopped:\n{logs(container)[-3000:]}"
    return str(container.attrs["State"]["Health"]["Status"])


def wait_healthy(container: Container) -> None:
    """Wait for the image's own health check to pass."""
    wait_until(lambda: health(container) == "healthy", f"{container.name} to be healthy")


def run(container: Container, *command: str) -> str:
    """Output of a command that must succeed inside the container."""
    code, output = container.exec_run(list(command))
    text = bytes(output).decode(errors="replace")
    if code:
        pytest.fail(f"{command} in {container.name} returned {code}: {text}")
    return text


def wait_stopped(container: Container) -> int:
    """The exit code, once the container has ended by itself."""
    return int(container.wait(timeout=START_SECONDS)["StatusCode"])


def _removed(thing: Any, **options: Any) -> None:
    with contextlib.suppress(docker.errors.NotFound):
        thing.remove(**options)
