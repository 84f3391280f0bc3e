"""What many simulated years say, each number with the range that it certainly lies in, 95 times of 100.

The years are put into groups, and each group answers for itself; how far their answers lie apart says how sure they are
together (Student's t).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean, stdev
from typing import Any

from scipy import stats

from engine.comparison.simulation.course import Course
from engine.comparison.simulation.world import Tally

CONFIDENCE = 0.95
_GROUPS = 20


@dataclass(frozen=True)
class Estimate:
    """A mean over groups, and half the width of its confidence interval; None where one group can not tell."""

    value: float
    margin: float | None

    @property
    def low(self) -> float | None:
        return None if self.margin is None else max(0.0, self.value - self.margin)

    @property
    def high(self) -> float | None:
        return None if self.margin is None else self.value + self.margin


@dataclass(frozen=True)
class StepFigures:
    """One step: how long it waited and took on average, and which share was done after its limit (None without one)."""

    element: str
    party: str
    days: Estimate
    late: Estimate | None


@dataclass(frozen=True)
class PartyFigures:
    """One party: how long it has a case on average, and which share of their time its people are busy with cases."""

    party: str
    days: Estimate
    busy: Estimate | None


@dataclass(frozen=True)
class Figures:
    """Working days, but for `calendar_days`; shares are from 0 to 1. None where no case was completed."""

    cases: int
    years: int
    completed: Estimate
    shortest: float | None
    mean: Estimate | None
    percentile: Estimate | None
    calendar_days: Estimate | None
    # Until a case that is not completed has ended.
    stopped: Estimate | None
    parties: tuple[PartyFigures, ...]
    steps: tuple[StepFigures, ...]
    # Cases that never came to an end.
    lost: int


Value = Callable[[Sequence[Tally]], float | None]


def figures(course: Course, tallies: Sequence[Tally]) -> Figures:
    groups = _grouped(tallies)
    completed = [days for tally in tallies for days in tally.completed]
    parties = sorted({party for tally in tallies for party in tally.held})
    share = _estimate(groups, lambda group: _ratio(_sum(group, "completed"), _cases(group)))
    return Figures(
        cases=_cases(tallies),
        years=len(tallies),
        completed=share or Estimate(0.0, None),
        shortest=min(completed, default=None),
        mean=_estimate(groups, lambda group: _mean(group, "completed")),
        percentile=_estimate(groups, _percentile),
        calendar_days=_estimate(groups, lambda group: _mean(group, "calendar")),
        stopped=_estimate(groups, lambda group: _mean(group, "stopped")),
        parties=tuple(_party(groups, party) for party in parties),
        steps=tuple(step for work in course.works if (step := _step(groups, work.element, work.party, work.days))),
        lost=sum(tally.lost for tally in tallies),
    )


def _grouped(tallies: Sequence[Tally]) -> list[Sequence[Tally]]:
    size = math.ceil(len(tallies) / _GROUPS)
    return [tallies[start : start + size] for start in range(0, len(tallies), size)]


def _estimate(groups: Sequence[Sequence[Tally]], of: Value) -> Estimate | None:
    values = [value for group in groups if (value := of(group)) is not None]
    if not values:
        return None
    if len(values) == 1:
        return Estimate(values[0], None)
    return Estimate(fmean(values), _t(len(values) - 1) * stdev(values) / math.sqrt(len(values)))


@cache
def _t(freedom: int) -> float:
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))


def _party(groups: Sequence[Sequence[Tally]], party: str) -> PartyFigures:
    days = _estimate(groups, lambda group: _ratio(_all(group, "held", party), _cases(group)))
    busy = _estimate(groups, lambda group: _ratio(_all(group, "busy", party), _all(group, "capacity", party)))
    return PartyFigures(party, days or Estimate(0.0, None), busy)


def _step(groups: Sequence[Sequence[Tally]], element: str, party: str, limit: int) -> StepFigures | None:
    days = _estimate(groups, lambda group: _ratio(_all(group, "took", element), _all(group, "done", element)))
    late = _estimate(groups, lambda group: _ratio(_all(group, "late", element), _all(group, "done", element)))
    return StepFigures(element, party, days, late if limit else None) if days else None


def _all(group: Sequence[Tally], name: str, key: str) -> float:
    return math.fsum(getattr(tally, name).get(key, 0.0) for tally in group)


def _sum(group: Sequence[Tally], name: str) -> int:
    return sum(len(getattr(tally, name)) for tally in group)


def _cases(group: Sequence[Tally]) -> int:
    return sum(len(tally.completed) + len(tally.stopped) + tally.lost for tally in group)


def _mean(group: Sequence[Tally], name: str) -> float | None:
    values: list[Any] = [value for tally in group for value in getattr(tally, name)]
    return fmean(values) if values else None


def _percentile(group: Sequence[Tally]) -> float | None:
    values = sorted(value for tally in group for value in tally.completed)
    return values[math.ceil(0.95 * len(values)) - 1] if values else None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
