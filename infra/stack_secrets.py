"""Every secret of a stack: given by its operator, or generated."""

import pulumi

from infra.random_hex import SECRET_BYTES, RandomHex
from stacks.load import SECRET_KEYS


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
