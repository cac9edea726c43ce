"""The header fields of a request, looked through once for all who ask."""

from typing import cast

from starlette.types import Scope

_KEPT = "service.request_headers"


def first_values(scope: Scope) -> dict[bytes, bytes]:
    """Each field's first value, by its name in lower case."""
    found = scope.get(_KEPT)
    if found is None:
        # Backwards, so that of several fields of a name the first is the one that stays.
        found = scope[_KEPT] = dict(reversed(scope["headers"]))
    return cast(dict[bytes, bytes], found)
