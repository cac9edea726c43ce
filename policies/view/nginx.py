"""nginx's configuration as a tree, as far as rules need it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from policies.view.values import Value

_TOKEN = re.compile(r"""#[^\n]*|"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|([{};])|((?:\$\{\w+\}|\\.|[^\s{};"'#])+)""")


@dataclass(frozen=True)
class Directive:
    """One directive with its words; a block has directives of its own."""

    name: str
    words: tuple[str, ...] = ()
    inside: list[Directive] = field(default_factory=list)

    def all(self, name: str) -> list[Directive]:
        """Those of a name in this block itself, not further below."""
        return [each for each in self.inside if each.name == name]

    def has(self, name: str) -> bool:
        """Whether this block itself has one."""
        return any(self.all(name))

    def walk(self) -> Iterator[Directive]:
        """Everything inside, at any depth."""
        for each in self.inside:
            yield each
            yield from each.walk()

    def below(self, name: str) -> Iterator[Directive]:
        """Those of a name at any depth."""
        return (each for each in self.walk() if each.name == name)

    def chosen(self, path: str) -> Directive | None:
        """The location of this server that nginx takes for a path: exact, else the first pattern, else the longest."""
        prefixes = []
        patterns = []
        for each in self.all("location"):
            kind, place = each.words if len(each.words) == 2 else ("", each.words[-1] if each.words else "")
            if kind == "=" and place == path:
                return each
            if kind in ("~", "~*"):
                patterns.append((re.compile(place, re.IGNORECASE if kind == "~*" else 0), each))
            elif kind in ("", "^~") and path.startswith(place) and not place.startswith("@"):
                prefixes.append((len(place), kind, each))
        longest = max(prefixes, key=lambda found: found[0], default=None)
        if longest is None or longest[1] != "^~":
            for pattern, each in patterns:
                if pattern.search(path):
                    return each
        return longest[2] if longest else None


def nginx_of(file: Value) -> Directive:
    """A file's content as one block; empty when there is none. Raises NotKnownError."""
    return parse(file.text() or "")


def parse(text: str) -> Directive:
    """The whole text as one block. What is not closed at the end counts as closed."""
    root = Directive("")
    open_blocks = [root]
    words: list[str] = []
    for double, single, mark, word in _TOKEN.findall(text):
        if mark == "{":
            block = Directive(words[0] if words else "", tuple(words[1:]))
            open_blocks[-1].inside.append(block)
            open_blocks.append(block)
            words = []
        elif mark in (";", "}"):
            if words:
                open_blocks[-1].inside.append(Directive(words[0], tuple(words[1:])))
                words = []
            if mark == "}" and len(open_blocks) > 1:
                open_blocks.pop()
        elif double or single or word:
            words.append(double or single or word)
    return root
