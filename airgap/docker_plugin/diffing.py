"""Whether a change of inputs is none, an update in place, or a replacement."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from airgap.provider.answers import Change, Difference
from airgap.provider.wire import has_unknown, reveal

from .schema import Fields, canonical


def difference(
    fields: Fields, old: Mapping[str, Any], new: Mapping[str, Any], ignored: Collection[str] = ()
) -> Difference:
    """Compare two sets of inputs by meaning. A value not known yet counts as changed, as with the official provider."""
    changes: dict[str, Change] = {}
    replaces = set()
    for name, spec in fields.items():
        if name in ignored:
            continue
        before, after = canonical(spec, old.get(name)), canonical(spec, new.get(name))
        if before == after and not has_unknown(new.get(name)):
            continue
        changes[name] = "add" if before is None else "delete" if after is None else "update"
        if spec.replace or (after is None and spec.removal_replaces):
            replaces.add(name)
    # Two resources of the engine cannot have one name at a time: a replacement that keeps its name deletes first.
    same_name = old.get("name") is not None and reveal(old.get("name")) == reveal(new.get("name"))
    return Difference(changes, frozenset(replaces), bool(replaces) and same_name)
