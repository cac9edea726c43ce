"""What a cron expression means in a time zone, above all where clocks change."""

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from service.schedules.timetable import InvalidTimetableError, Timetable

pytestmark = pytest.mark.ring("unit")

BERLIN, LORD_HOWE = "Europe/Berlin", "Australia/Lord_Howe"

# A little before each change: an hour, half an hour, two hours, and a whole day that Samoa left out.
CHANGES = {
    BERLIN: ("2026-03-28T12:00", "2026-10-24T12:00"),
    "America/New_York": ("2026-03-07T12:00", "2026-10-31T12:00"),
    LORD_HOWE: ("2026-04-04T00:00", "2026-10-03T00:00"),
    "Antarctica/Troll": ("2026-03-28T12:00", "2026-10-24T12:00"),
    "Pacific/Apia": ("2011-12-29T00:00",),
    "Asia/Kolkata": ("2026-06-01T00:00",),
}


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(expression: str, zone: str, after: str, count: int) -> list[str]:
    """The next moments as the clocks of the zone show them, with their offset."""
    table = Timetable(expression, zone)
    return [table.local(each).isoformat(timespec="minutes") for each in islice(table.after(at(after)), count)]


def test_a_fixed_time_stays_on_the_clock_when_the_offset_changes() -> None:
    assert local("30 7 * * *", BERLIN, "2026-03-28T00:00", 3) == [
        "2026-03-28T07:30+01:00",
        "2026-03-29T07:30+02:00",
        "2026-03-30T07:30+02:00",
    ]


def test_a_fixed_time_in_the_missing_hour_comes_once_at_its_end() -> None:
    assert local("15,45 2 * * *", BERLIN, "2026-03-28T12:00", 3) == [
        "2026-03-29T03:00+02:00",
        "2026-03-30T02:15+02:00",
        "2026-03-30T02:45+02:00",
    ]


def test_a_fixed_time_in_the_doubled_hour_comes_in_the_first_of_the_two() -> None:
    assert local("30 2 * * *", BERLIN, "2026-10-24T12:00", 2) == ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]


def test_from_within_the_second_of_the_doubled_hours_a_fixed_time_is_not_in_the_past() -> None:
    assert local("45 2 * * *", BERLIN, "2026-10-25T01:30", 1) == ["2026-10-26T02:45+01:00"]


def test_from_within_the_first_of_the_doubled_hours_the_second_has_times_that_were_shown_already() -> None:
    assert local("15 * * * *", BERLIN, "2026-10-25T00:30", 2) == ["2026-10-25T02:15+01:00", "2026-10-25T03:15+01:00"]


def test_an_expression_that_follows_the_clock_leaves_the_missing_hour_out() -> None:
    assert local("*/30 * * * *", BERLIN, "2026-03-29T00:00", 3) == [
        "2026-03-29T01:30+01:00",
        "2026-03-29T03:00+02:00",
        "2026-03-29T03:30+02:00",
    ]


def test_an_expression_that_follows_the_clock_comes_in_both_doubled_hours_in_order() -> None:
    assert local("*/30 2 * * *", BERLIN, "2026-10-24T12:00", 5) == [
        "2026-10-25T02:00+02:00",
        "2026-10-25T02:30+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T02:30+01:00",
        "2026-10-26T02:00+01:00",
    ]


def test_a_day_that_a_zone_left_out_ends_with_the_times_it_had() -> None:
    assert local("0 9 * * *", "Pacific/Apia", "2011-12-29T20:00", 2) == [
        "2011-12-31T00:00+14:00",
        "2011-12-31T09:00+14:00",
    ]


def test_a_shift_of_half_an_hour_loses_nothing() -> None:
    assert local("*/30 3 * * *", LORD_HOWE, "2026-10-03T13:00", 2) == [
        "2026-10-04T03:00+11:00",
        "2026-10-04T03:30+11:00",
    ]


def _walls(expression: str) -> CronSim:
    return CronSim(expression, datetime(2000, 1, 1))


def _shown(expression: str, zone: ZoneInfo, begin: datetime, end: datetime) -> list[datetime]:
    """Each minute at which the clock on the wall shows a time of the expression: slow, and plainly right."""
    walls, found, moment = _walls(expression), [], begin + timedelta(minutes=1)
    while moment <= end:
        wall = moment.astimezone(zone)
        if wall.minute in walls.minutes and wall.hour in walls.hours and walls.match_day(wall.date()):
            found.append(moment)
        moment += timedelta(minutes=1)
    return found


MINUTES = st.sampled_from(["*", "*/7", "*/30", "0", "15,45", "0-59/10", "59"])
HOURS = st.sampled_from(["*", "*/2", "1", "2", "3", "1-3", "0", "2,3", "22-23"])
PLACES = st.sampled_from([(zone, begin) for zone, begins in CHANGES.items() for begin in begins])


@settings(max_examples=150, deadline=None)
@given(MINUTES, HOURS, PLACES, st.integers(0, 48 * 60))
def test_what_follows_the_clock_comes_whenever_the_clock_shows_it(
    minute: str, hour: str, place: tuple[str, str], offset: int
) -> None:
    expression = f"{minute} {hour} * * *"
    begin = at(place[1]) + timedelta(minutes=offset)
    end = begin + timedelta(hours=12)
    found = list(takewhile(lambda each: each <= end, Timetable(expression, place[0]).after(begin)))
    assert found == sorted(set(found)), "in order, none twice"
    if minute.startswith("*") or hour.startswith("*"):
        assert found == _shown(expression, ZoneInfo(place[0]), begin, end)


@settings(max_examples=100, deadline=None)
@given(MINUTES, HOURS, PLACES)
def test_every_fixed_time_of_every_day_comes_once(minute: str, hour: str, place: tuple[str, str]) -> None:
    if minute.startswith("*") or hour.startswith("*"):
        return
    zone, begin = ZoneInfo(place[0]), at(place[1])
    table = Timetable(f"{minute} {hour} * * *", place[0])
    found = list(takewhile(lambda each: each <= begin + timedelta(days=3), table.after(begin)))
    start = begin.astimezone(zone).replace(tzinfo=None)
    expected = set()
    for wall in takewhile(lambda each: each <= start + timedelta(days=5), CronSim(f"{minute} {hour} * * *", start)):
        moment = wall.replace(tzinfo=zone).astimezone(UTC)
        while moment.astimezone(zone).replace(tzinfo=None) != wall.replace(tzinfo=None):
            wall += timedelta(minutes=1)
            moment = wall.replace(tzinfo=zone).astimezone(UTC)
        expected.add(moment)
    last = max([*found, begin])
    assert found == sorted(each for each in expected if begin < each <= last)


@settings(max_examples=60, deadline=None)
@given(MINUTES, HOURS, PLACES, st.integers(1, 30), st.integers(0, 3000))
def test_the_newest_are_the_last_of_all(
    minute: str, hour: str, place: tuple[str, str], limit: int, minutes: int
) -> None:
    table = Timetable(f"{minute} {hour} * * *", place[0])
    first = table.next_after(at(place[1]))
    assert first is not None
    until = first + timedelta(minutes=minutes)
    everything = [first, *takewhile(lambda each: each <= until, table.after(first))]
    assert table.newest(first, until, limit) == everything[-limit:]


def test_the_newest_of_ten_years_of_minutes_are_found_without_counting_them_all() -> None:
    table = Timetable("* * * * *", BERLIN)
    assert table.newest(at("2016-01-01T00:00"), at("2026-01-01T00:00"), 2) == [
        at("2025-12-31T23:59"),
        at("2026-01-01T00:00"),
    ]


def test_a_day_that_almost_never_comes_is_found_and_one_that_never_comes_is_refused() -> None:
    assert Timetable("0 0 29 2 *", "UTC").next_after(at("2026-03-01T00:00")) == at("2028-02-29T00:00")
    with pytest.raises(InvalidTimetableError, match=r"day-of-month field is '31'.*a day that the months have"):
        Timetable("0 0 31 2 *", "UTC")


def test_a_time_that_comes_every_28_years_is_shown_for_50_years_only() -> None:
    assert local("0 0 */28 2 MON#5", "UTC", "2026-01-01T00:00", 100) == [
        "2044-02-29T00:00+00:00",
        "2072-02-29T00:00+00:00",
    ]
    assert Timetable("0 0 */30 2 TUE#2", BERLIN).next_after(at("2026-01-01T00:00")) is None


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "must have 5 fields (minute, hour, day of month, month, day of week), has 0"),
        ("* * * *", "must have 5 fields (minute, hour, day of month, month, day of week), has 4"),
        ("0 * * * * *", "must have 5 fields (minute, hour, day of month, month, day of week), has 6"),
        ("@daily", "must have 5 fields (minute, hour, day of month, month, day of week), has 1"),
        ("60 * * * *", "the minute field is '60', must be"),
        ("* 24 * * *", "the hour field is '24', must be"),
        ("* * 0 * *", "the day-of-month field is '0', must be"),
        ("* * * JANUARY *", "the month field is 'JANUARY', must be"),
        ("* * * * FRI-MON", "the day-of-week field is 'FRI-MON', must be"),
        ("*/0 * * * *", "the minute field is '*/0', must be"),
    ],
)
def test_a_wrong_expression_is_refused_with_the_field_and_what_it_takes(expression: str, said: str) -> None:
    with pytest.raises(InvalidTimetableError) as refused:
        Timetable(expression, "UTC")
    assert said in str(refused.value)
    assert refused.value.field == "expression"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(alphabet="0123456789*/,-#LWMONJA²", min_size=1, max_size=8), min_size=5, max_size=5))
def test_whatever_is_written_is_taken_or_refused(fields: list[str]) -> None:
    try:
        table = Timetable(" ".join(fields), "UTC")
    except InvalidTimetableError:
        return
    table.next_after(at("2026-01-01T00:00"))


@pytest.mark.parametrize("zone", ["", "Berlin", "europe/berlin", "../../etc/passwd", "Factory", "Europe", "+02:00"])
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(InvalidTimetableError, match="is no IANA time zone; give one like Europe/Berlin") as refused:
        Timetable("* * * * *", zone)
    assert refused.value.field == "time_zone"


def test_a_zones_old_name_is_known() -> None:
    assert Timetable("0 0 * * *", "US/Eastern").next_after(at("2026-07-01T00:00")) == at("2026-07-01T04:00")
