"""Secrets that an agent's settings only name: each is a file of one folder, read when a step needs it.

What was read is known to the reader of that attempt, which takes it out of whatever the attempt leaves behind.
"""

import base64
import json
import os
import re
import stat
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, field_validator

from service.executor.kinds.placeholders import PLACEHOLDER

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
"""No slash and no leading dot, so that a name can only be that of a file in the folder itself."""

MOST_BYTES = 64 * 1024
LEAST_CHARACTERS = 8
"""A shorter value could not be told from other text, so nothing that holds it could be cleared of it."""

_NAME = re.compile(NAME_PATTERN)
_CREDENTIAL_WORDS = frozenset(
    {"authorization", "auth", "cookie", "token", "secret", "password", "passwd", "credential", "credentials", "apikey"}
)
_KEY_OWNERS = frozenset({"api", "access", "private", "subscription", "functions", "secret", "auth"})
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9-]{0,15} +$")


class SecretReference(BaseModel):
    """A secret in place of a text: the name of its file, and what comes before its value, such as ``"Bearer "``."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    secret: Annotated[str, Field(pattern=NAME_PATTERN)]
    prefix: Annotated[str, Field(max_length=200)] = ""

    @field_validator("prefix")
    @classmethod
    def _prefix_is_one_line(cls, value: str) -> str:
        if not (value.isascii() and (value.isprintable() or not value)):
            raise ValueError("must be printable ASCII, for instance 'Bearer '")
        return value


class SecretUnusableError(Exception):
    """The secret cannot be used; ``code`` says whether it is not there, the message names it and holds none of it."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class SecretFolder:
    """The folder of secrets (``AGENT_SECRETS_DIR``). Files are read each time, so a replaced one counts at once."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def read(self, name: str) -> str:
        """The secret without its line end; raises SecretUnusableError."""
        if not _NAME.fullmatch(name):
            raise SecretUnusableError("secret-name", "the name of a secret has letters, digits and . _ - only")
        if self._folder is None:
            raise _missing(name, "AGENT_SECRETS_DIR is not set")
        try:
            content = _content(self._folder, name)
        except OSError as error:
            raise _missing(name, error.strerror or type(error).__name__) from None
        if len(content) > MOST_BYTES:
            raise SecretUnusableError("secret-unusable", f"the secret {name!r} is larger than {MOST_BYTES} bytes")
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise SecretUnusableError("secret-unusable", f"the secret {name!r} is not UTF-8 text") from None
        text = text.removesuffix("\n").removesuffix("\r")
        if len(text) < LEAST_CHARACTERS:
            wanted = f"the secret {name!r} has fewer than {LEAST_CHARACTERS} characters"
            raise SecretUnusableError("secret-unusable", wanted)
        return text


class SecretReader:
    """What one attempt may read, and what it has read."""

    def __init__(self, folder: SecretFolder | None = None) -> None:
        self._folder = folder or SecretFolder(None)
        self._read: dict[str, str] = {}

    def read(self, name: str) -> str:
        """The secret; the same for the whole attempt. Raises SecretUnusableError."""
        if name not in self._read:
            self._read[name] = self._folder.read(name)
        return self._read[name]

    def redacted(self, value: Any) -> Any:
        """The JSON value with ``[secret NAME]`` wherever a secret stands in it that this attempt has read.

        Found are the value as it is, as it stands inside JSON text and URLs, and its base64. The value itself is
        returned where there was none to be found.
        """
        if not self._read:
            return value
        forms = sorted(
            ((form, name) for name, secret in self._read.items() for form in _forms(secret)),
            key=lambda each: len(each[0]),
            reverse=True,
        )
        return _without(value, forms)


def looks_like_credential(header: str) -> bool:
    """Whether a header of this name is there to carry something secret."""
    words = re.split(r"[^a-z0-9]+", header.lower())
    owned = any(first in _KEY_OWNERS and second == "key" for first, second in pairwise(words))
    return owned or not _CREDENTIAL_WORDS.isdisjoint(words)


def is_filled_later(text: str) -> bool:
    """Whether nothing of the text is written down but the scheme of a credential: the rest comes from the input."""
    rest = PLACEHOLDER.sub("", text)
    return rest != text and (not rest or _SCHEME.match(rest) is not None)


def refuse_plain_credential(header: str, text: str, *, may_name_secret: bool = True) -> None:
    """Raises ValueError for a credential that stands in the settings, where everybody who reads agents sees it."""
    if not looks_like_credential(header) or is_filled_later(text):
        return
    instead = f'name a secret of the executor instead: {{"{header}": {{"secret": "NAME", "prefix": "Bearer "}}}}'
    raise ValueError(
        f"{header} carries a credential, which must not be stored here; "
        + (f"{instead} (prefix only where it is needed)" if may_name_secret else "this kind can carry none")
    )


def _content(folder: Path, name: str) -> bytes:
    """One byte more than is allowed, at most. Links may lead to files of the folder only, as Kubernetes makes them."""
    inside, found = folder.resolve(strict=True), (folder / name).resolve(strict=True)
    if not found.is_relative_to(inside):
        raise PermissionError(0, "it is a link to a file outside of the folder")
    descriptor = os.open(found, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PermissionError(0, "it is no file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MOST_BYTES + 1)
    finally:
        os.close(descriptor)


def _missing(name: str, reason: str) -> SecretUnusableError:
    return SecretUnusableError(
        "secret-missing", f"the executor has no secret {name!r} to read ({reason}); an operator gives it as a file"
    )


def _forms(secret: str) -> set[str]:
    encoded = secret.encode()
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe=""),
        base64.b64encode(encoded).decode().rstrip("="),
        base64.urlsafe_b64encode(encoded).decode().rstrip("="),
    }


def _without(value: Any, forms: list[tuple[str, str]]) -> Any:
    if isinstance(value, str):
        for form, name in forms:
            value = value.replace(form, f"[secret {name}]")
        return value
    if isinstance(value, dict):
        return {_without(key, forms): _without(inner, forms) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without(inner, forms) for inner in value]
    return value
