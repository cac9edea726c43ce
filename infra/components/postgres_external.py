"""A Postgres that somebody else runs."""

from pathlib import Path

import pulumi

from infra.endpoints import EVERYBODY, Login, PostgresEndpoint
from infra.stack_secrets import Secrets
from stacks.errors import StackError
from stacks.model import PROJECT, Stack

REQUIRED_SECRETS = ("postgresPassword", "monitoringPassword")


def external_postgres(stack: Stack, secrets: Secrets, project: Path) -> PostgresEndpoint:
    """The endpoint of the server that `postgres.external` describes; `project` is where its paths begin.

    Raises StackError when the certificates can't be read or the passwords, which only its operator knows, are missing.
    """
    external = stack.postgres.external
    if external is None:
        raise TypeError("the stack provisions its own server")
    config = pulumi.Config()
    faults = [
        f"{PROJECT}:{key} is missing; give the server's with `pulumi config set --secret {key}`"
        for key in REQUIRED_SECRETS
        if config.get_secret(key) is None
    ]
    certificates = project / external.ca_file
    try:
        authority = certificates.read_text()
    except OSError as error:
        authority = ""
        faults.append(
            f"{PROJECT}:postgres.external.caFile is {external.ca_file}, which can't be read: {error.strerror}"
        )
    if not faults and "BEGIN CERTIFICATE" not in authority:
        faults.append(f"{PROJECT}:postgres.external.caFile is {external.ca_file}; it must hold certificates, PEM")
    if faults:
        raise StackError(stack.name, faults)
    return PostgresEndpoint(
        host=external.host,
        port=external.port,
        database=stack.postgres.database,
        logins={
            EVERYBODY: Login(stack.postgres.user, secrets.postgres),
            "monitoring": Login("monitoring", secrets.monitoring),
        },
        ca=authority,
    )
