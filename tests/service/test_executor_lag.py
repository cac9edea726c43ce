"""The watch over a consumer: its lag is shown, and a silent one is found."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import TopicPartition

from service.executor import lag, metrics
from service.executor.lag import ConsumerStalledError, LagWatch
from tests.service.servers import eventually

pytestmark = pytest.mark.ring("unit")

PARTITION = TopicPartition("lag-test", 0)


class Consumer:
    """What the watch asks of a consumer."""

    def __init__(self, *, position: int, end: int, assigned: bool = True) -> None:
        self.at, self.end, self.assigned, self.asked = position, end, assigned, 0

    def assignment(self) -> set[TopicPartition]:
        """The one partition, or none."""
        self.asked += 1
        return {PARTITION} if self.assigned else set()

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """The end of each."""
        return dict.fromkeys(partitions, self.end)

    async def position(self, _: TopicPartition) -> int:
        """The next offset to be read."""
        return self.at


async def looked(consumer: Consumer, prove: Callable[[LagWatch], Any]) -> None:
    watch = LagWatch(consumer)
    watch.start()
    try:

        async def asked() -> bool:
            return consumer.asked > 0

        await eventually(asked, "the watch to look")
        await asyncio.sleep(0)
        prove(watch)
    finally:
        await watch.stop()


def _is_stalled(watch: LagWatch) -> None:
    with pytest.raises(ConsumerStalledError):
        watch.check()


async def test_the_lag_of_each_partition_is_shown_and_taken_away_again() -> None:
    def shown(watch: LagWatch) -> None:
        watch.check()
        assert metrics.CONSUMER_LAG.labels("lag-test", 0)._value.get() == 3

    await looked(Consumer(position=2, end=5), shown)
    assert ("lag-test", "0") not in metrics.CONSUMER_LAG._metrics


async def test_a_consumer_that_gets_nothing_though_messages_wait_is_stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag, "STALLED_SECONDS", -1.0)
    await looked(Consumer(position=2, end=5), _is_stalled)


async def test_a_consumer_that_cannot_say_where_it_is_is_stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Consumer):
        async def position(self, _: TopicPartition) -> int:
            """Never known."""
            await asyncio.Event().wait()
            return 0

    await looked(Hanging(position=0, end=5), LagWatch.check)
    monkeypatch.setattr(lag, "BLIND_SECONDS", -1.0)
    await looked(Hanging(position=0, end=5), _is_stalled)


async def test_a_consumer_without_anything_to_read_is_not_stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag, "STALLED_SECONDS", -1.0)
    await looked(Consumer(position=5, end=5), LagWatch.check)


async def test_a_consumer_that_was_never_assigned_a_partition_is_stalled_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await looked(Consumer(position=0, end=0, assigned=False), LagWatch.check)
    monkeypatch.setattr(lag, "UNASSIGNED_SECONDS", -1.0)
    await looked(Consumer(position=0, end=0, assigned=False), _is_stalled)
