"""What one look at an object found, and small readers of its status."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..client import Client


@dataclass(frozen=True)
class Ready:
    """There is nothing to wait for any more."""


@dataclass(frozen=True)
class Waiting:
    """Not yet: `reason` says what is missing, to be told when the time is over."""

    reason: str


@dataclass(frozen=True)
class Failed:
    """It will not get there by itself."""

    reason: str


Look = Ready | Waiting | Failed
Looker = Callable[[Client, Mapping[str, Any]], Look]
"""Judges a live object; may ask the API server for others that belong to it."""

READY = Ready()


def spec(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Its spec, empty when there is none."""
    return item.get("spec") or {}


def status(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Its status, empty when there is none yet."""
    return item.get("status") or {}


def condition(item: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """A condition of its status, empty when it is not there."""
    for found in status(item).get("conditions") or []:
        if found.get("type") == kind:
            return dict(found)
    return {}


def holds(item: Mapping[str, Any], kind: str) -> bool:
    """Whether a condition is true."""
    return condition(item, kind).get("status") == "True"


def observed(item: Mapping[str, Any]) -> bool:
    """Whether its controller has seen the latest change."""
    wanted = (item.get("metadata") or {}).get("generation", 0)
    return bool(status(item).get("observedGeneration", 0) >= wanted)


def words(found: Mapping[str, Any]) -> str:
    """Reason and message of a condition or state in one line."""
    parts = [str(found.get("reason") or ""), " ".join(str(found.get("message") or "").split())]
    return ": ".join(part for part in parts if part)
