"""Writes down what commands found out about the tree; `policies/view/reports.py` has the shapes and reads them."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.home import Home
from policies.view.tree import Tree

if TYPE_CHECKING:
    from images.build import BuiltImage

TESTS = "tests"
IMAGES = "images"
PREVIEW = "preview"


def record_ring(home: Home, name: str, seconds: float, why: str, trees: Sequence[Tree]) -> None:
    """Writes down how a ring of tests ended; the results of the other rings stay.

    `trees` are the tree before and after it: when it was changed meanwhile nobody can say which one was tested.
    """
    tree = trees[0]
    rings = _entries(home, TESTS, "rings")
    rings[name] = {
        "commit": tree.commit,
        "dirty": tree.dirty or any((each.commit, each.dirty) != (tree.commit, tree.dirty) for each in trees),
        "time": _now(),
        "passed": not why,
        "seconds": round(seconds, 1),
        "why": why,
    }
    _write(home, TESTS, {"rings": rings})


def record_images(home: Home, built: Mapping[str, "BuiltImage"]) -> None:
    """Writes down what images there are. Of one that was there before, what its build printed is kept."""
    images = _entries(home, IMAGES, "images")
    for name, image in built.items():
        before = images.get(name) or {}
        is_same = before.get("imageId") == image.image_id
        warnings = before.get("warnings") if image.warnings is None and is_same else image.warnings
        images[name] = {
            "reference": image.reference,
            "imageId": image.image_id,
            "sizeBytes": image.size_bytes,
            "revision": image.revision,
            "version": image.version,
            "warnings": warnings if warnings is None else list(warnings),
            "time": before.get("time") if is_same else _now(),
        }
    _write(home, IMAGES, {"images": images})


def record_preview(home: Home, stack: str, steps: Sequence[Mapping[str, str]]) -> None:
    """Writes down what a preview of a stack would change: `urn`, `type` and `op` of each resource."""
    _write(home, PREVIEW, {"stack": stack, "time": _now(), "changes": [dict(each) for each in steps]})


def recorded_images(home: Home) -> dict[str, str]:
    """The reference of each image that is written down, by name."""
    return {name: str(each.get("reference")) for name, each in _entries(home, IMAGES, "images").items()}


def _entries(home: Home, kind: str, key: str) -> dict[str, dict[str, Any]]:
    """The entries of a report; none when there is no report, or one that can't be read."""
    try:
        entries = json.loads(_path(home, kind).read_text(encoding="utf-8"))[key]
        return {str(name): each for name, each in entries.items() if isinstance(each, dict)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write(home: Home, kind: str, document: Mapping[str, Any]) -> None:
    """Whole or not at all; readable by its owner only."""
    path = _path(home, kind)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f".{path.name}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
    partial.replace(path)


def _path(home: Home, kind: str) -> Path:
    return home.reports / f"{kind}.json"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
