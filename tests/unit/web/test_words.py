"""Every code of the engine that people may meet has its words."""

from __future__ import annotations

import re
from pathlib import Path

import engine
from engine.application import Application
from engine.bpmn.graph import BASES, OWNER, PARTIES
from engine.permissions import DUTIES
from engine.registry.organisations import LEVELS
from engine.settings import Settings
from web import create_app, words
from web.locales import COOKIE

DEED = re.compile(r"""["']([a-z_]+\.[a-z_]+)["'],\s*["']([a-z_]+)["']""")


def deeds() -> set[tuple[str, str]]:
    """What the engine's sources record: an action, then the kind of its subject."""
    found: set[tuple[str, str]] = set()
    for path in Path(engine.__path__[0]).rglob("*.py"):
        found |= set(DEED.findall(path.read_text()))
    return found


def test_every_deed_of_the_audit_log_has_words():
    actions = {action for action, _subject in deeds() if action.rpartition(".")[2].endswith(("ed", "set"))}
    assert actions >= {"task.completed", "person.added"}
    assert actions - set(words.DEEDS) == set()


def test_every_subject_of_the_audit_log_has_words():
    assert {subject for action, subject in deeds() if action in words.DEEDS} - set(words.SUBJECTS) == set()


def test_parties_duties_levels_and_bases_have_words():
    assert set(words.PARTIES) == {*PARTIES, OWNER}
    assert set(words.DUTIES) == {*DUTIES, "system"}
    assert set(words.LEVELS) == set(LEVELS)
    assert set(words.BASES) == set(BASES)


def test_every_state_has_one_of_the_five_colours():
    assert {state.colour for state in words.STATES.values()} == {"todo", "agreed", "refused", "overdue", "ended"}


def test_what_an_audit_entry_keeps_is_told_in_words(tmp_path):
    application = Application(Settings(database_url=f"sqlite:///{tmp_path}/x.db"))
    kept = {
        "duty": "operator", "result": "refuse", "side": None, "went_on": False, "steps_a": ["a", "b"],
        "filters": {"school_year": 2026, "name": "name"}, "new": 1,
    }  # fmt: skip
    try:
        with create_app(application).test_request_context(headers={"Cookie": f"{COOKIE}=en"}):
            told = words.as_pairs(kept)
    finally:
        application.close()
    assert told == (
        "Duty: Operator; Decision: Do not agree; Went on: No; Steps of the first side: a, b; "
        "Filters: (School year: 2026; Name: name); new: 1"
    )
