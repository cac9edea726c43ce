"""How often a schedule of cron's five fields lets something run."""

from __future__ import annotations

import re
from datetime import date, timedelta
from itertools import pairwise

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_STEP = re.compile(r"^(?P<what>[^/]+)(?:/(?P<step>[1-9][0-9]*))?$")
"""A list's element: what is meant, and every how many of it."""

_DAYS = 800
"""Two years and more, so that a yearly schedule shows its gap."""


def longest_gap(schedule: str) -> timedelta | None:
    """The longest time between two runs; None when the text is no schedule or never comes true."""
    fields = _MACROS.get(schedule.strip().lower(), schedule).split()
    if len(fields) != 5:
        return None
    minutes, hours = _numbers(fields[0], 0, 59), _numbers(fields[1], 0, 23)
    days, months = _numbers(fields[2], 1, 31), _numbers(fields[3], 1, 12, _MONTHS, 1)
    weekdays = _numbers(fields[4], 0, 7, _WEEKDAYS)
    if minutes is None or hours is None or days is None or months is None or weekdays is None:
        return None
    weekdays = {number % 7 for number in weekdays}
    # Where both days are given, cron runs on either of them.
    either = not fields[2].startswith("*") and not fields[4].startswith("*")

    def is_due(day: date) -> bool:
        in_month, in_week = day.day in days, day.isoweekday() % 7 in weekdays
        return day.month in months and (in_month or in_week if either else in_month and in_week)

    times = sorted(hour * 60 + minute for hour in hours for minute in minutes)
    first = date(2023, 1, 1)
    due = [number for number in range(_DAYS) if is_due(first + timedelta(number))]
    if not due or not times:
        return None
    within = max((later - earlier for earlier, later in pairwise(times)), default=0)
    over_night = [(later - earlier) * 24 * 60 - times[-1] + times[0] for earlier, later in pairwise(due)]
    return timedelta(minutes=max([within, *over_night])) if over_night else None


def _numbers(field: str, least: int, most: int, names: tuple[str, ...] = (), first: int = 0) -> set[int] | None:
    found: set[int] = set()
    for element in field.lower().split(","):
        match = _STEP.match(element)
        if match is None:
            return None
        what, step = match["what"], int(match["step"] or 1)
        low, dash, high = ("*", "", "") if what == "*" else what.partition("-")
        if low == "*":
            begin, end = least, most
        else:
            begun = _number(low, names, first)
            ended = _number(high, names, first) if dash else (most if match["step"] else begun)
            if begun is None or ended is None:
                return None
            begin, end = begun, ended
        if not least <= begin <= end <= most:
            return None
        found |= set(range(begin, end + 1, step))
    return found


def _number(text: str, names: tuple[str, ...], first: int) -> int | None:
    if text in names:
        return names.index(text) + first
    return int(text) if text.isdigit() else None
