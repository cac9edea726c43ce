"""Asks Kafka from where the API stands. Run inside the API's container: `python -c <this text> state|find ...`.

`state` prints brokers, partitions by topic, and members and offsets of every consumer group. `find TOPIC TEXT SECONDS`
prints the newest messages of the topic whose key or value holds TEXT, waiting up to SECONDS for the first.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).read_text(encoding="utf-8") if "__file__" in globals() else ""
NEWEST = 500  # messages of each partition that `find` looks at, beside those that arrive meanwhile
BROKERS = os.environ.get("KAFKA_BROKERS", "").split(",")


async def state() -> dict[str, Any]:
    """Brokers, topics and consumer groups."""
    from aiokafka import AIOKafkaConsumer, TopicPartition
    from aiokafka.admin import AIOKafkaAdminClient

    admin = AIOKafkaAdminClient(bootstrap_servers=BROKERS, request_timeout_ms=10_000)
    consumer = AIOKafkaConsumer(bootstrap_servers=BROKERS)
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


async def find(topic: str, text: str, seconds: float) -> list[dict[str, Any]]:
    """The messages that hold the text, each with partition, offset, key, headers and value."""
    from aiokafka import AIOKafkaConsumer, TopicPartition
    from aiokafka.admin import AIOKafkaAdminClient

    admin = AIOKafkaAdminClient(bootstrap_servers=BROKERS)
    await admin.start()
    try:
        (described,) = await admin.describe_topics([topic])
    finally:
        await admin.close()
    places = [TopicPartition(topic, partition["partition"]) for partition in described["partitions"]]
    if not places:
        return []
    consumer = AIOKafkaConsumer(bootstrap_servers=BROKERS)
    await consumer.start()
    try:
        consumer.assign(places)
        begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        for place in places:
            consumer.seek(place, max(begins[place], ends[place] - NEWEST))
        end = asyncio.get_running_loop().time() + seconds
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


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    work = state() if command == "state" else find(arguments[0], arguments[1], float(arguments[2]))
    sys.stdout.write(json.dumps(asyncio.run(asyncio.wait_for(work, 30))))
