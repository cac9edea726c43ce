"""Config files taken apart, so that rules ask for settings and not for pieces of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from policies.view.values import ABSENT, Value


def yaml_of(file: Value) -> Value:
    """A YAML file's content, with the file's path before each field's. Absent when it is none. Raises NotKnownError."""
    text = file.text()
    try:
        content: Any = yaml.safe_load(text) if text is not None else ABSENT
    except yaml.YAMLError:
        content = ABSENT
    return Value(content, file.path)


def properties_of(file: Value) -> dict[str, Value]:
    """The `key=value` lines of a file, the last of each key; `[sections]` are passed over. Raises NotKnownError."""
    found: dict[str, Value] = {}
    for line in (file.text() or "").splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.lstrip().startswith(("#", ";")):
            found[key.strip()] = Value(value.strip(), f"{file.path}: {key.strip()}")
    return found


@dataclass(frozen=True)
class Directive:
    """One statement of nginx, with what its braces hold."""

    name: str
    words: tuple[str, ...]
    inner: tuple[Directive, ...] = ()

    def all(self, name: str) -> list[Directive]:
        """The statements of a name directly inside."""
        return [each for each in self.inner if each.name == name]

    def walk(self) -> Iterator[Directive]:
        """Everything inside, however deep."""
        for each in self.inner:
            yield each
            yield from each.walk()


def nginx_of(file: Value) -> Directive:
    """An nginx configuration; empty when there is none. Raises NotKnownError."""
    inner, _ = _statements(_words(file.text() or ""), 0)
    return Directive("", (), inner)


def _statements(words: Sequence[str], at: int) -> tuple[tuple[Directive, ...], int]:
    found: list[Directive] = []
    current: list[str] = []
    while at < len(words):
        word = words[at]
        at += 1
        if word == "}":
            break
        if word not in "{;":
            current.append(word)
            continue
        inner: tuple[Directive, ...] = ()
        if word == "{":
            inner, at = _statements(words, at)
        if current:
            found.append(Directive(current[0], tuple(current[1:]), inner))
        current = []
    return tuple(found), at


def _words(text: str) -> list[str]:
    found: list[str] = []
    at = 0
    while at < len(text):
        letter = text[at]
        if letter.isspace():
            at += 1
        elif letter == "#":
            at = (text.find("\n", at) + 1) or len(text)
        elif letter in "{};":
            found.append(letter)
            at += 1
        else:
            word, at = _word(text, at)
            found.append(word)
    return found


def _word(text: str, at: int) -> tuple[str, int]:
    """A word from here on, without its quotes; nginx takes `${name}` as part of a word."""
    quote = text[at] if text[at] in "'\"" else ""
    at += len(quote)
    begin = at
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if quote and text[at] == quote:
            return text[begin:at] or " ", at + 1
        if not quote and text.startswith("${", at):
            at = (text.find("}", at) + 1) or len(text)
            continue
        if not quote and (text[at].isspace() or text[at] in "{};"):
            break
        at += 1
    return text[begin:at], at
