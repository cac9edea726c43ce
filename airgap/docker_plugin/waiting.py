"""Waiting for a started container: running, healthy, or at its end; and what to say when it gets there not."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from airgap.provider.operation import Operation, ResourceError

from .engine import Engine, is_missing

_LOOK_SECONDS = 0.2
_FIRST_MOMENTS_SECONDS = 0.3
_LOG_LINES = 20


def settle(engine: Engine, identity: str, inputs: Mapping[str, Any], operation: Operation) -> None:
    """Wait as the inputs ask for after a start.

    Raises ResourceError when it ends although it must run, is unhealthy, or is not healthy within `waitTimeout`.
    """
    if inputs.get("attach"):
        _until_ended(engine, identity, operation)
    elif inputs.get("wait"):
        _until_healthy(engine, identity, inputs, operation)
    elif inputs.get("mustRun", True):
        operation.pause(_FIRST_MOMENTS_SECONDS)
        state = engine.api.inspect_container(identity)["State"]
        if not state["Running"]:
            raise ResourceError(f"the container ended with exit code {state['ExitCode']}{last_words(engine, identity)}")


def _until_ended(engine: Engine, identity: str, operation: Operation) -> None:
    while engine.api.inspect_container(identity)["State"]["Status"] in ("created", "running", "restarting", "paused"):
        operation.pause(_LOOK_SECONDS)


def _until_healthy(engine: Engine, identity: str, inputs: Mapping[str, Any], operation: Operation) -> None:
    allowed = float(inputs.get("waitTimeout") or 60)
    end = time.monotonic() + allowed
    while True:
        details = engine.api.inspect_container(identity)
        state = details["State"]
        health = state.get("Health")
        if health is None:
            raise ResourceError("wait is set, but neither the container nor its image has a healthcheck")
        if not state["Running"] and not state.get("Restarting"):
            raise ResourceError(
                f"the container ended with exit code {state['ExitCode']}{last_words(engine, identity, health)}"
            )
        if health["Status"] == "healthy":
            return
        if health["Status"] == "unhealthy":
            raise ResourceError(f"the container is unhealthy{last_words(engine, identity, health)}")
        if time.monotonic() >= end:
            raise ResourceError(
                f"the container is not healthy after {allowed:.0f} s (waitTimeout)"
                f"{last_words(engine, identity, health)}"
            )
        operation.pause(_LOOK_SECONDS)


def last_words(engine: Engine, identity: str, health: Mapping[str, Any] | None = None) -> str:
    """The last health-check output and the last log lines, to be put after a reason; empty when there are none."""
    parts = []
    checks = (health or {}).get("Log") or []
    if checks and checks[-1].get("Output", "").strip():
        parts.append(f"last health check said: {checks[-1]['Output'].strip()[-1000:]}")
    lines = tail(engine, identity)
    if lines:
        parts.append(f"last log lines:\n{lines}")
    return "".join(f"\n{part}" for part in parts)


def tail(engine: Engine, identity: str) -> str:
    """The last log lines of a container, terminal colours taken out; empty when its log driver keeps none."""
    try:
        raw: bytes = engine.api.logs(identity, tail=_LOG_LINES)
    except Exception as error:
        if is_missing(error) or hasattr(error, "explanation"):
            return ""
        raise
    return re.sub(r"\x1b\[[0-9;]*m", "", raw.decode(errors="replace")).strip()
