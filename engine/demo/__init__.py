"""The demo world: four provinces and a corps with invented schools, people and students, and transfers in every stage.

Places are real; schools, people and numbers are not. The transfers are played by the engine itself on a clock that is
turned through the past weeks, so whatever the day, the world looks as if people had worked in it until yesterday.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from random import Random

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import accounts, procedures
from engine.application import Application
from engine.audit import SYSTEM
from engine.demo import play, world
from engine.registry import codes, divisions, students
from engine.registry.tables import enrolment, organisation, school_class, student
from engine.transfers.tables import transfer
from engine.workdays import load

# Every demo account has it, for whoever wants to see the login itself.
PASSWORD = "xueji-demo"  # noqa: S105 - printed for everybody
# The history reaches back this many working days.
HISTORY = 60


def seed(application: Application) -> None:
    """Fill an empty database, in one transaction; leave any other as it is."""
    application.prepare()
    password_hash = accounts.hash_password(PASSWORD, "")
    with application.database.transaction() as connection:
        if connection.scalar(sa.select(organisation.c.id).limit(1)) is None:
            _fill(connection, application, password_hash)


def _fill(connection: Connection, application: Application, password_hash: str) -> None:
    now = application.clock()
    began = play.moment(load(connection), now, HISTORY)
    _date_back(connection, began)
    _open_windows(connection, began)
    # The same world on every machine: the names and numbers follow from this, the dates from the clock.
    random = Random(20140110)  # noqa: S311 - nothing here is secret
    built = world.build(connection, random, password_hash, at=began, today=now)
    play.perform(connection, built, random, now=now)


def _date_back(connection: Connection, began: datetime) -> None:
    """The world is older than its database, so the procedures were in force when it began."""
    versions = procedures.procedure_version
    connection.execute(versions.update().values(effective_from=began, uploaded_at=began))


def _open_windows(connection: Connection, at: datetime) -> None:
    """Transfers are started on every day of the year here, whatever the season in which somebody tries it."""
    for regime in procedures.regimes(connection).values():
        if regime.closed_from:
            procedures.set_window(connection, SYSTEM, regime.key, None, None, at=at)


# Telling about it ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Example:
    """A student whom somebody may look up to start a transfer."""

    name: str
    number: str
    grade: str
    class_name: str
    school_id: int
    school: str
    division_code: str


def examples(connection: Connection, *, of_each: int = 2) -> list[Example]:
    """A few students of each school with a demo account, each of another grade, who may move and never have."""
    demo_schools = (
        sa.select(accounts.membership.c.organisation_id)
        .join(accounts.person, accounts.person.c.id == accounts.membership.c.person_id)
        .where(accounts.person.c.demo)
    )
    placed = (
        student.join(enrolment, sa.and_(enrolment.c.student_id == student.c.id, enrolment.c.current))
        .join(organisation, organisation.c.id == enrolment.c.school_id)
        .join(school_class, school_class.c.id == enrolment.c.class_id)
    )
    first_of_each_grade = (
        sa.select(sa.func.min(student.c.id))
        .select_from(placed)
        .where(
            organisation.c.id.in_(demo_schools),
            student.c.status.in_(students.movable_statuses(connection)),
            student.c.record_number.is_not(None),
            ~student.c.problem,
            student.c.open_business.is_(None),
            student.c.id.not_in(sa.select(transfer.c.student_id)),
        )
        .group_by(organisation.c.id, school_class.c.grade)
    )
    rows = connection.execute(
        sa.select(
            student.c.name,
            student.c.record_number,
            school_class.c.grade,
            school_class.c.name,
            organisation.c.id,
            organisation.c.name,
            organisation.c.division_code,
        )
        .select_from(placed)
        .where(student.c.id.in_(first_of_each_grade))
        .order_by(organisation.c.id, school_class.c.grade)
    )
    found = (Example(*row) for row in rows)
    return [each for _, several in groupby(found, lambda each: each.school_id) for each in islice(several, of_each)]


def describe(application: Application) -> str:
    """The accounts, and students to start with, as `make demo` prints them."""
    with application.database.reading() as connection:
        offered = accounts.demo_accounts(connection)
        to_try = examples(connection)
    if not offered:
        return "This database was filled by somebody else, so it has no demo accounts."
    lines = [f"Accounts: one click on the login page opens each of them; the password of all is {PASSWORD}."]
    lines += [
        f"  {account.login:<24}{account.name}, {account.membership.duty} · {account.membership.organisation_name}"
        for account in offered
    ]
    lines += ["", "Students whom another school may apply for:"]
    lines += [f"  {found.number:<21}{found.name}, {_place(found)}" for found in to_try]
    return "\n".join(lines)


def _place(found: Example) -> str:
    grade = codes.table("grade")[found.grade].name
    return f"{divisions.full_name(found.division_code)}, {found.school}, {grade}{found.class_name}"
