"""What components tell one another. A provisioned part and an external one give the same."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pulumi

from infra.workload import secret_path

KafkaProtocol = Literal["PLAINTEXT", "SSL", "SASL_SSL"]
KafkaMechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]

EVERYBODY = ""
"""The key of the login that all programs share, where they have none of their own."""


@dataclass(frozen=True)
class Login:
    """A name with its password."""

    user: str
    password: pulumi.Output[str]


@dataclass(frozen=True)
class PostgresEndpoint:
    """Where the database is and who may use it. With `ca` connections are encrypted and the server is verified."""

    host: str
    port: int
    database: str
    logins: Mapping[str, Login]
    """By program, or one for EVERYBODY."""
    ca: pulumi.Input[str] | None = None
    """The certificates, PEM, by which the server is trusted."""
    identity: Callable[[str], Mapping[str, pulumi.Input[str]]] | None = None
    """The secret files by which a program proves who it is, where the server wants that besides its password."""
    ready: Sequence[pulumi.Resource] = field(default_factory=tuple)

    def login(self, program: str) -> Login:
        """The login of a program. Raises KeyError when it has none."""
        return self.logins[program] if program in self.logins else self.logins[EVERYBODY]

    def url(self, program: str) -> pulumi.Output[str]:
        """The documented DATABASE_URL. Every password of a stack fits into a URL without escapes."""
        login = self.login(program)
        return pulumi.Output.secret(
            pulumi.Output.concat("postgresql://", login.user, ":", login.password, "@", self._place())
        )

    def told(self, program: str) -> dict[str, str]:
        """The documented DATABASE_URL without its password, for who judges a deployment that can't see it."""
        return {"DATABASE_URL": f"postgresql://{self.login(program).user}@{self._place()}"}

    def _place(self) -> str:
        query = f"?sslmode=verify-full&sslrootcert={secret_path('database-ca.crt')}" if self.ca is not None else ""
        if self.identity is not None:
            query += f"&sslcert={secret_path('tls.crt')}&sslkey={secret_path('tls.key')}"
        return f"{self.host}:{self.port}/{self.database}{query}"

    def secret_files(self, program: str) -> dict[str, pulumi.Input[str]]:
        """The files by which a program reaches the database: its URL and, where needed, whom to trust."""
        files: dict[str, pulumi.Input[str]] = {"database_url": self.url(program)}
        if self.ca is not None:
            files["database-ca.crt"] = self.ca
        return {**files, **(self.identity(program) if self.identity is not None else {})}


@dataclass(frozen=True)
class KafkaEndpoint:
    """Where the brokers are and who may use them.

    Without `protocol` SSL or SASL_SSL nothing is encrypted; with it the brokers are verified by `ca`, or by the
    authorities of the program's system where that is not given.
    """

    brokers: str
    logins: Mapping[str, Login] = field(default_factory=dict)
    """By program, or one for EVERYBODY; for SASL_SSL."""
    ca: pulumi.Input[str] | None = None
    ready: Sequence[pulumi.Resource] = field(default_factory=tuple)
    replication: int = 1
    protocol: KafkaProtocol = "PLAINTEXT"
    mechanism: KafkaMechanism = "SCRAM-SHA-512"

    def login(self, program: str) -> Login | None:
        """The login of a program, None where nobody needs one. Raises KeyError when it has none."""
        if self.protocol != "SASL_SSL":
            return None
        return self.logins[program] if program in self.logins else self.logins[EVERYBODY]

    def env(self, program: str) -> dict[str, pulumi.Input[str]]:
        """The variables by which a program of the service reaches the brokers."""
        env: dict[str, pulumi.Input[str]] = {"KAFKA_BROKERS": self.brokers}
        if self.protocol != "PLAINTEXT":
            env["KAFKA_SECURITY_PROTOCOL"] = self.protocol
        if login := self.login(program):
            env["KAFKA_SASL_MECHANISM"] = self.mechanism
            env["KAFKA_SASL_USERNAME"] = login.user
            env["KAFKA_SASL_PASSWORD_FILE"] = secret_path("kafka_password")
        if self.ca is not None:
            env["KAFKA_SSL_CA_FILE"] = secret_path("kafka-ca.crt")
        return env

    def secret_files(self, program: str) -> dict[str, pulumi.Input[str]]:
        """The files that `env` refers to."""
        files: dict[str, pulumi.Input[str]] = {}
        if login := self.login(program):
            files["kafka_password"] = login.password
        if self.ca is not None:
            files["kafka-ca.crt"] = self.ca
        return files


@dataclass(frozen=True)
class ScrapeTarget:
    """A program whose figures Prometheus collects. On a cluster `host` is the part, each of whose replicas is asked."""

    job: str
    host: str
    port: int
    path: str = "/metrics"
    scheme: Literal["http", "https"] = "http"
    replicas: int = 1
    """The fewest that must answer."""


@dataclass(frozen=True)
class Placed:
    """A workload that has been given to a target."""

    part: str
    resource: pulumi.Resource
    inventory: pulumi.Output[dict[str, object]]
    finished: pulumi.Output[str] | None = None
    """For jobs: resolves when the job succeeded, fails when it did not."""
