"""The settings that the programs of the service know: names, values where none is given, and what they refuse."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from policies.view.parts import Platform, PlatformPart
from policies.view.values import Value

_PROGRAM = re.compile(r"migrations|api|relay|executor(-[0-9]+)?")
"""On Docker each executor beyond the first is a part of its own: executor-2."""

_EXECUTOR = re.compile(r"executor(-[0-9]+)?")

OPENED_AT_START = frozenset({"KAFKA_SSL_CA_FILE"})
"""Paths whose files the service reads when it takes its settings; here they are not there."""

FILLERS = {
    "DATABASE_URL": "postgresql://user:password@host:5432/name",
    "KAFKA_BROKERS": "host:9092",
}
"""Stand for a value that is judged elsewhere, so that the other settings can be judged without it."""

_FILLER_OF_A_SECRET = "x" * 64


def runs_the_service(part: PlatformPart) -> bool:
    """Whether a part is a program of the service image, which all read the same settings."""
    return _PROGRAM.fullmatch(part.name) is not None


def programs(platform: Platform) -> list[PlatformPart]:
    """The programs of the service, by name."""
    return sorted((each for each in platform.parts.values() if runs_the_service(each)), key=lambda each: each.name)


def executors(platform: Platform) -> list[PlatformPart]:
    """What runs the workflows."""
    return [each for each in programs(platform) if _EXECUTOR.fullmatch(each.name)]


def known_names() -> frozenset[str]:
    """The variables that the service reads."""
    return frozenset(name.upper() for name in _model().model_fields)


def is_read(variable: str) -> bool:
    """Whether the service reads a variable, as itself or as `X_FILE`, the path of a file that holds X."""
    known = known_names()
    return variable in known or (variable.endswith("_FILE") and variable.removesuffix("_FILE") in known)


def effective(part: PlatformPart, name: str) -> Value:
    """What the program goes by: the value given, else the service's own default."""
    found = part.setting(name)
    if found.is_given:
        return found
    default = _model().model_fields[name.lower()].default
    return Value(",".join(default) if isinstance(default, tuple) else default, found.path)


def listed(value: Value) -> list[str]:
    """The entries of a comma list, as the service takes it apart. Raises NotKnownError."""
    return [each.strip() for each in (value.text() or "").split(",") if each.strip()]


def refusals(given: Mapping[str, str]) -> list[tuple[str, str]]:
    """What the service would refuse at its start: the setting, and why, in words that hold no value.

    What is missing is not told; several settings that contradict one another are one refusal.
    """
    from pydantic import ValidationError

    values = {name.lower(): value for name, value in {**FILLERS, **given}.items() if name not in OPENED_AT_START}
    try:
        _given_only()(**values)
    except ValidationError as error:
        return [_worded(each) for each in error.errors(include_url=False, include_input=False, include_context=False)]
    return []


def filler(name: str) -> str:
    """Something that the service accepts for a setting that can't be known."""
    return FILLERS.get(name, _FILLER_OF_A_SECRET)


def _worded(problem: Any) -> tuple[str, str]:
    message = str(problem["msg"])
    if not problem["loc"]:
        named = sorted(name for name in known_names() if re.search(rf"\b{name}\b", message))
        return " and ".join(named), "contradict one another"
    # Pydantic's own messages never tell the input, the service's may.
    why = "is not of the form that the service takes" if problem["type"] == "value_error" else _plain(message)
    return str(problem["loc"][0]).upper(), why


def _plain(message: str) -> str:
    """`Input should be a valid integer, unable to parse ...` as part of a sentence."""
    return message.partition(", ")[0].replace("Input should", "should").replace("String should", "should")


@cache
def _model() -> Any:
    # Not before a rule needs it: the service's libraries take longer to import than all of the pack.
    from service.platform.settings import Settings

    return Settings


@cache
def _given_only() -> Any:
    """The service's model, deaf to this process's own environment."""

    class GivenOnly(_model()):  # type: ignore[misc]
        @classmethod
        def settings_customise_sources(cls, _settings_cls: Any, init_settings: Any, *_others: Any, **_: Any) -> Any:
            return (init_settings,)

    return GivenOnly
