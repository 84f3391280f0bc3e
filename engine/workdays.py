"""Working days as the State Council arranges them: public holidays, and the weekends worked in exchange.

`chinese_calendar` carries the published years. Above it stand the days and years that an administrator enters when a
notice appears before the package knows it, or when a place differs. A year that nobody has published yet is counted by
its weekdays, and whatever rests on such a year is provisional.
"""

from __future__ import annotations

import secrets
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from chinese_calendar import constants as shipped
from sqlalchemy.engine import Connection, Engine

from engine import audit
from engine.audit import Actor
from engine.db import metadata
from engine.errors import N_, Invalid, NotFound
from engine.prepared import Prepared

SHANGHAI = ZoneInfo("Asia/Shanghai")

calendar_day = sa.Table(
    "calendar_day",
    metadata,
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("is_workday", sa.Boolean, nullable=False),
    # What the day is for, as the notice calls it: 国庆节.
    sa.Column("name", sa.String(60), nullable=False),
    # The notice it comes from: 国办发明电〔2026〕… Empty where somebody only corrected a day.
    sa.Column("source", sa.String(200), nullable=False),
)

# The years whose notice has been entered as a whole, so that nothing counted in them is provisional any more.
calendar_year = sa.Table(
    "calendar_year",
    metadata,
    sa.Column("year", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("source", sa.String(200), nullable=False),
)

# One row, replaced by every change, so that a process sees with one short query whether its snapshot is still good.
calendar_revision = sa.Table(
    "calendar_revision",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    # Random and not counted: a number that a rolled back change has used would come again with other content.
    sa.Column("revision", sa.BigInteger, nullable=False),
)


@dataclass(frozen=True)
class Day:
    """One day that is not what its weekday says, or that somebody entered."""

    day: date
    is_workday: bool
    name: str
    source: str = ""


@dataclass(frozen=True)
class Due:
    """The instant a deadline ends, always the midnight that ends a day in Shanghai."""

    at: datetime
    # Some day that was counted lies in a year whose holidays are not published yet.
    provisional: bool

    @property
    def day(self) -> date:
        """The last day of the deadline, as people name it."""
        return (self.at.astimezone(SHANGHAI) - timedelta(microseconds=1)).date()


_SHIPPED_YEARS = frozenset(day.year for day in shipped.holidays)
_CHINESE_NAMES = {holiday.value: holiday.chinese for holiday in shipped.Holiday}
_SHIPPED = {
    day: Day(day, is_workday, _CHINESE_NAMES.get(name, name), "chinesecalendar")
    for is_workday, days in ((False, shipped.holidays), (True, shipped.workdays))
    for day, name in days.items()
}


@dataclass(frozen=True)
class Calendar:
    """A snapshot of the calendar: pure, so that whoever counts with it needs no database."""

    # The days and years of our own tables, above those that the package ships.
    days: Mapping[date, Day] = field(default_factory=dict)
    years: frozenset[int] = frozenset()
    # Tells two states of the calendar apart, a newer package's too.
    revision: str = f"{max(_SHIPPED_YEARS)}-0"

    def is_workday(self, day: date) -> bool:
        exception = self.days.get(day) or _SHIPPED.get(day)
        return exception.is_workday if exception else day.weekday() < 5

    def is_provisional(self, day: date) -> bool:
        """Whether the day's year is not published yet, and nobody entered the day itself."""
        return day.year not in _SHIPPED_YEARS and day.year not in self.years and day not in self.days

    def known_from(self, year: int) -> str | None:
        """Where the year's holidays stand: a `notice` that was entered, the `package`, or nowhere yet."""
        if year in self.years:
            return "notice"
        return "package" if year in _SHIPPED_YEARS else None

    def exceptions(self, year: int) -> list[Day]:
        """The days of a year that are not what their weekday says, or that somebody entered, in their order."""
        days = {**_SHIPPED, **self.days}
        return sorted((day for day in days.values() if day.day.year == year), key=lambda day: day.day)

    def add(self, day: date, n: int) -> date:
        """The n-th working day after `day`, or before it where n is negative; `day` itself is never counted."""
        step, left = timedelta(days=1 if n > 0 else -1), abs(n)
        while left:
            day += step
            left -= self.is_workday(day)
        return day

    def between(self, a: date, b: date) -> int:
        """How many working days lead from `a` to `b`, negative where `b` lies before: what `add` undoes."""
        if b < a:
            return -sum(map(self.is_workday, _days(b, a)))
        return sum(map(self.is_workday, _days(a + timedelta(days=1), b + timedelta(days=1))))

    def due(self, opened_at: datetime, n: int) -> Due:
        """The end of the n-th working day after the day of `opened_at` in Shanghai."""
        opened = opened_at.astimezone(SHANGHAI).date()
        return self._due(opened, self.add(opened, n))

    def shift(self, due: Due, n: int) -> Due:
        """The same deadline n working days later, or earlier: `shift(due, -3)` is the time to warn."""
        shifted = self._due(due.day, self.add(due.day, n))
        return Due(shifted.at, due.provisional or shifted.provisional)

    def remaining(self, now: datetime, due: Due) -> int:
        """Working days left after today: 0 on the last day, negative once it is over, each begun one counted."""
        today = now.astimezone(SHANGHAI).date()
        if now < due.at:
            return self.between(today, due.day)
        return -max(1, self.between(due.day, today))

    def _due(self, a: date, b: date) -> Due:
        first, last = sorted((a, b))
        provisional = any(map(self.is_provisional, _days(first, last + timedelta(days=1))))
        midnight = datetime.combine(b + timedelta(days=1), time(), SHANGHAI)
        return Due(midnight.astimezone(UTC), provisional)


def _days(first: date, end: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((end - first).days))


# The last snapshot of each database in this process.
_snapshots: weakref.WeakKeyDictionary[Engine, Calendar] = weakref.WeakKeyDictionary()


def load(connection: Connection) -> Calendar:
    """The calendar as it stands. Costs one short query where nothing has changed since the last time."""
    row = _REVISION.first(connection, {})
    number = row.revision if row else 0
    revision = f"{max(_SHIPPED_YEARS)}-{number}"
    snapshot = _snapshots.get(connection.engine)
    if snapshot is None or snapshot.revision != revision:
        snapshot = _snapshots[connection.engine] = _read(connection, revision)
    return snapshot


_REVISION = Prepared(sa.select(calendar_revision.c.revision))


def source_of(connection: Connection, year: int) -> str | None:
    """The notice that was entered for a year; None where none was."""
    return connection.scalar(sa.select(calendar_year.c.source).where(calendar_year.c.year == year))


def _read(connection: Connection, revision: str) -> Calendar:
    days = [Day(*row) for row in connection.execute(sa.select(calendar_day))]
    years = connection.scalars(sa.select(calendar_year.c.year))
    return Calendar(MappingProxyType({day.day: day for day in days}), frozenset(years), revision)


def set_day(
    connection: Connection, actor: Actor, day: date, is_workday: bool, name: str, *, at: datetime, source: str = ""
) -> None:
    """Say that one day is worked, or is free, whatever the weekday and the package say.

    Whether the actor administers this deployment's calendar is asked by the caller, as permissions stand above.
    """
    _enter(connection, _checked(Day(day, is_workday, name.strip(), source.strip())))
    audit.record(
        connection,
        actor,
        "calendar.day_set",
        "calendar_day",
        day.toordinal(),
        at=at,
        after={"day": day.isoformat(), "is_workday": is_workday},
    )
    _touch(connection)


def clear_day(connection: Connection, actor: Actor, day: date, *, at: datetime) -> None:
    """Take back what was entered for a day: it is again what the package or its weekday says. Raises `NotFound`."""
    this_day = calendar_day.c.day == day
    was_workday = connection.scalar(sa.select(calendar_day.c.is_workday).where(this_day))
    if was_workday is None:
        raise NotFound(N_("Nothing was entered for this day."))
    connection.execute(calendar_day.delete().where(this_day))
    audit.record(
        connection,
        actor,
        "calendar.day_cleared",
        "calendar_day",
        day.toordinal(),
        at=at,
        before={"day": day.isoformat(), "is_workday": was_workday},
    )
    _touch(connection)


def publish_year(
    connection: Connection, actor: Actor, year: int, days: Iterable[Day], source: str, *, at: datetime
) -> None:
    """Enter the State Council's notice for a year as a whole. From now on nothing counted in it is provisional.

    A notice may also name days of the December before, at which a long new year's holiday begins.
    """
    source = source.strip()
    if not source:
        raise Invalid(N_("Say which notice the year comes from."))
    days = [_checked(Day(day.day, day.is_workday, day.name.strip(), source)) for day in days]
    if not all(_belongs(day.day, year) for day in days):
        raise Invalid(N_("Every day of the notice must lie in %(year)s, or in the December before."), year=year)
    connection.execute(calendar_year.delete().where(calendar_year.c.year == year))
    connection.execute(calendar_year.insert(), {"year": year, "source": source})
    for day in days:
        _enter(connection, day)
    audit.record(
        connection,
        actor,
        "calendar.year_published",
        "calendar_year",
        year,
        at=at,
        after={"source": source, "days": {day.day.isoformat(): day.is_workday for day in days}},
    )
    _touch(connection)


def retract_year(connection: Connection, actor: Actor, year: int, *, at: datetime) -> None:
    """Take back a year that was entered by mistake, with all of its days. Raises `NotFound`."""
    this_year = calendar_year.c.year == year
    source = connection.scalar(sa.select(calendar_year.c.source).where(this_year))
    if source is None:
        raise NotFound(N_("No notice was entered for %(year)s."), year=year)
    connection.execute(calendar_year.delete().where(this_year))
    in_year = calendar_day.c.day.between(date(year, 1, 1), date(year, 12, 31))
    # Of the December before, only what came with this notice.
    december = calendar_day.c.day.between(date(year - 1, 12, 1), date(year - 1, 12, 31))
    before = sa.and_(december, calendar_day.c.source == source)
    connection.execute(calendar_day.delete().where(in_year | before))
    audit.record(connection, actor, "calendar.year_retracted", "calendar_year", year, at=at, before={"source": source})
    _touch(connection)


def _belongs(day: date, year: int) -> bool:
    return day.year == year or (day.year == year - 1 and day.month == 12)


def _checked(day: Day) -> Day:
    """Raises `Invalid` for what a row has no room for."""
    if not day.name or len(day.name) > 60:
        raise Invalid(N_("A day needs the name it is kept under, for example 国庆节."))
    if len(day.source) > 200:
        raise Invalid(N_("The source is at most 200 characters long."))
    return day


def _enter(connection: Connection, day: Day) -> None:
    connection.execute(calendar_day.delete().where(calendar_day.c.day == day.day))
    connection.execute(calendar_day.insert(), vars(day))


def _touch(connection: Connection) -> None:
    connection.execute(calendar_revision.delete())
    connection.execute(calendar_revision.insert(), {"id": 1, "revision": secrets.randbits(62)})
