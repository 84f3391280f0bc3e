"""Transfers: the query of a jurisdiction, one in detail, its history, and withdrawing it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from flask import Blueprint
from pydantic import Field
from sqlalchemy.engine import Connection

from engine import cases, inbox, transfers
from engine.bpmn.graph import PARTIES
from engine.cases import Stand
from engine.db import LARGEST_ID
from engine.errors import Forbidden, Invalid, NotFound
from engine.registry import codes, organisations, records, students
from engine.registry.students import Place, Student, Summary
from engine.transfers import Entry, Filters, Hold, Holding, Transfer
from engine.workdays import Calendar
from web.api import cursors
from web.api.endpoints import reads, writes
from web.api.shapes import (
    Answer,
    Holder,
    Id,
    Line,
    Listed,
    Office,
    Paged,
    Reason,
    Revision,
    Sent,
    Shape,
    Step,
    Text,
    Words,
    answers,
)
from web.context import current_actor, now
from web.deadlines import calendar, prepare_calendar
from web.locales import locale

blueprint = Blueprint("transfers", __name__)

State = Literal["pending", "retrieved", "completed", "refused", "withdrawn"]


# What a transfer is ----------------------------------------------------------------------------------------------


class SchoolClass(Shape):
    grade: str
    grade_name: Words | None
    name: str

    @classmethod
    def of(cls, grade: str, name: str) -> SchoolClass:
        code = codes.table("grade").get(grade)
        return cls(grade=grade, grade_name=Words.named(code.name, code.name_en) if code else None, name=name)


class StudentRow(Shape):
    """A student as lists and the other side may see one: numbers masked."""

    name: str
    gender: str
    birth_date: date
    number: str
    """The record number, else the temporary number, else the ID number; masked."""

    @classmethod
    def of(cls, student: Summary) -> StudentRow:
        return cls(name=student.name, gender=student.gender, birth_date=student.birth_date, number=student.number)


class SchoolEnd(Shape):
    """One end of a transfer."""

    id: int
    school: Words
    school_class: SchoolClass


class TransferRow(Shape):
    """A transfer as lists show it."""

    id: int
    """The id of its case."""
    number: str
    state: str
    """pending, retrieved (the record has moved), completed, refused or withdrawn"""
    student: StudentRow
    releasing: SchoolEnd
    receiving: SchoolEnd
    kinds: list[str]
    """How the place that is looked at stands to it: in, out, or both."""
    school_year: int
    """The year in which the school year began."""
    started_at: datetime
    ended_at: datetime | None
    holders: list[Holder]
    """Who has it now."""

    @classmethod
    def of(cls, transfer: Transfer) -> TransferRow:
        left, entered = transfer.from_class, transfer.to_class
        return cls(
            id=transfer.case_id,
            number=transfer.number,
            state=transfer.state,
            student=StudentRow.of(transfer.student),
            releasing=SchoolEnd(
                id=transfer.releasing_school_id,
                school=Words.named(transfer.releasing_school, transfer.releasing_school_en),
                school_class=SchoolClass.of(left.grade, left.name),
            ),
            receiving=SchoolEnd(
                id=transfer.receiving_school_id,
                school=Words.named(transfer.receiving_school, transfer.receiving_school_en),
                school_class=SchoolClass.of(entered.grade, entered.name),
            ),
            kinds=list(transfer.kinds),
            school_year=transfer.school_year,
            started_at=transfer.started_at,
            ended_at=transfer.ended_at,
            holders=[Holder.of(holder) for holder in transfer.holders],
        )


class Party(Shape):
    """Who is which party of a case."""

    party: str
    organisation: Office

    @classmethod
    def all_of(cls, connection: Connection, parties: Mapping[str, int]) -> list[Party]:
        known = organisations.named(connection, set(parties.values()))
        return [cls(party=party, organisation=Office.of(known[found])) for party, found in parties.items()]


class RecordRow(Shape):
    """An electronic record of the student at one of the two schools."""

    id: int
    school_id: int
    school: Words
    state: str
    """current: the school continues it; backup: what the former school keeps"""
    readable: bool
    """Whether this membership may open it."""

    @classmethod
    def of(cls, holding: Holding) -> RecordRow:
        return cls(
            id=holding.record_id,
            school_id=holding.school_id,
            school=Words.named(holding.school, holding.school_en),
            state=holding.state,
            readable=holding.readable,
        )


class TransferDetail(TransferRow):
    """One transfer."""

    revision: int
    """The case's revision: send it along when something is changed that was read."""
    reason: str | None
    changed_on: date | None
    move: str
    """within or across the province"""
    receiving_basis: str
    """How sure it is that the receiving side's document covers this move: text, practice or inferred."""
    releasing_basis: str
    retrieved_at: datetime | None
    record_hash: str | None
    """The seal of the electronic record that was retrieved."""
    failed_checks: list[Reason]
    """The checks that ended it, if any did."""
    withdrawal_reason: str | None
    may_withdraw: bool
    parties: list[Party]
    records: list[RecordRow]


# Lists -----------------------------------------------------------------------------------------------------------


class Filtered(Paged):
    """What is looked for; what is left out does not narrow."""

    within: Id | None = None
    """An authority or a school of the own jurisdiction."""
    school_year: Annotated[int, Field(ge=2000, le=2100)] | None = None
    kind: Literal["", "in", "out"] = ""
    """How the place that is looked at stands to it."""
    state: Literal["", State] = ""
    holder: Literal["", "receiving_school", "receiving_authority", "releasing_school", "releasing_authority"] = ""
    """The party that has it now."""
    holder_id: Id | None = None
    """The organisation that has it now."""
    late: bool = False


assert set(PARTIES) < set(Filtered.model_fields["holder"].annotation.__args__)  # type: ignore[union-attr]


class TransferSearch(Filtered):
    """The same, and whom it is about. These are sent in a body, as no address may hold a name or a number."""

    name: Line = ""
    """The student's full name."""
    number: Line = ""
    """A transfer's number, a record number or an ID number."""


@blueprint.get("/transfers")
@reads(requires="query", raises=(cursors.BadCursor, NotFound))
def query(connection: Connection, query: Filtered) -> Listed[TransferRow]:
    """变动查询: the transfers of the jurisdiction, newest first."""
    return _found(connection, query)


@blueprint.post("/transfers/search")
@writes(requires="query", keyed=False, raises=(cursors.BadCursor,))
def search(connection: Connection, body: TransferSearch) -> Listed[TransferRow]:
    """变动查询 also by a student's name or number."""
    return _found(connection, body)


def _found(connection: Connection, asked: Filtered) -> Listed[TransferRow]:
    filters = Filters(**asked.model_dump(exclude={"cursor", "limit"}))
    after = cursors.read(asked, "case", LARGEST_ID)
    found = transfers.search_after(
        connection, current_actor(), filters, at=now(), after=after[0] if after else None, size=asked.limit + 1
    )
    return cursors.listed(found, asked, TransferRow.of, "case", lambda transfer: [transfer.case_id])


# One transfer ----------------------------------------------------------------------------------------------------


@blueprint.get("/transfers/<id:case_id>")
@reads()
def transfer(connection: Connection, case_id: int) -> TransferDetail:
    """One transfer of the jurisdiction."""
    actor = current_actor()
    found = transfers.get(connection, actor, case_id)
    return TransferDetail(
        **dict(TransferRow.of(found)),
        revision=cases.get(connection, actor, case_id).revision,
        reason=found.reason,
        changed_on=found.changed_on,
        move=found.move,
        receiving_basis=found.receiving_basis,
        releasing_basis=found.releasing_basis,
        retrieved_at=found.retrieved_at,
        record_hash=found.record_hash,
        failed_checks=[Reason.of(students.FAILURES[code]) for code in found.failed_checks or ()],
        withdrawal_reason=found.withdrawal_reason,
        may_withdraw=transfers.may_withdraw(connection, actor, case_id),
        parties=Party.all_of(connection, cases.parties(connection, actor, case_id)),
        records=[RecordRow.of(holding) for holding in transfers.holdings(connection, actor, found)],
    )


class Happened(Shape):
    """One thing that happened: a step that was done, a message between the two sides, or an early end."""

    at: datetime
    side: str | None
    party: str
    organisation: Words
    step: Step | None
    message: str | None
    """A message of the exchange contract, for example release_requested."""
    end: str
    """withdrawn or check_failed, where that ended it; empty else."""
    result: str | None
    opinion: str | None
    person: str | None
    """Null for the other side's persons."""
    duty: str | None
    answers: list[Answer]
    """What was entered beside the decision; the own side's alone."""

    @classmethod
    def of(cls, connection: Connection, entry: Entry) -> Happened:
        return cls(
            at=entry.at,
            side=entry.side,
            party=entry.party,
            organisation=Words.named(entry.organisation, entry.organisation_en),
            step=Step.of(entry.node) if entry.node else None,
            message=entry.message.name if entry.message else None,
            end=entry.end,
            result=entry.result,
            opinion=entry.opinion,
            person=entry.person,
            duty=entry.duty,
            answers=_answers(connection, entry),
        )


def _answers(connection: Connection, entry: Entry) -> list[Answer]:
    if entry.task is None or entry.node is None or not entry.task.values:
        return []
    values: Mapping[str, Any] = entry.task.values
    fields = [field for field in inbox.act_form((entry.node,)) if not field.binds.startswith("decision.")]
    return answers(fields, transfers.shown_all(connection, fields, values, locale()), values)


@blueprint.get("/transfers/<id:case_id>/history")
@reads()
def history(connection: Connection, case_id: int) -> list[Happened]:
    """审批历史: all that was done, decided and said, in time."""
    entries = transfers.history(connection, current_actor(), case_id)
    return [Happened.of(connection, entry) for entry in entries]


class Held(Shape):
    """How long one party had it without a break."""

    party: str
    organisation: Words
    side: str | None
    steps: list[Step]
    opened_at: datetime
    closed_at: datetime | None
    """Null while the party still has it."""
    due_at: datetime | None
    state: str
    """done, open or cancelled"""
    result: str | None
    limit: int | None
    """The working days that the diagram allows; null where it sets no limit."""
    used: int
    """The working days after the day on which the party got it."""
    late: int
    """How many of them were too many."""

    @classmethod
    def of(cls, hold: Hold, calendar: Calendar, at: datetime) -> Held:
        return cls(
            party=hold.party,
            organisation=Words.named(hold.organisation, hold.organisation_en),
            side=hold.side,
            steps=[Step.of(step) for step in hold.steps],
            opened_at=hold.opened_at,
            closed_at=hold.closed_at,
            due_at=hold.due_at,
            state=hold.state,
            result=hold.result,
            limit=hold.limit,
            used=hold.used(calendar, at),
            late=hold.late(calendar, at),
        )


@blueprint.get("/transfers/<id:case_id>/ribbon")
@reads()
def ribbon(connection: Connection, case_id: int) -> list[Held]:
    """Who held it, and for how many working days."""
    prepare_calendar(connection)
    holds = transfers.ribbon(connection, current_actor(), case_id)
    return [Held.of(hold, calendar(), now()) for hold in holds]


class Pool(Shape):
    """Where one side of a case stands in the diagram that it runs under."""

    side: str | None
    procedure_version: int
    regime: str
    number: int
    """The version's number within its regime."""
    started: bool
    ended: bool
    done: list[str]
    """Ids of the diagram's elements that have been passed."""
    current: list[str]
    """Where a person has to act."""
    waiting: list[str]
    """What waits for a message or a time."""

    @classmethod
    def of(cls, stand: Stand) -> Pool:
        return cls(
            side=stand.side,
            procedure_version=stand.version.id,
            regime=stand.version.regime,
            number=stand.version.number,
            started=stand.started,
            ended=stand.ended,
            done=stand.marks.get("done", []),
            current=stand.marks.get("current", []),
            waiting=stand.marks.get("waiting", []),
        )


@blueprint.get("/transfers/<id:case_id>/progress")
@reads()
def progress(connection: Connection, case_id: int) -> list[Pool]:
    """进度: where each side stands in its diagram, the receiving one first."""
    cases.sides(connection, current_actor(), case_id)
    return [Pool.of(stand) for stand in cases.stands(connection, case_id)]


# Looking closely, and changing -----------------------------------------------------------------------------------


class EnrolledAt(Shape):
    school_id: int
    school: Words
    school_class: SchoolClass

    @classmethod
    def of(cls, place: Place) -> EnrolledAt:
        return cls(
            school_id=place.school_id,
            school=Words.named(place.school_name, place.school_name_en),
            school_class=SchoolClass.of(place.grade, place.class_name),
        )


class FullStudent(Shape):
    """A student with everything that is known. Codes are those of the national tables."""

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
    place: EnrolledAt | None

    @classmethod
    def of(cls, student: Student) -> FullStudent:
        known = {name: getattr(student, name) for name in cls.model_fields if name != "place"}
        return cls(**known, place=EnrolledAt.of(student.place) if student.place else None)


@blueprint.post("/transfers/<id:case_id>/student")
@writes(keyed=False, raises=(Forbidden,))
def student(connection: Connection, case_id: int) -> FullStudent:
    """The student in full, for the operators and reviewers of its parties. Each look is logged, so it is asked for."""
    return FullStudent.of(transfers.view_student(connection, current_actor(), case_id, at=now()))


class RecordPart(Shape):
    kind: str
    title: str
    content: dict[str, Any]


class ElectronicRecord(Shape):
    """An electronic record with its parts."""

    id: int
    school_id: int
    state: str
    hash: str
    """Its seal."""
    intact: bool
    """Whether the parts still are what was sealed."""
    created_at: datetime
    parts: list[RecordPart]


@blueprint.post("/transfers/<id:case_id>/records/<id:record_id>")
@writes(keyed=False, raises=(Forbidden,))
def record(connection: Connection, case_id: int, record_id: int) -> ElectronicRecord:
    """An electronic record, for the school that holds it and its authority. Each look is logged."""
    found = transfers.view_record(connection, current_actor(), case_id, record_id, at=now())
    return ElectronicRecord(
        id=found.id,
        school_id=found.school_id,
        state=found.state,
        hash=found.hash,
        intact=records.intact(connection, record_id),
        created_at=found.created_at,
        parts=[RecordPart(kind=part.kind, title=part.title, content=dict(part.content)) for part in found.parts],
    )


class Withdrawing(Sent):
    reason: Text
    """Told to every party that took part."""
    revision: Revision | None = None
    """Of the transfer as it was read; a case that has gone on meanwhile is not withdrawn."""


class Withdrawn(Shape):
    id: int
    state: str
    revision: int


@blueprint.post("/transfers/<id:case_id>/withdrawal")
@writes(raises=(Forbidden, transfers.TooLate, transfers.Ended, transfers.NotWithdrawable, cases.Stale, Invalid))
def withdraw(connection: Connection, case_id: int, body: Withdrawing) -> Withdrawn:
    """End a pending transfer at the receiving school's wish; what was decided so far is kept."""
    actor = current_actor()
    transfers.withdraw(connection, actor, case_id, body.reason, revision=body.revision, at=now())
    found = cases.get(connection, actor, case_id)
    return Withdrawn(id=case_id, state=found.outcome or found.state, revision=found.revision)
