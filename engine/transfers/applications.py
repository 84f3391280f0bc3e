"""Applying for a transfer: the form of the regime, the student looked up, drafts, and the start of the case.

Opening the form creates nothing. Saving it creates the case, reserves a place and completes the application's step in
one transaction. A school that does not accept closes the application with a reason, and no case arises.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import audit, cases, inbox, permissions, procedures
from engine.audit import Actor
from engine.bpmn import forms
from engine.bpmn.graph import Field, Node, Pool
from engine.db import Database
from engine.errors import N_, Conflict, Invalid, NotFound, XuejiError
from engine.procedures import Rule, Version
from engine.registry import classes, divisions, lookups, organisations, students
from engine.registry.organisations import Organisation
from engine.registry.students import DATA_DIFFER, CheckFailure, Summary
from engine.transfers.tables import application_draft, attachment, transfer
from engine.workdays import SHANGHAI

RECEIVING, RELEASING = "receiving", "releasing"
MAX_ATTACHMENT = 5 * 1024 * 1024
# By the first bytes, never by what the sender calls it.
_SIGNATURES = {b"%PDF-": "application/pdf", b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
_ORPHANS_AFTER = timedelta(days=30)


class Closed(Conflict):
    """A regime's yearly window in which no new application is taken."""

    code = "closed"
    message = N_("New applications are closed from %(closed_from)s to %(closed_until)s each year.")
    remedy = N_("Save a draft now and start it when the window has ended. What is under way goes on.")


class AlreadyHere(Conflict):
    """An application for a student of the receiving school itself."""

    code = "already_here"
    message = N_("This student is already enrolled in your school.")
    remedy = N_("Check the number and the name.")


class CheckFailed(Conflict):
    """What the real system would refuse later. `failures` say what and how to mend it."""

    code = "check_failed"
    message = N_("This student can not be transferred now.")
    remedy = N_("See the reasons; the application is kept as a draft.")

    def __init__(self, failures: list[CheckFailure]) -> None:
        super().__init__(failures[0].message, remedy=failures[0].remedy)
        self.code = failures[0].code
        self.failures = failures


class BadAttachment(Invalid):
    code = "bad_attachment"
    message = N_("Attach a PDF, PNG or JPEG file of at most 5 MB.")


OTHER_TRANSFER = CheckFailure(
    "2002",
    N_("The student is in another transfer that has not ended."),
    N_("Wait for its end, or have its receiving school withdraw it."),
)


@dataclass(frozen=True)
class Application:
    """Under which versions a transfer from one province to a school would run, and the form that starts it."""

    school: Organisation
    origin_province: str
    within: bool
    receiving_rule: Rule
    releasing_rule: Rule
    receiving: Version
    releasing: Version

    @property
    def pool(self) -> Pool:
        return self.receiving.pool(RECEIVING)

    @property
    def act(self) -> tuple[Node, ...]:
        """What saving completes: the manual steps before the form, and the form."""
        return self.pool.application_act

    @property
    def node(self) -> Node:
        return self.act[-1]

    @property
    def form(self) -> tuple[Field, ...]:
        return inbox.act_form(self.act)

    def bound(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values by what their fields are bound to."""
        return {item.binds: values.get(item.id) for item in self.node.form if item.binds}

    def field(self, binding: str) -> str | None:
        """The id of the field bound to it, if the form has one."""
        found = self.node.bound(binding)
        return found.id if found else None


def prepare(connection: Connection, actor: Actor, origin_province: str, *, at: datetime) -> Application:
    """The application form for a student from a province.

    Raises `Forbidden` unless a school's operator asks, `Closed` in the regime's closed window, `NoneInForce`.
    """
    permissions.require(actor, "start_transfer")
    if divisions.level_of(origin_province) != "province" or not divisions.exists(origin_province):
        raise NotFound
    assert actor.organisation_id is not None
    school = organisations.get(connection, actor.organisation_id)
    province = divisions.province_of(school.division_code or "")
    within = province == origin_province
    receiving_rule = procedures.rule_for(connection, province, within=within)
    releasing_rule = procedures.rule_for(connection, origin_province, within=within)
    regime = procedures.regimes(connection)[receiving_rule.regime]
    if regime.is_closed(at.astimezone(SHANGHAI).date()):
        raise Closed(closed_from=regime.closed_from, closed_until=regime.closed_until)
    return Application(
        school,
        origin_province,
        within,
        receiving_rule,
        releasing_rule,
        procedures.in_force(connection, receiving_rule.regime, "transfer", at=at),
        procedures.in_force(connection, releasing_rule.regime, "transfer", at=at),
    )


# Looking up ------------------------------------------------------------------------------------------------------


def look_up(
    connection: Connection, actor: Actor, application: Application, values: Mapping[str, Any], *, at: datetime,
    per_hour: int,
) -> lookups.LookUp:  # fmt: skip
    """Look the student up by number and name together, within the province or the school that the form names.

    The look-up is logged, found or not, so let its transaction commit before asking for the result.
    """
    bound = application.bound(values)
    school = bound.get("origin.school")
    return lookups.look_up(
        connection,
        actor,
        number=bound.get("student.record_number") or bound.get("student.id_number") or "",
        name=bound.get("student.name") or "",
        within=int(school) if school else application.origin_province,
        at=at,
        per_hour=per_hour,
    )


def stands_against(connection: Connection, student_id: int, *, school_id: int | None = None) -> list[CheckFailure]:
    """Why a student can not be transferred now: the registry's reasons, and another open transfer."""
    failures = students.check(connection, student_id, school_id=school_id)
    other = sa.select(transfer.c.case_id).where(transfer.c.student_id == student_id, transfer.c.open)
    if connection.scalar(other) is not None:
        failures.append(OTHER_TRANSFER)
    return failures


# Starting --------------------------------------------------------------------------------------------------------


def apply(
    database: Database,
    actor: Actor,
    origin_province: str,
    entered: Mapping[str, Any],
    *,
    at: datetime,
    per_hour: int,
    draft_id: int | None = None,
) -> int:
    """Save an application: look the student up, check, reserve a place, start the case. Answers the case's id.

    In two transactions, since the look-up must stay logged whatever becomes of the application. Raises `Invalid` with
    errors by field, `StudentNotFound`, `CheckFailed`, `NoVacancy`, `AlreadyHere`, `Closed`, `TooManyLookUps`.
    """
    with database.transaction() as connection:
        application = prepare(connection, actor, origin_province, at=at)
        values = forms.check(application.form, entered)
        found = look_up(connection, actor, application, values, at=at, per_hour=per_hour)
    student = found.found()
    with database.transaction() as connection:
        return start(connection, actor, application, values, student, at=at, draft_id=draft_id)


def start(
    connection: Connection,
    actor: Actor,
    application: Application,
    values: Mapping[str, Any],
    student: Summary,
    *,
    at: datetime,
    draft_id: int | None = None,
) -> int:
    """Start the case of a checked form and a student who was looked up. Raises as `apply` does."""
    bound = application.bound(values)
    place = _place(application, student)
    _compare(application, bound, student)
    to_class = _target(connection, application, bound)
    if failures := stands_against(connection, student.id, school_id=place.school_id):
        raise CheckFailed(failures)
    classes.reserve(connection, to_class.id)
    locked = cases.create(
        connection,
        actor,
        "transfer",
        {RECEIVING: application.receiving, RELEASING: application.releasing},
        _parties(connection, application.school.id, place.school_id),
        _scope(connection, application.school.id, receiving=True),
        at=at,
    )
    _insert(connection, locked.id, application, student, bound, to_class.id, at)
    _claim_attachments(connection, actor, locked.id, application, values)
    _complete_application(locked, application, values)
    locked.save()
    if draft_id is not None:
        _close_draft(connection, actor, draft_id, "started", at=at)
    audit.record(
        connection, actor, "transfer.started", "transfer", locked.id, at=at, case_id=locked.id,
        after={
            "student_id": student.id, "from": place.school_id, "to": application.school.id,
            "versions": [application.receiving.id, application.releasing.id],
        },
    )  # fmt: skip
    return locked.id


def _place(application: Application, student: Summary) -> students.Place:
    if student.place is None:
        raise lookups.StudentNotFound
    if student.place.school_id == application.school.id:
        raise AlreadyHere
    return student.place


def _compare(application: Application, bound: Mapping[str, Any], student: Summary) -> None:
    """What else the form says of the student must be what the record says; else 2001, at the field."""
    recorded = {
        "student.gender": student.gender,
        "student.id_type": student.id_type,
        "student.birth_date": student.birth_date.isoformat(),
    }
    errors: dict[str, XuejiError] = {}
    for binding, value in recorded.items():
        field = application.field(binding)
        if field and bound.get(binding) not in (None, value):
            errors[field] = forms.FieldError(DATA_DIFFER.message, remedy=DATA_DIFFER.remedy)
    if errors:
        raise Invalid(DATA_DIFFER.message, fields=errors)


def _target(connection: Connection, application: Application, bound: Mapping[str, Any]) -> classes.SchoolClass:
    found = None
    if str(bound.get("target.class") or "").isdigit():
        found = classes.get(connection, int(bound["target.class"]))
    field = application.field("target.class") or ""
    if found is None or found.school_id != application.school.id:
        raise Invalid(fields={field: forms.FieldError(N_("Choose a class of your school."))})
    if bound.get("target.grade") not in (None, found.grade):
        raise Invalid(fields={field: forms.FieldError(N_("This class belongs to another grade."))})
    return found


def _parties(connection: Connection, receiving_school: int, releasing_school: int) -> dict[str, int]:
    """Who is which party: the schools, and the authority in charge of each on this day."""
    found = {}
    for side, school in ((RECEIVING, receiving_school), (RELEASING, releasing_school)):
        authority = organisations.superior(connection, school)
        assert authority is not None
        found[f"{side}_school"], found[f"{side}_authority"] = school, authority.id
    return found


def _scope(connection: Connection, school_id: int, *, receiving: bool) -> list[dict[str, Any]]:
    return [
        {"organisation_id": found, "receiving": receiving, "releasing": not receiving}
        for found in sorted(organisations.with_superiors(connection, [school_id]))
    ]


def open_to_releasing_side(connection: Connection, case_id: int, school_id: int) -> None:
    """From the request on, the releasing school and its superiors see the case; before, nothing is sent to them."""
    columns = cases.case_scope.c
    above = organisations.with_superiors(connection, [school_id])
    known = set(connection.scalars(sa.select(columns.organisation_id).where(columns.case_id == case_id)))
    connection.execute(
        cases.case_scope.update()
        .where(columns.case_id == case_id, columns.organisation_id.in_(above))
        .values(releasing=True)
    )
    new = [row | {"case_id": case_id} for row in _scope(connection, school_id, receiving=False)]
    new = [row for row in new if row["organisation_id"] not in known]
    if new:
        connection.execute(cases.case_scope.insert(), new)


def _insert(
    connection: Connection,
    case_id: int,
    application: Application,
    student: Summary,
    bound: Mapping[str, Any],
    to_class_id: int,
    at: datetime,
) -> None:
    assert student.place is not None
    day = at.astimezone(SHANGHAI).date()
    changed_on = bound.get("transfer.date")
    try:
        connection.execute(
            transfer.insert(),
            {
                "case_id": case_id, "number": f"ZX{day:%Y}{case_id:08d}", "student_id": student.id,
                "receiving_school_id": application.school.id, "releasing_school_id": student.place.school_id,
                "from_class_id": student.place.class_id, "to_class_id": to_class_id,
                "reason": bound.get("transfer.reason"),
                "changed_on": date.fromisoformat(changed_on) if changed_on else None,
                "move": "within" if application.within else "across",
                "receiving_basis": application.receiving_rule.basis,
                "releasing_basis": application.releasing_rule.basis,
                "school_year": school_year(day), "started_at": at, "state": "pending", "open": True,
            },
        )  # fmt: skip
    except sa.exc.IntegrityError as error:
        # Two schools at once: the index lets one in.
        if "student" not in str(error.orig):
            raise
        raise CheckFailed([OTHER_TRANSFER]) from None


def school_year(day: date) -> int:
    """The year in which the school year of a day began: it runs from September to August."""
    return day.year if day.month >= 9 else day.year - 1


def _complete_application(locked: cases.Locked, application: Application, values: Mapping[str, Any]) -> None:
    waiting = locked.start(RECEIVING, {})
    for node in application.act:
        opened = next(item for item in waiting if item.node == node.id)
        waiting = inbox.complete_node(locked, RECEIVING, opened, node, values, None)


# Attachments -----------------------------------------------------------------------------------------------------


def attach(connection: Connection, actor: Actor, name: str, content: bytes, *, at: datetime) -> str:
    """Keep a file for an application that is being written. Answers the id by which a form refers to it.

    Raises `BadAttachment` for anything but a PDF, PNG or JPEG of at most 5 MB.
    """
    media_type = next((kind for start, kind in _SIGNATURES.items() if content.startswith(start)), None)
    if media_type is None or len(content) > MAX_ATTACHMENT:
        raise BadAttachment
    uid = uuid.uuid4().hex
    connection.execute(
        attachment.insert(),
        {
            "uid": uid, "organisation_id": actor.organisation_id, "person_id": actor.person_id,
            "name": name[-200:] or uid, "media_type": media_type, "content": content, "uploaded_at": at,
        },
    )  # fmt: skip
    return uid


@dataclass(frozen=True)
class Attachment:
    name: str
    media_type: str
    content: bytes


def open_attachment(connection: Connection, actor: Actor, uid: str, *, at: datetime) -> Attachment:
    """A file, for those on the side that attached it; that it was seen is logged. Raises `NotFound`."""
    row = connection.execute(sa.select(attachment).where(attachment.c.uid == uid)).one_or_none()
    if row is None:
        raise NotFound
    if row.case_id is None:
        if row.person_id != actor.person_id:
            raise NotFound
    elif RECEIVING not in cases.sides(connection, actor, row.case_id):
        raise NotFound
    audit.record(connection, actor, "attachment.viewed", "attachment", row.id, at=at, case_id=row.case_id)
    return Attachment(row.name, row.media_type, row.content)


def attachment_name(connection: Connection, uid: str) -> str | None:
    """What the file was called by whoever attached it."""
    return connection.scalar(sa.select(attachment.c.name).where(attachment.c.uid == uid))


def _claim_attachments(
    connection: Connection, actor: Actor, case_id: int, application: Application, values: Mapping[str, Any]
) -> None:
    for item in application.form:
        uid = values.get(item.id)
        if item.type != "file" or not uid:
            continue
        claimed = connection.scalar(
            attachment.update()
            .where(attachment.c.uid == uid, attachment.c.person_id == actor.person_id, attachment.c.case_id.is_(None))
            .values(case_id=case_id)
            .returning(attachment.c.id)
        )
        if claimed is None:
            raise Invalid(fields={item.id: forms.FieldError(N_("Attach the file once more."))})


def forget_orphans(connection: Connection, *, at: datetime) -> None:
    """Delete files that no application ever claimed, and that no draft refers to any more."""
    connection.execute(
        attachment.delete().where(attachment.c.case_id.is_(None), attachment.c.uploaded_at < at - _ORPHANS_AFTER)
    )


# Drafts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Draft:
    id: int
    origin_province: str
    values: dict[str, Any]
    state: str
    decline_reason: str | None
    saved_at: datetime


def save_draft(
    connection: Connection,
    actor: Actor,
    origin_province: str,
    entered: Mapping[str, Any],
    *,
    draft_id: int | None = None,
    at: datetime,
) -> int:
    """Keep what has been entered so far, unchecked. Answers the draft's id. Raises `NotFound` for another's draft."""
    permissions.require(actor, "start_transfer")
    values = {"values": dict(entered), "origin_province": origin_province, "saved_at": at}
    if draft_id is not None:
        changed = connection.scalar(
            application_draft.update()
            .where(application_draft.c.id == draft_id, _own_draft(actor), application_draft.c.state == "open")
            .values(values)
            .returning(application_draft.c.id)
        )
        if changed is None:
            raise NotFound
        return draft_id
    row = values | {"person_id": actor.person_id, "organisation_id": actor.organisation_id, "state": "open"}
    return int(connection.execute(application_draft.insert().returning(application_draft.c.id), row).scalar_one())


def drafts(connection: Connection, actor: Actor, *, state: str = "open") -> list[Draft]:
    """The school's drafts in one state, newest first."""
    rows = connection.execute(
        sa.select(application_draft)
        .where(_own_draft(actor), application_draft.c.state == state)
        .order_by(application_draft.c.saved_at.desc())
    )
    return [Draft(row.id, row.origin_province, row.values, row.state, row.decline_reason, row.saved_at) for row in rows]


def draft(connection: Connection, actor: Actor, draft_id: int) -> Draft:
    """One open draft of the actor's school. Raises `NotFound`."""
    found = next((item for item in drafts(connection, actor) if item.id == draft_id), None)
    if found is None:
        raise NotFound
    return found


def decline(connection: Connection, actor: Actor, draft_id: int, reason: str, *, at: datetime) -> None:
    """The school does not accept the student: the application is closed with its reason, and no case arises."""
    if not reason.strip():
        raise Invalid(fields={"reason": forms.FieldError(N_("This is required."))})
    _close_draft(connection, actor, draft_id, "declined", reason=reason.strip(), at=at)


def _close_draft(
    connection: Connection, actor: Actor, draft_id: int, state: str, *, reason: str | None = None, at: datetime
) -> None:
    closed = connection.scalar(
        application_draft.update()
        .where(application_draft.c.id == draft_id, _own_draft(actor), application_draft.c.state == "open")
        .values(state=state, decline_reason=reason, saved_at=at)
        .returning(application_draft.c.id)
    )
    if closed is None:
        raise NotFound
    audit.record(connection, actor, f"application.{state}", "application", draft_id, at=at)


def _own_draft(actor: Actor) -> sa.ColumnElement[bool]:
    return application_draft.c.organisation_id == actor.organisation_id
