"""One transfer: who has it, how long each party held it, where it stands in both diagrams, what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.engine import Connection

from engine import cases, inbox, procedures, trail, transfers
from engine.audit import Actor
from engine.cases import Incident, Stand
from engine.errors import NotFound, XuejiError
from engine.inbox import Task
from engine.permissions import may
from engine.registry import divisions, records, students
from engine.registry.records import Record
from engine.registry.students import CheckFailure, Student
from engine.transfers import Entry, Hold, Transfer
from web.context import current_actor, now, reading, requires, settings, transaction
from web.deadlines import calendar
from web.errors import shown_again_by
from web.flash import flash
from web.gettext import gettext as _
from web.locales import label, locale
from web.menus import query_words
from web.paging import COUNTED, PAGE_SIZE, Page, offset_of, page_number
from web.progress import picture
from web.words import message_words

blueprint = Blueprint("transfers", __name__, url_prefix="/transfers")


@dataclass(frozen=True)
class Bar:
    """A hold as the clock ribbon draws it: lengths in hundredths of the longest."""

    hold: Hold
    used: int
    late: int
    # From the left: what was within the time, what was too late, and where the time ends.
    within_width: float
    late_width: float
    limit_at: float | None

    @property
    def state(self) -> str:
        """One of the five states."""
        if self.hold.state == "open":
            return "overdue" if self.late else "todo"
        if self.hold.state == "cancelled":
            return "ended"
        return "refused" if self.hold.result == "refuse" else "agreed"


@dataclass(frozen=True)
class Answer:
    """What somebody entered: the field, its words, and the address of a file."""

    label: str
    words: str
    path: str


@dataclass(frozen=True)
class Head:
    """What stands above every tab."""

    transfer: Transfer
    bars: Sequence[Bar]
    incidents: Sequence[Incident]
    failures: Sequence[CheckFailure]
    may_withdraw: bool
    # What of it waits for the reader's own desk.
    own_tasks: Sequence[Task]
    parties: Sequence[tuple[str, int]]
    query: Sequence[str]

    @property
    def open_holds(self) -> list[Hold]:
        return [bar.hold for bar in self.bars if bar.hold.state == "open"]

    @property
    def refusal(self) -> Hold | None:
        return next((bar.hold for bar in self.bars if bar.hold.result == "refuse"), None)


@blueprint.get("/<int:case_id>")
def progress(case_id: int, error: XuejiError | None = None) -> str:
    """进度: both pools, each in the diagram that it runs under, and the messages between them in time."""
    actor = current_actor()
    with reading() as connection:
        head = _head(connection, actor, case_id)
        entries = transfers.history(connection, actor, case_id)
        pictures = [picture(stand, entries) for stand in cases.stands(connection, case_id)]
        regimes = procedures.regimes(connection)
    letters = [entry for entry in entries if entry.message]
    return _tab("progress", head, error=error, pictures=pictures, regimes=regimes, letters=letters)


@blueprint.get("/<int:case_id>/history")
def history(case_id: int) -> str:
    """审批历史: all that was done, decided and said, in time."""
    actor = current_actor()
    with reading() as connection:
        head = _head(connection, actor, case_id)
        entries = transfers.history(connection, actor, case_id)
        answers = {entry.task.id: _answers(connection, entry) for entry in entries if entry.task}
    return _tab("history", head, entries=entries, answers=answers)


@blueprint.get("/<int:case_id>/student")
def student(case_id: int) -> str:
    """学生与档案: masked, with who holds the electronic record."""
    return _student_tab(case_id)


@blueprint.post("/<int:case_id>/student")
def reveal(case_id: int) -> ResponseReturnValue:
    """The student in full. Not an address: each look is asked for, and logged."""
    with transaction() as connection:
        shown = transfers.view_student(connection, current_actor(), case_id, at=now())
    return _student_tab(case_id, student=shown)


@blueprint.post("/<int:case_id>/records/<int:record_id>")
def record(case_id: int, record_id: int) -> ResponseReturnValue:
    """The parts of an electronic record; each look is logged."""
    with transaction() as connection:
        shown = transfers.view_record(connection, current_actor(), case_id, record_id, at=now())
        intact = records.intact(connection, record_id)
    return _student_tab(case_id, record=shown, intact=intact)


@blueprint.get("/<int:case_id>/log")
@requires("audit")
def log(case_id: int) -> str:
    """操作记录: what the audit log has of this case in the auditor's own jurisdiction."""
    actor, number = current_actor(), page_number()
    filters = trail.Filters(case_id=case_id)
    with reading() as connection:
        head = _head(connection, actor, case_id)
        found, total = trail.search(
            connection, actor, filters, limit=PAGE_SIZE, offset=offset_of(number), counted=COUNTED + 1
        )
    return _tab("log", head, page=Page(found, total, number))


@blueprint.get("/<int:case_id>/diagrams/<side>")
def diagram(case_id: int, side: str) -> ResponseReturnValue:
    """The diagram that one side of the case runs under, for whoever may see the case."""
    with reading() as connection:
        cases.sides(connection, current_actor(), case_id)
        found = next((stand for stand in cases.stands(connection, case_id) if stand.side == side), None)
    if found is None:
        raise NotFound
    response = make_response(found.version.diagram)
    response.mimetype = "application/xml"
    response.set_etag(found.version.sha256)
    # A version never changes, so a browser that asks again need not get it again.
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(request)


@blueprint.post("/<int:case_id>/withdrawal")
@shown_again_by(progress)
def withdraw(case_id: int) -> ResponseReturnValue:
    with transaction() as connection:
        transfers.withdraw(connection, current_actor(), case_id, request.form.get("reason", ""), at=now())
    flash(_("The transfer has been withdrawn. Every party that took part has been told."))
    return redirect(url_for(".progress", case_id=case_id), 303)


# What is shown ---------------------------------------------------------------------------------------------------


def _tab(name: str, head: Head, **shown: Any) -> str:
    shown.setdefault("error", None)
    return render_template(
        f"transfers/{name}.html",
        head=head,
        transfer=head.transfer,
        may_audit=may(current_actor(), "audit"),
        may_administer=may(current_actor(), "administer"),
        demo_parties=head.parties if settings().demo else [],
        demo_turns=[(holder.organisation_id, holder.step.duty) for holder in head.transfer.holders],
        letter_words=letter_words,
        **shown,
    )


def _head(connection: Connection, actor: Actor, case_id: int) -> Head:
    found = transfers.get(connection, actor, case_id)
    return Head(
        transfer=found,
        bars=_bars(transfers.ribbon(connection, actor, case_id)),
        incidents=cases.incidents_of(connection, actor, case_id),
        failures=[students.FAILURES[code] for code in found.failed_checks or () if found.state == "refused"],
        may_withdraw=transfers.may_withdraw(connection, actor, case_id),
        own_tasks=inbox.waiting_of(connection, actor, case_id),
        parties=list(cases.parties(connection, actor, case_id).items()),
        query=query_words(connection, actor),
    )


def _bars(holds: Sequence[Hold]) -> list[Bar]:
    counted = [(hold, hold.used(calendar(), now()), hold.late(calendar(), now())) for hold in holds]
    longest = max([1, *(max(used, hold.limit or 0) for hold, used, _late in counted)])
    found = []
    for hold, used, late in counted:
        within = used - late
        limit_at = None if hold.limit is None else 100 * hold.limit / longest
        found.append(Bar(hold, used, late, 100 * within / longest, 100 * late / longest, limit_at))
    return found


def _answers(connection: Connection, entry: Entry) -> list[Answer]:
    """What was entered at a step beside its decision and what the transfer's own facts say."""
    if entry.task is None or entry.node is None:
        return []
    values = entry.task.values or {}
    fields = [item for item in inbox.act_form((entry.node,)) if not item.binds or item.type == "file"]
    words = transfers.shown_all(connection, fields, values, locale())
    return [
        Answer(label(item), words[item.id], f"/attachments/{values[item.id]}" if item.type == "file" else "")
        for item in fields
        if words.get(item.id)
    ]


def _student_tab(
    case_id: int, *, student: Student | None = None, record: Record | None = None, intact: bool = True
) -> str:
    actor = current_actor()
    with reading() as connection:
        head = _head(connection, actor, case_id)
        holdings = transfers.holdings(connection, actor, head.transfer)
        is_party = transfers.is_party(connection, actor, case_id)
        stands = cases.stands(connection, case_id)
        entries = transfers.history(connection, actor, case_id)
        applied = [answer for entry in _application(stands, entries) for answer in _answers(connection, entry)]
        regimes = procedures.regimes(connection)
    return _tab(
        "student",
        head,
        student=student,
        record=record,
        intact=intact,
        holdings=holdings,
        is_party=is_party,
        applied=applied,
        sides=[(stand.side, stand.version, regimes[stand.version.regime]) for stand in stands],
        full_name=divisions.full_name,
    )


def _application(stands: Sequence[Stand], entries: Sequence[Entry]) -> list[Entry]:
    """The steps by which the application was entered; the other side sees nothing of what was entered there."""
    act = {
        node.id
        for stand in stands
        if stand.side == "receiving"
        for node in stand.version.pool(stand.side).application_act
    }
    return [entry for entry in entries if entry.side == "receiving" and entry.node and entry.node.id in act]


def letter_words(entry: Entry) -> str:
    """A message as the sender's diagram calls it."""
    assert entry.message is not None
    return label(entry.flow) if entry.flow and entry.flow.name else message_words(entry.message.name)
