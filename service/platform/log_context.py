"""The fields that every record of a piece of work carries, like the correlation id of a request.

They are one value that is exchanged and never changed, so a task that is started from here carries what was bound until
then, and what it binds itself stays with it.
"""

from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

_fields: ContextVar[Mapping[str, Any]] = ContextVar("log_fields", default=MappingProxyType({}))


def bind_contextvars(**fields: Any) -> None:
    """Have the records that follow carry the fields too."""
    _fields.set({**_fields.get(), **fields})


class _Bound:
    __slots__ = ("_before", "_bound")

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._bound = fields

    def __enter__(self) -> None:
        self._before = _fields.get()
        _fields.set({**self._before, **self._bound})

    def __exit__(self, *_error: object) -> None:
        # Not by a token, which only the same context takes: unfinished work is ended by whoever collects it.
        _fields.set(self._before)


def bound_contextvars(**fields: Any) -> AbstractContextManager[None]:
    """Within it the records carry the fields; after it they are as before, whatever was bound inside."""
    return _Bound(fields)


def merge(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """As a processor: add what is bound; what the record says itself stays."""
    for name, value in _fields.get().items():
        event.setdefault(name, value)
    return event
