"""Pulumi's gRPC stubs without Pulumi's SDK, and the loop in which a plugin process lives.

`import pulumi` costs about a second of processor time, which every `pulumi up` would pay once for the language host and
once for each plugin. The generated stubs below it need only protobuf and gRPC, so the packages around them are entered
here as bare namespaces. That is right only in a process that never runs a Pulumi program: the plugin and the language
host.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

MESSAGE_LIMIT_BYTES = 400 * 1024 * 1024
"""What the engine itself allows; gRPC's own default of 4 MB is too little for a large state."""

_PACKAGES = ("pulumi", "pulumi.runtime", "pulumi.runtime.proto")


def stubs(name: str) -> Any:
    """The generated module `pulumi.runtime.proto.<name>`, e.g. `provider_pb2`."""
    if "pulumi" not in sys.modules:
        _enter_bare_packages()
    return importlib.import_module(f"pulumi.runtime.proto.{name}")


def _enter_bare_packages() -> None:
    spec = importlib.util.find_spec("pulumi")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"the pulumi package is not installed in {sys.executable}")
    location = Path(next(iter(spec.submodule_search_locations)))
    for name in _PACKAGES:
        module = ModuleType(name)
        module.__path__ = [str(location.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = module


def serve(register: Callable[[Any], None], workers: int, at_end: Callable[[], None] = lambda: None) -> None:
    """Serve until told to stop: `register(server)` adds the services; the port goes to stdout, as the engine expects.

    Ends on SIGINT, by which the engine asks a plugin to go (a person's Ctrl-C does not get here: plugins have process
    groups of their own), on SIGTERM, and when the parent is gone: an engine that was killed cannot tell its plugins.
    """
    import grpc

    parent = os.getppid()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    options = [
        ("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),
        ("grpc.max_send_message_length", MESSAGE_LIMIT_BYTES),
    ]
    server = grpc.server(ThreadPoolExecutor(max_workers=workers), options=options)
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while not stop.wait(1.0):
        if os.getppid() != parent:
            break
    at_end()
    server.stop(grace=0.2).wait(1.0)
    # Worker threads may still sit in a call to Docker; nothing is left for them to do.
    os._exit(0)
