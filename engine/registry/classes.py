"""Classes and their places. A place is free, reserved for a pending transfer, or taken by an enrolled student.

Counters change in one conditional UPDATE each, so that of two who want the last place exactly one gets it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit
from engine.audit import Actor
from engine.errors import N_, Conflict, Invalid, NotFound
from engine.prepared import Prepared
from engine.registry import codes, organisations
from engine.registry.tables import school_class


class NoVacancy(Conflict):
    """The last place went to somebody else, or there was none."""

    code = "no_vacancy"
    message = N_("This class has no free place.")
    remedy = N_("Choose another class of the grade, or have the school's administrator raise its capacity.")


class NothingReserved(Conflict):
    """A place is given back, or taken, that nobody has reserved."""

    code = "nothing_reserved"
    message = N_("No place is reserved in this class.")
    remedy = N_("Reserve a place first; if a case did, tell the administrator that the class has been counted wrongly.")


class NobodyEnrolled(Conflict):
    """Somebody leaves a class that counts nobody."""

    code = "nobody_enrolled"
    message = N_("This class counts no enrolled student.")
    remedy = N_("Tell the administrator that the class has been counted wrongly.")


class CapacityTooSmall(Conflict):
    """Fewer places than are taken already."""

    code = "capacity_too_small"
    message = N_("More places than that are taken or reserved already.")
    remedy = N_("Enter a capacity of at least the places taken and reserved.")


class UnknownGrade(Invalid):
    """Not a grade of the table."""

    code = "unknown_grade"
    message = N_("There is no such grade.")
    remedy = N_("Choose it from the list.")


class ClassExists(Conflict):
    """A second class of the same name in the same grade."""

    code = "class_exists"
    message = N_("The grade already has a class of this name.")
    remedy = N_("Give the new class another name.")


@dataclass(frozen=True)
class SchoolClass:
    """A class and how its places stand."""

    id: int
    school_id: int
    grade: str
    name: str
    capacity: int
    enrolled: int
    reserved: int

    @property
    def vacancies(self) -> int:
        return self.capacity - self.enrolled - self.reserved


@dataclass(frozen=True)
class Vacancies:
    """The classes of one grade, and the free places of all of them together (学位空额)."""

    grade: codes.Code
    classes: tuple[SchoolClass, ...]

    @property
    def free(self) -> int:
        return sum(school_class.vacancies for school_class in self.classes)


def get(connection: Connection, class_id: int) -> SchoolClass:
    """Raises `NotFound`."""
    row = _BY_ID.first(connection, {"of_id": class_id})
    if row is None:
        raise NotFound
    return SchoolClass(**row._asdict())


_BY_ID = Prepared(sa.select(school_class).where(school_class.c.id == sa.bindparam("of_id")))


def vacancies(connection: Connection, school_id: int) -> list[Vacancies]:
    """Every grade of the school with its classes, full ones included, in the order of the grades."""
    query = sa.select(school_class).where(school_class.c.school_id == school_id)
    rows = connection.execute(query.order_by(school_class.c.grade, school_class.c.id))
    classes = [SchoolClass(**row._mapping) for row in rows]
    grades = codes.table("grade")
    return [Vacancies(grades[grade], tuple(found)) for grade, found in groupby(classes, lambda each: each.grade)]


def reserve(connection: Connection, class_id: int) -> None:
    """Promise a place to a pending transfer. Raises `NoVacancy`."""
    _count(connection, class_id, _RESERVE, NoVacancy)


def free(connection: Connection, class_id: int) -> None:
    """Give a promised place back. Raises `NothingReserved`."""
    _count(connection, class_id, _FREE, NothingReserved)


def enrol_reserved(connection: Connection, class_id: int) -> None:
    """The promised place is taken. Raises `NothingReserved`."""
    _count(connection, class_id, _ENROL_RESERVED, NothingReserved)


def enrol(connection: Connection, class_id: int, *, heads: int = 1) -> None:
    """Places are taken that nobody had reserved, all or none. Raises `NoVacancy`."""
    _count(connection, class_id, _ENROL, NoVacancy, heads=heads)


def leave(connection: Connection, class_id: int) -> None:
    """A student leaves; the place is free at once. Raises `NobodyEnrolled`."""
    _count(connection, class_id, _LEAVE, NobodyEnrolled)


def lock(connection: Connection, one: int, other: int) -> dict[int, SchoolClass]:
    """Lock two classes in one order for all, before counting in both: or two students changing places would deadlock.

    Answers them by their ids.
    """
    return {row.id: SchoolClass(*row) for row in _LOCK.rows(connection, {"one": one, "other": other})}


def add(
    connection: Connection, actor: Actor, *, school_id: int, grade: str, name: str, capacity: int, at: datetime
) -> SchoolClass:
    """Open a class in a school that the actor administers. Raises `UnknownGrade`, `ClassExists`."""
    organisations.require_administration(connection, actor, school_id)
    if not organisations.get(connection, school_id).is_school:
        raise NotFound
    if grade not in codes.table("grade"):
        raise UnknownGrade
    same = (school_class.c.school_id == school_id) & (school_class.c.grade == grade) & (school_class.c.name == name)
    if connection.scalar(sa.select(school_class.c.id).where(same)) is not None:
        raise ClassExists
    if capacity < 0:
        raise CapacityTooSmall
    values = {"school_id": school_id, "grade": grade, "name": name, "capacity": capacity, "enrolled": 0, "reserved": 0}
    row = connection.execute(school_class.insert().values(**values).returning(school_class)).one()
    after = {"school_id": school_id, "grade": grade, "capacity": capacity}
    audit.record(connection, actor, "class.added", "class", row.id, at=at, after=after)
    return SchoolClass(**row._mapping)


def set_capacity(connection: Connection, actor: Actor, class_id: int, *, capacity: int, at: datetime) -> None:
    """Change how many places there are. Raises `CapacityTooSmall` below those taken and reserved."""
    before = get(connection, class_id)
    organisations.require_administration(connection, actor, before.school_id)
    _count(connection, class_id, _SET_CAPACITY, CapacityTooSmall, places=capacity)
    audit.record(
        connection,
        actor,
        "class.capacity_changed",
        "class",
        class_id,
        at=at,
        before={"capacity": before.capacity},
        after={"capacity": capacity},
    )


_enrolled, _reserved = school_class.c.enrolled, school_class.c.reserved
_heads, _places = sa.bindparam("heads", type_=sa.Integer), sa.bindparam("places", type_=sa.Integer)


def _counted(condition: sa.ColumnElement[bool], **values: Any) -> Prepared:
    """A change of a class where a condition holds."""
    of = school_class.c.id == sa.bindparam("of_class")
    return Prepared(school_class.update().where(of, condition).values(**values).returning(school_class.c.id))


_RESERVE = _counted(_enrolled + _reserved < school_class.c.capacity, reserved=_reserved + 1)
_FREE = _counted(_reserved > 0, reserved=_reserved - 1)
_ENROL_RESERVED = _counted(_reserved > 0, reserved=_reserved - 1, enrolled=_enrolled + 1)
_ENROL = _counted(_enrolled + _reserved + _heads <= school_class.c.capacity, enrolled=_enrolled + _heads)
_LEAVE = _counted(_enrolled > 0, enrolled=_enrolled - 1)
_SET_CAPACITY = _counted(_enrolled + _reserved <= _places, capacity=_places)
# Others may refer to the classes meanwhile: whoever applies for a place writes which class the student comes from,
# after having reserved a place in another one, and the two would wait for each other.
_LOCK = Prepared(
    sa.select(school_class)
    .where(school_class.c.id.in_([sa.bindparam("one"), sa.bindparam("other")]))
    .order_by(school_class.c.id)
    .with_for_update(key_share=True)
)


def _count(connection: Connection, class_id: int, change: Prepared, otherwise: type[Conflict], **values: Any) -> None:
    """Change a class if it may be. Raises `otherwise` where it may not, `NotFound` without the class."""
    if change.first(connection, {"of_class": class_id} | values) is None:
        get(connection, class_id)
        raise otherwise
