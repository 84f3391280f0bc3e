"""The words for the engine's own codes: parties, duties, levels, states. Words of a procedure come from its diagram."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from flask import Flask

from engine.bpmn.graph import Node
from engine.errors import N_
from engine.registry import codes
from web.gettext import gettext as _
from web.locales import is_english, label, offer, own_name

PARTIES = {
    "receiving_school": N_("Receiving school"),
    "receiving_authority": N_("Receiving authority"),
    "releasing_school": N_("Releasing school"),
    "releasing_authority": N_("Releasing authority"),
    "owner": N_("Owner"),
}

DUTIES = {
    "operator": N_("Operator"),
    "reviewer": N_("Reviewer"),
    "administrator": N_("Administrator"),
    "policy_editor": N_("Policy editor"),
    "auditor": N_("Auditor"),
    "system": N_("System"),
}

LEVELS = {
    "ministry": N_("Ministry"),
    "province": N_("Province"),
    "prefecture": N_("Prefecture"),
    "county": N_("County"),
    "school": N_("School"),
}

# What the two sides say to each other, as whoever looks at the transfer reads it.
MESSAGES = {
    "release_requested": N_("The receiving side asks for the student's release."),
    "release_agreed": N_("The releasing side has agreed."),
    "release_refused": N_("The releasing side has not agreed."),
    "record_retrieved": N_("The receiving school has retrieved the electronic record."),
    "paper_sent": N_("The releasing school has sent the paper file."),
    "transfer_withdrawn": N_("The receiving school has withdrawn the transfer."),
}

# How a school or region stands to a transfer, in the words of the documents' queries.
KINDS = {"in": N_("Transfer in"), "out": N_("Transfer out")}

# What ends a transfer without a step of its diagram.
ENDS = {
    "withdrawn": N_("The receiving school has withdrawn the transfer."),
    "check_failed": N_("The automatic check has ended the transfer."),
}

MOVES = {"across": N_("Across provinces"), "within": N_("Within the province")}

# How sure we are that the document says so. What it says in its text needs no mark.
BASES = {"text": "", "picture": N_("From a picture"), "practice": N_("Practice"), "inferred": N_("Inferred")}


# What the audit log calls a deed. A test finds every deed of the engine here.
DEEDS = {
    "application.declined": N_("declined an application"),
    "application.discarded": N_("discarded an application"),
    "application.started": N_("saved an application"),
    "attachment.viewed": N_("looked at an attachment"),
    "batch.begun": N_("decided several tasks at once"),
    "calendar.day_cleared": N_("cleared a day of the calendar"),
    "calendar.day_set": N_("set a day of the calendar"),
    "calendar.year_published": N_("entered the holidays of a year"),
    "calendar.year_retracted": N_("took back the holidays of a year"),
    "case.started": N_("started a case"),
    "class.added": N_("added a class"),
    "class.capacity_changed": N_("changed the places of a class"),
    "comparison.correction_taken_back": N_("took back a correction of how steps are matched"),
    "comparison.file_sent": N_("sent a file to compare it"),
    "comparison.match_corrected": N_("corrected how steps are matched"),
    "deadline.fired": N_("a deadline was reached"),
    "deadlines.recounted": N_("counted the deadlines again"),
    "enrolment.changed": N_("changed an enrolment"),
    "incident.retried": N_("retried after an incident"),
    "job.retried": N_("retried background work"),
    "membership.added": N_("added a membership"),
    "log.exported": N_("exported the log of events"),
    "membership.removed": N_("removed a membership"),
    "notice.read": N_("read notices"),
    "organisation.added": N_("added an organisation"),
    "organisation.closed": N_("closed an organisation"),
    "organisation.moved": N_("moved an organisation"),
    "organisation.opened": N_("opened an organisation again"),
    "organisation.renamed": N_("renamed an organisation"),
    "person.added": N_("opened an account"),
    "person.closed": N_("closed an account"),
    "person.locked_out": N_("an account was locked after wrong passwords"),
    "person.login_failed": N_("a login failed"),
    "person.opened": N_("opened an account again"),
    "person.password_changed": N_("changed the own password"),
    "person.password_set": N_("made a new password"),
    "person.sessions_revoked": N_("ended sessions"),
    "person.tokens_revoked": N_("ended the tokens of an account"),
    "person.unlocked": N_("unlocked an account"),
    "procedure.deployed": N_("deployed a version"),
    "procedure.discarded": N_("discarded a draft"),
    "procedure.retired": N_("retired a version"),
    "procedure.uploaded": N_("uploaded a version"),
    "record.continued": N_("continued a record"),
    "record.created": N_("created a record"),
    "record.retrieved": N_("retrieved a record"),
    "record.viewed": N_("looked at a record"),
    "regime.window_set": N_("set the closed season of a regime"),
    "regime_rule.removed": N_("removed a rule of regimes"),
    "regime_rule.set": N_("set a rule of regimes"),
    "session.opened": N_("logged in"),
    "session.revoked": N_("logged out"),
    "session.switched": N_("switched the membership"),
    "status.changed": N_("changed which students can move"),
    "student.registered": N_("registered a student"),
    "student.viewed": N_("looked at a student"),
    "task.completed": N_("completed a task"),
    "token.made": N_("made a token"),
    "token.revoked": N_("ended a token"),
    "transfer.started": N_("started a transfer"),
    "transfer.withdrawn": N_("withdrew a transfer"),
    "transfers.exported": N_("exported transfers"),
}

SUBJECTS = {
    "application": N_("Application"),
    "attachment": N_("Attachment"),
    "batch": N_("Several tasks"),
    "calendar": N_("Calendar"),
    "calendar_day": N_("Calendar day"),
    "calendar_year": N_("Calendar year"),
    "case": N_("Case"),
    "class": N_("Class"),
    "compared_file": N_("Compared file"),
    "deadline": N_("Deadline"),
    "failed_job": N_("Background work"),
    "incident": N_("Incident"),
    "log": N_("Log of events"),
    "match_correction": N_("Correction of a match"),
    "notice": N_("Notice"),
    "organisation": N_("Organisation"),
    "person": N_("Person"),
    "procedure_version": N_("Version of a procedure"),
    "regime": N_("Regime"),
    "regime_rule": N_("Rule of regimes"),
    "session": N_("Session"),
    "status": N_("Status"),
    "student": N_("Student"),
    "task": N_("Task"),
    "token": N_("Token"),
    "transfer": N_("Transfer"),
}


@dataclass(frozen=True)
class State:
    """A state as it is shown everywhere: one of the five colours with its icon, and a word."""

    colour: str  # todo, agreed, refused, overdue, ended
    word: str


STATES = {
    "todo": State("todo", N_("To do")),
    "agreed": State("agreed", N_("Agreed")),
    "refused": State("refused", N_("Refused")),
    "overdue": State("overdue", N_("Overdue")),
    "ended": State("ended", N_("Ended")),
    "open": State("todo", N_("In progress")),
    "pending": State("todo", N_("In progress")),
    "retrieved": State("agreed", N_("Record retrieved")),
    "completed": State("agreed", N_("Completed")),
    "withdrawn": State("ended", N_("Withdrawn")),
    "cancelled": State("ended", N_("Cancelled")),
    "failed": State("refused", N_("Failed")),
    # Of versions of a procedure.
    "draft": State("ended", N_("Draft")),
    "scheduled": State("todo", N_("Not yet in force")),
    "in_force": State("agreed", N_("In force")),
    "superseded": State("ended", N_("Superseded")),
    "retired": State("ended", N_("Retired")),
}


# What audit entries keep, by its name, and the words of its codes. Ids and names of elements stay as they are.
FACTS = {
    "a": N_("First side"),
    "b": N_("Second side"),
    "basis": N_("Basis"),
    "capacity": N_("Places"),
    "cases": N_("Number of cases"),
    "class_id": N_("Class"),
    "closed": N_("Closed season"),
    "day": N_("Day"),
    "days": N_("Days"),
    "duty": N_("Duty"),
    "effective_from": N_("In force from"),
    "elements": N_("Number of elements"),
    "filters": N_("Filters"),
    "format": N_("Format"),
    "from": N_("Former school"),
    "grade": N_("Grade"),
    "hash": N_("Seal"),
    "is_workday": N_("Is a working day"),
    "kind": N_("Which procedure or part"),
    "level": N_("Level"),
    "membership_id": N_("Membership"),
    "move": N_("Kind of move"),
    "movable": N_("Can be transferred"),
    "name": N_("Name"),
    "node": N_("Step"),
    "notices": N_("Number of notices"),
    "number": N_("Version number"),
    "organisation_id": N_("Organisation"),
    "parent_id": N_("In charge of it"),
    "province": N_("Province concerned"),
    "reason": N_("Reason given"),
    "record_id": N_("Electronic record"),
    "regime": N_("Regime"),
    "result": N_("Decision"),
    "school_id": N_("School"),
    "school_year": N_("School year"),
    "sha256": N_("Hash"),
    "side": N_("Side"),
    "source": N_("Source"),
    "state": N_("State"),
    "status": N_("Status of the student"),
    "steps_a": N_("Steps of the first side"),
    "steps_b": N_("Steps of the second side"),
    "student_id": N_("Student"),
    "tasks": N_("Number of tasks"),
    "to": N_("Target school"),
    "transfers": N_("Number of transfers"),
    "version": N_("Version"),
    "versions": N_("Versions of both sides"),
    "went_on": N_("Went on"),
}
FACT_VALUES = {
    "basis": BASES | {"text": N_("From the text")},
    "duty": DUTIES,
    "level": LEVELS,
    "move": MOVES,
    "result": {"agree": N_("Agree"), "refuse": N_("Do not agree")},
    "side": {"receiving": N_("Receiving side"), "releasing": N_("Releasing side")},
    "state": {code: state.word for code, state in STATES.items()} | {"deployed": N_("Deployed")},
}


def party(code: str) -> str:
    return str(_(PARTIES[code]))


def duty(code: str) -> str:
    return str(_(DUTIES[code]))


def level(code: str) -> str:
    return str(_(LEVELS[code]))


def move(code: str) -> str:
    """Whether a transfer stays inside its province."""
    return str(_(MOVES[code]))


def basis_in_full(code: str) -> str:
    """A basis where it is chosen: its text, too, has a word there."""
    return basis(code) or str(_("From the text"))


def basis(code: str) -> str:
    """The mark of an element's basis; empty for what the text says."""
    return str(_(BASES[code])) if BASES[code] else ""


def message_words(name: str) -> str:
    """A message of the exchange contract, as one sentence."""
    return str(_(MESSAGES[name]))


def kind_words(code: str) -> str:
    return str(_(KINDS[code]))


def end_words(code: str) -> str:
    return str(_(ENDS[code]))


def yes_or_no(value: bool) -> str:
    return str(_("Yes") if value else _("No"))


def coded(code: str | None, table: str) -> str:
    """A code of the registry's tables in words (`gender`, `grade`, `id_type` …); empty where nothing is known."""
    found = codes.table(table).get(code or "")
    return own_name(found.name, found.name_en) if found else code or ""


def decided(node: Node, result: str | None) -> str:
    """A decision in the words of its own diagram: 审批通过; empty where nothing was decided."""
    asked = node.bound("decision.result")
    found = next((option for option in asked.options if option.id == result), None) if asked else None
    return label(found) if found else ""


def deed(action: str) -> str:
    """An action of the audit log in words; its code where a newer release wrote it."""
    return str(_(DEEDS[action])) if action in DEEDS else action


def subject(kind: str) -> str:
    return str(_(SUBJECTS[kind])) if kind in SUBJECTS else kind


def as_pairs(values: Any) -> str:
    """What an audit entry keeps, on one line: `Duty: Operator; Organisation: 4`. A newer release's words stay codes."""
    if not isinstance(values, dict):
        return _fact("", values)
    colon, comma = (": ", "; ") if is_english() else ("：", "；")
    pairs = ((_(FACTS[name]) if name in FACTS else name, _fact(name, value)) for name, value in values.items())
    return comma.join(f"{name}{colon}{value}" for name, value in pairs if value)


def _fact(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return yes_or_no(value)
    if isinstance(value, dict):
        return f"({as_pairs(value)})" if value else ""
    if isinstance(value, list):
        return ", ".join(_fact(name, each) for each in value if each is not None)
    return str(_(FACT_VALUES[name][value])) if value in FACT_VALUES.get(name, {}) else str(value)


def options(codes: Iterable[str], words: Callable[[str], str]) -> list[tuple[str, str]]:
    """Codes with their words, for a choice."""
    return [(code, words(code)) for code in codes]


def register(app: Flask) -> None:
    offer(
        app, party=party, duty=duty, level=level, basis=basis, move=move, deed=deed, subject=subject, as_pairs=as_pairs,
        coded=coded, message_words=message_words, end_words=end_words, kind_words=kind_words,
    )  # fmt: skip
    app.jinja_env.globals.update(STATES=STATES, decided=decided, yes_or_no=yes_or_no)
