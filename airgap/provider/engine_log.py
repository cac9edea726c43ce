"""Lines for the person at the engine, beside a resource."""

from __future__ import annotations

import contextlib
from typing import Any

from airgap.protocol import stubs

_SECONDS = 5.0


class EngineLog:
    """Says lines through the engine; silent when there is no engine to be reached (`address` is empty or wrong)."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._stub: Any = None

    def warn(self, urn: str, line: str) -> None:
        """A warning that stays."""
        self._say(urn, line, "WARNING", ephemeral=False)

    def status(self, urn: str, line: str) -> None:
        """What is going on just now; the next line takes its place."""
        self._say(urn, line, "INFO", ephemeral=True)

    def _say(self, urn: str, line: str, severity: str, *, ephemeral: bool) -> None:
        import grpc

        if not self._address:
            return
        messages = stubs("engine_pb2")
        if self._stub is None:
            self._stub = stubs("engine_pb2_grpc").EngineStub(grpc.insecure_channel(self._address))
        request = messages.LogRequest(
            severity=messages.LogSeverity.Value(severity), message=line, urn=urn, ephemeral=ephemeral
        )
        # A line that gets lost is no reason to fail a deployment.
        with contextlib.suppress(grpc.RpcError):
            self._stub.Log(request, timeout=_SECONDS)
