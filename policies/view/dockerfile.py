"""A Dockerfile taken apart: its stages, what each stands on, and the instructions that end up in the image."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")
"""`$NAME`, `${NAME}` or `${NAME:-default}`."""
_DIRECTIVE_ESCAPE = re.compile(r"\\\s*$")
"""A backslash at the end of a line: the instruction goes on in the next one."""

_ASSIGNMENT = re.compile(r"^\w+=")


@dataclass(frozen=True)
class Instruction:
    """One instruction, its continuation lines joined and its comments left out."""

    keyword: str
    rest: str
    line: int
    path: str

    @property
    def place(self) -> str:
        """Where it begins, for messages."""
        return f"{self.path}:{self.line}"

    @property
    def flags(self) -> dict[str, str]:
        """The options before its arguments: `--interval=5s` as interval: 5s."""
        found = re.match(r"(?:--[\w-]+(?:=\S+)?\s+)*", self.rest)
        pairs = (each.removeprefix("--").partition("=") for each in (found[0] if found else "").split())
        return {name: value for name, _, value in pairs}

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command of a RUN, without the variables set for it and the path of its program."""
        found = []
        for command in re.split(r"&&|\|\|?|;", self.arguments):
            words = re.findall(r"[^\s\"'\[\],()]+", command)
            while words and _ASSIGNMENT.match(words[0]):
                words.pop(0)
            if words:
                found.append([words[0].rpartition("/")[2], *words[1:]])
        return found

    @property
    def arguments(self) -> str:
        """What follows the options."""
        return re.sub(r"^(?:--[\w-]+(?:=\S+)?\s+)*", "", self.rest)


@dataclass(frozen=True)
class Stage:
    """One FROM and what follows it. `base` is the image or the stage it stands on, with build arguments filled in."""

    name: str
    base: str
    start: Instruction
    instructions: tuple[Instruction, ...]

    def of(self, keyword: str) -> list[Instruction]:
        """Its instructions of one kind."""
        return [each for each in self.instructions if each.keyword == keyword]


@dataclass(frozen=True)
class Dockerfile:
    """The recipe of one image."""

    path: str
    stages: tuple[Stage, ...]
    defaults: Mapping[str, str] = field(default_factory=dict)
    """The build arguments that are declared before the first FROM."""

    @property
    def final(self) -> Stage | None:
        """The stage that becomes the image; None for a file without FROM."""
        return self.stages[-1] if self.stages else None

    def lineage(self) -> list[Stage]:
        """The stages that the image consists of, the last one first: what is copied out of others is not in it."""
        named = {stage.name.lower(): stage for stage in self.stages if stage.name}
        found: list[Stage] = []
        current = self.final
        while current is not None and current not in found:
            found.append(current)
            current = named.get(current.base.lower())
        return found

    @property
    def foundation(self) -> str:
        """The image from outside that all of it stands on."""
        lineage = self.lineage()
        return lineage[-1].base if lineage else ""

    def last(self, keyword: str) -> Instruction | None:
        """The instruction of this kind that wins in the image; None when it has none of its own."""
        return next((found[-1] for stage in self.lineage() if (found := stage.of(keyword))), None)

    def in_the_image(self, keyword: str) -> Iterator[Instruction]:
        """Every instruction of this kind whose effect is in the image."""
        for stage in self.lineage():
            yield from stage.of(keyword)


def read_dockerfile(text: str, path: str) -> Dockerfile:
    """Takes the text of a Dockerfile apart. What it cannot understand it keeps as an instruction of that name."""
    stages: list[Stage] = []
    defaults: dict[str, str] = {}
    for each in _instructions(text, path):
        if each.keyword == "FROM":
            image, _, name = re.sub(r"\s+as\s+", " AS ", each.arguments, flags=re.IGNORECASE).partition(" AS ")
            stages.append(Stage(name.strip(), filled(image.strip(), defaults), each, ()))
        elif stages:
            last = stages[-1]
            stages[-1] = Stage(last.name, last.base, last.start, (*last.instructions, each))
        elif each.keyword == "ARG":
            name, _, value = each.rest.partition("=")
            defaults[name.strip()] = value.strip().strip("\"'")
    return Dockerfile(path, tuple(stages), defaults)


def filled(text: str, arguments: Mapping[str, str]) -> str:
    """The text with the build arguments' defaults in place of their names; those without one stay as they are."""
    return _VARIABLE.sub(lambda found: arguments.get(found[1] or found[3]) or found[2] or found[0], text)


def _instructions(text: str, path: str) -> Iterator[Instruction]:
    start, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        if not parts:
            start = number
        parts.append(_DIRECTIVE_ESCAPE.sub("", line).strip())
        if not _DIRECTIVE_ESCAPE.search(line):
            yield _made(parts, start, path)
            parts = []
    if parts:
        yield _made(parts, start, path)


def _made(parts: list[str], line: int, path: str) -> Instruction:
    keyword, _, rest = " ".join(" ".join(parts).split()).partition(" ")
    return Instruction(keyword.upper(), rest, line, path)
