"""Changes inside a config file, for cases: of a line, or of the document in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from tests.policies.changes import _put, _steps


def line(old: str, new: str) -> Callable[[str], str]:
    """One text of the file becomes another; AssertionError when it is not there."""

    def edit(text: str) -> str:
        assert old in text, f"{old} is not in the file"
        return text.replace(old, new)

    return edit


def setting(name: str, to: str | None) -> Callable[[str], str]:
    """The lines `name=...` become one with `to`, or vanish; AssertionError when there is none."""

    def edit(text: str) -> str:
        lines = text.splitlines()
        rest = [each for each in lines if not each.startswith(f"{name}=")]
        assert len(rest) < len(lines), f"{name} is not in the file"
        if to is not None:
            rest = [f"{name}={to}" if each.startswith(f"{name}=") else each for each in lines]
        return "\n".join(rest) + "\n"

    return edit


def entry(path: str, to: Any) -> Callable[[str], str]:
    """An entry of a YAML or JSON document becomes `to`: a value, ABSENT, or a function of what was there."""

    def edit(text: str) -> str:
        document = yaml.safe_load(text)
        _put(document, _steps(path), to)
        return yaml.safe_dump(document, sort_keys=False, width=1000)

    return edit


def without(path: str, is_it: Callable[[Any], bool]) -> Callable[[str], str]:
    """The elements of a list of a document for which something holds are gone; AssertionError when there is none."""

    def rest(found: list[Any]) -> list[Any]:
        left = [each for each in found if not is_it(each)]
        assert len(left) < len(found), f"nothing in {path} is it"
        return left

    return entry(path, rest)
