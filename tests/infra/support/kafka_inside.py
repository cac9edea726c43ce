"""Asks Kafka as a program of the service may. Run inside its container: `python -c <this text> state|find ...`.

`state` prints brokers, partitions by topic, and members and offsets of every consumer group; `copies TOPIC...` how many
copies each partition has and how many of them are in sync; `find TOPIC TEXT SECONDS` the newest messages of the topic
whose key or value holds TEXT, waiting up to SECONDS for the first; `rights TOPIC` what this program is refused when it
tries to write to the topic, to read it, and to log in with less than its login.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).read_text(encoding="utf-8") if "__file__" in globals() else ""
NEWEST = 500  # messages of each partition that `find` looks at, beside those that arrive meanwhile


def access() -> dict[str, Any]:
    """How the program in whose container this runs reaches the brokers, its login included."""
    from service.platform.kafka import connection_options
    from service.platform.settings import load_settings

    return connection_options(load_settings())


async def state() -> dict[str, Any]:
    """Brokers, topics and consumer groups."""
    from aiokafka import AIOKafkaConsumer, TopicPartition
    from aiokafka.admin import AIOKafkaAdminClient

    admin = AIOKafkaAdminClient(**access(), request_timeout_ms=10_000)
    consumer = AIOKafkaConsumer(**access())
    await admin.start()
    await consumer.start()
    try:
        cluster = await admin.describe_cluster()
        topics = await admin.describe_topics()
        partitions = {
            topic["topic"]: sorted(partition["partition"] for partition in topic["partitions"]) for topic in topics
        }
        groups = {}
        for group, *_ in await admin.list_consumer_groups():
            offsets = await admin.list_consumer_group_offsets(group)
            ends = await consumer.end_offsets([TopicPartition(*place) for place in offsets])
            (described,) = (await admin.describe_consumer_groups([group]))[0].to_object()["groups"]
            lag: dict[str, int] = {}
            committed: dict[str, int] = {}
            for place, offset in offsets.items():
                done = max(0, offset.offset)
                committed[place.topic] = committed.get(place.topic, 0) + done
                lag[place.topic] = lag.get(place.topic, 0) + max(0, ends[place] - done)
            groups[group] = {"members": len(described["members"]), "committed": committed, "lag": lag}
        return {"brokers": len(cluster["brokers"]), "topics": partitions, "groups": groups}
    finally:
        await consumer.stop()
        await admin.close()


async def copies(*names: str) -> dict[str, list[list[int]]]:
    """For each partition of each topic: its number, its copies, and those in sync."""
    from aiokafka.admin import AIOKafkaAdminClient

    admin = AIOKafkaAdminClient(**access())
    await admin.start()
    try:
        topics = await admin.describe_topics(list(names))
    finally:
        await admin.close()
    return {
        topic["topic"]: sorted(
            [each["partition"], len(each["replicas"]), len(each["isr"])] for each in topic["partitions"]
        )
        for topic in topics
    }


async def rights(topic: str) -> dict[str, str]:
    """For each thing to try: the name of the error, or "allowed"."""
    own = access()
    anonymous = {name: value for name, value in own.items() if not name.startswith("sasl")}
    return {
        "write": await _outcome(_write(own, topic)),
        "read": await _outcome(_read(own, topic)),
        "log in with a wrong password": await _outcome(
            _read({**own, "sasl_plain_password": "not-the-password"}, topic)
        ),
        "come without a login": await _outcome(_read({**anonymous, "security_protocol": "SSL"}, topic)),
        "come in the clear": await _outcome(_read({"bootstrap_servers": access()["bootstrap_servers"]}, topic)),
    }


async def _outcome(work: Any) -> str:
    from aiokafka.errors import KafkaError

    try:
        await asyncio.wait_for(work, 8)
    except (KafkaError, TimeoutError) as error:
        return type(error).__name__
    return "allowed"


async def _write(given: dict[str, Any], topic: str) -> None:
    """Sends what every executor throws away as no message of ours."""
    from aiokafka import AIOKafkaProducer

    producer = AIOKafkaProducer(**given, request_timeout_ms=5000)
    await producer.start()
    try:
        await producer.send_and_wait(topic, b"{}", key=b"verify")
    finally:
        await producer.stop()


async def _read(given: dict[str, Any], topic: str) -> None:
    from aiokafka import AIOKafkaConsumer, TopicPartition

    consumer = AIOKafkaConsumer(**given, request_timeout_ms=5000)
    await consumer.start()
    try:
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        await consumer.getmany(timeout_ms=1000)
    finally:
        await consumer.stop()


async def find(topic: str, text: str, seconds: str) -> list[dict[str, Any]]:
    """The messages that hold the text, each with partition, offset, key, headers and value."""
    from aiokafka import AIOKafkaConsumer, TopicPartition
    from aiokafka.admin import AIOKafkaAdminClient

    admin = AIOKafkaAdminClient(**access())
    await admin.start()
    try:
        (described,) = await admin.describe_topics([topic])
    finally:
        await admin.close()
    places = [TopicPartition(topic, partition["partition"]) for partition in described["partitions"]]
    if not places:
        return []
    consumer = AIOKafkaConsumer(**access())
    await consumer.start()
    try:
        consumer.assign(places)
        begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        for place in places:
            consumer.seek(place, max(begins[place], ends[place] - NEWEST))
        end = asyncio.get_running_loop().time() + float(seconds)
        found: list[dict[str, Any]] = []
        while True:
            batch = await consumer.getmany(timeout_ms=200)
            found += [
                {
                    "partition": message.partition,
                    "offset": message.offset,
                    "key": (message.key or b"").decode(),
                    "headers": {name: value.decode() for name, value in message.headers},
                    "value": json.loads(message.value),
                }
                for messages in batch.values()
                for message in messages
                if text.encode() in (message.key or b"") + (message.value or b"")
            ]
            caught_up = all([await consumer.position(place) >= ends[place] for place in places])
            if (found and caught_up) or asyncio.get_running_loop().time() > end:
                return found
    finally:
        await consumer.stop()


COMMANDS: dict[str, Callable[..., Coroutine[Any, Any, Any]]] = {
    "state": state,
    "copies": copies,
    "find": find,
    "rights": rights,
}

if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    sys.stdout.write(json.dumps(asyncio.run(asyncio.wait_for(COMMANDS[command](*arguments), 45))))
