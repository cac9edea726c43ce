"""Offsets are committed beside the work: the newest count, and a consumer that can never commit is noticed."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import CommitFailedError

from service.executor import offsets as offsets_module
from service.executor.lag import ConsumerStalledError
from service.executor.offsets import FAILED_COMMITS, Offsets

pytestmark = pytest.mark.ring("unit")


class Consumer:
    """Commits when it is let; has partitions 0 and 1."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.commits: list[dict[int, int]] = []
        self.error: Exception | None = None

    def assignment(self) -> set[int]:
        return {0, 1}

    async def commit(self, offsets: dict[int, int]) -> None:
        self.commits.append(dict(offsets))
        await self.let.wait()
        if self.error is not None:
            raise self.error


@pytest.fixture
async def consumer(monkeypatch: pytest.MonkeyPatch) -> Consumer:
    """One whose commits follow one another at once."""
    monkeypatch.setattr(offsets_module, "PAUSE_SECONDS", 0)
    return Consumer()


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_of_what_is_noted_during_a_commit_the_newest_is_committed_next(consumer: Consumer) -> None:
    offsets = Offsets(consumer)
    offsets.note({0: 1})
    await turns()
    offsets.note({0: 2, 1: 5})
    offsets.note({0: 3})
    consumer.let.set()
    await offsets.stop()
    assert consumer.commits == [{0: 1}, {0: 3, 1: 5}]


async def test_what_is_noted_after_a_commit_is_committed(consumer: Consumer) -> None:
    consumer.let.set()
    offsets = Offsets(consumer)
    for offset in (1, 2):
        offsets.note({0: offset})
        await turns()
    await offsets.stop()
    assert consumer.commits == [{0: 1}, {0: 2}]


async def test_commits_pause_between_one_another_but_not_at_the_end(
    consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offsets_module, "PAUSE_SECONDS", 60)
    consumer.let.set()
    offsets = Offsets(consumer)
    for offset in (1, 2, 3):
        offsets.note({0: offset})
        await turns()
    assert consumer.commits == [{0: 1}]
    async with asyncio.timeout(10):
        await offsets.stop()
    assert consumer.commits == [{0: 1}, {0: 3}]


async def test_a_partition_that_is_ours_no_more_is_left_out(consumer: Consumer) -> None:
    consumer.let.set()
    offsets = Offsets(consumer)
    offsets.note({0: 1, 7: 9})
    await offsets.stop()
    assert consumer.commits == [{0: 1}]


async def test_refusals_in_a_row_are_told(consumer: Consumer) -> None:
    consumer.let.set()
    consumer.error = CommitFailedError()
    offsets = Offsets(consumer)
    for offset in range(FAILED_COMMITS - 1):
        offsets.note({0: offset})
        await turns()
        offsets.check()
    offsets.note({0: FAILED_COMMITS})
    await turns()
    with pytest.raises(ConsumerStalledError):
        offsets.check()


async def test_a_commit_that_is_never_answered_is_told(consumer: Consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offsets_module, "COMMIT_SECONDS", 0.01)
    offsets = Offsets(consumer)
    offsets.note({0: 1})

    async def told() -> None:
        while True:
            offsets.check()
            await asyncio.sleep(0)

    async with asyncio.timeout(10):
        with pytest.raises(TimeoutError):
            await told()


async def test_the_end_is_not_held_up_by_a_commit(consumer: Consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offsets_module, "_LAST_SECONDS", 0.01)
    offsets = Offsets(consumer)
    offsets.note({0: 1})
    async with asyncio.timeout(10):
        await offsets.stop()
    tasks: set[Any] = {task for task in asyncio.all_tasks() if task.get_name() == "offsets"}
    assert not tasks
