"""Students: who they are, where they are enrolled, whether they may move.

Lists and the other side see a `Summary`, masked; a full `Student` comes from `view` alone, which logs it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit
from engine.audit import Actor
from engine.errors import N_, Invalid, NotFound, XuejiError
from engine.prepared import Prepared, among
from engine.registry import classes, codes, numbers, organisations
from engine.registry.tables import enrolment, movable_status, organisation, school_class, student
from engine.workdays import SHANGHAI

RESIDENT_CARD = "1"


class WithoutNumber(Invalid):
    """A student whom nobody could find again."""

    code = "without_number"
    message = N_("A student needs a record number, a temporary number or an ID number.")
    remedy = N_("Enter one of them.")


class NotEnrolled(NotFound):
    """The student has left, so nothing can be moved."""

    code = "not_enrolled"
    message = N_("The student is enrolled in no school.")
    remedy = N_("Ask the former school what became of the student.")


@dataclass(frozen=True)
class Place:
    """Where a student is enrolled at present."""

    school_id: int
    school_name: str
    school_name_en: str | None
    # The school's division
    division_code: str
    class_id: int
    class_name: str
    grade: str


@dataclass(frozen=True)
class Summary:
    """A student as lists and the other side may see one: every number masked."""

    id: int
    name: str
    gender: str
    birth_date: date
    id_type: str | None
    id_number: str
    record_number: str
    temporary_number: str
    status: str
    place: Place | None

    @property
    def number(self) -> str:
        """The number to show where there is room for one."""
        return self.record_number or self.temporary_number or self.id_number

    def __repr__(self) -> str:
        return f"<Summary of student {self.id}>"


@dataclass(frozen=True)
class Student:
    """A student with everything that is known. Its `repr` tells nothing, since logs and tracebacks print it."""

    id: int
    name: str
    gender: str
    birth_date: date
    id_type: str | None
    id_number: str | None
    record_number: str | None
    temporary_number: str | None
    ethnicity: str | None
    political_status: str | None
    household_type: str | None
    household_division: str | None
    birth_division: str | None
    guardian_name: str | None
    guardian_id_number: str | None
    only_child: bool
    out_of_district: bool
    from_elsewhere: bool
    migrant: bool
    left_behind: str | None
    boarding: bool
    status: str
    problem: bool
    open_business: str | None
    place: Place | None

    def __repr__(self) -> str:
        return f"<Student {self.id}>"


@dataclass(frozen=True)
class CheckFailure:
    """Why a student can not move now, and what would change that."""

    # 2001, 2002 and 2003 as the national system numbers them; `status` is ours.
    code: str
    message: str
    remedy: str


DATA_DIFFER = CheckFailure(
    "2001",
    N_("The student's data in the application differ from the record."),
    N_("Compare the record number, the name and the ID number, then apply again."),
)
BUSINESS_OPEN = CheckFailure(
    "2002",
    N_("The releasing school has not finished another business for this student, or has let the student leave."),
    N_("Ask the releasing school to finish it, then apply again."),
)
PROBLEM_RECORD = CheckFailure(
    "2003",
    N_("The student's record is marked as a problem record."),
    N_("Have the releasing school settle it first, then apply again."),
)
STATUS_STAYS = CheckFailure(
    "status",
    N_("A student in this status can not be transferred."),
    N_("Ask the releasing school whether the status is up to date."),
)
# What a transfer keeps of the check that ended it is the code alone.
FAILURES = {failure.code: failure for failure in (DATA_DIFFER, BUSINESS_OPEN, PROBLEM_RECORD, STATUS_STAYS)}


def summary(connection: Connection, student_id: int) -> Summary:
    """The masked summary. Whether the reader may see it is the caller's question. Raises `NotFound`."""
    return _the(summaries(connection, [student_id]), student_id)


def summaries(connection: Connection, student_ids: Iterable[int]) -> dict[int, Summary]:
    """The masked summaries of a page of a list, in one query."""
    return {row.id: _summary(row) for row in _SUMMARIES.rows(connection, {"ids": student_ids})}


def with_number(connection: Connection, number: str) -> list[Summary]:
    """The masked summaries of those who have this number, of whichever kind. Who may know of them, the caller asks."""
    found = _WITH_NUMBER[number_column(number).name]
    return [_summary(row) for row in found.rows(connection, {"number": numbers.normalise(number)})]


def view(connection: Connection, actor: Actor, student_id: int, *, at: datetime, case_id: int | None = None) -> Student:
    """The full student; that it was seen, by whom and for which case, is logged.

    With a case, its room has checked that the actor works on it. Without one the student must be enrolled in the
    actor's own jurisdiction, or is `NotFound`.
    """
    row = connection.execute(_select(student.c.id == student_id)).one_or_none()
    if row is None:
        raise NotFound
    if case_id is None:
        organisations.require_jurisdiction(connection, actor, row.school_id)
    audit.record(connection, actor, "student.viewed", "student", student_id, at=at, case_id=case_id)
    return _student(row)


def register(
    connection: Connection, actor: Actor, *, class_id: int, at: datetime, from_date: date | None = None, **data: Any
) -> int:
    """Enter a new student into a class and return the id. `data` are columns of `student`.

    Record numbers must be valid, and a resident's ID number must agree with birth date and sex too. Raises
    `NumberInvalid` with the fields concerned, `WithoutNumber` or `NoVacancy`.
    """
    return register_many(connection, actor, class_id=class_id, students=[data], at=at, from_date=from_date)[0]


def register_many(
    connection: Connection,
    actor: Actor,
    *,
    class_id: int,
    students: Sequence[Mapping[str, Any]],
    at: datetime,
    from_date: date | None = None,
) -> list[int]:
    """Enter several new students into a class, all or none, and return their ids in the same order.

    As `register`, in as few statements for thirty as for one. Every student has the same columns.
    """
    if not students:
        return []
    school_id, grade = _class(connection, class_id)
    organisations.require_jurisdiction(connection, actor, school_id)
    rows = [data | {name: _normalised(data.get(name)) for name in _NORMALISED} for data in map(dict, students)]
    for row in rows:
        _check_numbers(row, _day(at))
    classes.enrol(connection, class_id, heads=len(rows))
    inserted = student.insert().returning(student.c.id, sort_by_parameter_order=True)
    ids = [int(student_id) for student_id in connection.scalars(inserted, rows)]
    place = _new_enrolment(school_id, class_id, grade, from_date or _day(at), case_id=None)
    connection.execute(enrolment.insert(), [place | {"student_id": student_id} for student_id in ids])
    after = {"school_id": school_id, "class_id": class_id}
    entries = [audit.entry(actor, "student.registered", "student", found, at=at, after=after) for found in ids]
    connection.execute(audit.audit_entry.insert(), entries)
    return ids


def check(
    connection: Connection,
    student_id: int,
    *,
    number: str | None = None,
    name: str | None = None,
    school_id: int | None = None,
) -> list[CheckFailure]:
    """Everything in the registry that stands against a transfer; an empty list lets it go.

    What the application says (number, name, releasing school) is compared with the record where it is given. Whether
    the student is in another open transfer, the caller knows.
    """
    row = _TO_CHECK.first(connection, {"of_id": student_id})
    if row is None:
        return [DATA_DIFFER]
    failures = []
    if (number is not None and not has_number(row, number)) or (name is not None and not same_name(row.name, name)):
        failures.append(DATA_DIFFER)
    if row.open_business or row.school_id is None or (school_id is not None and row.school_id != school_id):
        failures.append(BUSINESS_OPEN)
    if row.problem:
        failures.append(PROBLEM_RECORD)
    if not (_movable_by_table().get(row.status) if row.movable is None else row.movable):
        failures.append(STATUS_STAYS)
    return failures


def movable_statuses(connection: Connection) -> frozenset[str]:
    """The statuses in which a student may be transferred: the table's, with an administrator's changes over them."""
    changed = {row.status: row.movable for row in connection.execute(sa.select(movable_status))}
    return frozenset(status for status, may_move in (_movable_by_table() | changed).items() if may_move)


@functools.cache
def _movable_by_table() -> dict[str, bool]:
    return {row["code"]: row["movable"] == "1" for row in codes.rows("status")}


def set_movable(connection: Connection, actor: Actor, status: str, *, movable: bool, at: datetime) -> None:
    """Let students in a status be transferred, or not. An administrator of the ministry decides it for all."""
    organisations.require_administration(connection, actor, None)
    if status not in codes.table("status"):
        raise NotFound
    connection.execute(movable_status.delete().where(movable_status.c.status == status))
    connection.execute(movable_status.insert().values(status=status, movable=movable))
    after = {"status": status, "movable": movable}
    audit.record(connection, actor, "status.changed", "status", None, at=at, after=after)


def change_enrolment(
    connection: Connection, actor: Actor, *, student_id: int, to_class_id: int, case_id: int, at: datetime
) -> int:
    """Move the student from the present class into the place reserved in another, and return the new enrolment's id.

    Repeating it for the same case changes nothing and returns the same. Raises `NotEnrolled`, `NothingReserved`.
    """
    # The lock comes first: whoever waited for it sees what the faster one did.
    old = _ENROLLED.first(connection, {"of_student": student_id})
    done = _ENROLLED_BY.first(connection, {"of_case": case_id})
    if done is not None:
        return int(done.id)
    if old is None:
        raise NotEnrolled
    to_class = classes.lock(connection, old.class_id, to_class_id)[to_class_id]
    school_id, grade = to_class.school_id, to_class.grade
    classes.leave(connection, old.class_id)
    classes.enrol_reserved(connection, to_class_id)
    ended = {"current": False, "until_date": _day(at)}
    _END_ENROLMENT.run(connection, {"of_id": old.id} | ended)
    opened = _new_enrolment(school_id, to_class_id, grade, _day(at), case_id) | {"student_id": student_id}
    new = _ENROL.first(connection, opened)
    assert new is not None
    new_id = int(new.id)
    audit.record(
        connection,
        actor,
        "enrolment.changed",
        "student",
        student_id,
        at=at,
        case_id=case_id,
        before={"school_id": old.school_id, "class_id": old.class_id},
        after={"school_id": school_id, "class_id": to_class_id},
    )
    return new_id


def number_column(number: str) -> sa.Column[Any]:
    """The column in which a number of this form stands: each look-up reads one index."""
    kind = numbers.classify(number)
    if kind == "temporary":
        return student.c.temporary_number
    return student.c.record_number if kind in ("formal", "formal_without_id", "provincial") else student.c.id_number


def has_number(row: Any, number: str) -> bool:
    """Whether the number, of whichever kind, is this student's."""
    found: str | None = getattr(row, number_column(number).name)
    return found is not None and found == numbers.normalise(number)


def same_name(one: str, other: str) -> bool:
    """Names are equal whatever the spaces, the case of letters, or the dot inside them (买买提·吐尔逊)."""
    return _plain_name(one) == _plain_name(other)


def spellings(name: str) -> set[str]:
    """How a name that somebody typed may have been stored, for a condition that the index of names serves."""
    return {name.strip(), _plain_name(name)}


def _plain_name(name: str) -> str:
    return numbers.normalise(name).translate(_DOTS)


# The dots that keyboards offer for the one in the names of minorities.
_DOTS = {ord(dot): "·" for dot in "•・‧∙⋅.．。"}

_NUMBERS = ("id_number", "record_number", "temporary_number")
_NORMALISED = (*_NUMBERS, "guardian_id_number")

_COLUMNS = tuple(student.c)
_PLACE = (
    enrolment.c.school_id,
    organisation.c.name.label("school_name"),
    organisation.c.name_en.label("school_name_en"),
    organisation.c.division_code,
    enrolment.c.class_id,
    school_class.c.name.label("class_name"),
    school_class.c.grade,
)


def _select(condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Students with their present place."""
    here = (enrolment.c.student_id == student.c.id) & enrolment.c.current
    joined = (
        student.outerjoin(enrolment, here)
        .outerjoin(organisation, organisation.c.id == enrolment.c.school_id)
        .outerjoin(school_class, school_class.c.id == enrolment.c.class_id)
    )
    return sa.select(*_COLUMNS, *_PLACE).select_from(joined).where(condition)


_SUMMARIES = Prepared(_select(among(student.c.id, "ids")))
_changed = sa.select(movable_status.c.movable).where(movable_status.c.status == student.c.status).scalar_subquery()
_TO_CHECK = Prepared(_select(student.c.id == sa.bindparam("of_id")).add_columns(_changed.label("movable")))
_WITH_NUMBER = {name: Prepared(_select(student.c[name] == sa.bindparam("number"))) for name in _NUMBERS}
_ENROLLED = Prepared(
    sa.select(enrolment)
    .where(enrolment.c.student_id == sa.bindparam("of_student"), enrolment.c.current)
    .with_for_update()
)
_ENROLLED_BY = Prepared(sa.select(enrolment.c.id).where(enrolment.c.case_id == sa.bindparam("of_case")))
_END_ENROLMENT = Prepared(enrolment.update().where(enrolment.c.id == sa.bindparam("of_id")))
_ENROL = Prepared(enrolment.insert().returning(enrolment.c.id))


def _place(row: Any) -> Place | None:
    if row.school_id is None:
        return None
    return Place(**{column.name: getattr(row, column.name) for column in _PLACE})


def _summary(row: Any) -> Summary:
    return Summary(
        id=row.id,
        name=row.name,
        gender=row.gender,
        birth_date=row.birth_date,
        id_type=row.id_type,
        id_number=numbers.mask(row.id_number),
        record_number=numbers.mask(row.record_number),
        temporary_number=numbers.mask(row.temporary_number),
        status=row.status,
        place=_place(row),
    )


def _student(row: sa.Row[Any]) -> Student:
    return Student(**{column.name: row._mapping[column.name] for column in _COLUMNS}, place=_place(row))


def _the(found: Mapping[int, Summary], student_id: int) -> Summary:
    if student_id not in found:
        raise NotFound
    return found[student_id]


def _check_numbers(values: Mapping[str, Any], on: date) -> None:
    if not any(values[name] for name in _NUMBERS):
        raise WithoutNumber
    errors: dict[str, XuejiError] = {}
    for name in _NUMBERS:
        error = _number_error(name, values, on)
        if error:
            errors[name] = error
    if errors:
        raise numbers.NumberInvalid(fields=errors)


def _number_error(name: str, values: Mapping[str, Any], on: date) -> XuejiError | None:
    text = values[name]
    if text is None:
        return None
    # In another column no look-up would ever find it.
    if number_column(text).name != name:
        return numbers.NumberUnrecognised()
    if name == "id_number" and values.get("id_type") != RESIDENT_CARD:
        return None
    try:
        number = numbers.parse(text, on=on)
    except numbers.NumberInvalid as error:
        return error
    if name != "id_number":
        return None
    found = numbers.contradictions(number, birth_date=values["birth_date"], gender=values["gender"])
    return found[0] if found else None


def _normalised(number: str | None) -> str | None:
    return (numbers.normalise(number) if number else None) or None


def _class(connection: Connection, class_id: int) -> tuple[int, str]:
    found = classes.get(connection, class_id)
    return found.school_id, found.grade


def _new_enrolment(school_id: int, class_id: int, grade: str, from_date: date, case_id: int | None) -> dict[str, Any]:
    """A current enrolment, still without its student."""
    return {
        "school_id": school_id,
        "class_id": class_id,
        "grade": grade,
        "from_date": from_date,
        "current": True,
        "case_id": case_id,
    }


def _day(at: datetime) -> date:
    return at.astimezone(SHANGHAI).date()
