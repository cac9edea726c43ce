"""Generated secrets: made once, kept encrypted in the stack's state, replaced only on purpose."""

import secrets
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider

from stacks.load import SECRET_KEYS

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


class Secrets(pulumi.ComponentResource):
    """Every secret of the stack: the one given by `pulumi config set --secret`, else a generated one."""

    def __init__(self, name: str = "secrets") -> None:
        super().__init__("workflow:infra:Secrets", name)
        self._config = pulumi.Config()
        self.jwt = self._secret("jwtSecret")
        self.postgres = self._secret("postgresPassword")
        self.monitoring = self._secret("monitoringPassword")
        self.admin = self._secret("adminPassword")
        self.grafana = self._secret("grafanaPassword")
        self.register_outputs({})

    def _secret(self, key: str) -> pulumi.Output[str]:
        if key not in SECRET_KEYS:
            raise KeyError(key)
        given = self._config.get_secret(key)
        if given is not None:
            return pulumi.Output.secret(given.apply(lambda value: _checked(key, value)))
        return pulumi.Output.secret(RandomHex(key, opts=pulumi.ResourceOptions(parent=self)).value)


def _checked(key: str, value: str) -> str:
    """Refuses a given secret that is short or would need escaping in a URL, without ever showing it."""
    if len(value) < SECRET_BYTES:
        raise ValueError(f"secret {key} has {len(value)} characters; at least {SECRET_BYTES} are needed")
    if not value.isascii() or not all(letter.isalnum() or letter in "-_.~" for letter in value):
        raise ValueError(f"secret {key} may hold letters, digits and - _ . ~ only, so that it fits into a URL as it is")
    return value
