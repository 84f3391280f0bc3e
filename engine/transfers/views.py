"""Looking at transfers: one, a page of many, its history, and the query of a jurisdiction.

What the other side sees of one is the public part: its procedure, its progress and its decisions (party, result,
opinion, time), but no persons, drafts, comments or attachments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import cases, inbox, messages
from engine.accounts import person
from engine.audit import Actor
from engine.bpmn.graph import Node
from engine.cases import case_scope, task
from engine.errors import NotFound
from engine.inbox import COUNTED, PAGE, Holder, Task
from engine.messages import Message
from engine.registry import divisions, numbers, students
from engine.registry.students import Student, Summary
from engine.registry.tables import organisation, organisation_ancestor, school_class, student
from engine.transfers.tables import RECEIVING, RELEASING, transfer

STATES = ("pending", "retrieved", "completed", "refused", "withdrawn")


@dataclass(frozen=True)
class ClassName:
    grade: str
    name: str


@dataclass(frozen=True)
class Transfer:
    """A transfer as one organisation sees it."""

    case_id: int
    number: str
    state: str
    student: Summary
    receiving_school_id: int
    receiving_school: str
    releasing_school_id: int
    releasing_school: str
    from_class: ClassName
    to_class: ClassName
    to_class_id: int
    reason: str | None
    changed_on: Any
    move: str
    receiving_basis: str
    releasing_basis: str
    school_year: int
    started_at: datetime
    retrieved_at: datetime | None
    ended_at: datetime | None
    record_hash: str | None
    failed_checks: list[str] | None
    withdrawal_reason: str | None
    # The sides on which the reader's organisation stands.
    sides: frozenset[str]
    holders: tuple[Holder, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """转学(入), 转学(出), as the reader stands to it."""
        named = ((RECEIVING, "in"), (RELEASING, "out"))
        return tuple(kind for side, kind in named if side in self.sides)


_FROM = school_class.alias("from_class")
_TO = school_class.alias("to_class")
_RECEIVING = organisation.alias("receiving_school")
_RELEASING = organisation.alias("releasing_school")


def summaries(connection: Connection, actor: Actor, case_ids: Sequence[int]) -> dict[int, Transfer]:
    """The transfers among these cases that the actor may see, by case id."""
    if not case_ids:
        return {}
    rows = connection.execute(
        sa.select(
            transfer,
            case_scope.c.receiving,
            case_scope.c.releasing,
            _RECEIVING.c.name.label("receiving_school"),
            _RELEASING.c.name.label("releasing_school"),
            _FROM.c.grade.label("from_grade"),
            _FROM.c.name.label("from_name"),
            _TO.c.grade.label("to_grade"),
            _TO.c.name.label("to_name"),
        )
        .join(
            case_scope,
            sa.and_(case_scope.c.case_id == transfer.c.case_id, case_scope.c.organisation_id == actor.organisation_id),
        )
        .join(_RECEIVING, transfer.c.receiving_school_id == _RECEIVING.c.id)
        .join(_RELEASING, transfer.c.releasing_school_id == _RELEASING.c.id)
        .join(_FROM, transfer.c.from_class_id == _FROM.c.id)
        .join(_TO, transfer.c.to_class_id == _TO.c.id)
        .where(transfer.c.case_id.in_(case_ids))
    ).all()
    known = students.summaries(connection, {row.student_id for row in rows})
    held = inbox.holders(connection, [row.case_id for row in rows])
    return {row.case_id: _transfer(row, known[row.student_id], held.get(row.case_id, [])) for row in rows}


def _transfer(row: Any, of: Summary, held: list[Holder]) -> Transfer:
    return Transfer(
        case_id=row.case_id,
        number=row.number,
        state=row.state,
        student=of,
        receiving_school_id=row.receiving_school_id,
        receiving_school=row.receiving_school,
        releasing_school_id=row.releasing_school_id,
        releasing_school=row.releasing_school,
        from_class=ClassName(row.from_grade, row.from_name),
        to_class=ClassName(row.to_grade, row.to_name),
        to_class_id=row.to_class_id,
        reason=row.reason,
        changed_on=row.changed_on,
        move=row.move,
        receiving_basis=row.receiving_basis,
        releasing_basis=row.releasing_basis,
        school_year=row.school_year,
        started_at=row.started_at,
        retrieved_at=row.retrieved_at,
        ended_at=row.ended_at,
        record_hash=row.record_hash,
        failed_checks=row.failed_checks,
        withdrawal_reason=row.withdrawal_reason,
        sides=frozenset(side for side in (RECEIVING, RELEASING) if getattr(row, side)),
        holders=tuple(held),
    )


def get(connection: Connection, actor: Actor, case_id: int) -> Transfer:
    """One transfer. Raises `NotFound` outside the actor's jurisdiction."""
    found = summaries(connection, actor, [case_id]).get(case_id)
    if found is None:
        raise NotFound
    return found


def view_student(connection: Connection, actor: Actor, case_id: int, *, at: datetime) -> Student:
    """The full student of a transfer; that it was seen is logged. Raises `NotFound` outside the jurisdiction."""
    found = get(connection, actor, case_id)
    return students.view(connection, actor, found.student.id, at=at, case_id=case_id)


# History ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One thing that happened in a transfer: a step that was done, or a message that went across."""

    at: datetime
    side: str | None
    party: str
    organisation: str
    # The step, or nothing for a message.
    node: Node | None
    message: Message | None
    result: str | None
    opinion: str | None
    # Empty for the other side's persons.
    person: str | None
    duty: str | None
    task: Task | None


def history(connection: Connection, actor: Actor, case_id: int) -> list[Entry]:
    """审批历史: what was done and decided, and what the two sides said to each other, in time."""
    sides = cases.sides(connection, actor, case_id)
    done = [item for item in inbox.of_case(connection, case_id) if item.state == "done"]
    names = _names(connection, done)
    # A plain case has no sides, so nobody stands on another one.
    found = [_entry(item, names, own=item.side is None or item.side in sides) for item in done]
    schools = _parties(connection, case_id)
    for item in messages.of_case(connection, case_id):
        side = RELEASING if item.to_side == RECEIVING else RECEIVING
        found.append(
            Entry(
                item.sent_at, side, item.sender, schools.get(item.sender, ""), None, item, None, None, None, None, None
            )
        )
    # A message follows the step that sent it, in the same instant.
    return sorted(found, key=lambda entry: (entry.at, entry.message is not None))


def _entry(item: Task, names: dict[tuple[str, int], str], *, own: bool) -> Entry:
    assert item.closed_at is not None
    return Entry(
        at=item.closed_at,
        side=item.side,
        party=item.party,
        organisation=names.get(("organisation", item.organisation_id), ""),
        node=item.node,
        message=None,
        result=item.result,
        opinion=item.opinion,
        person=names.get(("person", item.person_id or 0)) if own else None,
        duty=item.duty if own else None,
        task=item if own else None,
    )


def _names(connection: Connection, tasks: list[Task]) -> dict[tuple[str, int], str]:
    found: dict[tuple[str, int], str] = {}
    people = {item.person_id for item in tasks if item.person_id}
    for row in connection.execute(sa.select(person.c.id, person.c.name).where(person.c.id.in_(people))):
        found["person", row.id] = row.name
    offices = {item.organisation_id for item in tasks}
    for row in connection.execute(
        sa.select(organisation.c.id, organisation.c.name).where(organisation.c.id.in_(offices))
    ):
        found["organisation", row.id] = row.name
    return found


def _parties(connection: Connection, case_id: int) -> dict[str, str]:
    parties: dict[str, int] = connection.scalar(sa.select(cases.case.c.parties).where(cases.case.c.id == case_id)) or {}
    rows = connection.execute(
        sa.select(organisation.c.id, organisation.c.name).where(organisation.c.id.in_(parties.values()))
    )
    names = {row.id: row.name for row in rows}
    return {party: names[found] for party, found in parties.items()}


@dataclass(frozen=True)
class Hold:
    """How long one party had a transfer: a bar of the clock ribbon."""

    party: str
    organisation: str
    side: str | None
    node: Node
    opened_at: datetime
    closed_at: datetime | None
    due_at: datetime | None
    result: str | None
    state: str


def ribbon(connection: Connection, actor: Actor, case_id: int) -> list[Hold]:
    """Who held a transfer and for how long, in the order of the case. Both sides see it."""
    cases.sides(connection, actor, case_id)
    tasks = inbox.of_case(connection, case_id)
    names = _names(connection, tasks)
    return [
        Hold(
            item.party,
            names.get(("organisation", item.organisation_id), ""),
            item.side,
            item.node,
            item.opened_at,
            item.closed_at,
            item.due_at,
            item.result,
            item.state,
        )
        for item in tasks
    ]


# The query -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Filters:
    """变动查询. Empty means any. `number` is a transfer's, a student record's or an ID number."""

    division: str = ""
    school_id: int | None = None
    name: str = ""
    number: str = ""
    school_year: int | None = None
    kind: str = ""  # in, out
    state: str = ""
    holder_id: int | None = None
    late: bool = False


@dataclass(frozen=True)
class Found:
    """One page of a query. `total` is exact up to `COUNTED` and one more beyond it."""

    transfers: list[Transfer]
    total: int
    number: int
    size: int


def search(
    connection: Connection, actor: Actor, filters: Filters, *, at: datetime, page: int = 1, size: int = PAGE
) -> Found:
    """The transfers of the actor's jurisdiction that match, newest first."""
    matching = (
        sa.select(case_scope.c.case_id)
        .join(transfer, transfer.c.case_id == case_scope.c.case_id)
        .where(case_scope.c.organisation_id == actor.organisation_id, *_conditions(filters, at))
    )
    counted = matching.limit(COUNTED + 1).subquery()
    total = connection.scalar(sa.select(sa.func.count()).select_from(counted)) or 0
    page = max(page, 1)
    ids = connection.scalars(matching.order_by(case_scope.c.case_id.desc()).limit(size).offset((page - 1) * size)).all()
    found = summaries(connection, actor, ids)
    return Found([found[case_id] for case_id in ids], total, page, size)


def started_by(connection: Connection, actor: Actor, *, page: int = 1, size: int = PAGE) -> Found:
    """我发起的: the transfers that the person started, newest first."""
    matching = (
        sa.select(cases.case.c.id)
        .join(transfer, transfer.c.case_id == cases.case.c.id)
        .where(cases.case.c.started_by == actor.person_id, transfer.c.receiving_school_id == actor.organisation_id)
    )
    total = connection.scalar(sa.select(sa.func.count()).select_from(matching.limit(COUNTED + 1).subquery())) or 0
    page = max(page, 1)
    ids = connection.scalars(matching.order_by(cases.case.c.id.desc()).limit(size).offset((page - 1) * size)).all()
    found = summaries(connection, actor, ids)
    return Found([found[case_id] for case_id in ids], total, page, size)


@dataclass(frozen=True)
class Waiting:
    """How the inbox is narrowed: the actor's own side's school, the other side's region, and whom it is about."""

    school_id: int | None = None
    division: str = ""
    name: str = ""
    number: str = ""


def waiting_where(narrowed: Waiting) -> sa.ColumnElement[bool] | None:
    """The condition on the inbox's tasks; None where nothing narrows them."""
    own, other = _own_and_other()
    found: list[sa.ColumnElement[bool]] = []
    if narrowed.school_id is not None:
        found.append(own == narrowed.school_id)
    if narrowed.division:
        found.append(other.in_(_schools_in(narrowed.division)))
    if narrowed.name:
        found.append(_about(student.c.name == narrowed.name.strip()))
    if narrowed.number:
        found.append(_number(narrowed.number))
    return sa.exists().where(transfer.c.case_id == task.c.case_id, *found) if found else None


def _own_and_other() -> tuple[sa.ColumnElement[int], sa.ColumnElement[int]]:
    """The school of a task's own side, and the one of the other side."""
    receiving, releasing = transfer.c.receiving_school_id, transfer.c.releasing_school_id
    mine = task.c.side == RECEIVING
    return sa.case((mine, receiving), else_=releasing), sa.case((mine, releasing), else_=receiving)


@dataclass(frozen=True)
class Places:
    """What a list can be narrowed to: the own side's schools (id and name), the other side's provinces."""

    schools: tuple[tuple[int, str], ...]
    provinces: tuple[str, ...]


def places_waiting(connection: Connection, actor: Actor) -> Places:
    """The schools and provinces of the transfers that wait for the actor."""
    own, other = _own_and_other()
    of_own, of_other = organisation.alias("own"), organisation.alias("other")
    province = sa.func.substr(of_other.c.division_code, 1, 2)
    rows = connection.execute(
        sa.select(of_own.c.id, of_own.c.name, province.label("province"))
        .select_from(task)
        .join(transfer, transfer.c.case_id == task.c.case_id)
        .join(of_own, of_own.c.id == own)
        .join(of_other, of_other.c.id == other)
        .where(inbox.mine(actor))
        .distinct()
    ).all()
    schools = {(row.id, row.name) for row in rows}
    return Places(
        tuple(sorted(schools, key=lambda school: school[1])),
        tuple(sorted({f"{row.province}0000" for row in rows if row.province})),
    )


def _conditions(filters: Filters, at: datetime) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if filters.kind:
        found.append(case_scope.c.receiving if filters.kind == "in" else case_scope.c.releasing)
    if filters.school_id is not None:
        found.append(_either_school(sa.select(sa.literal(filters.school_id)), filters.kind))
    if filters.division:
        found.append(_either_school(_schools_in(filters.division), filters.kind))
    if filters.school_year is not None:
        found.append(transfer.c.school_year == filters.school_year)
    if filters.state:
        found.append(transfer.c.state == filters.state)
    if filters.name:
        found.append(_about(student.c.name == filters.name.strip()))
    if filters.number:
        found.append(_number(filters.number))
    if filters.holder_id is not None or filters.late:
        found.append(_held(filters, at))
    return found


def _either_school(schools: sa.Select[Any], kind: str) -> sa.ColumnElement[bool]:
    receiving, releasing = transfer.c.receiving_school_id.in_(schools), transfer.c.releasing_school_id.in_(schools)
    return {"in": receiving, "out": releasing}.get(kind, sa.or_(receiving, releasing))


def _schools_in(division: str) -> sa.Select[Any]:
    return sa.select(organisation.c.id).where(
        organisation.c.level == "school", organisation.c.division_code.between(*divisions.code_range(division))
    )


def _number(text: str) -> sa.ColumnElement[bool]:
    wanted = numbers.normalise(text)
    if wanted.startswith("ZX"):
        return transfer.c.number == wanted
    return _about(students.number_column(wanted) == wanted)


def _about(whom: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return transfer.c.student_id.in_(sa.select(student.c.id).where(whom))


def _held(filters: Filters, at: datetime) -> sa.ColumnElement[bool]:
    held = task.alias("held")
    conditions = [held.c.case_id == transfer.c.case_id, held.c.state == "open"]
    if filters.holder_id is not None:
        below = sa.select(organisation_ancestor.c.descendant_id).where(
            organisation_ancestor.c.ancestor_id == filters.holder_id
        )
        conditions.append(held.c.organisation_id.in_(below))
    if filters.late:
        conditions.append(held.c.due_at <= at)
    return sa.exists().where(*conditions)
