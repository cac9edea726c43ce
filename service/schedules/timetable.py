"""The moments that a cron expression means in a time zone. Pure: no I/O but the packaged zone data, no clock.

The library reads the expression and steps through wall-clock times; the way from these to moments is made here, because
the library's own loses moments where a zone shifts by half an hour (Australia/Lord_Howe). When clocks change, it is as
with Debian's cron:

- An expression whose minute or hour field begins with ``*`` follows the clock on the wall: nothing in an hour that is
  missing, everything twice in an hour that is doubled.
- Any other is for fixed times, each once: one in a missing hour at the end of the gap, one in a doubled hour in the
  first of the two.
"""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from itertools import takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

EXPRESSION_LENGTH = 200
_FIELDS = {
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, L for the last day, LW for the last weekday, and a day that the months have",
    "month": "1-12 or JAN-DEC",
    "day-of-week": "0-7 or SUN-SAT, MON#2 for the second Monday, 5L for the last Friday",
}
_MINUTE = timedelta(minutes=1)
_FIRST_SPAN = timedelta(hours=1)
_ANY_TIME = datetime(2000, 1, 1)
HORIZON = timedelta(days=50 * 366)
"""How far ahead moments are looked for: as far as the library goes for one. Going through it takes 20 ms at most."""


class InvalidTimetableError(ValueError):
    """What is wrong with an expression or a zone; ``field`` is ``expression`` or ``time_zone``."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Timetable:
    """A cron expression in a time zone. Raises InvalidTimetableError for what does not make one."""

    def __init__(self, expression: str, time_zone: str) -> None:
        _check(expression)
        self._expression = expression
        self._zone = _zone(time_zone)
        minute, hour = expression.split()[:2]
        self._follows_the_clock = minute.startswith("*") or hour.startswith("*")

    def local(self, moment: datetime) -> datetime:
        """The moment as the clocks of the zone show it."""
        return moment.astimezone(self._zone)

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The moments of the 50 years after the given one, in order, in UTC."""
        last = moment.astimezone(UTC)
        end = last + HORIZON
        for found in self._from(self._begin(moment)):
            if found > end:
                return
            if found > last:
                last = found
                yield found

    def next_after(self, moment: datetime) -> datetime | None:
        """The first moment later than the given one."""
        return next(self.after(moment), None)

    def newest(self, first: datetime, until: datetime, limit: int) -> list[datetime]:
        """The last ``limit`` moments from ``first``, which counts as one, to ``until`` inclusive, in order."""
        span = _FIRST_SPAN
        while True:
            begin = max(first, until - span)
            found = deque(takewhile(lambda each: each <= until, self.after(begin)), maxlen=limit)
            if begin == first:
                return [first, *found][-limit:]
            if len(found) == limit:
                return list(found)
            span *= 4

    def _begin(self, moment: datetime) -> datetime:
        """A wall-clock time before all that may mean something later than the moment."""
        wall = self.local(moment).replace(tzinfo=None, fold=0)
        # In the first of two doubled hours the second has times that the clock showed already.
        return wall - max(timedelta(0), self._offset(wall, 0) - self._offset(wall, 1))

    def _from(self, begin: datetime) -> Iterator[datetime]:
        later: deque[datetime] = deque()
        for wall in CronSim(self._expression, begin):
            moments = self._moments(wall)
            if not moments:
                continue
            while later and later[0] < moments[0]:
                yield later.popleft()
            yield moments[0]
            # The second of two doubled hours comes after all of the first.
            later.extend(moments[1:])
        yield from later

    def _moments(self, wall: datetime) -> list[datetime]:
        before, after = self._offset(wall, 0), self._offset(wall, 1)
        if before == after:
            return [self._moment(wall, 0)]
        if before > after:
            return [self._moment(wall, fold) for fold in ((0, 1) if self._follows_the_clock else (0,))]
        if self._follows_the_clock:
            return []
        while self._offset(wall, 0) < self._offset(wall, 1):
            wall += _MINUTE
        return [self._moment(wall, 0)]

    def _offset(self, wall: datetime, fold: int) -> timedelta:
        return wall.replace(tzinfo=self._zone, fold=fold).utcoffset() or timedelta(0)

    def _moment(self, wall: datetime, fold: int) -> datetime:
        return wall.replace(tzinfo=self._zone, fold=fold).astimezone(UTC)


def _check(expression: str) -> None:
    count = len(expression.split())
    if count != len(_FIELDS):
        raise InvalidTimetableError(
            "expression", f"must have 5 fields (minute, hour, day of month, month, day of week), has {count}"
        )
    try:
        CronSim(expression, _ANY_TIME)
    except CronSimError as error:
        name = str(error).removeprefix("Bad ")
        wrong = dict(zip(_FIELDS, expression.split(), strict=True)).get(name, expression)
        raise InvalidTimetableError(
            "expression",
            f"the {name} field is {wrong!r}, must be *, or a list of values, ranges (1-5) and steps (*/5)"
            f" of {_FIELDS.get(name, 'what the field takes')}",
        ) from None


@lru_cache
def _zone_names() -> frozenset[str]:
    return frozenset((files("tzdata") / "zones").read_text(encoding="utf-8").split()) - {"Factory"}


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    """A zone of the pinned package, so that all processes know the same rules whatever their machine has."""
    if name not in _zone_names():
        raise InvalidTimetableError(
            "time_zone", f"{name!r} is no IANA time zone; give one like Europe/Berlin, America/New_York or UTC"
        )
    with (files("tzdata") / "zoneinfo").joinpath(*name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)
