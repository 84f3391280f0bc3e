"""One authority on each side with its schools, through one year: every case goes its course, and waits for people.

A step in the system waits until somebody looks, then for one of its office's people, who spends some time on it. A step
off the system waits for others and keeps nobody busy. All these times are exponential, so that many are short and some
long.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import simpy

from engine.comparison.simulation.assumptions import Assumptions
from engine.comparison.simulation.course import BEFORE, DESK, ELSEWHERE, FAILED, ON, REFUSED, TIME, Course, Work
from engine.comparison.simulation.year import Year

# A case that goes round in circles is left after so many steps.
MOST_STEPS = 1_000
# Each authority has one office, and many schools.
_SCHOOLS = ("receiving_school", "releasing_school")
Ways = tuple[tuple[str, int], ...]
Sums = dict[str, float]
Happening = Generator[simpy.Event, Any, None]


@dataclass
class Tally:
    """What was seen in one year, in working days."""

    # How long each completed case took; and in calendar days.
    completed: list[float] = field(default_factory=list)
    calendar: list[int] = field(default_factory=list)
    # And each that ended otherwise.
    stopped: list[float] = field(default_factory=list)
    # By party: how long it had cases, in all; and how long its people worked.
    held: Sums = field(default_factory=partial(defaultdict, float))
    busy: Sums = field(default_factory=partial(defaultdict, float))
    # By party: the people that there are, times the days of the year.
    capacity: Sums = field(default_factory=partial(defaultdict, float))
    # By step: how often it was done, how long it took in all, how often later than its limit.
    done: Sums = field(default_factory=partial(defaultdict, float))
    took: Sums = field(default_factory=partial(defaultdict, float))
    late: Sums = field(default_factory=partial(defaultdict, float))
    # Cases that have not come to an end.
    lost: int = 0


@dataclass
class _Case:
    state: int = 0
    begun: float = 0.0
    steps: int = 0
    # What waits now: when it began, and its process.
    open: dict[int, tuple[float, simpy.Process]] = field(default_factory=dict)
    # When each step began whose act goes on with another.
    prepared: dict[str, float] = field(default_factory=dict)
    offices: dict[str, simpy.Resource] = field(default_factory=dict)


def live(course: Course, assumptions: Assumptions, year: Year, seed: int) -> Tally:
    """One year of one authority on each side. The same seed gives the same year."""
    world = _World(course, assumptions, year, random.Random(seed))  # noqa: S311 - no secret hangs on it
    world.env.process(world.arrive())
    world.env.run()
    return world.tally


class _World:
    def __init__(self, course: Course, assumptions: Assumptions, year: Year, dice: random.Random) -> None:
        self.course = course
        self.given = assumptions
        self.year = year
        self.dice = dice
        self.env = simpy.Environment()
        self.tally = Tally()
        self.schools = max(1, round(assumptions.values["schools"]))
        self.fails = assumptions.values["check_failure"] / 100
        self.report = assumptions.values["report.guardian"]
        self.offices: dict[tuple[str, int], simpy.Resource] = {}

    def arrive(self) -> Happening:
        for instant in self.year.arrivals(round(self.given.values["cases"]), self.given.values["peak"], self.dice):
            yield self.env.timeout(instant - self.env.now)
            self._go_on(_Case(begun=self.env.now))

    # One case

    def _go_on(self, case: _Case) -> None:
        """Pass on what nobody is waited for, then let begin what waits, and end what waits no longer."""
        state = self.course.states[case.state]
        while state.passing:
            case.state = self._way(state.passing, 0.0)
            state = self.course.states[case.state]
        waiting = dict(state.works)
        for number in [number for number in case.open if number not in waiting]:
            case.open.pop(number)[1].interrupt()
        if not waiting:
            self._end(case, state.outcome)
        for number in waiting:
            if number not in case.open:
                case.open[number] = (self.env.now, self.env.process(self._work(case, number)))

    def _end(self, case: _Case, outcome: str) -> None:
        if outcome != self.course.goal:
            self.tally.stopped.append(self.env.now - case.begun)
        else:
            self.tally.completed.append(self.env.now - case.begun)
            self.tally.calendar.append(self.year.calendar_days(case.begun, self.env.now))

    def _work(self, case: _Case, number: int) -> Happening:
        work = self.course.works[number]
        try:
            if work.kind == TIME:
                yield self.env.timeout(int(self.env.now) + 1 + work.days - self.env.now)
            elif work.kind != BEFORE:
                yield from self._do(case, work)
        except simpy.Interrupt:
            return
        begun, _ = case.open.pop(number)
        self._note(case, work, begun)
        case.steps += 1
        if case.steps > MOST_STEPS:
            self.tally.lost += 1
            return
        # Elsewhere in the case things may have gone on, so the ways are those of where it stands now.
        ways = dict(self.course.states[case.state].works)[number]
        case.state = self._way(ways, self.given.of("refusal", work.party) / 100 if work.decides else 0.0)
        self._go_on(case)

    def _do(self, case: _Case, work: Work) -> Happening:
        if work.awaits_guardian:
            yield self._while(self.report)
        if work.kind == ELSEWHERE:
            yield self._while(self.given.of("off_system", work.party))
            return
        assert work.kind == DESK
        if not work.prepared_by:
            yield self._while(self.given.of("attention", work.party))
        with self._office(case, work.party).request() as somebody:
            yield somebody
            spent = self._some(1 / self.given.of("per_day", work.party))
            yield self.env.timeout(spent)
        self.tally.busy[work.party] += spent

    def _note(self, case: _Case, work: Work, begun: float) -> None:
        if work.kind in (TIME, BEFORE):
            return
        since = case.prepared.pop(work.prepared_by, begun)
        case.prepared[work.element] = since
        self.tally.held[work.party] += self.env.now - begun
        self.tally.done[work.element] += 1
        self.tally.took[work.element] += self.env.now - begun
        if work.days and self.env.now > int(since) + 1 + work.days:
            self.tally.late[work.element] += 1

    # Chance

    def _way(self, ways: Ways, refusal: float) -> int:
        """Where a case goes on: refused by who decides, failed by the system's check, or on."""
        if len(ways) == 1:
            return ways[0][1]
        taken = self._meaning(ways, refusal)
        return self.dice.choice([target for meaning, target in ways if meaning == taken])

    def _meaning(self, ways: Ways, refusal: float) -> str:
        offered = {meaning for meaning, _ in ways}
        if REFUSED in offered and self.dice.random() < refusal:
            return REFUSED
        if FAILED in offered and self.dice.random() < self.fails:
            return FAILED
        return ON if ON in offered else ways[0][0]

    def _some(self, mean: float) -> float:
        return self.dice.expovariate(1 / mean) if mean else 0.0

    def _while(self, mean: float) -> simpy.Event:
        return self.env.timeout(self._some(mean))

    # Offices

    def _office(self, case: _Case, party: str) -> simpy.Resource:
        """The office of a party that has this case: the authority, or one of the schools."""
        if party not in case.offices:
            number = self.dice.randrange(self.schools) if party in _SCHOOLS else 0
            case.offices[party] = self._offices(party, number)
        return case.offices[party]

    def _offices(self, party: str, number: int) -> simpy.Resource:
        if (party, number) not in self.offices:
            staff = max(1, round(self.given.of("staff", party)))
            self.offices[party, number] = simpy.Resource(self.env, capacity=staff)
            count = self.schools if party in _SCHOOLS else 1
            self.tally.capacity[party] = staff * count * self.year.length
        return self.offices[party, number]
