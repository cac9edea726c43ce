"""The broker's settings, as text: one broker in dev, a cluster with TLS, logins and rights in prod.

Pure functions; the components give them to the program as its config file.
"""

import base64
import math
import uuid
from dataclasses import dataclass

from stacks.model import Stack
from stacks.parts.kafka import Kafka as Settings

SINGLE_PORT = 29092
"""Where a single broker listens, in plain text."""

HOST_PORT = 9092
"""Where a single broker listens for clients on the machine itself, in plain text; published on loopback only."""

CLIENT_PORT = 9092
"""Where a cluster's clients log in: SASL_SSL with SCRAM-SHA-512."""

CONTROLLER_PORT = 9093
"""Where the controllers speak to one another; in a cluster both sides show a certificate."""

INTERNAL_PORT = 9094
"""Where a cluster's brokers speak to one another, and its access job to them; both sides show a certificate."""

METRICS_PORT = 9404
DATA_FOLDER = "/var/lib/kafka"
PART = "kafka"
ACCESS_PART = "kafka-access"
"""The job that may change logins and rights, known by its certificate."""

_CLEANER_BUFFER = 16 * 1024 * 1024
_SEGMENT_BYTES = 256 * 1024 * 1024
_SMALLEST_SEGMENT_BYTES = 1024 * 1024
_TOPICS = 2
_SHARE_OF_DISK = 0.75
"""What the platform's topics may take of a broker's disk; the rest is for Kafka's own topics and for its work."""


@dataclass(frozen=True)
class ClusterLayout:
    """The members of a cluster: `nodes` of them, member i is at the host `kafka-<i>.<domain>`."""

    nodes: int
    domain: str

    @property
    def hosts(self) -> list[str]:
        """The members' names in the order of their numbers."""
        return [f"{PART}-{number}.{self.domain}" for number in range(self.nodes)]

    def addresses(self, port: int) -> list[str]:
        """`host:port` of every member."""
        return [f"{host}:{port}" for host in self.hosts]


def cluster_id(stack: Stack) -> str:
    """A KRaft cluster id that is always the same for a stack's name: it is no secret and must never change."""
    identity = uuid.uuid5(uuid.NAMESPACE_DNS, f"{stack.name}.kafka.workflow-platform")
    return base64.urlsafe_b64encode(identity.bytes).rstrip(b"=").decode()


def java_options(stack: Stack) -> str:
    """Heap of a broker. On one core or less also without the optimising compiler, which would take as much processor
    time as the rest of the start (measured: 9 s with it, 5.5 s without)."""
    settings = stack.kafka
    heap = f"-Xms{settings.heap}m -Xmx{settings.heap}m"
    return heap if settings.resources.cpus > 1 else f"{heap} -XX:TieredStopAtLevel=1"


def single_node(stack: Stack) -> str:
    """One broker that is its own controller, in plain text. Topics are only made on purpose."""
    return _text(
        {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.bootstrap.servers": f"localhost:{CONTROLLER_PORT}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"INTERNAL://:{SINGLE_PORT},HOST://:{HOST_PORT},CONTROLLER://localhost:{CONTROLLER_PORT}",
            "advertised.listeners": ",".join(
                [
                    f"INTERNAL://{PART}:{SINGLE_PORT}",
                    f"HOST://localhost:{stack.kafka.published_port}",
                    f"CONTROLLER://localhost:{CONTROLLER_PORT}",
                ]
            ),
            "inter.broker.listener.name": "INTERNAL",
            "listener.security.protocol.map": "INTERNAL:PLAINTEXT,HOST:PLAINTEXT,CONTROLLER:PLAINTEXT",
            **_topics(stack, replication=1, in_sync=1),
            "transaction.state.log.num.partitions": 4,
        }
    )


def cluster(stack: Stack, layout: ClusterLayout) -> str:
    """The settings that all members share; @NODE@ is the member's number, filled in at its start.

    Every member is broker and controller. Clients are known by their login, the brokers and the access job by their
    certificate; nobody may do anything that no rule allows.
    """
    voters = ",".join(f"{number}@{address}" for number, address in enumerate(layout.addresses(CONTROLLER_PORT)))
    here = f"{PART}-@NODE@.{layout.domain}"
    return _text(
        {
            "process.roles": "broker,controller",
            "node.id": "@NODE@",
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            # Twice the defaults: a starved machine must not look like a dead one, and a dead one is seen in 4 s still.
            "controller.quorum.election.timeout.ms": 2000,
            "controller.quorum.fetch.timeout.ms": 4000,
            "controller.quorum.request.timeout.ms": 4000,
            "listeners": f"CLIENTS://:{CLIENT_PORT},CONTROLLER://:{CONTROLLER_PORT},INTERNAL://:{INTERNAL_PORT}",
            "advertised.listeners": f"CLIENTS://{here}:{CLIENT_PORT},INTERNAL://{here}:{INTERNAL_PORT}",
            "inter.broker.listener.name": "INTERNAL",
            "listener.security.protocol.map": "CLIENTS:SASL_SSL,CONTROLLER:SSL,INTERNAL:SSL",
            **_encryption(),
            **_rights(),
            **_topics(stack, replication=stack.kafka.replication, in_sync=stack.kafka.min_in_sync),
            **_bounds(stack.kafka),
            "transaction.state.log.num.partitions": 4,
            # The default wants half of a small heap for itself.
            "log.cleaner.dedupe.buffer.size": _CLEANER_BUFFER,
            "num.network.threads": 2,
            "num.io.threads": 4,
            "controlled.shutdown.enable": "true",
        }
    )


def _encryption() -> dict[str, object]:
    return {
        # Read from the files at every start, so that no key is ever in the settings.
        "config.providers": "files",
        "config.providers.files.class": "org.apache.kafka.common.config.provider.DirectoryConfigProvider",
        "config.providers.files.param.allowed.paths": "/config/secrets",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.key": "${files:/config/secrets:tls.key}",
        "ssl.keystore.certificate.chain": "${files:/config/secrets:tls.crt}",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": "${files:/config/secrets:ca.crt}",
        "ssl.enabled.protocols": "TLSv1.3,TLSv1.2",
        "ssl.endpoint.identification.algorithm": "https",
        "ssl.client.auth": "required",
        "listener.name.clients.ssl.client.auth": "none",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.clients.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.clients.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
    }


def _rights() -> dict[str, object]:
    return {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        # Of a certificate only the common name counts: CN=kafka becomes User:kafka.
        "ssl.principal.mapping.rules": r"RULE:^CN=([a-z0-9-]+)(,.*)?$/$1/,DEFAULT",
        "super.users": f"User:{PART};User:{ACCESS_PART}",
    }


def _topics(stack: Stack, *, replication: int, in_sync: int) -> dict[str, object]:
    settings = stack.kafka
    return {
        "log.dirs": f"{DATA_FOLDER}/data",
        "num.partitions": settings.partitions,
        "log.retention.hours": settings.retention_hours,
        "log.segment.bytes": _SEGMENT_BYTES,
        # A misspelt topic is an error, not a new topic.
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        "default.replication.factor": replication,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replication,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": replication,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": replication,
        "share.coordinator.state.topic.min.isr": in_sync,
        "group.initial.rebalance.delay.ms": 0,
    }


def _bounds(settings: Settings) -> dict[str, object]:
    """What one partition may take, so that a flood of messages ends old ones early and not the broker, by a full disk.

    A partition keeps up to `log.retention.bytes` and the segment that is being written.
    """
    copies = math.ceil(_TOPICS * settings.partitions * settings.replication / settings.nodes)
    share = int(settings.storage * 1024 * 1024 * _SHARE_OF_DISK) // copies
    segment = max(_SMALLEST_SEGMENT_BYTES, min(_SEGMENT_BYTES, share // 4))
    return {"log.segment.bytes": segment, "log.retention.bytes": max(segment, share - segment)}


def _text(properties: dict[str, object]) -> str:
    return "".join(f"{name}={value}\n" for name, value in properties.items())
