"""API keys."""

from wfm.calls import Body, Call, Everything, Id, operation
from wfm.models import KeyAnswer, KeyRequest, NewKeyAnswer, PageOfKeyAnswer


@operation("GET /api/v1/auth/keys")
def list_keys(*, page: int = 1, size: int | None = None) -> Call[PageOfKeyAnswer]:
    """A page of the keys, newest first, without the keys themselves."""
    return Call(PageOfKeyAnswer, query={"page": page, "size": size})


@operation("POST /api/v1/auth/keys")
def create_key(body: KeyRequest | Body) -> Call[NewKeyAnswer]:
    """Create a key. Its answer is the only place where the key can be read."""
    return Call(NewKeyAnswer, body=body)


@operation("DELETE /api/v1/auth/keys/{key_id}")
def revoke_key(key_id: Id) -> Call[None]:
    """Revoke a key; it is refused from now on."""
    return Call(None, path={"key_id": key_id})


class KeyOperations:
    """API keys."""

    list = list_keys
    all = Everything(list_keys, KeyAnswer)
    create = create_key
    revoke = revoke_key
