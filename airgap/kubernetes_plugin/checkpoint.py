"""An object as it is kept in the state: the live object, with the inputs and the field manager beside it.

The bookkeeping properties are the official provider's, so that a stack can go over from one plugin to the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from airgap.provider.wire import UNKNOWN, reveal

from .changes import with_drift
from .cluster import MANAGER
from .objects import (
    FIELD_MANAGER,
    annotation,
    as_inputs,
    from_program,
    is_secret,
    to_program,
    type_of,
    without_bookkeeping,
)
from .secrecy import decoded, like, protected, with_secret_data

INPUTS = "__inputs"
FIELD_MANAGER_KEY = "__fieldManager"
INITIAL_VERSION = "__initialApiVersion"
_SUFFIX_LENGTH = 8
_MADE_BY_A_DRY_RUN = ("uid", "creationTimestamp", "resourceVersion", "generation")
_ADDRESSES = ("clusterIP", "clusterIPs")


def manager_of(urn: str, inputs: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """The field manager: the one that the annotation names, else the recorded one, else one made of the URN.

    Each resource has its own, so that two programs that describe one object see a conflict instead of taking turns.
    """
    made = f"{MANAGER}-{hashlib.sha256(urn.encode()).hexdigest()[:_SUFFIX_LENGTH]}"
    return annotation(reveal(inputs), FIELD_MANAGER) or str(state.get(FIELD_MANAGER_KEY) or made)


def recorded_inputs(inputs: Mapping[str, Any], state: Mapping[str, Any]) -> Mapping[str, Any]:
    """The inputs that the engine sends along, else the ones in the state."""
    return inputs or state.get(INPUTS) or {}


def outputs(
    live: Mapping[str, Any], inputs: Mapping[str, Any], manager: str, state: Mapping[str, Any]
) -> dict[str, Any]:
    """What goes into the state; `inputs` with their secrets, which mark the same places of the live object."""
    return {
        **to_program(protected(without_bookkeeping(live), from_program(inputs))),
        INPUTS: inputs,
        FIELD_MANAGER_KEY: manager,
        INITIAL_VERSION: state.get(INITIAL_VERSION) or inputs.get("apiVersion"),
    }


def previewed(live: Mapping[str, Any] | None, inputs: Mapping[str, Any], new: bool) -> dict[str, Any]:
    """What a preview may tell: what the server would store; what it can only make up in a dry run is not known yet."""
    shown = dict(inputs) if live is None else without_bookkeeping(live)
    if new:
        shown.pop("status", None)
        if isinstance(shown.get("metadata"), Mapping):
            kept = {key: item for key, item in shown["metadata"].items() if key not in _MADE_BY_A_DRY_RUN}
            shown["metadata"] = {**kept, "uid": UNKNOWN}
        if shown.get("kind") == "Service" and isinstance(shown.get("spec"), Mapping):
            asked = reveal(inputs).get("spec")
            made_up = [key for key in _ADDRESSES if not isinstance(asked, Mapping) or key not in asked]
            shown["spec"] = {**shown["spec"], **dict.fromkeys(made_up, UNKNOWN)}
    return shown if live is None else dict(to_program(protected(shown, from_program(inputs))))


def refreshed(recorded: Mapping[str, Any], state: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """The recorded inputs, brought up to date with the live object, secret where they were."""
    wished = from_program(reveal(recorded))
    before, now = _readable(from_program(reveal(state)), wished), _readable(live, wished)
    group = type_of(wished).group
    builtin = "." not in group or group.endswith(".k8s.io")
    found = with_drift(wished, before, now, builtin)
    return dict(with_secret_data(like(recorded, to_program(found))))


def undisturbed(recorded: Mapping[str, Any], state: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Whether the recorded state may stay as it is: it is the very object, and all that was asked for is so.

    Status, versions and what other controllers set change all the time; a refresh that told of them would never be
    quiet. The address that a load balancer gives is the exception: programs read it.
    """
    found = reveal(state)
    same_one = (found.get("metadata") or {}).get("uid") == live["metadata"].get("uid")
    addresses = [(item.get("status") or {}).get("loadBalancer") or {} for item in (found, live)]
    then, now = (from_program(reveal(inputs)) for inputs in (recorded, refreshed(recorded, state, live)))
    return same_one and addresses[0] == addresses[1] and bool(then == now)


def imported(live: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of an object that no program has described yet."""
    return with_secret_data(to_program(as_inputs(live)))


def _readable(item: Mapping[str, Any], wished: Mapping[str, Any]) -> Mapping[str, Any]:
    """A Secret with the text form of what the program gave as text, which the server never shows."""
    asked = wished.get("stringData")
    if not is_secret(wished) or not isinstance(asked, Mapping):
        return item
    data = item.get("data") or {}
    return {**item, "stringData": {key: decoded(data[key]) for key in asked if key in data}}
