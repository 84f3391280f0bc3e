"""Looking at transfers: one, a page of many, and what only those who work on it may see in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import cases, inbox
from engine.audit import Actor
from engine.cases import case_scope
from engine.errors import Forbidden, NotFound
from engine.inbox import Holder
from engine.permissions import may
from engine.prepared import Prepared, among
from engine.registry import organisations, records, students
from engine.registry.records import Record
from engine.registry.students import Student, Summary
from engine.registry.tables import organisation, school_class
from engine.transfers.tables import RECEIVING, RELEASING, transfer

# Somebody has it, or the system does.
UNDER_WAY = ("pending", "retrieved")
STATES = (*UNDER_WAY, "completed", "refused", "withdrawn")


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
    receiving_school_en: str | None
    releasing_school_id: int
    releasing_school: str
    releasing_school_en: str | None
    from_class: ClassName
    to_class: ClassName
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
    # 转学(入), 转学(出), as the place that is looked at stands to it: in, out, or both.
    kinds: tuple[str, ...]
    holders: tuple[Holder, ...]


_FROM = school_class.alias("from_class")
_TO = school_class.alias("to_class")
_RECEIVING = organisation.alias("receiving_school")
_RELEASING = organisation.alias("releasing_school")
_PLACE = case_scope.alias("place")


def _seen(place: Any) -> sa.Select[Any]:
    """Some transfers that an organisation may see, and how the place looked at stands to each."""
    return (
        sa.select(
            transfer,
            case_scope.c.receiving,
            case_scope.c.releasing,
            place.c.receiving.label("moved_in"),
            place.c.releasing.label("moved_out"),
            _RECEIVING.c.name.label("receiving_school"),
            _RECEIVING.c.name_en.label("receiving_school_en"),
            _RELEASING.c.name.label("releasing_school"),
            _RELEASING.c.name_en.label("releasing_school_en"),
            _FROM.c.grade.label("from_grade"),
            _FROM.c.name.label("from_name"),
            _TO.c.grade.label("to_grade"),
            _TO.c.name.label("to_name"),
        )
        .join(case_scope, case_scope.c.case_id == transfer.c.case_id)
        .join(_RECEIVING, transfer.c.receiving_school_id == _RECEIVING.c.id)
        .join(_RELEASING, transfer.c.releasing_school_id == _RELEASING.c.id)
        .join(_FROM, transfer.c.from_class_id == _FROM.c.id)
        .join(_TO, transfer.c.to_class_id == _TO.c.id)
        .where(
            # Said of both, or PostgreSQL looks through all that the actor sees.
            among(transfer.c.case_id, "case_ids"),
            among(case_scope.c.case_id, "case_ids"),
            case_scope.c.organisation_id == sa.bindparam("seen_by"),
        )
    )


_there = sa.and_(_PLACE.c.case_id == transfer.c.case_id, _PLACE.c.organisation_id == sa.bindparam("seen_from"))
_SEEN_FROM = Prepared(_seen(_PLACE).outerjoin(_PLACE, _there))
_SEEN_THERE = Prepared(_seen(case_scope))


def summaries(
    connection: Connection, actor: Actor, case_ids: Sequence[int], *, seen_from: int | None = None
) -> dict[int, Transfer]:
    """The transfers among these cases that the actor may see, by case id.

    `seen_from` is the place in the actor's jurisdiction that is looked at, where it is not the actor's organisation.
    """
    if not case_ids:
        return {}
    asked = {"case_ids": case_ids, "seen_by": actor.organisation_id}
    if seen_from in (None, actor.organisation_id):
        rows = _SEEN_THERE.rows(connection, asked)
    else:
        rows = _SEEN_FROM.rows(connection, asked | {"seen_from": seen_from})
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
        receiving_school_en=row.receiving_school_en,
        releasing_school_id=row.releasing_school_id,
        releasing_school=row.releasing_school,
        releasing_school_en=row.releasing_school_en,
        from_class=ClassName(row.from_grade, row.from_name),
        to_class=ClassName(row.to_grade, row.to_name),
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
        sides=frozenset(side for side, stands in ((RECEIVING, row.receiving), (RELEASING, row.releasing)) if stands),
        kinds=tuple(kind for kind, moved in (("in", row.moved_in), ("out", row.moved_out)) if moved),
        holders=tuple(held),
    )


def get(connection: Connection, actor: Actor, case_id: int) -> Transfer:
    """One transfer. Raises `NotFound` outside the actor's jurisdiction."""
    found = summaries(connection, actor, [case_id]).get(case_id)
    if found is None:
        raise NotFound
    return found


def view_student(connection: Connection, actor: Actor, case_id: int, *, at: datetime) -> Student:
    """The full student, for those who work on the transfer; that it was seen is logged.

    Raises `NotFound` outside the jurisdiction, `Forbidden` for whoever is no party's operator or reviewer.
    """
    found = get(connection, actor, case_id)
    require_party(connection, actor, case_id)
    return students.view(connection, actor, found.student.id, at=at, case_id=case_id)


def is_party(connection: Connection, actor: Actor, case_id: int) -> bool:
    """Whether the actor works in one of the organisations that take part in a case. Raises `NotFound`."""
    return may(actor, "work") and actor.organisation_id in cases.parties(connection, actor, case_id).values()


def require_party(connection: Connection, actor: Actor, case_id: int) -> None:
    """Raises `Forbidden` unless `is_party`."""
    if not is_party(connection, actor, case_id):
        raise Forbidden


# The electronic record -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Holding:
    """A record of the student that one of the two schools has."""

    record_id: int
    school_id: int
    school: str
    school_en: str | None
    # current: the school continues it. backup: what the former school keeps, for reading alone.
    state: str
    # Whether the actor may open it: a party that it lies in the jurisdiction of.
    readable: bool


def holdings(connection: Connection, actor: Actor, of: Transfer) -> list[Holding]:
    """Who of the two schools holds a record of the student, the one that continues it first."""
    schools = {
        of.receiving_school_id: (of.receiving_school, of.receiving_school_en),
        of.releasing_school_id: (of.releasing_school, of.releasing_school_en),
    }
    works = is_party(connection, actor, of.case_id)
    found = [
        Holding(
            record_id,
            school_id,
            *schools[school_id],
            state,
            works and organisations.governs(connection, actor.organisation_id or 0, school_id),
        )
        for record_id, school_id, state in records.held(connection, of.student.id)
        if school_id in schools
    ]
    return sorted(found, key=lambda holding: holding.state == "backup")


def view_record(connection: Connection, actor: Actor, case_id: int, record_id: int, *, at: datetime) -> Record:
    """The parts of an electronic record, for the school that holds it and its authority; logged with the case.

    Raises `NotFound` for the other side's record, `Forbidden` for whoever is no party's operator or reviewer.
    """
    require_party(connection, actor, case_id)
    offered = holdings(connection, actor, get(connection, actor, case_id))
    if not any(holding.record_id == record_id and holding.readable for holding in offered):
        raise NotFound
    return records.view(connection, actor, record_id, at=at, case_id=case_id)
