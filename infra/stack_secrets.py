"""Every secret of a stack: given by its operator, or generated."""

from collections.abc import Sequence

import pulumi

from infra.endpoints import Login
from infra.random_hex import SECRET_BYTES, RandomHex
from stacks.load import AGENT_SECRET, SECRET_KEYS


class Secrets(pulumi.ComponentResource):
    """Every secret of the stack: the one given by `pulumi config set --secret`, else a generated one.

    Generated ones have a generation. The one before the current is kept, so that what was handed out of it still works
    while the programs are replaced one by one.
    """

    def __init__(self, name: str = "secrets", generation: int = 1) -> None:
        super().__init__("workflow:infra:Secrets", name)
        self._config = pulumi.Config()
        self._generation = generation
        self._drawn: dict[str, pulumi.Output[str]] = {}
        self.jwt = self._secret("jwtSecret")
        self.jwt_previous = self._before("jwtSecret")
        self.postgres = self._secret("postgresPassword")
        self.monitoring = self._secret("monitoringPassword")
        self.admin = self._secret("adminPassword")
        self.grafana = self._secret("grafanaPassword")
        # The secrets of webhooks are derived from it, and their receivers learn of no rotation of the stack's.
        self.webhook = self.fixed("webhookSecret")
        self.register_outputs({})

    def of_agents(self, names: Sequence[str]) -> dict[str, pulumi.Output[str]]:
        """The secrets that agents may use, by name. Nobody can make them up, so each must be given."""
        return {name: pulumi.Output.secret(self._given_to_agents(name)) for name in names}

    def _given_to_agents(self, name: str) -> pulumi.Output[str]:
        key = AGENT_SECRET + name
        value = self._config.get_secret(key)
        if value is None:
            raise ValueError(
                f"executor.agentSecrets names {name}, but there is no such secret: `pulumi config set --secret {key}`"
            )
        return value

    def fixed(self, name: str) -> pulumi.Output[str]:
        """A generated secret that no rotation touches, because what it protects can't follow: say, old backups."""
        return self._draw(name, 1)

    def logins(self, system: str, program: str, separator: str) -> Sequence[Login]:
        """The logins of a program at a system, the current one first, then the one that is still valid.

        Names carry the generation (`api_2`), so that both can exist side by side.
        """
        generations = [self._generation] + ([self._generation - 1] if self._generation > 1 else [])
        return [Login(f"{program}{separator}{each}", self._draw(f"{system}-{program}", each)) for each in generations]

    def _secret(self, key: str) -> pulumi.Output[str]:
        if key not in SECRET_KEYS:
            raise KeyError(key)
        given = self._config.get_secret(key)
        if given is not None:
            return pulumi.Output.secret(given.apply(lambda value: _checked(key, value)))
        return self._draw(key, self._generation)

    def _before(self, key: str) -> pulumi.Output[str] | None:
        if self._generation == 1 or self._config.get_secret(key) is not None:
            return None
        return self._draw(key, self._generation - 1)

    def _draw(self, name: str, generation: int) -> pulumi.Output[str]:
        logical = name if generation == 1 else f"{name}-{generation}"
        if logical not in self._drawn:
            made = RandomHex(logical, generation, pulumi.ResourceOptions(parent=self))
            self._drawn[logical] = pulumi.Output.secret(made.value)
        return self._drawn[logical]


def _checked(key: str, value: str) -> str:
    """Refuses a given secret that is short or would need escaping in a URL, without ever showing it."""
    if len(value) < SECRET_BYTES:
        raise ValueError(f"secret {key} has {len(value)} characters; at least {SECRET_BYTES} are needed")
    if not value.isascii() or not all(letter.isalnum() or letter in "-_.~" for letter in value):
        raise ValueError(f"secret {key} may hold letters, digits and - _ . ~ only, so that it fits into a URL as it is")
    return value
