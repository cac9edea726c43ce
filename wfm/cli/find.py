"""Things by name: the API knows ids, people know names."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Protocol
from uuid import UUID

from wfm.cli.exits import NOT_FOUND, CliError


class Named(Protocol):
    """What has both."""

    id: UUID
    name: str


def is_id(text: str) -> bool:
    """Whether it is an id as the API gives them."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def id_of(items: Iterable[Any], wanted: str, what: str) -> str:
    """The id of what is called so; an id is taken as it is. Raises CliError that names what is called alike."""
    if is_id(wanted):
        return wanted
    known: list[str] = []
    for each in items:
        if each.name == wanted:
            return str(each.id)
        known.append(each.name)
    near = get_close_matches(wanted, known, n=3)
    mend = f"is it {' or '.join(near)}?" if near else f"`wfm {what}s list` shows them"
    raise CliError(f"there is no {what} called {wanted!r}", mend, code=NOT_FOUND)
