"""Writes that share a batch, without any database."""

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

import pytest

from service.platform.coalescer import Coalescer
from service.platform.database import DatabaseUnavailableError

pytestmark = pytest.mark.ring("unit")


class Ledger:
    """Notes each batch; the gate holds writers back, and what is in `wrong` can't be written."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.wrong: dict[int, Exception] = {}
        self.answers: dict[int, Exception] = {}

    async def write(self, items: Sequence[int]) -> list[str | Exception]:
        """Answers each number in words."""
        self.batches.append(list(items))
        await self.gate.wait()
        for item in items:
            if item in self.wrong:
                raise self.wrong[item]
        return [self.answers.get(item, f"wrote {item}") for item in items]


@pytest.fixture
def ledger() -> Ledger:
    """What was written."""
    return Ledger()


def _coalescer(ledger: Ledger, *, writers: int = 1, most: int = 10) -> Coalescer[int, str]:
    return Coalescer[int, str](
        "test", ledger.write, most=most, workers=writers, key=lambda item: item if item >= 100 else None
    )


async def _all(coalescer: Coalescer[int, str], *items: int) -> list[str | BaseException]:
    return await asyncio.gather(*(coalescer.ask(item) for item in items), return_exceptions=True)


async def test_a_lone_item_is_written_at_once(ledger: Ledger) -> None:
    assert await _coalescer(ledger).ask(7) == "wrote 7"
    assert ledger.batches == [[7]]


async def test_what_comes_while_a_batch_is_written_is_the_next_batch(ledger: Ledger) -> None:
    ledger.gate.clear()
    coalescer = _coalescer(ledger)
    first = asyncio.create_task(coalescer.ask(1))
    await asyncio.sleep(0)
    others = asyncio.create_task(_all(coalescer, 2, 3, 4))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    ledger.gate.set()
    assert await first == "wrote 1"
    assert await others == ["wrote 2", "wrote 3", "wrote 4"]
    assert ledger.batches == [[1], [2, 3, 4]]


async def test_a_batch_holds_no_more_than_its_measure(ledger: Ledger) -> None:
    await _all(_coalescer(ledger, most=2), 1, 2, 3, 4, 5)
    assert max(map(len, ledger.batches)) == 2
    assert sorted(item for batch in ledger.batches for item in batch) == [1, 2, 3, 4, 5]


async def test_items_with_one_key_are_written_one_after_the_other(ledger: Ledger) -> None:
    await _all(_coalescer(ledger), 100, 100, 5)
    assert ledger.batches == [[100, 5], [100]]


async def test_an_item_that_can_not_be_written_does_not_take_others_along(ledger: Ledger) -> None:
    ledger.wrong[2] = ValueError("no")
    answers = await _all(_coalescer(ledger), 1, 2, 3)
    assert [answers[0], answers[2]] == ["wrote 1", "wrote 3"]
    assert isinstance(answers[1], ValueError)


async def test_while_the_database_is_away_no_item_is_tried_by_itself(ledger: Ledger) -> None:
    ledger.wrong[2] = DatabaseUnavailableError("away")
    answers = await _all(_coalescer(ledger), 1, 2, 3)
    assert {type(answer) for answer in answers} == {DatabaseUnavailableError}
    assert len(ledger.batches) == 1


async def test_an_answer_that_is_an_error_is_raised_to_its_own_caller_only(ledger: Ledger) -> None:
    ledger.answers[2] = KeyError("mine")
    answers = await _all(_coalescer(ledger), 1, 2)
    assert answers[0] == "wrote 1"
    assert isinstance(answers[1], KeyError)


async def test_who_goes_away_before_the_batch_takes_the_item_along(ledger: Ledger) -> None:
    ledger.gate.clear()
    coalescer = _coalescer(ledger)
    first = asyncio.create_task(coalescer.ask(1))
    await asyncio.sleep(0)
    gone = asyncio.create_task(coalescer.ask(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    ledger.gate.set()
    await first
    assert await coalescer.ask(3) == "wrote 3"
    assert ledger.batches == [[1], [3]]


async def test_at_the_end_what_waits_is_written_first(ledger: Ledger) -> None:
    coalescer = _coalescer(ledger)
    asked = asyncio.create_task(_all(coalescer, 1, 2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await coalescer.stop()
    assert await asked == ["wrote 1", "wrote 2"]


async def test_a_writer_sees_nothing_of_who_asked() -> None:
    mark: ContextVar[str] = ContextVar("mark", default="nobody's")

    async def write(items: Sequence[int]) -> list[str | Exception]:
        return [mark.get() for _ in items]

    mark.set("mine")
    assert await Coalescer[int, str]("test", write, most=10).ask(1) == "nobody's"
