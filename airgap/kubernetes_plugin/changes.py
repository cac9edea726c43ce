"""Two sets of inputs compared, property by property, and the live object compared with what was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from airgap.provider.answers import Change, Difference
from airgap.provider.wire import UNKNOWN, reveal

Path = tuple[str | int, ...]

_ABSENT: Any = object()
_NAMED = ("name",)
_MERGE_KEYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    **dict.fromkeys(
        (
            "containers", "initContainers", "ephemeralContainers", "env", "volumes", "imagePullSecrets", "secrets",
            "webhooks", "resourceClaims", "schedulingGates", "matchConditions", "variables",
        ),
        (_NAMED,),
    ),
    "volumeMounts": (("mountPath",),),
    "volumeDevices": (("devicePath",),),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "hostAliases": (("ip",),),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
    "ownerReferences": (("uid",),),
}  # fmt: skip
"""Lists of built-in kinds that the server merges element by element, and by which properties it tells them apart."""


def text(path: Path) -> str:
    """A path as the engine reads it: `spec.containers[0].image`, `metadata.labels["a.b/c"]`."""
    parts = []
    for item in path:
        if isinstance(item, int):
            parts.append(f"[{item}]")
        elif any(letter in item for letter in '."[]'):
            escaped = item.replace('"', '\\"')
            parts.append(f'["{escaped}"]')
        else:
            parts.append(f"{'.' if parts else ''}{item}")
    return "".join(parts)


def difference(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    immutable: Iterable[Path] = (),
    exempt: Iterable[Path] = (),
    ignored: Sequence[str] = (),
) -> Difference:
    """Compare two sets of inputs. A value that is not known yet counts as changed.

    A change at, below or above a path in `immutable` needs a new object, unless it is at or below one in `exempt`.
    In a path "*" stands for any index.
    """
    immutable, exempt = list(immutable), list(exempt)
    changes: dict[str, Change] = {}
    replaces = set()
    for path, change in _changes(reveal(old), reveal(new), ()):
        name = text(path)
        if any(name == prefix or name.startswith((f"{prefix}.", f"{prefix}[")) for prefix in ignored):
            continue
        changes[name] = change
        if any(_touches(path, fixed) for fixed in immutable) and not any(_below(path, free) for free in exempt):
            replaces.add(name)
    return Difference(changes, frozenset(replaces))


def _changes(old: Any, new: Any, path: Path) -> Iterator[tuple[Path, Change]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _changes(_get(old, key), _get(new, key), (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from _changes(_at(old, index), _at(new, index), (*path, index))
    elif new is UNKNOWN:
        yield path, "add" if old is _ABSENT else "update"
    elif not same(old, new):
        yield path, "add" if old is _ABSENT else "delete" if new is _ABSENT else "update"


def same(one: Any, other: Any) -> bool:
    """Whether two plain values are the same; 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(item, other[key]) for key, item in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _touches(path: Path, fixed: Path) -> bool:
    return all(part == "*" or step == part for step, part in zip(path, fixed, strict=False))


def _below(path: Path, free: Path) -> bool:
    return len(path) >= len(free) and _touches(path, free)


def with_drift(wished: Any, before: Any, now: Any, builtin: bool = True) -> Any:
    """The recorded inputs `wished`, brought up to date with the live object `now`.

    `before` is the live object as it was after the last apply. A value that the server has kept since then is as
    wished, however it writes it (quantities, defaults, what it never shows); one that has changed is taken over, and
    one that is gone is left out. What the inputs do not say is nobody's business here.
    """
    found = _drifted(wished, before, now, (), builtin)
    return {} if found is _ABSENT else found


def _drifted(wished: Any, before: Any, now: Any, path: Path, builtin: bool) -> Any:
    if same(wished, now) or same(before, now):
        return wished
    if isinstance(wished, Mapping) and isinstance(now, Mapping):
        inner = {
            key: _drifted(item, _get(before, key), _get(now, key), (*path, key), builtin)
            for key, item in wished.items()
        }
        return {key: item for key, item in inner.items() if item is not _ABSENT}
    if isinstance(wished, list) and isinstance(now, list):
        return _drifted_list(wished, before if isinstance(before, list) else [], now, path, builtin)
    if now is _ABSENT and wished in ({}, [], "", None):
        return wished
    return now


def _drifted_list(wished: list[Any], before: list[Any], now: list[Any], path: Path, builtin: bool) -> Any:
    keys = _merge_keys(wished, path) if builtin else ()
    if keys:
        then, live = _by_key(before, keys), _by_key(now, keys)
        inner = [
            _drifted(item, then.get(_key(item, keys), _ABSENT), live.get(_key(item, keys), _ABSENT), path, builtin)
            for item in wished
        ]
        return [item for item in inner if item is not _ABSENT]
    if len(wished) != len(now):
        return now
    return [
        _drifted(item, _at(before, index), now[index], (*path, index), builtin) for index, item in enumerate(wished)
    ]


def _merge_keys(items: list[Any], path: Path) -> tuple[str, ...]:
    """The properties that tell the elements apart; none when the list is kept or replaced as a whole."""
    name = path[-1] if path else ""
    if not isinstance(name, str) or "ingress" in path or "egress" in path:
        return ()
    for keys in _MERGE_KEYS.get(name, ()):
        if all(isinstance(item, Mapping) and keys[0] in item for item in items):
            return keys
    return ()


def _key(item: Any, keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item.get(key, "TCP" if key == "protocol" else None) for key in keys)


def _by_key(items: list[Any], keys: tuple[str, ...]) -> dict[tuple[Any, ...], Any]:
    return {_key(item, keys): item for item in items if isinstance(item, Mapping)}


def _get(value: Any, key: str) -> Any:
    found = value.get(key) if isinstance(value, Mapping) else None
    return _ABSENT if found is None else found


def _at(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else _ABSENT
