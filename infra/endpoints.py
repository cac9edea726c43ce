"""What components tell one another. A provisioned part and an external one give the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from infra.workload import secret_path

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
    ready: Sequence[pulumi.Resource] = field(default_factory=tuple)

    def login(self, program: str) -> Login:
        """The login of a program. Raises KeyError when it has none."""
        return self.logins[program] if program in self.logins else self.logins[EVERYBODY]

    def url(self, program: str) -> pulumi.Output[str]:
        """The documented DATABASE_URL. Every password of a stack fits into a URL without escapes."""
        login = self.login(program)
        place = f"{self.host}:{self.port}/{self.database}"
        query = f"?sslmode=verify-full&sslrootcert={secret_path('database-ca.crt')}" if self.ca is not None else ""
        return pulumi.Output.secret(
            pulumi.Output.concat("postgresql://", login.user, ":", login.password, "@", place, query)
        )

    def secret_files(self, program: str) -> dict[str, pulumi.Input[str]]:
        """The files by which a program reaches the database: its URL and, where needed, whom to trust."""
        files: dict[str, pulumi.Input[str]] = {"database_url": self.url(program)}
        if self.ca is not None:
            files["database-ca.crt"] = self.ca
        return files


@dataclass(frozen=True)
class KafkaEndpoint:
    """Where the brokers are and who may use them. With `ca` every connection is SASL_SSL and verified."""

    brokers: str
    logins: Mapping[str, Login] = field(default_factory=dict)
    ca: pulumi.Input[str] | None = None
    ready: Sequence[pulumi.Resource] = field(default_factory=tuple)
    replication: int = 1

    def env(self, program: str) -> dict[str, pulumi.Input[str]]:
        """The variables by which a program of the service reaches the brokers."""
        if self.ca is None:
            return {"KAFKA_BROKERS": self.brokers}
        return {
            "KAFKA_BROKERS": self.brokers,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_SASL_USERNAME": self.logins[program].user,
            "KAFKA_SASL_PASSWORD_FILE": secret_path("kafka_password"),
            "KAFKA_SSL_CA_FILE": secret_path("kafka-ca.crt"),
        }

    def secret_files(self, program: str) -> dict[str, pulumi.Input[str]]:
        """The files that `env` refers to."""
        if self.ca is None:
            return {}
        return {"kafka_password": self.logins[program].password, "kafka-ca.crt": self.ca}


@dataclass(frozen=True)
class ScrapeTarget:
    """A program whose figures Prometheus collects."""

    job: str
    host: str
    port: int
    path: str = "/metrics"


@dataclass(frozen=True)
class Placed:
    """A workload that has been given to a target."""

    part: str
    resource: pulumi.Resource
    inventory: pulumi.Output[dict[str, object]]
    finished: pulumi.Output[str] | None = None
    """For jobs: resolves when the job succeeded, fails when it did not."""
