"""The words for the engine's own codes: parties, duties, levels, states. Words of a procedure come from its diagram."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask
from flask_babel import gettext as _

from engine.errors import N_

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

# How sure we are that the document says so. What it says in its text needs no mark.
BASES = {"text": "", "picture": N_("From a picture"), "practice": N_("Practice"), "inferred": N_("Inferred")}


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
    "completed": State("agreed", N_("Completed")),
    "withdrawn": State("ended", N_("Withdrawn")),
    "cancelled": State("ended", N_("Cancelled")),
    "failed": State("refused", N_("Failed")),
}


def party(code: str) -> str:
    return str(_(PARTIES[code]))


def duty(code: str) -> str:
    return str(_(DUTIES[code]))


def level(code: str) -> str:
    return str(_(LEVELS[code]))


def basis(code: str) -> str:
    """The mark of an element's basis; empty for what the text says."""
    return str(_(BASES[code])) if BASES[code] else ""


def register(app: Flask) -> None:
    app.jinja_env.filters.update(party=party, duty=duty, level=level, basis=basis)
    app.jinja_env.globals["STATES"] = STATES
