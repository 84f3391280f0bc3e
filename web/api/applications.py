"""Starting a transfer: the regime's form, the student looked up, files, drafts, and saving."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from flask import Blueprint, url_for
from pydantic import Field, StringConstraints
from sqlalchemy.engine import Connection

from engine import inbox, procedures, transfers
from engine.errors import Invalid
from engine.procedures import Rule, Version
from engine.registry.classes import NoVacancy
from engine.registry.lookups import StudentNotFound, TooManyLookUps
from engine.registry.students import Summary
from engine.transfers import Application, BadAttachment, Draft
from web.api.endpoints import Content, reads, writes
from web.api.inbox import Completed
from web.api.shapes import (
    Choice,
    Clause,
    File,
    Form,
    Province,
    Reason,
    Revision,
    Sent,
    SentForm,
    Shape,
    Text,
    Values,
    Words,
)
from web.api.transfers import EnrolledAt, StudentRow
from web.context import current_actor, database, now, settings, transaction
from web.locales import message_of

blueprint = Blueprint("applications", __name__)

Uid = Annotated[str, Field(pattern=r"^[0-9A-Za-z]{32}$")]


class Entered(Sent):
    """An application as far as it has been filled in."""

    origin: Province
    """The province that the student comes from, for example 410000: it decides under which procedures the case runs."""
    values: Values = Field(default_factory=dict)
    """By field id, as the form says."""


# The form --------------------------------------------------------------------------------------------------------


class Procedure(Shape):
    """Under which procedure one side would run, and why."""

    side: str
    regime: Words
    procedure_version: int
    number: int
    basis: str
    """How sure it is that the document covers this move."""
    reason: str


class Ahead(Shape):
    """A decision that the application would go through."""

    side: str
    party: str
    step: Words
    organisation: Words | None
    """Null while the student is not known."""


class ApplicationForm(Shape):
    """The form that starts a transfer, with what can be chosen after what has been chosen so far."""

    form: Form
    clauses: list[Clause]
    choices: dict[str, list[Choice]]
    """What a field offers, by field id; none yet where something above it has not been chosen: school after region,
    grade after school, class after grade."""
    values: dict[str, Any]
    """What was sent, without what is no longer offered."""
    procedures: list[Procedure]
    ahead: list[Ahead]
    closed: str
    """Why no application can be saved at present, in the language asked for; empty where it can."""


@blueprint.get("/applications/origins")
@reads(requires="start_transfer")
def origins(connection: Connection) -> list[Choice]:
    """The provinces that a student may come from."""
    return [_choice(found) for found in transfers.provinces()]


@blueprint.get("/applications/regions/<within>")
@reads(requires="start_transfer")
def regions(connection: Connection, within: str) -> list[Choice]:
    """The divisions directly below one, for fields bound to `origin.division`."""
    return [_choice(found) for found in transfers.regions(within)]


@blueprint.post("/applications/form")
@writes(requires="start_transfer", keyed=False, raises=(procedures.NoneInForce, transfers.SchoolClosed))
def form(connection: Connection, body: Entered) -> ApplicationForm:
    """The form for a student from a province. Nothing is kept; ask again when a choice has been made."""
    application = transfers.prepare(connection, current_actor(), body.origin, at=now())
    values, choices = transfers.fitting(connection, application, body.values)
    return ApplicationForm(
        form=Form.of(application.act),
        clauses=[Clause.of(quote) for quote in inbox.quotes(application.receiving, application.act)],
        choices={field: [_choice(offered) for offered in offers] for field, offers in choices.items()},
        values=values,
        procedures=_procedures(connection, application),
        ahead=_ahead(connection, application, None),
        closed=message_of(application.closed) if application.closed else "",
    )


def _choice(found: transfers.Choice) -> Choice:
    return Choice(value=found.value, label=Words.of(found), free=found.free)


def _procedures(connection: Connection, application: Application) -> list[Procedure]:
    known = procedures.regimes(connection)

    def procedure(side: str, version: Version, rule: Rule) -> Procedure:
        return Procedure(
            side=side,
            regime=Words.of(known[rule.regime]),
            procedure_version=version.id,
            number=version.number,
            basis=rule.basis,
            reason=rule.reason,
        )

    return [
        procedure("receiving", application.receiving, application.receiving_rule),
        procedure("releasing", application.releasing, application.releasing_rule),
    ]


def _ahead(connection: Connection, application: Application, student: Summary | None) -> list[Ahead]:
    return [
        Ahead(
            side=found.side,
            party=found.party,
            step=Words.of(found.node),
            organisation=Words.named(found.organisation.name, found.organisation.name_en)
            if found.organisation
            else None,
        )
        for found in transfers.ahead(connection, application, student)
    ]


# The student -----------------------------------------------------------------------------------------------------


class FoundStudent(Shape):
    """A student who was looked up."""

    student: StudentRow
    place: EnrolledAt
    stands_against: list[Reason]
    """What would refuse the transfer now."""
    differences: dict[str, str]
    """Where the values say something else than the record, by field id."""
    ahead: list[Ahead]


def _look_up(body: Entered) -> dict[str, Any]:
    """The look-up stays logged whatever becomes of the request, so it has a transaction of its own."""
    with transaction() as connection:
        application = transfers.prepare(connection, current_actor(), body.origin, at=now())
        entered = {name: value for name, value in body.values.items() if value not in (None, "")}
        looked_up = transfers.look_up(
            connection, current_actor(), application, entered, at=now(), per_hour=settings().lookups_per_hour
        )
    return {"application": application, "entered": entered, "found": looked_up.found()}


@blueprint.post("/applications/student")
@writes(requires="start_transfer", keyed=False, before=_look_up, raises=(Invalid, StudentNotFound, TooManyLookUps))
def look_up(
    connection: Connection, body: Entered, application: Application, entered: Mapping[str, Any], found: Summary
) -> FoundStudent:
    """Look the student up by number and name together. Limited in rate, and logged."""
    assert found.place is not None
    different = transfers.differences(connection, application, entered, found)
    return FoundStudent(
        student=StudentRow.of(found),
        place=EnrolledAt.of(found.place),
        stands_against=[Reason.of(reason) for reason in transfers.would_refuse(connection, application, found)],
        differences={field: message_of(error) for field, error in different.items()},
        ahead=_ahead(connection, application, found),
    )


# Files -----------------------------------------------------------------------------------------------------------


class Attaching(SentForm):
    file: File
    """A PDF, PNG or JPEG of at most 5 MB."""


class Attached(Shape):
    uid: str
    """By which a form's field of type file refers to it."""


@blueprint.post("/attachments")
@writes(status=201, requires="work", raises=(BadAttachment,))
def attach(connection: Connection, body: Attaching) -> tuple[Attached, str]:
    """Keep a file for a form that is being filled in."""
    uid = transfers.attach(connection, current_actor(), body.file.name, body.file.content, at=now())
    return Attached(uid=uid), url_for(".attachment", uid=uid)


@blueprint.get("/attachments/<uid>")
@writes(keyed=False, media_type="application/pdf", also=("image/png", "image/jpeg"))
def attachment(connection: Connection, uid: str) -> Content:
    """A file, for the side that attached it, in the media type it has. Each look is logged."""
    found = transfers.open_attachment(connection, current_actor(), uid, at=now())
    return Content(found.content, found.media_type, found.name)


# Drafts ----------------------------------------------------------------------------------------------------------


class DraftShape(Shape):
    """An application that is being written; it belongs to the school."""

    uid: str
    origin: str
    values: dict[str, Any]
    state: str
    """open or declined"""
    decline_reason: str | None
    revision: int
    """Rises whenever it is saved."""
    saved_by: str
    saved_at: datetime

    @classmethod
    def of(cls, draft: Draft) -> DraftShape:
        return cls(
            uid=draft.uid,
            origin=draft.origin_province,
            values=draft.values,
            state=draft.state,
            decline_reason=draft.decline_reason,
            revision=draft.revision,
            saved_by=draft.person,
            saved_at=draft.saved_at,
        )


# What may have become of a draft meanwhile.
_CHANGED = (transfers.DraftChanged, transfers.AlreadyStarted, transfers.AlreadyDeclined)


class Saving(Entered):
    """An application as far as it has been filled in; nothing of it is checked, and what is entered is kept as text."""

    revision: Revision | None = None
    """Of the draft as it was read; a draft that somebody has saved meanwhile is not overwritten."""


class Declining(Sent):
    reason: Annotated[Text, StringConstraints(strip_whitespace=True, min_length=1, max_length=transfers.LONGEST_REASON)]
    revision: Revision | None = None
    """Of the draft as it was read."""


class Discarding(Sent):
    revision: Revision | None = None
    """Of the draft as it was read."""


class Asked(Sent):
    state: Literal["open", "declined"] = "open"


@blueprint.get("/drafts")
@reads(requires="start_transfer")
def drafts(connection: Connection, query: Asked) -> list[DraftShape]:
    """The school's applications that have not been saved yet, or those that it has declined; newest first."""
    found = transfers.drafts_of_school(connection, current_actor(), state=query.state)
    return [DraftShape.of(each) for each in found]


@blueprint.post("/drafts")
@writes(status=201, requires="start_transfer", raises=(Invalid,))
def new_draft(connection: Connection, body: Entered) -> tuple[DraftShape, str]:
    """Keep what has been entered so far."""
    uid = transfers.save_draft(connection, current_actor(), body.origin, body.values, at=now())
    return _draft(connection, uid), url_for(".draft", uid=uid)


@blueprint.get("/drafts/<uid>")
@reads(requires="start_transfer", raises=(transfers.AlreadyStarted, transfers.AlreadyDeclined))
def draft(connection: Connection, uid: str) -> DraftShape:
    """One open draft of the school."""
    return _draft(connection, uid)


@blueprint.put("/drafts/<uid>")
@writes(requires="start_transfer", raises=(*_CHANGED, Invalid))
def save_draft(connection: Connection, uid: str, body: Saving) -> DraftShape:
    """Keep what has been entered so far in its place."""
    _draft(connection, uid)
    transfers.save_draft(
        connection, current_actor(), body.origin, body.values, uid=uid, revision=body.revision, at=now()
    )
    return _draft(connection, uid)


@blueprint.delete("/drafts/<uid>")
@writes(status=204, requires="start_transfer", raises=_CHANGED)
def discard_draft(connection: Connection, uid: str, query: Discarding) -> None:
    """Delete a draft that is not wanted any more."""
    transfers.discard(connection, current_actor(), uid, revision=query.revision, at=now())


@blueprint.post("/drafts/<uid>/declined")
@writes(status=204, requires="start_transfer", raises=(*_CHANGED, Invalid))
def decline(connection: Connection, uid: str, body: Declining) -> None:
    """不予接收: the school does not accept the student. The application is closed, and no case arises."""
    transfers.decline(connection, current_actor(), uid, body.reason, revision=body.revision, at=now())


def _draft(connection: Connection, uid: str) -> DraftShape:
    return DraftShape.of(transfers.draft(connection, current_actor(), uid))


# Saving ----------------------------------------------------------------------------------------------------------


class Applying(Entered):
    """An application to be saved."""

    draft: Uid | None = None
    """The draft that it has been; what is sent is kept in it first, whatever becomes of the application. It becomes one
    case at most, however often it is sent."""
    draft_revision: Revision | None = None
    """Of the draft as it was read; what somebody else has saved meanwhile is not overwritten."""


class Started(Completed):
    """The case that has begun."""

    number: str
    """What people call the transfer by."""


def _examine(body: Applying) -> dict[str, Any]:
    """The draft and the look-up stay kept and logged whatever becomes of the application."""
    examined = transfers.examine(
        database(),
        current_actor(),
        body.origin,
        body.values,
        at=now(),
        per_hour=settings().lookups_per_hour,
        draft=body.draft,
        draft_revision=body.draft_revision,
    )
    return {"examined": examined}


@blueprint.post("/transfers")
@writes(
    status=201,
    requires="start_transfer",
    before=_examine,
    raises=(
        Invalid, transfers.DataDiffer, StudentNotFound, transfers.CheckFailed, NoVacancy, transfers.AlreadyHere,
        transfers.Closed, TooManyLookUps, *_CHANGED, procedures.NoneInForce, transfers.SchoolClosed,
    ),
)  # fmt: skip
def start(connection: Connection, body: Applying, examined: Any) -> tuple[Started, str]:
    """Save an application: the student is looked up and checked, a place reserved, the case started."""
    actor = current_actor()
    case_id = transfers.start(connection, actor, *examined, at=now(), draft=body.draft)
    became = Completed.of(inbox.completion(connection, case_id), actor)
    number = transfers.get(connection, actor, case_id).number
    return Started(**dict(became), number=number), url_for("api.transfers.transfer", case_id=case_id)
