"""The Kafka image: topics are made on purpose, messages survive, every codec works, figures are served."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from docker.models.containers import Container

from tests.images.containers import Engine, engine, logs, run, wait_healthy, wait_stopped

pytestmark = pytest.mark.ring("images")

DATA = "/var/lib/kafka"
CLUSTER = "MDEyMzQ1Njc4OWFiY2RlZg"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start(containers: Engine, **options: Any) -> tuple[Container, str]:
    """A broker and the address at which this machine reaches it."""
    port = free_port()
    settings = {
        "environment": {
            "KAFKA_EXTERNAL_PORT": str(port),
            "KAFKA_CLUSTER_ID": CLUSTER,
            "KAFKA_HEAP_OPTS": "-Xms256m -Xmx384m",
        },
        "ports": {"9092/tcp": ("127.0.0.1", port)},
        "hostname": "kafka",
        **options,
    }
    return containers.start("kafka", **settings), f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def broker() -> Iterator[tuple[Container, str]]:
    with engine() as containers:
        container, address = start(containers)
        wait_healthy(container)
        yield container, address


async def create_topic(address: str, name: str, partitions: int = 2) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=30_000)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1)])
    finally:
        await admin.close()


async def produce(address: str, topic: str, *messages: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=address, acks="all", request_timeout_ms=30_000)
    await producer.start()
    try:
        for message in messages:
            await asyncio.wait_for(producer.send_and_wait(topic, message), 60)
    finally:
        await asyncio.wait_for(producer.stop(), 30)


async def consume(address: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=address, group_id="tests", auto_offset_reset="earliest")
    await consumer.start()
    try:
        return sorted([(await asyncio.wait_for(consumer.getone(), 60)).value for _ in range(count)])
    finally:
        await asyncio.wait_for(consumer.stop(), 30)


def test_a_topic_is_created_and_its_messages_come_back(broker: tuple[Container, str]) -> None:
    _, address = broker

    async def round_trip() -> list[bytes]:
        await create_topic(address, "round.trip")
        await produce(address, "round.trip", b"a", b"b", b"c")
        return await consume(address, "round.trip", 3)

    assert asyncio.run(round_trip()) == [b"a", b"b", b"c"]


def test_a_misspelt_topic_is_not_made(broker: tuple[Container, str]) -> None:
    _, address = broker

    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=address, request_timeout_ms=5_000)
        await producer.start()
        try:
            await asyncio.wait_for(producer.send_and_wait("misspelt", b"x"), 20)
        finally:
            await asyncio.wait_for(producer.stop(), 30)

    with pytest.raises((KafkaError, TimeoutError)):
        asyncio.run(send())
    assert "misspelt" not in run(broker[0], "kafka-tool", "topics", "--list")


@pytest.mark.parametrize("codec", ["snappy", "zstd", "lz4"])
def test_compressed_messages_are_taken_although_nothing_can_be_unpacked_to_tmp(
    broker: tuple[Container, str], codec: str
) -> None:
    container, address = broker
    asyncio.run(create_topic(address, f"packed.{codec}", 1))
    script = f"echo hello | kafka-tool produce --topic packed.{codec} --compression-codec {codec}"
    assert "rror" not in run(container, "bash", "-c", script)
    assert int(run(container, "stat", "--format=%s", f"{DATA}/data/packed.{codec}-0/00000000000000000000.log")) > 0
    assert "UnsatisfiedLinkError" not in logs(container)


def test_figures_of_the_broker_are_served_and_bounded(broker: tuple[Container, str]) -> None:
    container, _ = broker
    request = r"exec 3<>/dev/tcp/127.0.0.1/9404; printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3; cat <&3"
    text = run(container, "bash", "-c", request)
    for name in (
        "kafka_server_broker_state 3.0",
        "kafka_server_messagesin_total ",
        "kafka_server_bytesin_total ",
        "kafka_server_replica_manager_underreplicatedpartitions 0.0",
        'kafka_network_request_time_milliseconds{quantile="0.95",request="Produce"}',
        "kafka_log_size_bytes{",
        "jvm_memory_",
    ):
        assert name in text
    assert len(text.splitlines()) < 1500


def test_each_event_is_one_line_with_time_and_level(broker: tuple[Container, str]) -> None:
    lines = logs(broker[0]).splitlines()
    assert lines[0].startswith(f"kafka-start: formatted {DATA}/data for cluster {CLUSTER}")
    for line in lines[1:]:
        assert line[:2] == "20", line
        assert line.split()[1] in {"INFO", "WARN", "ERROR"}, line


def test_the_class_archive_is_in_use(broker: tuple[Container, str]) -> None:
    assert "/opt/kafka/classes.jsa" in run(broker[0], "cat", "/proc/1/maps")


def test_messages_outlive_the_container_and_a_stop_is_clean(containers: Engine) -> None:
    volume = {containers.volume().name: {"bind": DATA, "mode": "rw"}}
    first, address = start(containers, volumes=volume)
    wait_healthy(first)
    asyncio.run(create_topic(address, "kept", 1))
    asyncio.run(produce(address, "kept", b"still here"))
    first.stop(timeout=60)
    first.reload()
    assert first.attrs["State"]["ExitCode"] in {0, 143}
    # The broker leaves this mark when all its logs were closed in order; the engine refuses what is not there.
    first.get_archive(f"{DATA}/data/.kafka_cleanshutdown")
    assert "Stopping SharedServer" in logs(first)

    second, address = start(containers, volumes=volume)
    wait_healthy(second)
    assert asyncio.run(consume(address, "kept", 1)) == [b"still here"]
    assert "formatted" not in logs(second)


def test_a_volume_of_another_cluster_is_refused(containers: Engine) -> None:
    volume = {containers.volume().name: {"bind": DATA, "mode": "rw"}}
    first, _ = start(containers, volumes=volume)
    wait_healthy(first)
    second, _ = start(containers, volumes=volume)
    assert wait_stopped(second) == 64
    assert "another container is running on this volume" in logs(second)
    first.remove(force=True)

    third, _ = start(containers, volumes=volume, environment={"KAFKA_CLUSTER_ID": "ZmVkY2JhOTg3NjU0MzIxMA"})
    assert wait_stopped(third) == 64
    assert f"belongs to cluster {CLUSTER}, not to ZmVkY2JhOTg3NjU0MzIxMA" in logs(third)


def test_the_settings_of_the_stack_are_used(containers: Engine) -> None:
    text = (
        "process.roles=broker,controller\nnode.id=7\ncontroller.quorum.voters=7@localhost:9093\n"
        "controller.listener.names=CONTROLLER\nlisteners=INTERNAL://:29092,CONTROLLER://localhost:9093\n"
        "advertised.listeners=INTERNAL://kafka:29092\ninter.broker.listener.name=INTERNAL\n"
        "listener.security.protocol.map=INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT\nlog.dirs=/var/lib/kafka/data\n"
        "offsets.topic.replication.factor=1\n"
    )
    container, _ = start(containers, config={"server.properties": text})
    wait_healthy(container)
    assert "node.id=7" in run(container, "cat", f"{DATA}/data/meta.properties")
