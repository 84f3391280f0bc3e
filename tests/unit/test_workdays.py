"""Counting working days: the facts that the State Council's notices fix, and the laws that hold for any days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import chinese_calendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audit import SYSTEM, audit_entry
from engine.db import Database
from engine.errors import Invalid, NotFound
from engine.workdays import Calendar, Day, Due, clear_day, load, publish_year, retract_year, set_day

SHANGHAI = ZoneInfo("Asia/Shanghai")
SHIPPED = Calendar()
AT = datetime(2026, 9, 22, 1, 0, tzinfo=UTC)
NEW_YEAR_2027 = [Day(date(2027, 1, 1), False, "元旦"), Day(date(2027, 1, 3), True, "元旦")]

days = st.dates(date(2003, 1, 1), date(2030, 12, 31))
counts = st.integers(-60, 60)
instants = st.datetimes(
    datetime(2004, 6, 1),  # noqa: DTZ001 — Hypothesis wants them so
    datetime(2028, 6, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, SHANGHAI, ZoneInfo("America/New_York")]),
)
calendars = st.dictionaries(days, st.booleans(), max_size=40).map(
    lambda entered: Calendar({day: Day(day, is_workday, "调休") for day, is_workday in entered.items()})
)


@pytest.mark.parametrize(
    ("opened", "last"),
    [
        (date(2026, 2, 5), date(2026, 2, 26)),  # over the Spring Festival, and a Saturday worked before it
        (date(2026, 9, 22), date(2026, 10, 13)),  # over the National Day, and a Saturday worked after it
        (date(2014, 1, 10), date(2014, 1, 24)),  # the day from which both documents are in force; no holiday between
    ],
)
def test_ten_working_days(opened: date, last: date) -> None:
    due = SHIPPED.due(datetime(opened.year, opened.month, opened.day, 9, 0, tzinfo=SHANGHAI), 10)
    assert due.day == last
    assert due.at == datetime(last.year, last.month, last.day, tzinfo=SHANGHAI) + timedelta(days=1)
    assert due.at.tzinfo is UTC
    assert not due.provisional


def test_the_day_on_which_it_opened_is_shanghais() -> None:
    """Half past five in the afternoon of the 21st in London is half past one in the night of the 22nd in Shanghai."""
    assert SHIPPED.due(datetime(2026, 9, 21, 17, 30, tzinfo=UTC), 10).day == date(2026, 10, 13)
    assert SHIPPED.due(datetime(2026, 9, 21, 15, 30, tzinfo=UTC), 10).day == date(2026, 10, 12)


def test_the_warning_comes_three_working_days_before() -> None:
    due = SHIPPED.due(datetime(2026, 9, 22, 9, 0, tzinfo=SHANGHAI), 10)
    assert SHIPPED.shift(due, -3).day == date(2026, 10, 9)  # the Saturday of the 10th is worked


def test_days_left_are_told_to_the_last_evening_and_beyond() -> None:
    due = SHIPPED.due(datetime(2026, 9, 22, 9, 0, tzinfo=SHANGHAI), 10)

    def left(day: int, hour: int) -> int:
        return SHIPPED.remaining(datetime(2026, 10, day, hour, 0, tzinfo=SHANGHAI), due)

    assert [left(10, 9), left(12, 9), left(13, 0), left(13, 23)] == [2, 1, 0, 0]
    assert [left(14, 0), left(15, 9)] == [-1, -2]


def test_what_is_over_is_over_on_a_weekend_too() -> None:
    due = SHIPPED.due(datetime(2026, 8, 31, 9, 0, tzinfo=SHANGHAI), 4)
    assert due.day == date(2026, 9, 4)  # a Friday
    assert SHIPPED.remaining(datetime(2026, 9, 5, 9, 0, tzinfo=SHANGHAI), due) == -1
    assert SHIPPED.remaining(datetime(2026, 9, 7, 9, 0, tzinfo=SHANGHAI), due) == -1


def test_the_published_years_are_the_packages() -> None:
    for day in chinese_calendar.get_dates(date(2004, 1, 1), date(2026, 12, 31)):
        assert SHIPPED.is_workday(day) == chinese_calendar.is_workday(day), day


def test_an_unpublished_year_is_counted_by_weekdays_and_says_so() -> None:
    due = SHIPPED.due(datetime(2026, 12, 28, 9, 0, tzinfo=SHANGHAI), 10)
    assert due.day == date(2027, 1, 11)
    assert due.provisional
    assert not SHIPPED.due(datetime(2026, 12, 28, 9, 0, tzinfo=SHANGHAI), 3).provisional


def test_the_exceptions_of_a_year_carry_their_names() -> None:
    assert Day(date(2026, 10, 1), False, "国庆节", "chinesecalendar") in SHIPPED.exceptions(2026)
    assert SHIPPED.exceptions(2027) == []


# ---- laws


@given(calendars, days, counts, counts)
def test_more_days_never_end_earlier(calendar: Calendar, day: date, n: int, more: int) -> None:
    fewer, many = sorted((n, more))
    assert calendar.add(day, fewer) <= calendar.add(day, many)


@given(calendars, days, days, counts)
def test_a_later_start_never_ends_earlier(calendar: Calendar, a: date, b: date, n: int) -> None:
    first, later = sorted((a, b))
    assert calendar.add(first, n) <= calendar.add(later, n) or n == 0


@given(calendars, days, counts)
def test_counting_back_gives_what_was_added(calendar: Calendar, day: date, n: int) -> None:
    assert calendar.between(day, calendar.add(day, n)) == n


@given(calendars, days, st.integers(1, 60))
def test_a_counted_end_is_a_working_day(calendar: Calendar, day: date, n: int) -> None:
    assert calendar.is_workday(calendar.add(day, n))
    assert calendar.is_workday(calendar.add(day, -n))


@given(calendars, days, days, days)
def test_stretches_add_up(calendar: Calendar, a: date, b: date, c: date) -> None:
    a, b, c = sorted((a, b, c))
    assert calendar.between(a, b) + calendar.between(b, c) == calendar.between(a, c)


@given(calendars, instants, st.integers(0, 30))
def test_at_the_start_all_days_are_left(calendar: Calendar, opened: datetime, n: int) -> None:
    assert calendar.remaining(opened, calendar.due(opened, n)) == n


@given(calendars, instants, instants, instants, st.integers(0, 30))
def test_what_is_left_never_grows(calendar: Calendar, opened: datetime, a: datetime, b: datetime, n: int) -> None:
    due = calendar.due(opened, n)
    now, later = sorted((a, b))
    assert calendar.remaining(now, due) >= calendar.remaining(later, due)
    assert (calendar.remaining(now, due) < 0) == (now >= due.at)


@given(calendars, instants, st.integers(1, 30), st.integers(-10, 10))
def test_a_shift_can_be_taken_back(calendar: Calendar, opened: datetime, n: int, by: int) -> None:
    due = calendar.due(opened, n)
    assert calendar.shift(calendar.shift(due, by), -by).at == due.at


# ---- our own table above the package


def test_without_entries_the_calendar_is_the_shipped_one(database: Database) -> None:
    with database.reading() as connection:
        assert load(connection) == SHIPPED


def test_a_day_that_was_set_counts_and_is_on_record(database: Database) -> None:
    monday = date(2026, 11, 2)
    with database.transaction() as connection:
        set_day(connection, SYSTEM, monday, False, "停课", at=AT)
        calendar = load(connection)
        entry = connection.execute(audit_entry.select()).one()
    assert not calendar.is_workday(monday)
    assert calendar.revision != SHIPPED.revision
    assert Day(monday, False, "停课") in calendar.exceptions(2026)
    assert (entry.action, entry.after) == ("calendar.day_set", {"day": "2026-11-02", "is_workday": False})


def test_a_day_can_be_set_again(database: Database) -> None:
    monday = date(2026, 11, 2)
    with database.transaction() as connection:
        set_day(connection, SYSTEM, monday, False, "停课", at=AT)
        before = load(connection)
        set_day(connection, SYSTEM, monday, True, "复课", at=AT)
        assert load(connection).is_workday(monday)
    assert not before.is_workday(monday)  # a snapshot stays what it was


def test_a_day_without_a_name_is_refused(database: Database) -> None:
    with database.transaction() as connection, pytest.raises(Invalid):
        set_day(connection, SYSTEM, date(2026, 11, 2), False, " ", at=AT)


def test_a_published_year_is_firm_and_can_be_retracted(database: Database) -> None:
    opened = datetime(2026, 12, 28, 9, 0, tzinfo=SHANGHAI)
    with database.transaction() as connection:
        publish_year(connection, SYSTEM, 2027, NEW_YEAR_2027, "国办发明电〔2026〕9号", at=AT)
        firm = load(connection).due(opened, 10)
        retract_year(connection, SYSTEM, 2027, at=AT)
        provisional = load(connection).due(opened, 10)
    assert (firm.day, firm.provisional) == (date(2027, 1, 11), False)
    assert (provisional.day, provisional.provisional) == (date(2027, 1, 11), True)


def test_a_notice_speaks_of_its_own_year(database: Database) -> None:
    with database.transaction() as connection, pytest.raises(Invalid):
        publish_year(connection, SYSTEM, 2028, NEW_YEAR_2027, "国办发明电〔2026〕9号", at=AT)


def test_a_notice_names_itself(database: Database) -> None:
    with database.transaction() as connection, pytest.raises(Invalid):
        publish_year(connection, SYSTEM, 2027, NEW_YEAR_2027, " ", at=AT)


def test_a_notice_may_begin_in_the_december_before_and_goes_with_it(database: Database) -> None:
    eve = Day(date(2026, 12, 31), False, "元旦")
    with database.transaction() as connection:
        set_day(connection, SYSTEM, date(2026, 12, 30), False, "停课", at=AT)
        publish_year(connection, SYSTEM, 2027, [eve, *NEW_YEAR_2027], "国办发明电〔2026〕9号", at=AT)
        assert not load(connection).is_workday(eve.day)
        retract_year(connection, SYSTEM, 2027, at=AT)
        assert load(connection).is_workday(eve.day)
        assert not load(connection).is_workday(date(2026, 12, 30))


def test_a_day_that_was_set_can_be_taken_back(database: Database) -> None:
    monday = date(2026, 11, 2)
    with database.transaction() as connection:
        set_day(connection, SYSTEM, monday, False, "停课", at=AT)
        clear_day(connection, SYSTEM, monday, at=AT)
        assert load(connection).is_workday(monday)
        with pytest.raises(NotFound):
            clear_day(connection, SYSTEM, monday, at=AT)


@pytest.mark.parametrize(("name", "source"), [("长" * 61, ""), ("停课", "长" * 201)])
def test_what_a_row_has_no_room_for_is_refused(database: Database, name: str, source: str) -> None:
    with database.transaction() as connection, pytest.raises(Invalid):
        set_day(connection, SYSTEM, date(2026, 11, 2), False, name, at=AT, source=source)


def test_a_year_says_where_it_is_known_from(database: Database) -> None:
    with database.transaction() as connection:
        publish_year(connection, SYSTEM, 2027, NEW_YEAR_2027, "国办发明电〔2026〕9号", at=AT)
        calendar = load(connection)
    assert [calendar.known_from(year) for year in (2026, 2027, 2028)] == ["package", "notice", None]


def test_a_change_that_was_rolled_back_is_forgotten(database: Database) -> None:
    def set_and_fail() -> None:
        with database.transaction() as connection:
            set_day(connection, SYSTEM, date(2026, 11, 2), False, "停课", at=AT)
            load(connection)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        set_and_fail()
    with database.reading() as connection:
        assert load(connection) == SHIPPED


def test_an_unchanged_calendar_costs_one_query(database: Database) -> None:
    with database.reading() as connection:
        first = load(connection)
        assert load(connection) is first


def test_a_deadline_read_from_a_row_counts_like_the_one_computed() -> None:
    due = SHIPPED.due(AT, 10)
    assert SHIPPED.shift(Due(due.at, False), -3) == SHIPPED.shift(due, -3)
