"""The registry and the people of the demo world, built from its tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from random import Random

from sqlalchemy.engine import Connection

from engine import accounts
from engine.audit import SYSTEM, Actor
from engine.demo.pupils import Numbers, class_of
from engine.demo.tables import rows
from engine.registry import classes, codes, organisations, records, students
from engine.registry.organisations import Organisation
from engine.transfers.applications import school_year
from engine.workdays import SHANGHAI

# Free places of one class after the other: none, one, several.
_FREE = (4, 8, 0, 9, 5, 12, 2, 7)


@dataclass
class Pupil:
    """A student whom a transfer may move, with what an application asks for."""

    id: int
    name: str
    number: str
    gender: str
    id_type: str | None
    birth_date: date
    class_id: int
    grade: str


@dataclass
class World:
    """Who and what there is, by the keys of the tables."""

    organisations: dict[str, Organisation] = field(default_factory=dict)
    # Those who hold a duty: by organisation and duty.
    actors: dict[tuple[int, str], list[Actor]] = field(default_factory=dict)
    # By school; whoever is taken for a transfer is taken out.
    pupils: dict[str, list[Pupil]] = field(default_factory=dict)


def build(connection: Connection, random: Random, password_hash: str, *, at: datetime, today: datetime) -> World:
    """Enter everything, as it was when the history began; the grades are today's."""
    world = World()
    given = Numbers(random)
    for row in rows("organisations"):
        _add_organisation(connection, world, row, at)
        if row["level"] == "school":
            year = school_year(today.astimezone(SHANGHAI).date())
            world.pupils[row["key"]] = _add_school(connection, random, given, world, row, year, at)
    for row in rows("people"):
        _add_person(connection, world, row, password_hash, at)
    # Everybody knows it, and nobody has to choose another one first.
    connection.execute(accounts.person.update().values(password_temporary=False))
    return world


def _add_organisation(connection: Connection, world: World, row: dict[str, str], at: datetime) -> None:
    world.organisations[row["key"]] = organisations.add(
        connection,
        SYSTEM,
        level=row["level"],
        name=row["name"],
        name_en=row["name_en"],
        division_code=row["division"] or None,
        code=row["code"] or None,
        parent_id=world.organisations[row["parent"]].id if row["parent"] else None,
        at=at,
    )


# Classes and students --------------------------------------------------------------------------------------------


def _add_school(
    connection: Connection, random: Random, given: Numbers, world: World, row: dict[str, str], year: int, at: datetime
) -> list[Pupil]:
    """The classes of a school with their students. Answers those who may move, in no order."""
    school = world.organisations[row["key"]]
    found: list[Pupil] = []
    for place, (grade, name) in enumerate(_classes(row)):
        capacity = int(row["capacity"])
        added = classes.add(connection, SYSTEM, school_id=school.id, grade=grade, name=name, capacity=capacity, at=at)
        free = _FREE[(place + len(world.pupils)) % len(_FREE)]
        found += _fill(connection, random, given, school, added, capacity - free, year, at)
    random.shuffle(found)
    return found


def _classes(row: dict[str, str]) -> Iterator[tuple[str, str]]:
    for span in row["grades"].split():
        first, last = span.split("-")
        for grade in codes.table("grade"):
            if first <= grade <= last:
                yield from ((grade, f"({number + 1})班") for number in range(int(row["classes"])))


def _fill(
    connection: Connection,
    random: Random,
    given: Numbers,
    school: Organisation,
    into: classes.SchoolClass,
    size: int,
    year: int,
    at: datetime,
) -> list[Pupil]:
    """Enter a class's students with their records. Answers those who may move."""
    assert school.division_code is not None
    drawn = list(class_of(random, given, division=school.division_code, grade=into.grade, size=size, school_year=year))
    ids = students.register_many(
        connection, SYSTEM, class_id=into.id, students=[row for row, _ in drawn], at=at,
    )  # fmt: skip
    parts = {student_id: written for student_id, (_, written) in zip(ids, drawn, strict=True)}
    records.create_many(connection, SYSTEM, school_id=school.id, parts=parts, at=at)
    movable = students.movable_statuses(connection)
    return [
        Pupil(
            student_id,
            row["name"],
            row["record_number"] or row["temporary_number"] or row["id_number"],
            row["gender"],
            row["id_type"],
            row["birth_date"],
            into.id,
            into.grade,
        )
        for student_id, (row, _) in zip(ids, drawn, strict=True)
        if row["status"] in movable and not row["problem"] and not row["open_business"]
    ]


# People ----------------------------------------------------------------------------------------------------------


def _add_person(connection: Connection, world: World, row: dict[str, str], password_hash: str, at: datetime) -> None:
    """Those who are offered on the login page have the password; the others are colleagues in the history."""
    demo = bool(row["demo"])
    (first, duty), *more = (each.split(":") for each in row["memberships"].split())
    person_id = accounts.add_person(
        connection, SYSTEM, row["login"], row["name"], world.organisations[first].id, duty, at=at,
        password_hash=password_hash if demo else None, demo=demo,
    )  # fmt: skip
    for key, duty in more:
        accounts.add_membership(connection, SYSTEM, person_id, world.organisations[key].id, duty, at=at)
    for member in accounts.memberships_of(connection, person_id):
        actor = accounts.actor_of_membership(connection, member.id)
        assert actor is not None
        world.actors.setdefault((member.organisation_id, member.duty), []).append(actor)
