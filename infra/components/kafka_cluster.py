"""Kafka as a cluster: brokers that trust only certificates of the stack, and clients that log in."""

from pathlib import Path

import pulumi

from infra.components.kafka_access import PROGRAMS, access_plan
from infra.components.kafka_settings import (
    ACCESS_PART,
    CLIENT_PORT,
    CONTROLLER_PORT,
    DATA_FOLDER,
    INTERNAL_PORT,
    METRICS_PORT,
    PART,
    ClusterLayout,
    cluster,
    cluster_id,
    java_options,
)
from infra.endpoints import EVERYBODY, KafkaEndpoint, Login, Placed, ScrapeTarget
from infra.stack_secrets import Secrets
from infra.targets import Target
from infra.trust import Trust
from infra.workload import CONFIG_FOLDER, DataVolume, Health, HttpCheck, Kind, Port, Readiness, TcpCheck, Workload
from stacks.errors import StackError
from stacks.model import Stack
from stacks.parts.common import HealthTiming, Resources

STOP_SECONDS = 30
SYSTEM = "kafka"
PASSWORD_KEY = "kafkaPassword"  # noqa: S105 - the name of a config key

CAUGHT_UP = HealthTiming(interval=5, timeout=5, start_period=1, retries=100)
"""A broker that has been away copies what it missed, which may take minutes; until then no other may be stopped."""


class KafkaCluster(pulumi.ComponentResource):
    """Members that are brokers and controllers, and the job that keeps topics, logins and rights as described."""

    def __init__(
        self, stack: Stack, target: Target, image: str, service_image: str, secrets: Secrets, trust: Trust
    ) -> None:
        """`service_image` carries the access job. Needs a stack with certificates."""
        super().__init__("workflow:infra:KafkaCluster", "kafka-cluster")
        if trust.authority is None:
            raise StackError(stack.name, ["workflow-platform:kafka.nodes above 1 needs a target with certificates"])
        layout = ClusterLayout(stack.kafka.nodes, f"{PART}-nodes.{stack.namespace}.svc.cluster.local")
        logins = {program: secrets.logins(SYSTEM, program, "-") for program in PROGRAMS}
        members = target.place(_members(stack, image, layout, trust), parent=self)
        passwords: dict[str, pulumi.Input[str]] = {
            login.user: login.password for each in logins.values() for login in each
        }
        access = target.place(
            Workload(
                part=ACCESS_PART,
                image=service_image,
                kind=Kind.JOB,
                resources=Resources(cpus=1, memory=192, cpu_request=0.05),
                command=["kafka-access", "--plan", f"{CONFIG_FOLDER}/plan.json"],
                config_files={"plan.json": access_plan(stack, layout, logins)},
                secret_files={**trust.identity(ACCESS_PART), **passwords},
            ),
            parent=self,
            needs=[members.resource],
        )
        self.placed: list[Placed] = [members, access]
        self.targets = [ScrapeTarget("kafka", PART, METRICS_PORT, scheme=trust.scheme, replicas=layout.nodes)]
        self.endpoint = KafkaEndpoint(
            brokers=",".join(layout.addresses(CLIENT_PORT)),
            logins={program: valid[0] for program, valid in logins.items()},
            ca=trust.authority,
            ready=[members.resource, access.resource],
            replication=stack.kafka.replication,
            protocol="SASL_SSL",
        )
        self.register_outputs({})


def _members(stack: Stack, image: str, layout: ClusterLayout, trust: Trust) -> Workload:
    settings = stack.kafka
    return Workload(
        part=PART,
        image=image,
        kind=Kind.STATEFUL,
        resources=settings.resources,
        env={
            "KAFKA_CLUSTER_ID": cluster_id(stack),
            "KAFKA_HEAP_OPTS": java_options(stack),
        },
        config_files={"server.properties": cluster(stack, layout)},
        secret_files=trust.identity(PART),
        ports=[
            Port(CLIENT_PORT, peers=PROGRAMS),
            Port(CONTROLLER_PORT, peers=[PART]),
            Port(INTERNAL_PORT, peers=[PART, ACCESS_PART]),
            Port(METRICS_PORT, peers=["prometheus"]),
        ],
        volumes=[DataVolume("data", DATA_FOLDER, settings.storage)],
        health=Health(
            ["kafka-health"],
            settings.health,
            # A stuck process still accepts connections; it answers no request.
            probe=HttpCheck(METRICS_PORT, "/-/healthy", tls=True),
            readiness=Readiness(TcpCheck(CLIENT_PORT), HealthTiming(interval=10, timeout=5, start_period=1, retries=3)),
            startup=Readiness(("kafka-health", "caught-up"), CAUGHT_UP),
        ),
        stop_seconds=STOP_SECONDS,
        replicas=layout.nodes,
        identity=True,
    )


def external_kafka(stack: Stack) -> KafkaEndpoint:
    """Brokers that somebody else runs, with one login for all programs. Raises StackError for what is missing."""
    external = stack.kafka.external
    if external is None:
        raise StackError(stack.name, ["workflow-platform:kafka.external must say where the brokers are"])
    logins = {}
    if external.username is not None:
        password = pulumi.Config().get_secret(PASSWORD_KEY)
        if password is None:
            command = f"pulumi config set --secret {PASSWORD_KEY}"
            raise StackError(stack.name, [f"the password of {external.username} at Kafka is not set: run `{command}`"])
        logins[EVERYBODY] = Login(external.username, pulumi.Output.secret(password))
    return KafkaEndpoint(
        brokers=",".join(external.brokers),
        logins=logins,
        ca=_authorities(stack.name, external.ca_file) if external.ca_file else None,
        replication=stack.kafka.replication,
        protocol=external.protocol,
        mechanism=external.mechanism,
    )


def _authorities(stack: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no PEM file"
        raise StackError(stack, [f"workflow-platform:kafka.external.caFile {path} cannot be read: {reason}"]) from None
