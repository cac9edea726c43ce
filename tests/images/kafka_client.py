"""What a program of the service does with Kafka, run inside its image: `python -c <this text> send|receive N`.

`send` writes N messages to the execution topic, trying again for up to 60 s, and prints the seconds it took; `receive`
reads N of them in the executors' group and commits. What Kafka refuses is printed as one word, with exit code 3.
"""

import asyncio
import contextlib
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).read_text(encoding="utf-8") if "__file__" in globals() else ""
REFUSED = 3
SECONDS = 60.0


async def send(count: int) -> None:
    """Until all are confirmed by enough brokers."""
    from service.platform.kafka import BoundedProducer, KafkaUnavailableError, Record
    from service.platform.settings import load_settings

    settings = load_settings()
    producer = BoundedProducer(settings, client_id="test")
    began = time.monotonic()
    records = [Record(settings.kafka_execution_topic, f"key-{number}", b"{}") for number in range(count)]
    while True:
        try:
            await producer.send(records)
            break
        except KafkaUnavailableError as error:
            if "uthorization" in str(error) + repr(error.__cause__):
                sys.stdout.write("refused\n")
                raise SystemExit(REFUSED) from None
            if time.monotonic() - began > SECONDS:
                raise
    await producer.stop()
    sys.stdout.write(f"{time.monotonic() - began:.1f}\n")


async def receive(count: int) -> None:
    """Until so many have come."""
    from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError

    from service.executor.consumer import GROUP
    from service.platform.kafka import create_consumer, stop_consumer
    from service.platform.settings import load_settings

    settings = load_settings()
    consumer = create_consumer(settings, topics=[settings.kafka_execution_topic], group=GROUP, client_id="test")
    try:
        async with asyncio.timeout(SECONDS):
            await consumer.start()
            while count > 0:
                count -= sum(map(len, (await consumer.getmany(timeout_ms=200)).values()))
            await consumer.commit()
    except (GroupAuthorizationFailedError, TopicAuthorizationFailedError):
        sys.stdout.write("refused\n")
        raise SystemExit(REFUSED) from None
    finally:
        with contextlib.suppress(Exception):
            await stop_consumer(consumer)


if __name__ == "__main__":
    asyncio.run({"send": send, "receive": receive}[sys.argv[1]](int(sys.argv[2])))
