"""Applying for a transfer: the form of the regime, the student looked up, and the start of the case.

Opening the form creates nothing. Saving it creates the case, reserves a place and completes the application's step in
one transaction. Until then it is a draft (`drafts`), and a school that does not accept declines that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import cases, inbox, permissions, procedures
from engine.audit import Actor
from engine.bpmn import forms
from engine.bpmn.forms import FieldError, Values
from engine.bpmn.graph import Field, Node, Pool
from engine.db import Database
from engine.errors import N_, Conflict, Invalid, NotFound, XuejiError
from engine.prepared import Prepared
from engine.procedures import Rule, Version
from engine.registry import classes, divisions, lookups, numbers, organisations, students
from engine.registry.numbers import NumberInvalid, NumberUnrecognised
from engine.registry.organisations import Organisation
from engine.registry.students import DATA_DIFFER, CheckFailure, Summary
from engine.registry.tables import organisation_ancestor
from engine.transfers import attachments, drafts
from engine.transfers.tables import RECEIVING, RELEASING, transfer
from engine.transfers.values import id_of
from engine.transfers.views import Transfer, summaries
from engine.workdays import SHANGHAI


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
    """What the real system would refuse later. `failures` say what and how to mend it, and are its causes."""

    # Of one that was raised it is the first failure's.
    code = ", ".join(students.FAILURES)
    message = N_("This student can not be transferred now.")
    remedy = N_("See the reasons; the application is kept as a draft.")

    def __init__(self, failures: list[CheckFailure]) -> None:
        super().__init__(failures[0].message, remedy=failures[0].remedy)
        self.code = failures[0].code
        self.causes = self.failures = failures


class SchoolClosed(Conflict):
    """An application by a school that is no longer open."""

    code = "school_closed"
    message = N_("Your school is closed in the register, so it can receive nobody.")
    remedy = N_("Ask the administrator of your authority whether that is right.")


class DataDiffer(Invalid):
    """What the application says of the student is not what the record says. `fields` name where."""

    code = DATA_DIFFER.code
    message = DATA_DIFFER.message
    remedy = DATA_DIFFER.remedy


_NUMBERS = ("student.record_number", "student.id_number")
_A_YEAR = timedelta(days=366)
_LOOKED_UP_BY = frozenset({*_NUMBERS, "student.name", "origin.province", "origin.division", "origin.school"})

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
    # In the regime's closed window the form can be filled in and kept, but not saved.
    closed: Closed | None = None

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

    @property
    def number_field(self) -> str:
        """The id of the field by whose number the student is looked up: the record's, where the form asks for both."""
        return next(found for found in map(self.field, _NUMBERS) if found)


def prepare(connection: Connection, actor: Actor, origin_province: str, *, at: datetime) -> Application:
    """The application form for a student from a province.

    Raises `Forbidden` unless a school's operator asks, `SchoolClosed`, `NotFound` for what is no province of today,
    `NoneInForce`.
    """
    permissions.require(actor, "start_transfer")
    if origin_province not in {province.code for province in divisions.children()}:
        raise NotFound
    assert actor.organisation_id is not None
    school = organisations.get(connection, actor.organisation_id)
    if not school.active:
        raise SchoolClosed
    assert school.province_code is not None
    within = school.province_code == origin_province
    routes = procedures.routes(connection, (school.province_code, origin_province), within=within, at=at)
    receiving, releasing = routes[school.province_code], routes[origin_province]
    closed = None
    if receiving.regime.is_closed(at.astimezone(SHANGHAI).date()):
        closed = Closed(closed_from=receiving.regime.closed_from, closed_until=receiving.regime.closed_until)
    return Application(
        school, origin_province, within, receiving.rule, releasing.rule, receiving.version, releasing.version, closed
    )


@dataclass(frozen=True)
class Ahead:
    """A decision that an application would go through, and whose it is; nobody's while the student is not known."""

    side: str
    party: str
    node: Node
    organisation: Organisation | None


def ahead(connection: Connection, application: Application, student: Summary | None = None) -> list[Ahead]:
    """Who decides after the application has been saved: the receiving side's steps, then the releasing side's."""
    schools = {RECEIVING: application.school.id, RELEASING: student.place.school_id if student and student.place else 0}
    versions = {RECEIVING: application.receiving, RELEASING: application.releasing}
    parties: dict[str, Organisation | None] = {}
    for side, school in schools.items():
        if school:
            parties[f"{side}_school"] = organisations.get(connection, school)
            parties[f"{side}_authority"] = organisations.superior(connection, school)
    found = []
    for side, version in versions.items():
        pool = version.pool(side)
        for node in pool.in_order:
            if node.is_human and node.bound("decision.result"):
                party = pool.party(node.id)
                found.append(Ahead(side, party, node, parties.get(party)))
    return found


# Looking up ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NumberCheck:
    """What a number's form tells: an error if it can not be right, hints where it is only unusual."""

    error: NumberInvalid | None = None
    hints: tuple[NumberInvalid, ...] = ()


def check_number(text: str, *, at: datetime) -> NumberCheck:
    """Check a number while it is typed. A number of no known kind may be a passport's, so that is only a hint."""
    try:
        number = numbers.parse(text, on=at.astimezone(SHANGHAI).date())
    except NumberUnrecognised as unusual:
        return NumberCheck(hints=(unusual,))
    except NumberInvalid as error:
        return NumberCheck(error)
    return NumberCheck(hints=number.warnings)


def look_up(
    connection: Connection, actor: Actor, application: Application, values: Mapping[str, Any], *, at: datetime,
    per_hour: int,
) -> lookups.LookUp:  # fmt: skip
    """Look the student up by number and name together, within the province or the school that the form names.

    The look-up is logged, found or not, so let its transaction commit before asking for the result. Raises `Invalid`
    by field, before anything is looked up, where an entry is missing that it needs, or can not be right.
    """
    asked = _asked(connection, application, values, at)
    return lookups.look_up(connection, actor, **asked, at=at, per_hour=per_hour)


def looked_up(
    connection: Connection, actor: Actor, application: Application, values: Mapping[str, Any], *, at: datetime
) -> Summary | None:
    """The student whom the actor has found already with these very entries, so that a form can be shown again."""
    try:
        asked = _asked(connection, application, values, at)
    except Invalid:
        return None
    return lookups.found_before(connection, actor, **asked, at=at)


def _asked(connection: Connection, application: Application, values: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """What to look for, and where."""
    fields = [item for item in application.node.form if item.binds in _LOOKED_UP_BY]
    bound = application.bound(check(connection, application, values, at=at, fields=fields))
    number = _number_binding(bound)
    missing = [each for each in ("student.name", number) if not bound.get(each)]
    if missing:
        raise _by_field(application, dict.fromkeys(missing, FieldError(N_("This is required."))))
    within = id_of(bound.get("origin.school")) or application.origin_province
    return {"number": bound[number], "name": bound["student.name"], "within": within}


def _number_binding(bound: Mapping[str, Any]) -> str:
    """Which of the numbers the student is looked up by: the first that is entered."""
    return next((each for each in _NUMBERS if bound.get(each)), _NUMBERS[0])


def _wrong_number(bound: Mapping[str, Any], at: datetime) -> dict[str, XuejiError]:
    checked = {each: check_number(bound[each], at=at).error for each in _NUMBERS if bound.get(each)}
    return {binding: error for binding, error in checked.items() if error}


def _wrong_origin(connection: Connection, application: Application, bound: Mapping[str, Any]) -> dict[str, XuejiError]:
    """Where the places of origin do not fit each other, or not the province by which the procedures were chosen."""
    errors: dict[str, XuejiError] = {}
    if (bound.get("origin.province") or application.origin_province) != application.origin_province:
        errors["origin.province"] = FieldError(N_("This is not the province for which the form was opened."))
    region = bound.get("origin.division") or application.origin_province
    if not divisions.exists(region) or divisions.province_of(region) != application.origin_province:
        errors["origin.division"] = FieldError(N_("Choose a region of the releasing province."))
        region = application.origin_province
    if bound.get("origin.school"):
        school = _school(connection, bound["origin.school"])
        first, last = divisions.code_range(region)
        if school is None or not first <= (school.division_code or "") <= last:
            errors["origin.school"] = FieldError(N_("Choose a school of this region."))
    return errors


def _wrong_target(
    application: Application, bound: Mapping[str, Any], chosen: classes.SchoolClass | None
) -> dict[str, XuejiError]:
    """Where a class is chosen that is not the school's own, or not of the grade."""
    errors: dict[str, XuejiError] = {}
    if (bound.get("target.school") or str(application.school.id)) != str(application.school.id):
        errors["target.school"] = FieldError(N_("Apply for your own school."))
    if bound.get("target.class"):
        if chosen is None or chosen.school_id != application.school.id:
            errors["target.class"] = FieldError(N_("Choose a class of your school."))
        elif (bound.get("target.grade") or chosen.grade) != chosen.grade:
            errors["target.class"] = FieldError(N_("This class belongs to another grade."))
    return errors


def _wrong_date(bound: Mapping[str, Any], at: datetime) -> dict[str, XuejiError]:
    """A date of the change that must be a slip: the documents set no bounds, but nobody moves so long ago or ahead."""
    try:
        changed_on = date.fromisoformat(bound.get("transfer.date") or "")
    except ValueError:
        return {}
    ahead = changed_on - at.astimezone(SHANGHAI).date()
    if not -10 * _A_YEAR <= ahead <= _A_YEAR:
        return {"transfer.date": FieldError(N_("Choose a day of the last ten years or of the next one."))}
    return {}


def _school(connection: Connection, value: Any) -> Organisation | None:
    try:
        found = organisations.get(connection, id_of(value) or 0)
    except NotFound:
        return None
    return found if found.is_school else None


def _class(connection: Connection, value: Any) -> classes.SchoolClass | None:
    try:
        return classes.get(connection, id_of(value) or 0) if value else None
    except NotFound:
        return None


def _by_field(application: Application, errors: Mapping[str, XuejiError]) -> Invalid:
    """What is wrong by binding, as what is wrong by field."""
    return Invalid(fields={application.field(binding) or binding: error for binding, error in errors.items()})


def stands_against(
    connection: Connection, student_id: int, *, school_id: int | None = None, besides: int | None = None
) -> list[CheckFailure]:
    """Why a student can not be transferred now: the registry's reasons, and another open transfer.

    `besides` is the case that asks, which does not stand against itself.
    """
    # In this order: a transfer that retrieves the record between the two questions is found open, or its end is.
    other = _OPEN_OF.first(connection, {"of_student": student_id})
    failures = students.check(connection, student_id, school_id=school_id)
    if other is not None and other.case_id != besides:
        failures.append(OTHER_TRANSFER)
    return failures


def open_of(connection: Connection, actor: Actor, student_id: int) -> Transfer | None:
    """The transfer of a student that has not ended, if the actor may see it: whoever asks may have begun it."""
    found = _OPEN_OF.first(connection, {"of_student": student_id})
    return summaries(connection, actor, [found.case_id]).get(found.case_id) if found else None


_OPEN_OF = Prepared(
    sa.select(transfer.c.case_id).where(transfer.c.student_id == sa.bindparam("of_student"), transfer.c.open)
)
_NEW = Prepared(transfer.insert())


def would_refuse(connection: Connection, application: Application, student: Summary) -> list[CheckFailure]:
    """What would refuse an application for this student when it is saved."""
    assert student.place is not None
    if student.place.school_id == application.school.id:
        return [CheckFailure(AlreadyHere.code, AlreadyHere.message, AlreadyHere.remedy)]
    return stands_against(connection, student.id, school_id=student.place.school_id)


# Starting --------------------------------------------------------------------------------------------------------


def apply(
    database: Database,
    actor: Actor,
    origin_province: str,
    entered: Mapping[str, Any],
    *,
    at: datetime,
    per_hour: int,
    draft: str | None = None,
) -> int:
    """Save an application: look the student up, check, reserve a place, start the case. Answers the case's id.

    In several transactions, since the draft (its uid, if it has one) and the look-up must stay kept and logged whatever
    becomes of the application. A draft becomes one case at most, however often it is sent. Raises `Invalid` or
    `DataDiffer` with errors by field, `StudentNotFound`, `CheckFailed`, `NoVacancy`, `AlreadyHere`, `Closed`,
    `TooManyLookUps`, `AlreadyStarted`, `AlreadyDeclined`.
    """
    examined = examine(database, actor, origin_province, entered, at=at, per_hour=per_hour, draft=draft)
    with database.transaction() as connection:
        return start(connection, actor, *examined, at=at, draft=draft)


def examine(
    database: Database,
    actor: Actor,
    origin_province: str,
    entered: Mapping[str, Any],
    *,
    at: datetime,
    per_hour: int,
    draft: str | None = None,
    draft_revision: int | None = None,
) -> tuple[Application, Values, Summary]:
    """The first half of `apply`: what stays kept and logged, and what `start` needs.

    With a `draft_revision` only if the draft still is the one that was read: else it raises `DraftChanged`.
    """
    if draft is not None:
        with database.transaction() as connection:
            drafts.save_draft(connection, actor, origin_province, entered, uid=draft, revision=draft_revision, at=at)
    with database.transaction() as connection:
        application = prepare(connection, actor, origin_province, at=at)
        if application.closed:
            raise application.closed
        values = check(connection, application, entered, at=at)
        found = look_up(connection, actor, application, values, at=at, per_hour=per_hour)
    return application, values, found.found()


def check(
    connection: Connection,
    application: Application,
    entered: Mapping[str, Any],
    *,
    at: datetime,
    fields: Sequence[Field] | None = None,
) -> Values:
    """The values of the form, or of some of its fields.

    Raises `Invalid` with all that is wrong at once, so that nobody has to come back twice.
    """
    fields = application.form if fields is None else fields
    errors: dict[str, XuejiError] = {}
    try:
        values = forms.check(fields, entered)
    except Invalid as invalid:
        texts = {item.id: entered.get(item.id) for item in fields}
        values = {name: text.strip() for name, text in texts.items() if isinstance(text, str)}
        errors.update(invalid.fields)
    bound = application.bound(values)
    wrong = _by_field(
        application,
        _wrong_origin(connection, application, bound)
        | _wrong_number(bound, at)
        | _wrong_date(bound, at)
        | _wrong_target(application, bound, _class(connection, bound.get("target.class"))),
    )
    if errors := wrong.fields | errors:
        raise Invalid(fields=errors)
    return values


def start(
    connection: Connection,
    actor: Actor,
    application: Application,
    values: Mapping[str, Any],
    student: Summary,
    *,
    at: datetime,
    draft: str | None = None,
) -> int:
    """Start the case of a checked form and a student who was looked up. Raises as `apply` does."""
    if draft is not None:
        drafts.start_draft(connection, actor, draft, at=at)
    bound = application.bound(values)
    place = _place(application, student)
    if different := differences(connection, application, values, student):
        raise DataDiffer(fields=different)
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
        at=at,
    )
    _OPEN_TO.run(connection, {"of_case": locked.id, "of_school": application.school.id} | _ON_RECEIVING_SIDE)
    _insert(connection, locked.id, application, student, bound, to_class.id, at)
    attachments.claim(connection, actor, locked.id, application.form, values)
    _complete_application(locked, application, values)
    started = {
        "student_id": student.id, "from": place.school_id, "to": application.school.id,
        "versions": [application.receiving.id, application.releasing.id],
    }  # fmt: skip
    locked.note("transfer.started", started, subject="transfer")
    locked.save()
    if draft is not None:
        drafts.started(connection, draft, locked.id)
    return locked.id


def _place(application: Application, student: Summary) -> students.Place:
    if student.place is None:
        raise lookups.StudentNotFound
    if student.place.school_id == application.school.id:
        raise AlreadyHere
    return student.place


def differences(
    connection: Connection, application: Application, values: Mapping[str, Any], student: Summary
) -> dict[str, XuejiError]:
    """Where the form says something else of a student than the record does, by field: 2001."""
    assert student.place is not None
    bound = application.bound(values)
    recorded = {
        "student.gender": student.gender,
        "student.id_type": student.id_type,
        "student.birth_date": student.birth_date.isoformat(),
        "origin.grade": student.place.grade,
        "origin.class": str(student.place.class_id),
    }
    different = [binding for binding, value in recorded.items() if bound.get(binding) not in (None, "", value)]
    # Where its form can offer no classes, somebody has written the name.
    if bound.get("origin.class") == student.place.class_name:
        different.remove("origin.class")
    if bound.get("student.record_number") and (second := bound.get("student.id_number")):
        failures = students.check(connection, student.id, number=second)
        different += ["student.id_number"] if DATA_DIFFER in failures else []
    error = FieldError(N_("The record says something else."), remedy=DATA_DIFFER.remedy)
    return {application.field(binding) or binding: error for binding in different}


def _target(connection: Connection, application: Application, bound: Mapping[str, Any]) -> classes.SchoolClass:
    chosen = _class(connection, bound["target.class"])
    errors = _wrong_target(application, bound, chosen)
    if chosen is None:
        errors.setdefault("target.class", FieldError(N_("This is required.")))
    if errors or chosen is None:
        raise _by_field(application, errors)
    return chosen


def _parties(connection: Connection, receiving_school: int, releasing_school: int) -> dict[str, int]:
    """Who is which party: the schools, and the authority in charge of each on this day."""
    authorities = organisations.parents(connection, receiving_school, releasing_school)
    found = {}
    for side, school in ((RECEIVING, receiving_school), (RELEASING, releasing_school)):
        authority = authorities[school]
        assert authority is not None
        found[f"{side}_school"], found[f"{side}_authority"] = school, authority
    return found


def open_to_releasing_side(connection: Connection, case_id: int, school_id: int) -> None:
    """From the request on, the releasing school and its superiors see the case; before, nothing is sent to them."""
    asked = {"of_case": case_id, "of_school": school_id}
    _STANDS_ON_BOTH.run(connection, asked | {"releasing": True})
    _OPEN_TO.run(connection, asked | _ON_RELEASING_SIDE)


_ON_RECEIVING_SIDE = {"on_receiving": True, "on_releasing": False}
_ON_RELEASING_SIDE = {"on_receiving": False, "on_releasing": True}
_scope, _above = cases.case_scope.c, organisation_ancestor.c
_has_it = sa.select(_scope.organisation_id).where(_scope.case_id == sa.bindparam("of_case", type_=sa.Integer))
_of_school = sa.bindparam("of_school", type_=sa.Integer)
# A school and everybody above it, as far as they have not seen the case.
_OPEN_TO = Prepared(
    cases.case_scope.insert().from_select(
        ["organisation_id", "case_id", "receiving", "releasing", "state"],
        sa.select(
            _above.ancestor_id,
            sa.bindparam("of_case", type_=sa.Integer),
            sa.bindparam("on_receiving", type_=sa.Boolean),
            sa.bindparam("on_releasing", type_=sa.Boolean),
            sa.literal("pending"),
        )
        .where(_above.descendant_id == _of_school, _above.ancestor_id.not_in(_has_it))
        .order_by(_above.ancestor_id),
    )
)
_STANDS_ON_BOTH = Prepared(
    cases.case_scope.update().where(
        _scope.case_id == sa.bindparam("of_case"),
        _scope.organisation_id.in_(sa.select(_above.ancestor_id).where(_above.descendant_id == _of_school)),
    )
)


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
        _NEW.run(
            connection,
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
