"""The count of what somebody did lately, on a clock of the test's own."""

import sys

import pytest

from service.platform.sliding_window import SlidingWindow

pytestmark = pytest.mark.ring("unit")


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, now: float = 600.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """At the beginning of a window of a minute."""
    return Clock()


@pytest.fixture
def three(clock: Clock) -> SlidingWindow:
    """Three a minute."""
    return SlidingWindow("test", 3, 60, clock=clock)


def test_so_many_are_allowed_and_no_more(three: SlidingWindow) -> None:
    standings = [three.take("a") for _ in range(5)]
    assert [each.allowed for each in standings] == [True, True, True, False, False]
    assert [each.remaining for each in standings] == [2, 1, 0, 0, 0]


def test_each_key_has_its_own_count(three: SlidingWindow) -> None:
    for _ in range(4):
        three.take("a")
    assert three.take("b").allowed


@pytest.mark.parametrize("begun", [0.0, 1.5, 30.0, 59.9])
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_who_waits_as_long_as_told_is_allowed_again_and_who_comes_sooner_is_not(limit: int, begun: float) -> None:
    clock = Clock(600 + begun)
    window = SlidingWindow("test", limit, 60, clock=clock)
    while (standing := window.take("a")).allowed:
        pass
    assert standing.retry_after >= 1
    refused_at = clock.now
    clock.now = refused_at + standing.retry_after - 1.01
    assert standing.retry_after == 1 or not window.take("a").allowed
    clock.now = refused_at + standing.retry_after
    assert window.take("a").allowed


def test_the_window_slides_instead_of_opening_all_at_once(three: SlidingWindow, clock: Clock) -> None:
    clock.now += 59
    assert all(three.take("a").allowed for _ in range(3))
    clock.now += 2
    assert not three.take("a").allowed


def test_after_two_windows_nothing_is_left_of_a_count(three: SlidingWindow, clock: Clock) -> None:
    for _ in range(4):
        three.take("a")
    clock.now += 120
    assert three.take("a").remaining == 2


def test_what_is_refused_does_not_count(three: SlidingWindow, clock: Clock) -> None:
    for _ in range(1000):
        three.take("a")
    clock.now += 80
    assert three.take("a").allowed


def test_one_that_is_given_back_did_not_count(three: SlidingWindow) -> None:
    for _ in range(3):
        three.take("a")
    three.give_back("a")
    assert three.take("a").allowed
    assert not three.take("a").allowed


def test_a_key_that_is_forgotten_begins_anew(three: SlidingWindow) -> None:
    for _ in range(3):
        three.take("a")
    three.forget("a")
    three.forget("never seen")
    three.give_back("never seen")
    assert three.take("a").remaining == 2


def test_no_more_keys_are_remembered_than_there_is_room_for(clock: Clock) -> None:
    window = SlidingWindow("test", 2, 60, keys=100, clock=clock)
    for number in range(10_000):
        window.take(f"key {number}")
        window.take("a constant guest")
    assert len(window) == 100
    assert not window.take("a constant guest").allowed


def test_a_full_memory_is_a_few_megabytes() -> None:
    window = SlidingWindow("test", 2, 60)
    for number in range(window.keys + 10):
        window.take(f"2001:db8:{number:x}::/64")
    size = sys.getsizeof(window._counts) + sum(
        sys.getsizeof(key) + sys.getsizeof(count) + 3 * 28 for key, count in window._counts.items()
    )
    assert size < 8 * 1024 * 1024
