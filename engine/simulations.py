"""How long cases take under a version: answered at once from some cases, precisely from many in the background.

What was simulated is kept by the diagram, the assumptions and the calendar, so that nobody waits for it twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import procedures, workdays
from engine.audit import Actor
from engine.comparison.simulation import QUICK, WHOLE, Assumptions, Course, NotSimulated, course_of, simulate
from engine.comparison.simulation.runs import cores
from engine.db import Database, UtcDateTime, metadata
from engine.errors import NotFound
from engine.jobs import Jobs
from engine.permissions import require
from engine.procedures import Version
from engine.reports import side_of
from engine.workdays import Calendar

# The handler of its job.
JOB = "simulate"
# How long a result is kept; it can be simulated again.
KEPT_FOR = timedelta(days=90)
# Rises when the same diagram and assumptions would be simulated otherwise.
_PROGRAM = 1
# How many processes share the work; more would leave none for those who wait for a page.
_PROCESSES = 2

simulation = sa.Table(
    "simulation",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # Of everything that it follows from.
    sa.Column("key", sa.String(64), nullable=False, unique=True),
    # No foreign key: a draft may be deleted meanwhile.
    sa.Column("version_id", sa.Integer, nullable=False),
    sa.Column("assumptions", sa.JSON, nullable=False),
    # Simulated years, and how many there will be; none before it has begun.
    sa.Column("done", sa.Integer, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("figures", sa.JSON(none_as_null=True)),
    sa.Column("asked_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
)


@dataclass(frozen=True)
class Simulation:
    """A simulation of many cases, as far as it is. `figures` are those of `engine.comparison.simulation.Figures`."""

    id: int
    done: int
    total: int
    figures: Mapping[str, Any] | None


def answer(connection: Connection, version: Version, given: Assumptions, *, at: datetime) -> Mapping[str, Any]:
    """The figures of some cases, in a fraction of a second. Raises `NotSimulated`."""
    return _quickly(version, _values(given), working_days(workdays.load(connection), at))


def find(connection: Connection, version: Version, given: Assumptions, *, at: datetime) -> Simulation | None:
    """The simulation of many cases, if somebody has asked for it."""
    key = _key(version, given, workdays.load(connection), at)
    row = connection.execute(sa.select(simulation).where(simulation.c.key == key)).one_or_none()
    return Simulation(row.id, row.done, row.total, row.figures) if row else None


def of_both(
    connection: Connection, one: Version | None, other: Version | None, *, at: datetime
) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """How long cases take under two versions by the default assumptions, of many cases where that was asked for both.

    None where either can not be simulated, or their cases are not of one kind.
    """
    if one is None or other is None or one.kind != other.kind:
        return None
    given = Assumptions.defaults()
    whole = [find(connection, version, given, at=at) for version in (one, other)]
    exact = [found.figures for found in whole if found and found.figures]
    try:
        mine, theirs = exact if len(exact) == 2 else (answer(connection, each, given, at=at) for each in (one, other))
    except NotSimulated:
        return None
    return mine, theirs


def ask(
    connection: Connection, jobs: Jobs, actor: Actor, version: Version, given: Assumptions, *, at: datetime
) -> None:
    """Have many cases simulated in the background, unless that was done or is being done. Raises `NotSimulated`."""
    require(actor, "query")
    course(version)
    key = _key(version, given, workdays.load(connection), at)
    if connection.scalar(sa.select(simulation.c.id).where(simulation.c.key == key)) is not None:
        return
    row = {
        "key": key, "version_id": version.id, "assumptions": dict(given.values), "done": 0, "total": 0, "asked_at": at,
    }  # fmt: skip
    found = connection.execute(simulation.insert().returning(simulation.c.id), row).scalar_one()
    jobs.enqueue(connection, JOB, {"simulation_id": found}, key=str(found))


def work_off(database: Database, simulation_id: int, *, at: datetime) -> None:
    """Simulate what was asked for. Run twice, it writes the same."""
    this = simulation.c.id == simulation_id
    with database.reading() as connection:
        row = connection.execute(sa.select(simulation).where(this)).one_or_none()
        if row is None or row.figures is not None:
            return
        try:
            version = procedures.load(connection, row.version_id)
        except NotFound:
            return
        days = working_days(workdays.load(connection), row.asked_at)

    def progress(done: int, total: int) -> None:
        if done % 10 == 0:
            with database.transaction() as connection:
                connection.execute(simulation.update().where(this).values(done=done, total=total))

    processes = min(_PROCESSES, cores())
    given = Assumptions(row.assumptions)
    found = simulate(course(version), given, days, cases=WHOLE, processes=processes, progress=progress)
    with database.transaction() as connection:
        values = {"figures": asdict(found), "finished_at": at, "done": found.years, "total": found.years}
        connection.execute(simulation.update().where(this).values(values))


def forget_old(connection: Connection, *, at: datetime) -> None:
    connection.execute(simulation.delete().where(simulation.c.asked_at < at - KEPT_FOR))


@lru_cache(maxsize=32)
def course(version: Version) -> Course:
    """The course of cases under a version. Raises `NotSimulated`."""
    return course_of(side_of(version.diagram, key=version.regime))


def working_days(calendar: Calendar, at: datetime) -> tuple[date, ...]:
    """The working days of the year of an instant and of the two after it, in which its cases end."""
    first = date(at.astimezone(workdays.SHANGHAI).year, 1, 1)
    days = (first + timedelta(days=number) for number in range(3 * 365 + 1))
    return tuple(day for day in days if calendar.is_workday(day))


Values = tuple[tuple[str, float], ...]


def _values(given: Assumptions) -> Values:
    return tuple(sorted(given.values.items()))


@lru_cache(maxsize=256)
def _quickly(version: Version, values: Values, days: tuple[date, ...]) -> Mapping[str, Any]:
    return asdict(simulate(course(version), Assumptions(dict(values)), days, cases=QUICK))


def _key(version: Version, given: Assumptions, calendar: Calendar, at: datetime) -> str:
    year = at.astimezone(workdays.SHANGHAI).year
    of = [_PROGRAM, version.id, version.sha256, _values(given), calendar.revision, year, WHOLE]
    return hashlib.sha256(json.dumps(of).encode()).hexdigest()
