"""Many years of a course, beside each other where there are processors for it."""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import partial

from engine.comparison.simulation.assumptions import Assumptions
from engine.comparison.simulation.course import Course
from engine.comparison.simulation.figures import Figures, figures
from engine.comparison.simulation.world import Tally, live
from engine.comparison.simulation.year import Year

# Cases of a run that answers while somebody moves a slider; and of one that is precise.
QUICK, WHOLE = 2_500, 100_000
# Without it a group would be one year, and no interval could be told.
_FEWEST_YEARS = 4


def simulate(
    course: Course,
    assumptions: Assumptions,
    days: Sequence[date],
    *,
    cases: int = QUICK,
    seed: int = 1,
    processes: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Figures:
    """At least so many cases, a whole number of years. `days` are the working days of a year and of those after it.

    The same seed gives the same figures, however many processes share the work. `progress` hears of years.
    """
    years = max(_FEWEST_YEARS, math.ceil(cases / assumptions.values["cases"]))
    one = partial(live, course, assumptions, Year.of(days))
    seeds = [seed * 1_000_003 + number for number in range(years)]
    tallies = []
    for tally in _all(one, seeds, processes):
        tallies.append(tally)
        progress(len(tallies), years)
    return figures(course, tallies)


def cores() -> int:
    """How many processes may share the work here; one where this process may not have children."""
    return 1 if multiprocessing.current_process().daemon else os.cpu_count() or 1


def _all(one: Callable[[int], Tally], seeds: Sequence[int], processes: int) -> Iterator[Tally]:
    if processes < 2:
        yield from map(one, seeds)
        return
    # Not forked: the process that asks has threads.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(one, seeds, chunksize=5)
