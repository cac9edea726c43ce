"""The broker."""

import base64
import uuid

import pulumi

from infra.endpoints import KafkaEndpoint
from infra.targets import Target
from infra.workload import DataVolume, Health, Kind, Port, Workload
from stacks.model import Stack

CLIENT_PORT = 29092
CONTROLLER_PORT = 9093
METRICS_PORT = 9404
DATA_FOLDER = "/var/lib/kafka"


class Kafka(pulumi.ComponentResource):
    """One KRaft node that is broker and controller."""

    def __init__(self, stack: Stack, target: Target, image: str) -> None:
        super().__init__("workflow:infra:Kafka", "kafka-broker")
        settings = stack.kafka
        self.placed = target.place(
            Workload(
                part="kafka",
                image=image,
                kind=Kind.STATEFUL,
                resources=settings.resources,
                env={
                    "KAFKA_CLUSTER_ID": cluster_id(stack),
                    "KAFKA_HEAP_OPTS": f"-Xms{settings.heap}m -Xmx{settings.heap}m",
                },
                config_files={"server.properties": server_properties(stack)},
                ports=[Port(CLIENT_PORT), Port(METRICS_PORT)],
                volumes=[DataVolume("kafka-data", DATA_FOLDER)],
                health=Health(["kafka-health"], settings.health),
                stop_seconds=30,
            ),
            parent=self,
        )
        self.endpoint = KafkaEndpoint(brokers=f"kafka:{CLIENT_PORT}", ready=[self.placed.resource])
        self.register_outputs({})


def cluster_id(stack: Stack) -> str:
    """A KRaft cluster id that is always the same for a stack's name: it is no secret and must never change."""
    identity = uuid.uuid5(uuid.NAMESPACE_DNS, f"{stack.name}.kafka.workflow-platform")
    return base64.urlsafe_b64encode(identity.bytes).rstrip(b"=").decode()


def server_properties(stack: Stack) -> str:
    """The broker's settings. Topics are only made on purpose."""
    settings = stack.kafka
    properties = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.bootstrap.servers": f"localhost:{CONTROLLER_PORT}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"INTERNAL://:{CLIENT_PORT},CONTROLLER://localhost:{CONTROLLER_PORT}",
        "advertised.listeners": f"INTERNAL://kafka:{CLIENT_PORT},CONTROLLER://localhost:{CONTROLLER_PORT}",
        "inter.broker.listener.name": "INTERNAL",
        "listener.security.protocol.map": "INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": f"{DATA_FOLDER}/data",
        "num.partitions": settings.partitions,
        "log.retention.hours": settings.retention_hours,
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
    }
    return "".join(f"{name}={value}\n" for name, value in properties.items())
