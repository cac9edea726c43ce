"""A cluster of three brokers in containers, with the settings, certificates, logins and rights of a stack."""

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, partial

import pulumi
from docker.models.containers import Container
from docker.models.networks import Network

from infra.certificates import Issued, issue, make_authority
from infra.components.kafka_access import PROGRAMS, access_plan
from infra.components.kafka_settings import (
    ACCESS_PART,
    CLIENT_PORT,
    PART,
    ClusterLayout,
    cluster,
    cluster_id,
    java_options,
)
from infra.endpoints import Login
from infra.trust import part_names
from infra.workload import secret_path
from stacks.model import Stack
from stacks.parts.kafka import Kafka
from stacks.parts.postgres import Postgres
from stacks.parts.targets import KubernetesTarget
from tests.images.containers import Engine, logs, run, wait_stopped, wait_until

NAMESPACE = "test"
LIFE = timedelta(days=2)
NODES = 3
SECONDS = 400.0
"""A bound for a busy machine; three virtual machines start at once."""
PARTITIONS = 3
NOTHING = pulumi.Output.from_input("")


def stack() -> Stack:
    """The description of the cluster."""
    kafka = Kafka(heap=256, nodes=NODES, replication=3, min_in_sync=2, partitions=PARTITIONS)
    return Stack(
        name="test",
        target="kubernetes",
        kubernetes=KubernetesTarget(namespace=NAMESPACE),
        kafka=kafka,
        postgres=Postgres(max_connections=200),
    )


def password(user: str) -> str:
    """The password of a login, different for each."""
    return f"password-of-{user}-{'x' * 32}"


@dataclass
class KafkaCluster:
    """The members, by number, and how to reach them as one of the programs."""

    engine: Engine
    stack: Stack = field(default_factory=stack)
    authority: Issued = field(default_factory=lambda: make_authority("test authority", LIFE))
    members: list[Container] = field(default_factory=list)

    @cached_property
    def network(self) -> Network:
        return self.engine.network()

    @property
    def layout(self) -> ClusterLayout:
        return ClusterLayout(NODES, f"{PART}-nodes.{NAMESPACE}.svc.cluster.local")

    def identity(self, part: str) -> dict[str, str]:
        """The files by which a part proves who it is."""
        made = issue(self.authority.certificate, self.authority.key, part, part_names(part, NAMESPACE), LIFE)
        return {
            "secrets/tls.crt": made.certificate,
            "secrets/tls.key": made.key,
            "secrets/ca.crt": self.authority.certificate,
        }

    def start(self) -> None:
        """All members, let in and level with one another."""
        config = {"server.properties": cluster(self.stack, self.layout), **self.identity(PART)}
        for number, host in enumerate(self.layout.hosts):
            self.members.append(
                self.engine.start(
                    "kafka",
                    config=config,
                    environment={
                        "POD_NAME": f"{PART}-{number}",
                        "KAFKA_CLUSTER_ID": cluster_id(self.stack),
                        "KAFKA_HEAP_OPTS": java_options(self.stack),
                    },
                    mem_limit="640m",
                    **self.engine.join(self.network, host),
                )
            )
        for number in range(NODES):
            wait_until(partial(self.caught_up, number), f"kafka-{number} to be let in and level", seconds=SECONDS)

    def caught_up(self, number: int) -> bool:
        """What the startup probe says of a member."""
        member = self.members[number]
        member.reload()
        assert member.status == "running", f"kafka-{number} has stopped:\n{logs(member)[-3000:]}"
        return bool(member.exec_run(["kafka-health", "caught-up"]).exit_code == 0)

    def access(self, *generations: int, part: str = ACCESS_PART) -> tuple[int, str]:
        """Exit code and log of the access job for logins of these generations, run with a part's certificate."""
        logins = {program: [Login(f"{program}-{each}", NOTHING) for each in generations] for program in PROGRAMS}
        users = [login.user for each in logins.values() for login in each]
        job = self.engine.start(
            "api",
            command=["kafka-access", "--plan", "/config/plan.json"],
            config={
                "plan.json": access_plan(self.stack, self.layout, logins),
                **self.identity(part),
                **{f"secrets/{user}": password(user) for user in users},
            },
            **self.engine.join(self.network, ACCESS_PART),
        )
        return wait_stopped(job), logs(job)

    def client(self) -> Container:
        """A container of the service's image that does nothing by itself; it trusts the stack's authority."""
        files = {"secrets/other-ca.crt": make_authority("another authority", LIFE).certificate}
        return self.engine.start(
            "api",
            entrypoint=["sleep", "infinity"],
            config={**self.identity("client"), **files},
            **self.engine.join(self.network, "client"),
        )

    def env(self, user: str, **changes: str) -> dict[str, str]:
        """The variables of a program of the service that logs in as this user."""
        env = {
            "DATABASE_URL": "postgresql://nobody@nowhere/nothing",
            "KAFKA_BROKERS": ",".join(self.layout.addresses(CLIENT_PORT)),
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": password(user),
            "KAFKA_SSL_CA_FILE": secret_path("ca.crt"),
            **changes,
        }
        return {name: value for name, value in env.items() if value}

    def figure(self, number: int, name: str) -> float:
        """A figure of a member, as it serves it over TLS."""
        request = f"GET /metrics?name[]={name} HTTP/1.0\\r\\n\\r\\n"
        ask = "openssl s_client -quiet -verify_quiet -verify_return_error -CAfile /config/secrets/ca.crt"
        page = run(
            self.members[number],
            "bash",
            "-c",
            f"printf '{request}' | {ask} -connect localhost:9404 -verify_hostname localhost 2>/dev/null || true",
        )
        (line,) = [line for line in page.splitlines() if line.startswith(name)]
        return float(line.split()[-1])
