"""Tells where a secret value appears in texts, without ever repeating it.

A secret is looked for as it is, percent-encoded, JSON-escaped, in hexadecimal and in base64 (also when it is only a
part of what was encoded, as in an `Authorization: Basic` header). A finding carries the secret's *name*, the source
and the line: it can be printed, logged and kept.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus, urlsplit

SHORTEST = 8  # characters; a shorter text is found by chance in any log


@dataclass(frozen=True)
class Leak:
    """One place where a secret stands: the secret's name, the source's name, the line (from 1) and in which form."""

    secret: str
    source: str
    line: int
    form: str

    def __str__(self) -> str:
        return f"{self.source}, line {self.line}: holds the secret '{self.secret}' ({self.form})"


class SecretScanner:
    """Looks for a fixed set of named secrets in any number of sources."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """Raises ValueError (naming the secret, not its value) when one is too short to be told from chance."""
        self._needles: dict[str, tuple[str, str]] = {}
        for name, value in secrets.items():
            for part in _parts(name, value):
                for form, needle in _forms(part):
                    self._needles.setdefault(needle, (name, form))
        longest_first = sorted(self._needles, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def scan(self, source: str, lines: Iterable[str]) -> list[Leak]:
        """The leaks in one source, in order; one for each secret, line and form."""
        if self._pattern is None:
            return []
        found: dict[Leak, None] = {}
        for number, line in enumerate(lines, start=1):
            found.update(dict.fromkeys(self._in_text(source, number, line)))
            if "%" in line:
                decoded = unquote_plus(line)
                known = {leak.secret for leak in found if leak.line == number}
                for leak in self._in_text(source, number, decoded):
                    if leak.secret not in known:
                        found[Leak(leak.secret, source, number, "percent-encoded")] = None
        return list(found)

    def scan_text(self, source: str, text: str) -> list[Leak]:
        """The leaks in one text that is already in memory."""
        return self.scan(source, text.splitlines())

    def _in_text(self, source: str, number: int, text: str) -> Iterable[Leak]:
        assert self._pattern is not None  # noqa: S101  only called with needles
        for match in self._pattern.finditer(text):
            name, form = self._needles[match.group()]
            yield Leak(name, source, number, form)


def scan(secrets: Mapping[str, str], sources: Mapping[str, Iterable[str]]) -> list[Leak]:
    """Every place in the sources (name -> lines) where one of the secrets (name -> value) stands."""
    scanner = SecretScanner(secrets)
    return [leak for source, lines in sources.items() for leak in scanner.scan(source, lines)]


def _parts(name: str, value: str) -> list[str]:
    """What of a secret is worth looking for: the value, a URL's password, the lines of a key in PEM form."""
    value = value.strip()
    if len(value) < SHORTEST:
        raise ValueError(f"the secret '{name}' has fewer than {SHORTEST} characters: it would be found by chance")
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        return [line for line in lines if len(line) >= 2 * SHORTEST and not line.startswith("-----")]
    password = urlsplit(value).password if "://" in value else None
    if password and len(unquote_plus(password)) >= SHORTEST:
        return [value, unquote_plus(password)]
    return [value]


def _forms(value: str) -> Iterable[tuple[str, str]]:
    yield "in clear", value
    yield "JSON-escaped", json.dumps(value)[1:-1]
    raw = value.encode()
    yield "hexadecimal", raw.hex()
    yield "hexadecimal", raw.hex().upper()
    for offset in range(3):
        encoded = _base64_core(raw, offset)
        if len(encoded) >= SHORTEST:
            yield "base64", encoded
            yield "base64", encoded.replace("+", "-").replace("/", "_")


def _base64_core(raw: bytes, offset: int) -> str:
    """The characters that `raw` alone decides when `offset` (0 to 2) other bytes stand before it in its group."""
    encoded = base64.b64encode(bytes(offset) + raw).decode().rstrip("=")
    first = (0, 2, 3)[offset]
    shared_end = 1 if (offset + len(raw)) % 3 else 0
    return encoded[first : len(encoded) - shared_end]
