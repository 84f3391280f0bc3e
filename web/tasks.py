"""One task: what is asked and why, what is known, and the decision; then the next one of the same step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.engine import Connection

from engine import cases, inbox, metrics, transfers
from engine.audit import Actor
from engine.bpmn.graph import Field, Node
from engine.errors import XuejiError
from engine.inbox import Completion, Holder, Task
from engine.registry import divisions
from engine.registry.students import CheckFailure, Student
from engine.searches import SearchForgotten
from engine.transfers import Entry, Transfer
from web.context import current_actor, now, reading, settings, transaction
from web.deadlines import deadline_of
from web.errors import shown_again_by
from web.flash import flash
from web.gettext import gettext as _
from web.inbox import Listing
from web.locales import day, day_in_words, is_english, label, locale, own
from web.words import decided

blueprint = Blueprint("tasks", __name__)

# The binding of the file that speaks for an application.
PROOF = "transfer.proof"


@dataclass(frozen=True)
class Answer:
    """What somebody entered at a step: (label, words) for each field, and the proof by its id and name."""

    values: tuple[tuple[str, str], ...]
    proof: tuple[str, str] | None


@dataclass(frozen=True)
class Sheet:
    """Everything that the page of a task shows."""

    task: Task
    # None for a plain procedure.
    transfer: Transfer | None
    # Whether it waits for this very actor, who then sees the numbers in full.
    is_mine: bool
    history: tuple[Entry, ...]
    # By the id of the task that they were entered at; the actor's own side alone.
    answers: Mapping[int, Answer]
    # Whether the record has still to move, so that the checks matter and a place is kept.
    is_pending: bool
    failures: tuple[CheckFailure, ...]
    holders: tuple[Holder, ...]

    @property
    def proofs(self) -> list[tuple[str, str]]:
        return [answer.proof for answer in self.answers.values() if answer.proof]

    @property
    def source(self) -> str:
        """The document's number."""
        return self.task.version.graph.properties.get("document.number", "")

    @property
    def basis(self) -> str:
        """How sure it is that the document covers this move at all."""
        if self.transfer is None:
            return "text"
        receiving = self.task.side == "receiving"
        return self.transfer.receiving_basis if receiving else self.transfer.releasing_basis

    @property
    def deed(self) -> Entry | None:
        """What was done last of the act: where it has a decision, the decision."""
        act = {node.id for node in self.task.act}
        own = [entry for entry in self.history if entry.node is not None and entry.task and entry.node.id in act]
        return own[-1] if own else None

    @property
    def typed(self) -> list[tuple[str, str]]:
        """What a form that came too late had in it."""
        found = []
        for item in self.task.form:
            text = request.form.get(item.id, "").strip()
            option = next((option for option in item.options if option.id == text), None)
            if text:
                found.append((label(item), label(option) if option else text))
        return found


@blueprint.get("/tasks/<long:task_id>")
def page(task_id: int, error: XuejiError | None = None) -> ResponseReturnValue:
    """A task of the actor's organisation, open or over. Looking at the full student is logged."""
    actor, listing = current_actor(), _listing()
    with reading() as connection:
        task = inbox.get(connection, actor, task_id)
        sheet = _sheet(connection, actor, task)
        parties = cases.parties(connection, actor, task.case_id) if settings().demo else {}
        over = task.state != "open"
        following = inbox.next_alike(connection, actor, task, where=listing.where, sort=listing.order) if over else None
    student = _full_student(actor, sheet)
    # A form that was refused is shown as it was sent.
    entered = request.form if error else at_first(task.act)
    return render_template(
        "tasks/page.html",
        sheet=sheet,
        task=task,
        student=student,
        actor=actor,
        listing=listing,
        following=following,
        entered=entered,
        full_name=divisions.full_name,
        back=_way_back(),
        demo_parties=list(parties.items()),
        demo_turns=[(holder.organisation_id, holder.step.duty) for holder in sheet.holders],
        demo_page=url_for("transfers.progress", case_id=task.case_id) if sheet.transfer else "",
        error=error,
    )


@blueprint.post("/tasks/<long:task_id>")
@shown_again_by(page)
def complete(task_id: int) -> ResponseReturnValue:
    """Complete a task, say what became of it, and open the next one of the same step in the actor's list.

    Whoever came from the page of the transfer goes back to it.
    """
    actor, listing = current_actor(), _listing()
    with transaction() as connection:
        task = inbox.get(connection, actor, task_id)
        inbox.complete(connection, actor, task_id, request.form, at=now())
        became = inbox.completion(connection, task.case_id)
        following = inbox.next_alike(connection, actor, task, where=listing.where, sort=listing.order)
        transfer = transfers.summaries(connection, actor, [task.case_id]).get(task.case_id)
    metrics.TASKS_COMPLETED.inc()
    what_became = _what_became(task, transfer.number if transfer else "", became)
    if _way_back():
        flash(what_became)
        return redirect(url_for("transfers.progress", case_id=task.case_id), 303)
    to_list = url_for("inbox.page", **listing.parameters)
    if following:
        flash(what_became, path=to_list, label=_("Back to the list"))
        return redirect(url_for(".page", task_id=following, **listing.parameters), 303)
    path = url_for("transfers.progress", case_id=task.case_id) if transfer else ""
    flash(what_became, path=path, label=_("Look at this transfer"))
    return redirect(to_list, 303)


def _way_back() -> dict[str, str]:
    """The parameter by which a task knows that it was opened from the page of its transfer."""
    return {"back": "transfer"} if request.args.get("back") == "transfer" else {}


def _listing() -> Listing:
    """The list from which the task was opened; without its search, where that is a colleague's or forgotten."""
    try:
        return Listing.asked()
    except SearchForgotten:
        return Listing.read(request.args)


@blueprint.app_template_global("form_of")
def form_of(node: Node) -> tuple[Field, ...]:
    """The fields of one step of an act."""
    return inbox.act_form((node,))


@blueprint.app_template_global("at_first")
def at_first(act: Sequence[Node]) -> dict[str, str]:
    """What its form begins with: a step off the system was most often done today."""
    return {inbox.confirmation(node)[0].id: day(now()) for node in act if node.kind == "manualTask"}


# What is shown


def _sheet(connection: Connection, actor: Actor, task: Task) -> Sheet:
    transfer = transfers.summaries(connection, actor, [task.case_id]).get(task.case_id)
    history = transfers.history(connection, actor, task.case_id)
    is_mine = task.state == "open" and task.duty == actor.duty
    pending = transfer is not None and transfer.state == "pending" and task.state == "open"
    return Sheet(
        task=task,
        transfer=transfer,
        is_mine=is_mine,
        history=tuple(history),
        answers=_answers(connection, history, full=is_mine),
        is_pending=pending,
        failures=_failures(connection, transfer) if transfer and pending else (),
        holders=tuple(transfer.holders if transfer else inbox.completion(connection, task.case_id).holders),
    )


def _failures(connection: Connection, transfer: Transfer) -> tuple[CheckFailure, ...]:
    """What the automatic checks would say now, so that nobody agrees to what can not go on."""
    return tuple(
        transfers.stands_against(
            connection, transfer.student.id, school_id=transfer.releasing_school_id, besides=transfer.case_id
        )
    )


def _full_student(actor: Actor, sheet: Sheet) -> Student | None:
    """The numbers in full for whoever has to decide on them, and for nobody else."""
    if not sheet.is_mine or sheet.transfer is None:
        return None
    with transaction() as connection:
        return transfers.view_student(connection, actor, sheet.task.case_id, at=now())


def _answers(connection: Connection, history: Sequence[Entry], *, full: bool) -> dict[int, Answer]:
    found = {}
    for entry in history:
        if entry.task is not None and entry.node is not None and entry.task.values:
            fields = [item for item in inbox.act_form((entry.node,)) if not item.binds.startswith("decision.")]
            found[entry.task.id] = _answer(connection, fields, entry.task.values, full=full)
    return found


def _answer(connection: Connection, fields: Sequence[Field], values: Mapping[str, Any], *, full: bool) -> Answer:
    words = transfers.shown_all(connection, fields, values, locale(), full=full)
    files = ((values[item.id], words[item.id]) for item in fields if item.binds == PROOF and words.get(item.id))
    rows = tuple((label(item), words[item.id]) for item in fields if words.get(item.id) and item.type != "file")
    return Answer(rows, next(files, None))


# What is said afterwards


def _what_became(task: Task, number: str, became: Completion) -> str:
    """What was decided of which transfer, and who has it now. Its number, no name: the line travels in a cookie."""
    done = decided(task.act[-1], request.form.get(_result_field(task.act[-1]))) or _("This step is done")
    sentences = [_("%(number)s: %(done)s.", number=number, done=done) if number else _("%(done)s.", done=done)]
    if became.outcome == "refused":
        sentences.append(_("The transfer has ended, and every party has been told the reasons."))
    elif became.outcome:
        sentences.append(_("The case has been completed."))
    return (" " if is_english() else "").join([*sentences, *map(now_with, became.holders)])


def now_with(holder: Holder) -> str:
    """Who has a case now, in which step, until when."""
    deadline = deadline_of(holder)
    words = {"who": own(holder), "step": label(holder.step)}
    if deadline is None:
        return str(_("Now with %(who)s: %(step)s.", **words))
    return str(_("Now with %(who)s: %(step)s, until %(day)s.", day=day_in_words(deadline.day), **words))


def _result_field(node: Node) -> str:
    found = node.bound("decision.result")
    return found.id if found else ""
