"""Starting a transfer: the regime's own form, read from the diagram, the student looked up, drafts, and saving.

One page draws the form for a first look, a draft, a changed choice (region → school → grade → class), a look-up and an
error alike. A script asks for it again in the background and takes the parts that changed; without one the buttons do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.engine import Connection

from engine import inbox, transfers
from engine.bpmn.graph import Field, Node
from engine.errors import N_, Invalid, NotFound, XuejiError
from engine.procedures import NoneInForce, Regime, Rule, Version, regimes
from engine.registry import divisions, organisations
from engine.registry.classes import NoVacancy
from engine.registry.lookups import StudentNotFound
from engine.registry.organisations import Organisation
from engine.registry.students import CheckFailure, Summary
from engine.transfers import Ahead, AlreadyStarted, Application, Choice, Draft, Transfer
from web.attachments import keep
from web.context import current_actor, database, now, reading, requires, settings, transaction
from web.errors import shown_again_by, wants_json
from web.examples import examples_for
from web.flash import flash
from web.gettext import gettext as _
from web.locales import day, is_english, label, locale, message_of, moment
from web.tasks import now_with

blueprint = Blueprint("applications", __name__, url_prefix="/transfers")

# The sections of the form by what their fields are bound to.
SECTIONS = {
    "origin": N_("Where the student comes from"),
    "student": N_("Student"),
    "target": N_("Grade and class to enter"),
    "transfer": N_("The change"),
    "": N_("Further entries"),
}
# A control that sends a file stands beside the field that keeps its uid.
FILE = "__file"
# Above the choice of a county.
UPPER = "__upper"
# What the record knows, and fills in once the student has been found.
RECORDED = ("student.gender", "student.id_type", "student.birth_date", "origin.grade", "origin.class")
NUMBERS = ("student.record_number", "student.id_number")


@dataclass(frozen=True)
class Entries:
    """What the form has sent, or the draft has kept. Nothing of it is checked yet."""

    draft: str
    origin: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    # The fields that the record has filled in, for whichever student was found then.
    recorded: frozenset[str] = frozenset()
    # What has gone wrong with the files that came along.
    errors: Mapping[str, XuejiError] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """Fields of one kind, in the diagram's order. `node` is the manual step that a section confirms."""

    kind: str
    title: str
    fields: tuple[Field, ...]
    node: Node | None = None


@dataclass(frozen=True)
class Regional:
    """The two choices that lead to a county: the divisions below the province, and those below the chosen one."""

    upper: str
    uppers: tuple[Choice, ...]
    lowers: tuple[Choice, ...]


@dataclass(frozen=True)
class Procedure:
    """Under which procedure one side of the transfer would run, and why."""

    side: str
    regime: Regime
    version: Version
    rule: Rule

    @property
    def document(self) -> str:
        """The number of the document that it follows."""
        properties = self.version.graph.properties
        number = properties.get("document.number", "")
        return properties.get("document.number.en") or number if is_english() else number


@dataclass(frozen=True)
class Sheet:
    """Everything that the form shows."""

    entries: Entries
    application: Application
    sections: tuple[Section, ...]
    procedures: tuple[Procedure, ...]
    ahead: tuple[Ahead, ...]
    values: Mapping[str, str]
    choices: Mapping[str, tuple[Choice, ...]]
    regional: Mapping[str, Regional]
    # The words of values that the record has given, and of those that can not be chosen.
    known: Mapping[str, str]
    # The names of attached files.
    files: Mapping[str, str]
    errors: Mapping[str, XuejiError]
    # The student, once found, and what stands against a transfer of this student.
    student: Summary | None
    school: Organisation | None
    failures: tuple[CheckFailure, ...]
    # The student's other transfer, where the school may see it.
    other: Transfer | None

    @property
    def number(self) -> str:
        """The field by whose number the student is looked up."""
        return self.application.number_field

    @property
    def name(self) -> str:
        """The field by whose name the student is looked up."""
        return self.application.field("student.name") or ""

    @property
    def looked_up_after(self) -> str:
        """The field below which the student is looked up: the later one of number and name."""
        return [item.id for item in self.application.form if item.id in (self.number, self.name)][-1]

    @property
    def province_label(self) -> str:
        """What the form calls the province of origin, where it asks for it."""
        found = self.application.node.bound("origin.province")
        return label(found) if found else str(_("Releasing province"))

    def region_of(self, school: Organisation) -> str:
        return divisions.full_name(school.division_code or "") or ""

    def hint(self, item: Field) -> str:
        """What has to be chosen before this, or why there is nothing to choose."""
        if self.choices.get(item.id):
            return ""
        region = self.application.field("origin.division")
        if item.binds == "origin.school" and (region is None or self.values.get(region)):
            return str(_("No open school of this region is in the register."))
        return str(_(_FIRST[item.binds]))

    def options(self, item: Field) -> list[tuple[str, str]]:
        return [(option.id, label(option)) for option in item.options]

    def lowers(self, item: Field) -> tuple[Choice, ...]:
        """What stands below the chosen division, and at last the division as a whole."""
        regional = self.regional[item.id]
        whole = next(each for each in regional.uppers if each.value == regional.upper)
        return (*regional.lowers, Choice(whole.value, str(_("%(name)s as a whole", name=whole.name))))

    def chosen(self, section: Section) -> dict[str, str]:
        """How a choice asks for its section again, and for what the record has filled in elsewhere."""
        own = {item.id for item in section.fields}
        others = [f"#field-{item.id}" for item in self._of_record if item.id not in own] + ["#found", "#ahead"]
        here = f"#section-{section.kind}"
        asks = {"hx-post": "/transfers/new/form", "hx-target": here, "hx-select": here, "hx-swap": "outerHTML"}
        return asks | {"hx-select-oob": ",".join(others)} if section.kind == "origin" else asks

    @property
    def beside_found(self) -> str:
        """What changes with the student who is found."""
        return ",".join(
            [f"#field-{name}" for name in (self.number, *(item.id for item in self._of_record))] + ["#ahead"]
        )

    @property
    def _of_record(self) -> list[Field]:
        return [item for item in self.application.node.form if item.binds in RECORDED]


# What a choice depends on, said while there is nothing to choose from.
_FIRST = {
    "origin.school": N_("Choose the region first."),
    "origin.grade": N_("Filled in from the record once the student has been found."),
    "origin.class": N_("Filled in from the record once the student has been found."),
    "target.grade": N_("Your school has no classes yet. Its administrator enters them."),
    "target.class": N_("Choose the grade first."),
}


# Pages -----------------------------------------------------------------------------------------------------------


@blueprint.get("/new")
@requires("start_transfer")
def page(error: XuejiError | None = None) -> ResponseReturnValue:
    """The form: empty, as it was sent, or from `?draft=`; `?origin=` is the province that the student comes from."""
    try:
        entries = _entries()
    except AlreadyStarted as started:
        return _to_transfer(started)
    sheet = _sheet(entries, error) if entries.origin else None
    whole = "HX-Request" not in request.headers
    with reading() as connection:
        examples = examples_for(connection, current_actor(), entries.origin) if settings().demo and whole else {}
    return render_template(
        "applications/page.html" if whole else "applications/_form.html",
        entries=entries,
        sheet=sheet,
        provinces=transfers.provinces(),
        examples=examples,
        new_uid=transfers.new_uid,
        error=error,
    )


@blueprint.post("/new")
@requires("start_transfer")
@shown_again_by(page)
def save() -> ResponseReturnValue:
    """Save the application: the case starts, and the page of the transfer says who has it now."""
    entries = _entries()
    _refuse_files(entries)
    try:
        case_id = transfers.apply(
            database(),
            current_actor(),
            entries.origin,
            entries.fields,
            at=now(),
            per_hour=settings().lookups_per_hour,
            draft=entries.draft,
        )
    except AlreadyStarted as started:
        return _to_transfer(started)
    with reading() as connection:
        became = inbox.completion(connection, case_id)
        number = transfers.get(connection, current_actor(), case_id).number
    flash(_what_became(number, became))
    return redirect(f"/transfers/{case_id}", 303)


@blueprint.post("/new/form")
@requires("start_transfer")
def choose() -> ResponseReturnValue:
    """The form with the choices that follow from what has been chosen so far."""
    return page()


@blueprint.post("/new/student")
@requires("start_transfer")
@shown_again_by(page)
def look_up() -> ResponseReturnValue:
    """Look the student up. The look-up is logged; what it finds is shown with the form."""
    entries = _entries()
    with transaction() as connection:
        application = transfers.prepare(connection, current_actor(), entries.origin, at=now())
        values = {name: value for name, value in entries.fields.items() if value}
        found = transfers.look_up(
            connection, current_actor(), application, values, at=now(), per_hour=settings().lookups_per_hour
        )
    found.found()
    return page()


@blueprint.post("/new/number")
@requires("start_transfer")
def number() -> ResponseReturnValue:
    """What the form of a number tells while it is typed."""
    texts = [value for name, value in request.form.items() if name != "csrf" and value.strip()]
    checked = transfers.check_number(texts[0], at=now()) if texts else None
    return render_template("applications/_number.html", checked=checked)


# Drafts ----------------------------------------------------------------------------------------------------------


@blueprint.post("/new/draft")
@requires("start_transfer")
@shown_again_by(page)
def save_draft() -> ResponseReturnValue:
    """Keep what has been entered so far. The script is told when it was; the button leads to the list."""
    entries = _entries()
    with transaction() as connection:
        _keep(connection, entries)
    if wants_json():
        return {"words": _("Draft saved at %(time)s.", time=moment(now())[-5:])}
    flash(_("The draft has been saved. It waits here."))
    return redirect(url_for(".drafts"), 303)


@blueprint.post("/new/declined")
@requires("start_transfer")
@shown_again_by(page)
def decline_new() -> ResponseReturnValue:
    """The school does not accept the student: what has been entered is kept as a declined application."""
    entries = _entries()
    with transaction() as connection:
        _keep(connection, entries)
        transfers.decline(connection, current_actor(), entries.draft, _reason(), at=now())
    return _declined()


@blueprint.get("/drafts")
@requires("start_transfer")
def drafts(error: XuejiError | None = None) -> ResponseReturnValue:
    """The school's applications that are not saved yet, or, with `?state=declined`, never will be."""
    state = "declined" if request.args.get("state") == "declined" else "open"
    with reading() as connection:
        found = transfers.drafts_of_school(connection, current_actor(), state=state)
        rows = _rows(connection, found)
    return render_template("applications/drafts.html", rows=rows, state=state, province=divisions.name_at, error=error)


@blueprint.post("/drafts/<uid>/declined")
@requires("start_transfer")
@shown_again_by(lambda uid, error: drafts(error))
def decline(uid: str) -> ResponseReturnValue:
    with transaction() as connection:
        transfers.decline(connection, current_actor(), uid, _reason(), at=now())
    return _declined()


@blueprint.post("/drafts/<uid>/discarded")
@requires("start_transfer")
@shown_again_by(lambda uid, error: drafts(error))
def discard(uid: str) -> ResponseReturnValue:
    with transaction() as connection:
        transfers.discard(connection, current_actor(), uid, at=now())
    flash(_("The draft has been deleted."))
    return redirect(url_for(".drafts"), 303)


@dataclass(frozen=True)
class Row:
    """A draft as the list shows it."""

    draft: Draft
    name: str
    number: str


def _rows(connection: Connection, found: list[Draft]) -> list[Row]:
    forms = {province: _form_for(connection, province) for province in {draft.origin_province for draft in found}}
    rows = []
    for draft in found:
        form = forms[draft.origin_province]
        bound = form.bound(draft.values) if form else {}
        rows.append(Row(draft, bound.get("student.name") or "", next((bound[n] for n in NUMBERS if bound.get(n)), "")))
    return rows


def _form_for(connection: Connection, province: str) -> Application | None:
    """None where there is no procedure for the province at present: the list of drafts is still shown."""
    try:
        return transfers.prepare(connection, current_actor(), province, at=now())
    except (NotFound, NoneInForce):
        return None


def _keep(connection: Connection, entries: Entries) -> None:
    if not entries.origin:
        raise Invalid(fields={"origin": Invalid(N_("This is required."))})
    _refuse_files(entries)
    transfers.save_draft(connection, current_actor(), entries.origin, entries.fields, uid=entries.draft, at=now())


def _reason() -> str:
    return request.form.get("decline_reason", "")


def _declined() -> ResponseReturnValue:
    flash(_("The application has been closed: your school does not accept the student. No transfer has begun."))
    return redirect(url_for(".drafts", state="declined"), 303)


# Reading the request ---------------------------------------------------------------------------------------------


def _entries() -> Entries:
    """What this request is about; its files are kept once."""
    if "entries" not in g:
        g.entries = _sent() if request.method == "POST" else _kept()
    entries: Entries = g.entries
    return entries


def _kept() -> Entries:
    uid = request.args.get("draft")
    if not uid:
        return Entries(transfers.new_uid(), request.args.get("origin", ""))
    with reading() as connection:
        draft = transfers.draft(connection, current_actor(), uid)
    return Entries(uid, draft.origin_province, draft.values)


# What the form sends beyond its fields.
_OTHERS = frozenset({"csrf", "draft", "origin", "recorded", "decline_reason", "detach"})


def _sent() -> Entries:
    form = request.form
    fields = {name: value for name, value in form.items() if name not in _OTHERS and not name.endswith(FILE)}
    for name, upper in form.items():
        if name.endswith(UPPER):
            lower = name.removesuffix(UPPER)
            fields[lower] = _below(upper, fields.get(lower, ""))
    if detached := form.get("detach"):
        fields[detached] = ""
    errors: dict[str, XuejiError] = {}
    for name, file in request.files.items():
        if name.endswith(FILE) and file.filename:
            try:
                fields[name.removesuffix(FILE)] = keep(file)
            except XuejiError as error:
                errors[name.removesuffix(FILE)] = error
    return Entries(
        form.get("draft") or transfers.new_uid(), form.get("origin", ""), fields,
        frozenset(form.getlist("recorded")), errors,
    )  # fmt: skip


def _below(upper: str, chosen: str) -> str:
    """The region that both choices together stand for; none while the lower one does not belong to the upper."""
    if not upper:
        return ""
    if not transfers.regions(upper):
        return upper
    return chosen if chosen == upper or divisions.parent_of(chosen) == upper else ""


def _refuse_files(entries: Entries) -> None:
    if entries.errors:
        raise Invalid(fields=dict(entries.errors))


# Drawing the form ------------------------------------------------------------------------------------------------


def _sheet(entries: Entries, error: XuejiError | None) -> Sheet:
    actor = current_actor()
    with reading() as connection:
        application = transfers.prepare(connection, actor, entries.origin, at=now())
        values = _values(application, entries)
        student = transfers.looked_up(connection, actor, application, _filled(values), at=now())
        recorded = _recorded(application, student) if student else {}
        for name, value in recorded.items():
            values[name] = values.get(name) or value
        values, choices = transfers.fitting(connection, application, values)
        different = transfers.differences(connection, application, _filled(values), student) if student else {}
        known = [item for item in application.form if item.id in recorded and item.id not in different]
        files = [item for item in application.form if item.type == "file"]
        return Sheet(
            entries=entries,
            application=application,
            sections=_sections(application),
            procedures=_procedures(connection, application),
            ahead=tuple(transfers.ahead(connection, application, student)),
            values=values,
            choices=choices,
            regional=_regional(application, values),
            known=transfers.shown_all(connection, known, values, locale()),
            files=transfers.shown_all(connection, files, values, locale()),
            errors=different | dict(entries.errors) | _errors(application, error),
            student=student,
            school=organisations.get(connection, student.place.school_id) if student and student.place else None,
            failures=tuple(transfers.would_refuse(connection, application, student)) if student else (),
            other=transfers.open_of(connection, actor, student.id) if student else None,
        )


def _values(application: Application, entries: Entries) -> dict[str, str]:
    """The form's values as text: what was entered, else what the form begins with."""
    sent = {name: value for name, value in entries.fields.items() if name not in entries.recorded}
    confirmed = {item.id: day(now()) for item in application.form if item.id.endswith("__on")}
    begins = {item.id: confirmed.get(item.id) or item.default for item in application.form}
    fixed = {"origin.province": entries.origin, "target.school": str(application.school.id)}
    given = {item.id: fixed[item.binds] for item in application.form if item.binds in fixed}
    return begins | sent | given


def _filled(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value.strip() for name, value in values.items() if value.strip()}


def _recorded(application: Application, student: Summary) -> dict[str, str]:
    """What the record says of a student, for the fields of the form that can hold it."""
    assert student.place is not None
    known = {
        "student.gender": student.gender,
        "student.id_type": student.id_type or "",
        "student.birth_date": student.birth_date.isoformat(),
        "origin.grade": student.place.grade,
        "origin.class": str(student.place.class_id),
    }
    return {
        item.id: known[item.binds]
        for item in application.node.form
        if known.get(item.binds) and (item.type != "enum" or known[item.binds] in {each.id for each in item.options})
    }


def _sections(application: Application) -> tuple[Section, ...]:
    """The form by what its fields are bound to, in the diagram's order; the province stands above it already."""
    found: list[Section] = []
    for node in application.act[:-1]:
        if node.kind == "manualTask":
            found.append(Section(node.id, _("Before you accept"), inbox.act_form((node,)), node))
    kinds: dict[str, list[Field]] = {}
    for item in application.node.form:
        if item.binds != "origin.province":
            kind = item.binds.partition(".")[0]
            kinds.setdefault(kind if kind in SECTIONS else "", []).append(item)
    return (*found, *(Section(kind, _(SECTIONS[kind]), tuple(fields)) for kind, fields in kinds.items()))


def _regional(application: Application, values: Mapping[str, str]) -> dict[str, Regional]:
    """For each field that names a region: the two choices that lead to it."""
    found = {}
    for item in application.node.form:
        if item.binds == "origin.division":
            uppers = transfers.regions(application.origin_province)
            upper = _upper(values.get(item.id + UPPER, ""), values.get(item.id, ""), {each.value for each in uppers})
            found[item.id] = Regional(upper, uppers, transfers.regions(upper) if upper else ())
    return found


def _upper(sent: str, region: str, offered: set[str]) -> str:
    candidates = (sent, region, divisions.parent_of(region) if region else None)
    return next((each for each in candidates if each in offered and each), "")


def _procedures(connection: Connection, application: Application) -> tuple[Procedure, ...]:
    known = regimes(connection)
    sides = (
        ("receiving", application.receiving, application.receiving_rule),
        ("releasing", application.releasing, application.releasing_rule),
    )
    return tuple(Procedure(side, known[rule.regime], version, rule) for side, version, rule in sides)


def _errors(application: Application, error: XuejiError | None) -> dict[str, XuejiError]:
    """What is wrong with each field. What the engine says of the whole stands at the field where it can be mended."""
    if isinstance(error, Invalid):
        province = application.field("origin.province")
        return {"origin" if name == province else name: found for name, found in error.fields.items()}
    if isinstance(error, NoVacancy):
        return {application.field("target.class") or "": error}
    # In the background the answer stands below the button that asked.
    if isinstance(error, StudentNotFound) and "HX-Request" not in request.headers:
        return {application.number_field: error}
    return {}


# Afterwards ------------------------------------------------------------------------------------------------------


def _to_transfer(started: AlreadyStarted) -> ResponseReturnValue:
    """A second saving of the same application: it is there already, so its page says so."""
    flash(message_of(started), "info")
    return redirect(f"/transfers/{started.case_id}", 303)


def _what_became(number: str, became: inbox.Completion) -> str:
    words = [_("Saved as transfer %(number)s.", number=number), *map(now_with, became.holders)]
    return (" " if is_english() else "").join(words)
