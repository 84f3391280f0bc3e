"""What a simulation says is what one can calculate, where one can; and it is the same every time."""

from __future__ import annotations

import math
import random
from datetime import date, timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bpmn import reader
from engine.comparison import side
from engine.comparison.simulation import Assumptions, Figures, NotSimulated, assumptions, course_of, simulate
from engine.comparison.simulation.course import BEFORE, DESK, ELSEWHERE
from engine.comparison.simulation.year import Year
from engine.workdays import Calendar
from tests.unit.bpmn import diagrams as d
from tests.unit.comparison.sides import shipped

NOTHING_TAKES_TIME = {"peak": 1, "check_failure": 0, "report.guardian": 0} | {
    key: 0.0 for key in assumptions() if key.startswith(("attention", "off_system", "refusal"))
}
FAST = {key: 1e9 for key in assumptions() if key.startswith("per_day")}


@cache
def workdays(start: date = date(2025, 1, 1), years: int = 3) -> tuple[date, ...]:
    calendar = Calendar()
    days = (start + timedelta(days=number) for number in range(365 * years))
    return tuple(day for day in days if calendar.is_workday(day))


def assume(**values: float) -> Assumptions:
    """Nothing takes any time but what is said; `__` stands for the dot."""
    given = {name.replace("__", "."): value for name, value in values.items()}
    return Assumptions({**Assumptions.defaults().values, **NOTHING_TAKES_TIME, **FAST, **given})


def of(*parts: str, **values: float) -> Figures:
    course = course_of(side(reader.read(d.plain(*parts))))
    return simulate(course, assume(**values), workdays(), cases=4000)


def one_desk() -> list[str]:
    lanes = d.lanes(receiving_authority="start work end")
    return [lanes, d.start(), d.user("work"), d.end(), d.path("start", "work", "end")]


def waiting_before(desks: int, load: float) -> float:
    """Erlang's formula: the probability that all desks are busy."""
    busy = load**desks / math.factorial(desks) / (1 - load / desks)
    return busy / (sum(load**number / math.factorial(number) for number in range(desks)) + busy)


@pytest.mark.parametrize(("desks", "use"), [(1, 0.5), (1, 0.7), (3, 0.8)])
def test_a_queue_waits_as_long_as_the_formula_says(desks, use):
    # So many a day come to desks that are busy for this share of the day.
    a_day = 2000 / Year.of(workdays()).length
    per_day = a_day / desks / use
    found = of(*one_desk(), cases=2000, staff__receiving_authority=desks, per_day__receiving_authority=per_day)
    expected = 1 / per_day + waiting_before(desks, a_day / per_day) / (desks * per_day - a_day)
    assert found.mean.value == pytest.approx(expected, rel=0.1)
    (party,) = found.parties
    assert party.busy.value == pytest.approx(use, rel=0.05)


def test_what_takes_no_time_takes_none():
    found = simulate(course_of(shipped("national")), assume(), workdays(), cases=1000)
    assert found.completed.value == 1
    assert found.percentile.value == pytest.approx(0, abs=1e-6)


def test_times_after_each_other_add_up_and_the_last_of_those_beside_each_other_counts():
    fork, join = d.parallel("fork"), d.parallel("join")
    straight = d.path("start", "one", "other", "end")
    beside = d.path("start", "fork", "one", "join", "end") + d.path("fork", "other", "join")
    parts = [d.start(), d.manual("one"), d.manual("other"), d.end()]
    assert of(*parts, straight, off_system__receiving_school=3).mean.value == pytest.approx(6, rel=0.05)
    # The longer of two exponential times is on average one and a half times as long as each.
    assert of(*parts, fork, join, beside, off_system__receiving_school=3).mean.value == pytest.approx(4.5, rel=0.05)


def test_who_refuses_stops_as_many_cases_as_assumed_and_the_check_as_well():
    found = simulate(
        course_of(shipped("anhui")),
        assume(refusal__receiving_authority=20, refusal__releasing_authority=10, check_failure=5),
        workdays(), cases=20_000,
    )  # fmt: skip
    assert found.completed.value == pytest.approx(0.8 * 0.95 * 0.9, abs=0.01)


def test_a_share_is_late_whose_time_is_longer_than_the_limit():
    limited = d.user("work", camunda_dueDate="${workdays(3)}")
    lanes = d.lanes(receiving_authority="start work end")
    found = of(lanes, d.start(), limited, d.end(), d.path("start", "work", "end"), attention__receiving_authority=2)
    (step,) = found.steps
    # The rest of the first day counts for nothing: 3 to 4 days, evenly.
    expected = 2 * (math.exp(-3 / 2) - math.exp(-4 / 2))
    assert step.late.value == pytest.approx(expected, abs=0.02)


def test_a_timer_that_interrupts_ends_the_waiting_on_its_day():
    parts = [
        d.start(), d.manual("work", camunda_dueDate="${workdays(3)}"), d.boundary("late", "work", timer="due()"),
        d.end(), d.end("given_up"), d.path("start", "work", "end"), d.path("late", "given_up"),
    ]  # fmt: skip
    found = of(*parts, off_system__receiving_school=1000)
    assert found.completed.value == 1
    assert found.mean.value == pytest.approx(3.5, abs=0.1)
    assert found.percentile.value <= 4


def test_reminders_are_left_out_and_the_application_is_the_beginning():
    course = course_of(shipped("national"))
    kinds = {work.element: work.kind for work in course.works}
    assert kinds == {
        "review_application": BEFORE, "apply": BEFORE, "decide_receiving_school": DESK,
        "decide_receiving_authority": DESK, "decide_releasing_school": DESK, "decide_releasing_authority": DESK,
        "tell_student_to_enrol": ELSEWHERE, "retrieve": DESK, "send_paper_file": ELSEWHERE,
    }  # fmt: skip
    assert [work.element for work in course.works if work.awaits_guardian] == ["retrieve"]


@pytest.mark.parametrize("regime", ["national", "anhui"])
def test_the_same_seed_gives_the_same_figures_and_another_one_others_within_the_interval(regime):
    course, given_ = course_of(shipped(regime)), Assumptions.defaults()
    first, again, other = (simulate(course, given_, workdays(), cases=5000, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert abs(first.mean.value - other.mean.value) < first.mean.margin + other.mean.margin


def test_two_processes_say_what_one_says_and_tell_how_far_they_are():
    course, heard = course_of(shipped("anhui")), []
    alone = simulate(course, Assumptions.defaults(), workdays(), cases=5000)
    shared = simulate(
        course, Assumptions.defaults(), workdays(), cases=5000, processes=2, progress=lambda *at: heard.append(at)
    )
    assert shared == alone
    assert heard == [(number, 10) for number in range(1, 11)]


def test_what_was_not_explored_is_not_simulated():
    endless = d.path("start", "work", "again") + d.flow("again", "work")
    with pytest.raises(NotSimulated):
        course_of(side(reader.read(d.plain(d.start(), d.user("work"), d.parallel("again"), endless))))


def test_what_can_never_be_completed_is_not_simulated():
    again = d.exclusive("again", default="again_work")
    way = d.path("start", "work", "again", "work") + d.flow("again", "end", "false")
    with pytest.raises(NotSimulated):
        course_of(side(reader.read(d.plain(d.start(), d.user("work"), again, d.end(), way))))


def test_one_of_something_is_said_as_one():
    staff = assumptions()["staff.receiving_school"]
    assert (staff.unit(1).en, staff.unit(2).en, staff.unit(1).zh) == ("person", "people", "人")
    assert assumptions()["peak"].unit(1) == assumptions()["peak"].unit(2)


def test_assumptions_keep_to_their_bounds_and_say_where_they_come_from():
    moved = Assumptions.defaults().with_({"refusal.releasing_school": 400, "nonsense": 3, "peak": 6})
    assert moved.values["refusal.releasing_school"] == assumptions()["refusal.releasing_school"].high
    assert "nonsense" not in moved.values
    assert moved.origin("refusal.releasing_school") == "chosen"
    assert moved.origin("peak") == "assumed"
    for item in assumptions().values():
        assert item.low <= item.default <= item.high
        assert item.label.en
        assert item.unit(2).en
        assert item.holder.zh


@given(
    start=st.dates(date(2024, 1, 1), date(2024, 1, 20)),
    one=st.floats(0, 700),
    more=st.floats(0, 400),
    peak=st.integers(1, 20),
)
@settings(deadline=None, max_examples=60)
def test_a_year_counts_its_days_as_the_calendar_does(start, one, more, peak):
    days = workdays(start)
    year = Year.of(days)
    assert days[year.length - 1].year == start.year
    assert days[year.length].year == start.year + 1
    passed = year.calendar_days(one, one + more)
    assert passed >= int(one + more) - int(one)
    if int(one + more) < len(days):
        assert passed == (days[int(one + more)] - days[int(one)]).days
    arrivals = year.arrivals(50, peak, random.Random(1))
    assert arrivals == sorted(arrivals)
    assert arrivals[0] >= 0
    assert arrivals[-1] < year.length


def test_a_peak_brings_as_many_more_as_assumed():
    year = Year.of(workdays())
    days = [year.days[int(instant)] for instant in year.arrivals(50_000, 6, random.Random(1))]
    first_week = {day for day in year.days[: year.length] if day.month == 9 and day.day <= 7}
    share = sum(day in first_week for day in days) / len(days)
    assert share == pytest.approx(6 * len(first_week) / (year.length + 5 * len(first_week)), rel=0.05)
