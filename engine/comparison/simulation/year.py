"""Time as the offices have it: working days one after the other, and when cases arrive in the course of a year."""

from __future__ import annotations

import bisect
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import accumulate


@dataclass(frozen=True)
class Year:
    """A year's working days, and those after it. The instant 12.5 is the middle of the thirteenth one."""

    days: tuple[date, ...]
    # The year in which cases arrive; the days after it are there to finish them.
    number: int

    @classmethod
    def of(cls, days: Sequence[date]) -> Year:
        """Raises ValueError without a working day in the first year."""
        return cls(tuple(days), days[0].year)

    @cached_property
    def length(self) -> int:
        """The working days on which cases arrive."""
        return bisect.bisect_right(self.days, date(self.number, 12, 31))

    def arrivals(self, count: int, peak: float, dice: random.Random) -> list[float]:
        """When so many cases arrive, `peak` times as many on a day of September's first week as on another."""
        totals = list(accumulate(peak if _is_peak(day) else 1.0 for day in self.days[: self.length]))
        days = dice.choices(range(self.length), cum_weights=totals, k=count)
        return sorted(day + dice.random() for day in days)

    def calendar_days(self, start: float, end: float) -> int:
        """From the date of one instant to that of another."""
        return (self._date(end) - self._date(start)).days

    def _date(self, instant: float) -> date:
        """The date of an instant; beyond the days that are known, each is worked."""
        number = int(instant)
        if number < len(self.days):
            return self.days[number]
        return self.days[-1] + timedelta(days=number - len(self.days) + 1)


def _is_peak(day: date) -> bool:
    return day.month == 9 and day.day <= 7
