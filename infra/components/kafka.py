"""The broker of a stack on one machine."""

import pulumi

from infra.components.kafka_settings import (
    DATA_FOLDER,
    HOST_PORT,
    METRICS_PORT,
    PART,
    SINGLE_PORT,
    cluster_id,
    single_node,
)
from infra.endpoints import KafkaEndpoint
from infra.targets import Target
from infra.workload import DataVolume, Health, Kind, Port, Workload
from stacks.model import Stack


class Kafka(pulumi.ComponentResource):
    """One KRaft node that is broker and controller."""

    def __init__(self, stack: Stack, target: Target, image: str) -> None:
        super().__init__("workflow:infra:Kafka", "kafka-broker")
        settings = stack.kafka
        self.placed = target.place(
            Workload(
                part=PART,
                image=image,
                kind=Kind.STATEFUL,
                resources=settings.resources,
                env={
                    "KAFKA_CLUSTER_ID": cluster_id(stack),
                    "KAFKA_HEAP_OPTS": f"-Xms{settings.heap}m -Xmx{settings.heap}m",
                },
                config_files={"server.properties": single_node(stack)},
                ports=[Port(SINGLE_PORT), Port(HOST_PORT, settings.published_port), Port(METRICS_PORT)],
                volumes=[DataVolume("kafka-data", DATA_FOLDER)],
                health=Health(["kafka-health"], settings.health),
                stop_seconds=30,
            ),
            parent=self,
        )
        self.endpoint = KafkaEndpoint(brokers=f"kafka:{SINGLE_PORT}", ready=[self.placed.resource])
        self.register_outputs({})
