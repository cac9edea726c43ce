"""What becomes of the times that are due, by the policies of the schedule."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.schedules.due import AT_ONCE, MOST_COUNTED, Decision, decide
from service.schedules.timetable import Timetable

pytestmark = pytest.mark.ring("unit")

HOURLY = Timetable("0 * * * *", "UTC")
SIX = datetime(2026, 6, 1, 6, tzinfo=UTC)


def hour(number: int) -> datetime:
    """So many hours after six."""
    return SIX + timedelta(hours=number)


def decided(now: datetime, **given: Any) -> Decision:
    values: dict[str, Any] = {"first": SIX, "catch_up": "skip", "limit": 10, "is_blocked": False}
    return decide(HOURLY, now=now, **(values | given))


@pytest.mark.parametrize("catch_up", ["skip", "latest", "all"])
def test_a_time_that_is_taken_up_at_once_begins_a_run(catch_up: str) -> None:
    found = decided(SIX + timedelta(seconds=59), catch_up=catch_up)
    assert (found.fire, found.next_fire_at, found.skipped) == ([SIX], hour(1), 0)
    assert found.last_skipped_at is None


def test_skip_lets_missed_times_pass() -> None:
    found = decided(SIX + timedelta(minutes=150))
    assert (found.fire, found.next_fire_at) == ([], hour(3))
    assert (found.skipped, found.last_skipped_at, found.reason) == (3, hour(2), "missed")


def test_skip_takes_up_the_one_that_is_on_time_after_missed_ones() -> None:
    found = decided(hour(2) + timedelta(seconds=1))
    assert (found.fire, found.next_fire_at) == ([hour(2)], hour(3))
    assert (found.skipped, found.last_skipped_at, found.reason) == (2, hour(1), "missed")


def test_latest_makes_up_for_the_last_missed_time_only() -> None:
    found = decided(SIX + timedelta(minutes=150), catch_up="latest")
    assert (found.fire, found.next_fire_at) == ([hour(2)], hour(3))
    assert (found.skipped, found.last_skipped_at) == (2, hour(1))


def test_all_makes_up_for_each_missed_time() -> None:
    found = decided(SIX + timedelta(minutes=150), catch_up="all")
    assert (found.fire, found.next_fire_at, found.skipped) == ([SIX, hour(1), hour(2)], hour(3), 0)


def test_all_makes_up_for_the_newest_within_the_limit() -> None:
    found = decided(hour(5), catch_up="all", limit=2)
    assert (found.fire, found.next_fire_at) == ([hour(4), hour(5)], hour(6))
    assert (found.skipped, found.last_skipped_at) == (4, hour(3))


def test_all_takes_a_bounded_number_at_once_and_leaves_the_rest_due() -> None:
    now = hour(40)
    first = decided(now, catch_up="all", limit=AT_ONCE + 3)
    assert (len(first.fire), first.fire[-1], first.next_fire_at) == (AT_ONCE, hour(37), hour(38))
    rest = decided(now, first=first.next_fire_at, catch_up="all", limit=AT_ONCE + 3)
    assert (rest.fire, rest.next_fire_at, rest.skipped) == ([hour(38), hour(39), hour(40)], hour(41), 0)


@pytest.mark.parametrize("catch_up", ["skip", "latest"])
def test_a_blocked_schedule_lets_all_times_pass(catch_up: str) -> None:
    found = decided(hour(1), catch_up=catch_up, is_blocked=True)
    assert (found.fire, found.next_fire_at) == ([], hour(2))
    assert (found.skipped, found.last_skipped_at, found.reason) == (2, hour(1), "overlap")


def test_a_stored_time_counts_even_where_the_zone_has_another_now() -> None:
    odd = SIX + timedelta(minutes=30)
    found = decided(odd, first=odd)
    assert (found.fire, found.next_fire_at) == ([odd], hour(1))


def test_years_of_missed_minutes_are_not_all_counted() -> None:
    now = SIX + timedelta(days=3000)
    found = decide(
        Timetable("* * * * *", "Europe/Berlin"), first=SIX, now=now, catch_up="latest", limit=1, is_blocked=False
    )
    assert (found.fire, found.skipped) == ([now], MOST_COUNTED)
