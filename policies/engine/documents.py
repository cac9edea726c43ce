"""Reading the YAML files that steer the rules, with the line of everything that is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from policies.errors import PolicyError


class Document:
    """One node of a YAML file: its content, and where it is for messages."""

    def __init__(self, path: Path, node: yaml.Node, field: str = "") -> None:
        self._path = path
        self._node = node
        self.field = field

    @classmethod
    def read(cls, path: Path) -> Document:
        """Raises PolicyError for a file that is not there or not YAML."""
        try:
            node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyError(f"{path.name} can't be read: {type(error).__name__}", "see that it is there") from error
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 1
            raise PolicyError(f"{path.name}:{line}: not YAML", "mend the syntax there") from error
        return cls(path, node if node is not None else yaml.SequenceNode("tag:yaml.org,2002:seq", []))

    @property
    def at(self) -> str:
        """`file:line`."""
        mark = self._node.start_mark
        return f"{self._path.name}:{mark.line + 1 if mark else 1}"

    def refuse(self, what: str, mend: str) -> PolicyError:
        """The error to raise for what is here."""
        return PolicyError(f"{self.at}: {self.field or 'the file'} {what}", mend)

    def items(self) -> Iterator[Document]:
        """The elements of a list. Raises PolicyError when it is none."""
        if not isinstance(self._node, yaml.SequenceNode):
            raise self.refuse("must be a list", "write its entries with a leading `- `")
        for index, node in enumerate(self._node.value):
            yield Document(self._path, node, f"{self.field}[{index}]" if self.field else f"entry {index + 1}")

    def entries(self) -> dict[str, Document]:
        """The entries of a mapping. Raises PolicyError when it is none, or has a key twice."""
        if not isinstance(self._node, yaml.MappingNode):
            raise self.refuse("must be a mapping", "write `key: value` lines")
        found: dict[str, Document] = {}
        for key, node in self._node.value:
            name = str(key.value)
            if name in found:
                raise Document(self._path, key, name).refuse("is given twice", "keep one of them")
            found[name] = Document(self._path, node, f"{self.field}.{name}" if self.field else name)
        return found

    def text(self) -> str:
        """A text that is not empty. Raises PolicyError."""
        value: Any = self._node.value
        if not isinstance(self._node, yaml.ScalarNode) or not str(value).strip():
            raise self.refuse("must be a text that is not empty", "fill it in")
        return str(value)

    def one_of(self, allowed: tuple[str, ...]) -> str:
        """One of these texts. Raises PolicyError."""
        text = self.text()
        if text not in allowed:
            raise self.refuse("is not a word that is known here", f"write one of: {', '.join(allowed)}")
        return text

    def yes(self) -> bool:
        """true or false. Raises PolicyError."""
        return self.one_of(("true", "false")) == "true"
