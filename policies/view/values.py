"""Values that are known, unknown or absent, with the path at which they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Missing(Enum):
    """Why there is no content."""

    ABSENT = "absent"
    """Nobody gave one."""
    UNKNOWN = "unknown"
    """It comes out of a resource that does not exist yet, or it is encrypted."""


ABSENT, UNKNOWN = Missing.ABSENT, Missing.UNKNOWN


class NotKnownError(Exception):
    """A rule needed a value that can't be known here; what it looked at is not evaluated."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path} can't be known here")


class NotApplicableError(Exception):
    """What a rule asks about was not given to be judged; the text says what."""


@dataclass(frozen=True)
class Value:
    """A place in a resource: what is there, as far as it is known. Nothing is raised before content is asked for."""

    content: Any
    path: str = ""

    @property
    def is_unknown(self) -> bool:
        """Whether something is or may be there that can't be known here."""
        return self.content is UNKNOWN

    @property
    def is_absent(self) -> bool:
        """Whether nothing is there; raises NotKnownError when that can't be told."""
        self._refuse_unknown()
        return self.content is ABSENT or self.content is None

    @property
    def is_given(self) -> bool:
        """Whether something is there, known or not."""
        return self.content is not ABSENT and self.content is not None

    def __getitem__(self, key: str | int) -> Value:
        """What is below. Below an unknown all is unknown; below a text or a number nothing is."""
        path = f"{self.path}[{key}]" if isinstance(key, int) else f"{self.path}.{key}" if self.path else key
        content = self.content
        if content is UNKNOWN:
            return Value(UNKNOWN, path)
        if isinstance(key, int):
            found = content[key] if isinstance(content, list) and -len(content) <= key < len(content) else ABSENT
            return Value(found, path)
        return Value(content.get(key, ABSENT) if isinstance(content, dict) else ABSENT, path)

    def at(self, *keys: str | int) -> Value:
        """What is further below."""
        found = self
        for key in keys:
            found = found[key]
        return found

    def items(self) -> list[Value]:
        """The elements of a list; none when it is absent. Raises NotKnownError."""
        self._refuse_unknown()
        return [self[index] for index in range(len(self.content))] if isinstance(self.content, list) else []

    def entries(self) -> dict[str, Value]:
        """The entries of a mapping; none when it is absent. Raises NotKnownError."""
        self._refuse_unknown()
        return {key: self[key] for key in self.content} if isinstance(self.content, dict) else {}

    def text(self) -> str | None:
        """The content as a text; None when it is absent. Raises NotKnownError."""
        self._refuse_unknown()
        if self.content is ABSENT or self.content is None or isinstance(self.content, list | dict):
            return None
        if isinstance(self.content, bool):
            return str(self.content).lower()
        if isinstance(self.content, float) and self.content.is_integer():
            return str(int(self.content))
        return str(self.content)

    def number(self) -> float | None:
        """The content as a number, also when it is written as a text; None when it is none. Raises NotKnownError."""
        text = self.text()
        try:
            return float(text) if text is not None else None
        except ValueError:
            return None

    def flag(self) -> bool | None:
        """The content as yes or no, also when written as a text; None when it is neither. Raises NotKnownError."""
        text = self.text()
        return {"true": True, "false": False}.get(text.lower()) if text is not None else None

    def texts(self) -> list[str]:
        """The elements of a list as texts. Raises NotKnownError for an unknown list or element."""
        return [text for each in self.items() if (text := each.text()) is not None]

    def walk(self) -> Iterator[Value]:
        """Every leaf below, unknown ones too."""
        if isinstance(self.content, dict):
            for key in self.content:
                yield from self[key].walk()
        elif isinstance(self.content, list):
            for index in range(len(self.content)):
                yield from self[index].walk()
        elif self.is_given:
            yield self

    def _refuse_unknown(self) -> None:
        if self.content is UNKNOWN:
            raise NotKnownError(self.path)


def plain(given: Any, is_unknown: Any = lambda _text: False) -> Any:
    """Whatever a source hands over, as dictionaries, lists, texts, numbers and UNKNOWN. Secrets are opened.

    `is_unknown` tells which texts stand for what is not known.
    """
    if given is UNKNOWN or isinstance(given, str):
        return UNKNOWN if given is UNKNOWN or is_unknown(given) else given
    if isinstance(given, Mapping):
        if SIGNATURE in given:
            return _special(given, is_unknown)
        return {str(key): plain(value, is_unknown) for key, value in given.items()}
    if isinstance(given, Sequence):
        return [plain(each, is_unknown) for each in given]
    return given


SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the mark of a secret, not one
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"


def _special(given: Mapping[Any, Any], is_unknown: Any) -> Any:
    """A value in the engine's own wrapping: a secret is known when it is not encrypted, assets and the like are not."""
    if given[SIGNATURE] in (_SECRET, _OUTPUT) and "value" in given:
        return plain(given["value"], is_unknown)
    if given[SIGNATURE] == _SECRET and isinstance(given.get("plaintext"), str):
        # An export made with --show-secrets writes it as JSON in a text.
        return plain(json.loads(given["plaintext"]), is_unknown)
    return UNKNOWN
