"""A generated secret: drawn once, kept encrypted in the stack's state, replaced only on purpose.

The engine loads this module in a process of its own, so it imports little.
"""

import secrets
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider

SECRET_BYTES = 32
"""256 bits, written as 64 hexadecimal characters: long enough for every documented rule, no character to escape."""


class RandomHexProvider(ResourceProvider):
    """Draws random bytes at creation. The provider is pickled by reference, so this class must stay importable."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(
            id_=secrets.token_hex(8),
            outs={"generation": props["generation"], "value": secrets.token_hex(SECRET_BYTES)},
        )

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        changed = _olds.get("generation") != _news.get("generation")
        return DiffResult(changes=changed, replaces=["generation"] if changed else [], delete_before_replace=False)


class RandomHex(Resource):
    """A secret of 64 hexadecimal characters. A new `generation` draws a new one."""

    value: pulumi.Output[str]

    def __init__(self, name: str, generation: int = 1, opts: pulumi.ResourceOptions | None = None) -> None:
        marked = pulumi.ResourceOptions(additional_secret_outputs=["value"])
        super().__init__(
            RandomHexProvider(),
            name,
            {"generation": generation, "value": None},
            pulumi.ResourceOptions.merge(opts, marked),
        )
