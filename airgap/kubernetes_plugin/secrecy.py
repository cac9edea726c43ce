"""What must stay secret of an object: all that came from a secret, and the data of every Secret."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airgap.provider.answers import HIDDEN
from airgap.provider.operation import ResourceError
from airgap.provider.wire import Secret, reveal, secret_texts

from .objects import is_secret

_DATA = ("data", "stringData")


def with_secret_data(item: Mapping[str, Any]) -> dict[str, Any]:
    """The object; when it is a Secret, every value in it marked as one, whoever wrote it."""
    if not is_secret(item):
        return dict(item)
    return {key: _each_secret(value) if key in _DATA else value for key, value in item.items()}


def _each_secret(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: item if isinstance(item, Secret) else Secret(item) for key, item in value.items()}
    return value


def like(marked: Any, plain: Any) -> Any:
    """`plain` with a secret wherever `marked` has one."""
    if isinstance(marked, Secret):
        return Secret(plain)
    if isinstance(marked, Mapping) and isinstance(plain, Mapping):
        return {key: like(marked.get(key), item) for key, item in plain.items()}
    if isinstance(marked, list) and isinstance(plain, list):
        return [like(marked[index] if index < len(marked) else None, item) for index, item in enumerate(plain)]
    return plain


def protected(live: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """A live object with a secret where the inputs have one, and wherever the text of one has got to."""
    return with_secret_data(_hidden(like(inputs, live), texts(inputs)))


def texts(inputs: Mapping[str, Any]) -> set[str]:
    """Every text that must not be shown, also as it looks in base64."""
    plain = secret_texts(inputs)
    if is_secret(inputs):
        plain |= secret_texts(with_secret_data(inputs))
        data = reveal(inputs.get("data"))
        for value in data.values() if isinstance(data, Mapping) else ():
            plain |= {text for text in (decoded(value),) if len(text) > 3}
    return plain | {base64.b64encode(text.encode()).decode() for text in plain}


def decoded(value: Any) -> str:
    """The text behind base64; the value itself when it is none, for then it is no text."""
    try:
        return base64.b64decode(str(value), validate=True).decode()
    except ValueError:
        return str(value)


@contextmanager
def hiding(inputs: Mapping[str, Any]) -> Iterator[None]:
    """Take the secrets of the inputs out of the words of an error."""
    try:
        yield
    except ResourceError as error:
        error.args = (covered(str(error), texts(inputs)),)
        raise


def covered(line: str, hidden: set[str]) -> str:
    """The line without these texts."""
    for text in sorted(hidden, key=len, reverse=True):
        line = line.replace(text, HIDDEN)
    return line


def _hidden(value: Any, hidden: set[str]) -> Any:
    if isinstance(value, str):
        return Secret(value) if any(text in value for text in hidden) else value
    if isinstance(value, Mapping):
        return {key: _hidden(item, hidden) for key, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item, hidden) for item in value]
    return value
