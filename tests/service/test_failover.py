"""Patience with a database that changes its primary, without any I/O."""

from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from service.platform.database import DatabaseUnavailableError
from service.platform.failover import Patience, note_commit, note_connection

pytestmark = pytest.mark.ring("unit")


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Work:
    """Work that meets the given errors, one an attempt, and then succeeds."""

    def __init__(self, *errors: Exception, before: Callable[[], None] = lambda: None) -> None:
        self.errors = list(errors)
        self.before = before
        self.attempts = 0

    async def __call__(self) -> str:
        self.attempts += 1
        self.before()
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def away() -> DatabaseUnavailableError:
    return DatabaseUnavailableError("no connection")


@pytest.fixture
def clock() -> Clock:
    """The time as the patience sees it."""
    return Clock()


@pytest.fixture
def patience(clock: Clock) -> Patience:
    """Eight seconds of it."""
    return Patience(8.0, clock)


@pytest.mark.parametrize(
    "error",
    [
        away(),
        asyncpg.AdminShutdownError("57P01"),
        asyncpg.CannotConnectNowError("57P03"),
        asyncpg.ConnectionDoesNotExistError("08003"),
        asyncpg.ReadOnlySQLTransactionError("25006"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_work_that_lost_its_primary_is_done_again(patience: Patience, error: Exception) -> None:
    work = Work(error)
    assert await patience.repeat(work) == "done"
    assert work.attempts == 2


async def test_work_that_may_have_been_committed_is_never_done_again(patience: Patience) -> None:
    work = Work(away(), before=note_commit)
    with pytest.raises(DatabaseUnavailableError):
        await patience.repeat(work)
    assert work.attempts == 1


@pytest.mark.parametrize(
    "error",
    [ValueError("ours"), asyncpg.UniqueViolationError("23505"), asyncpg.DataError("not to be encoded")],
    ids=lambda error: type(error).__name__,
)
async def test_an_error_that_would_come_again_is_not_repeated(patience: Patience, error: Exception) -> None:
    work = Work(error)
    with pytest.raises(type(error)):
        await patience.repeat(work)
    assert work.attempts == 1


async def test_an_outage_is_waited_for_from_its_beginning_by_all_requests_together(
    patience: Patience, clock: Clock
) -> None:
    def five_seconds_pass() -> None:
        clock.now += 5

    first = Work(*[away() for _ in range(9)], before=five_seconds_pass)
    with pytest.raises(DatabaseUnavailableError):
        await patience.repeat(first)
    assert first.attempts == 3, "missed at 5 s, patient at 10 s, too late at 15 s"
    second = Work(away())
    with pytest.raises(DatabaseUnavailableError):
        await patience.repeat(second)
    assert second.attempts == 1, "nobody waits any more in an outage that lasts"


async def test_patience_is_back_once_the_database_was_reached(patience: Patience, clock: Clock) -> None:
    clock.now += 1
    await patience.repeat(Work(away()))
    clock.now += 9
    assert await patience.repeat(Work(before=note_connection)) == "done"
    assert await patience.repeat(Work(away())) == "done"


async def test_a_request_that_needs_no_database_says_nothing_about_an_outage(patience: Patience, clock: Clock) -> None:
    await patience.repeat(Work(away()))
    clock.now += 9
    assert await patience.repeat(Work()) == "done"
    with pytest.raises(DatabaseUnavailableError):
        await patience.repeat(Work(away()))


async def test_what_an_inner_repetition_gave_up_the_outer_one_does_not_begin_again(clock: Clock) -> None:
    patience = Patience(8.0, clock)
    inner = Work(*[away() for _ in range(9)], before=note_commit)

    def nested() -> Awaitable[str]:
        return patience.repeat(inner)

    with pytest.raises(DatabaseUnavailableError):
        await patience.repeat(nested)
    assert inner.attempts == 1
