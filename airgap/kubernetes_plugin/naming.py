"""The name of an object that was given none."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from airgap.provider.answers import Failure, Naming
from airgap.provider.wire import UNKNOWN, Secret

from .objects import AUTONAMED, annotated, name_of

_SUFFIX_LENGTH = 8


def with_name(inputs: dict[str, Any], old: Mapping[str, Any], naming: Naming) -> dict[str, Any] | Failure:
    """The inputs with a name: the given one, else the one made earlier, else a new one from the engine's seed.

    A made name is marked by an annotation, as the official provider does, so that a later call knows that it may make
    another one.
    """
    found = _metadata(inputs.get("metadata"))
    if found is UNKNOWN:
        return inputs
    if found.get("generateName") is not None:
        return Failure("metadata.generateName", "generateName cannot be applied; leave the name out to have one made")
    if found.get("name") is not None:
        return {**inputs, "metadata": found}
    if naming.disabled:
        return Failure("metadata.name", "a name is required, because automatic naming is switched off for this stack")
    suffix = hashlib.sha256(naming.seed or naming.resource_name.encode()).hexdigest()[:_SUFFIX_LENGTH]
    earlier = name_of(old) if annotated(old, AUTONAMED) else ""
    found["name"] = earlier or naming.proposed or f"{naming.resource_name}-{suffix}"
    notes = found.get("annotations")
    found["annotations"] = {**(notes if isinstance(notes, Mapping) else {}), AUTONAMED: "true"}
    return {**inputs, "metadata": found}


def _metadata(value: Any) -> Any:
    """The metadata as a dict; secrecy of the whole is handed down to everything but the object's identity."""
    if isinstance(value, Secret):
        inner = value.value if isinstance(value.value, Mapping) else {}
        return {key: item if key in ("name", "namespace") else Secret(item) for key, item in inner.items()}
    if value is UNKNOWN:
        return UNKNOWN
    return dict(value or {})
