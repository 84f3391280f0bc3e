"""How long cases take under a procedure, by discrete-event simulation over working days. Pure: no database, no clock.

course = course_of(side)
simulate(course, Assumptions.defaults(), days, cases=100_000).mean  # working days, with what it is certain within
"""

from __future__ import annotations

from engine.comparison.simulation.assumptions import Assumption, Assumptions, assumptions
from engine.comparison.simulation.course import Course, NotSimulated, course_of
from engine.comparison.simulation.figures import Estimate, Figures
from engine.comparison.simulation.runs import QUICK, WHOLE, simulate

__all__ = [
    "QUICK",
    "WHOLE",
    "Assumption",
    "Assumptions",
    "Course",
    "Estimate",
    "Figures",
    "NotSimulated",
    "assumptions",
    "course_of",
    "simulate",
]
