"""The plugins as processes, spoken to over gRPC with plain values."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pulumi  # noqa: F401 - before airgap.protocol, which otherwise enters bare packages in its place
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from airgap.provider.wire import decode_map, encode_map

ROOT = Path(__file__).parents[2]
IMAGE = "debian:bookworm-slim"
START_SECONDS = 30.0
WAIT_SECONDS = 30.0

TOKENS = {
    "container": "docker:index/container:Container",
    "network": "docker:index/network:Network",
    "volume": "docker:index/volume:Volume",
    "image": "docker:index/remoteImage:RemoteImage",
}


def eventually(condition: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """The condition's first true value, waited for with a bound."""
    end = time.monotonic() + seconds
    tick = threading.Event()
    while not (value := condition()):
        assert time.monotonic() < end, "the condition did not come true in time"
        tick.wait(0.1)
    return value


@dataclass
class Process:
    """A plugin process and the port that it printed."""

    child: subprocess.Popen[str]
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def end(self) -> int:
        """Ask it to go as the engine does; its exit code."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGINT)
        try:
            return self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            raise
        finally:
            assert self.child.stdout is not None
            self.child.stdout.close()


def start(module: str, *arguments: str, environment: dict[str, str] | None = None) -> Process:
    """Start a plugin module and wait for its port."""
    command = [sys.executable, "-u", "-m", module, *arguments]
    variables = {**os.environ, **(environment or {})}
    child = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(START_SECONDS, child.kill)
    watchdog.start()
    assert child.stdout is not None
    line = child.stdout.readline()
    watchdog.cancel()
    assert line.strip().isdigit(), f"{module} printed no port"
    return Process(child, int(line))


@dataclass
class Plugin:
    """The Docker plugin as the engine sees it, with plain dicts in place of protobuf."""

    stub: Any

    def urn(self, kind: str, name: str = "thing") -> str:
        return f"urn:pulumi:dev::test::{TOKENS.get(kind, kind)}::{name}"

    def check(self, kind: str, inputs: dict[str, Any], old: dict[str, Any] | None = None, **extra: Any) -> Any:
        request = provider_pb2.CheckRequest(urn=self.urn(kind), randomSeed=b"seed", **extra)
        encode_map(request.news, inputs)
        encode_map(request.olds, old or {})
        return self.stub.Check(request, timeout=60)

    def checked(self, kind: str, inputs: dict[str, Any], old: dict[str, Any] | None = None) -> dict[str, Any]:
        response = self.check(kind, inputs, old)
        assert not response.failures, response.failures
        return decode_map(response.inputs)

    def diff(self, kind: str, old: dict[str, Any], new: dict[str, Any], ignored: tuple[str, ...] = ()) -> Any:
        request = provider_pb2.DiffRequest(urn=self.urn(kind), id="x", ignoreChanges=list(ignored))
        encode_map(request.old_inputs, self.checked(kind, old))
        encode_map(request.olds, old)
        encode_map(request.news, self.checked(kind, new))
        return self.stub.Diff(request, timeout=60)

    def create(
        self, kind: str, inputs: dict[str, Any], *, preview: bool = False, timeout: float = 0
    ) -> tuple[str, dict[str, Any]]:
        request = provider_pb2.CreateRequest(urn=self.urn(kind), preview=preview, timeout=timeout)
        wished = self.checked(kind, inputs)
        encode_map(request.properties, wished)
        response = self.stub.Create(request, timeout=120)
        return response.id, decode_map(response.properties)

    def read(
        self, kind: str, identity: str, inputs: dict[str, Any] | None = None, state: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any], dict[str, Any]]:
        request = provider_pb2.ReadRequest(urn=self.urn(kind), id=identity)
        encode_map(request.inputs, inputs or {})
        encode_map(request.properties, state or {})
        response = self.stub.Read(request, timeout=60)
        return response.id, decode_map(response.inputs), decode_map(response.properties)

    def update(
        self, kind: str, identity: str, state: dict[str, Any], inputs: dict[str, Any], *, preview: bool = False
    ) -> dict[str, Any]:
        request = provider_pb2.UpdateRequest(urn=self.urn(kind), id=identity, preview=preview)
        encode_map(request.olds, state)
        encode_map(request.news, self.checked(kind, inputs))
        return decode_map(self.stub.Update(request, timeout=120).properties)

    def delete(self, kind: str, identity: str, inputs: dict[str, Any], *, timeout: float = 0) -> None:
        request = provider_pb2.DeleteRequest(urn=self.urn(kind), id=identity, timeout=timeout)
        encode_map(request.old_inputs, inputs)
        encode_map(request.properties, inputs)
        self.stub.Delete(request, timeout=120)


def configured(process: Process, **settings: Any) -> Plugin:
    """A client of a plugin process, with the provider configured."""
    plugin = Plugin(provider_pb2_grpc.ResourceProviderStub(grpc.insecure_channel(process.address)))
    request = provider_pb2.ConfigureRequest(acceptSecrets=True)
    encode_map(request.args, settings)
    plugin.stub.Configure(request, timeout=60)
    return plugin


def clean(engine: Any, suffix: str) -> None:
    """Remove every container, network and volume whose name has the suffix in it."""
    for item in engine.containers(all=True, filters={"name": suffix}):
        engine.remove_container(item["Id"], v=True, force=True)
    for item in engine.networks(filters={"name": suffix}):
        engine.remove_network(item["Id"])
    for item in engine.volumes(filters={"name": suffix})["Volumes"] or []:
        engine.remove_volume(item["Name"])


def names_on_engine(engine: Any, suffix: str) -> list[str]:
    """Everything on the engine whose name has the suffix in it."""
    found = [item["Names"][0] for item in engine.containers(all=True, filters={"name": suffix})]
    found += [item["Name"] for item in engine.networks(filters={"name": suffix})]
    return found + [item["Name"] for item in engine.volumes(filters={"name": suffix})["Volumes"] or []]
