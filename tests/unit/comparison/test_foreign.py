"""Files that nobody here drew: no clauses, no parties, no forms, other ids, other words, another language."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import pytest

from engine.comparison import Comparison, Side, Words, as_json, compare, verdict
from tests.unit.comparison.mutations import BPMN, Diagram, rename_ids, reword, shuffle, strip
from tests.unit.comparison.sides import kinds, national_and_anhui, of_text, source

FOLDER = Path(__file__).parent / "diagrams"


def foreign(name: str) -> Side:
    return of_text((FOLDER / f"{name}.bpmn").read_text("utf-8"), key=name, label=Words(name))


@cache
def found() -> Comparison:
    return compare(foreign("intake"), foreign("admission"))


def test_steps_are_matched_by_what_they_are_about():
    assert {match.a: match.b for match in found().matches} == {
        ("Event_1",): ("begin",),
        ("Activity_1",): ("entry",),
        ("Activity_2",): ("decision",),
        ("Activity_3",): ("letter",),
        ("Activity_4",): ("roll",),
        ("Event_2",): ("done",),
        (): ("papers",),
    }


def test_every_difference_is_found_and_none_beside():
    told = [item.text("en") for item in found().differences if item.kind != "reworded" and not item.cause]
    assert told == [
        "“Verify birth certificate and residence permit” (Education board, operator, in the system) is a step of "
        "admission alone; intake does not state it.",
        "In intake, “Inform the parents” is done by: Education bureau; in admission, “Notify parents” is done by: "
        "Office of the school.",
    ]


def test_lanes_of_other_words_are_the_same_parties():
    renamed = {item.text("en") for item in found().differences if item.template == "reworded.name.differs"}
    assert renamed == {
        "Name: “Education bureau” in intake; “Education board” in admission.",
        "Name: “School office” in intake; “Office of the school” in admission.",
    }


def test_a_question_without_a_name_still_belongs_to_its_decision():
    assert foreign("admission").by_id["gate"].id == "decision"
    assert foreign("admission").by_id["decision"].may_refuse
    assert foreign("intake").by_id["Activity_2"].may_refuse


def test_what_is_not_stated_is_no_difference():
    """The one says how its steps are done, the other does not: a plain task is drawn in neither way."""
    assert not {"channel", "duty", "form", "menu"} & set(kinds(found()))


def test_there_is_a_verdict_and_json_too():
    assert "Verify birth certificate" in verdict(found())[1].en
    assert as_json(found())["a"] == {
        "key": "intake", "label": {"zh": "intake", "en": "intake"}, "documented": False, "facts": [],
    }  # fmt: skip


@pytest.mark.parametrize("plain", [False, True], ids=["as drawn", "as plain tasks"])
@pytest.mark.parametrize("seed", range(5))
def test_our_own_without_all_that_is_ours_are_matched_alike(seed, plain):
    """Without clauses, parties, forms, English and sides; one under other ids, in another order and other words."""
    chance = random.Random(seed)
    national, anhui = Diagram(source("national")), Diagram(source("anhui"))
    for diagram in (national, anhui):
        strip(diagram)
        for task in list(diagram.nodes("userTask", "manualTask")):
            task.tag = f"{BPMN}task" if plain else task.tag
    numbers, names = iter(chance.sample(range(10**6), 2000)), {}

    def renamed(id: str) -> str:
        new = f"id_{next(numbers)}"
        names[new] = id
        return new

    rename_ids(anhui, renamed)
    shuffle(anhui, chance)
    reword(anhui, chance, 0.5)
    pairs = {(pair.a, (names[pair.b[0]],)) for pair in compare(national.side(), anhui.side()).pairs}
    assert pairs == {(pair.a, pair.b) for pair in national_and_anhui().pairs}


def test_an_empty_file_differs_in_everything():
    empty = (
        '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="none" targetNamespace="t">'
        '<process id="p"/></definitions>'
    )
    bare = of_text(empty, key="none")
    assert {item.kind for item in compare(foreign("intake"), bare).differences if not item.cause} == {"removed"}
    assert compare(bare, bare).differences == ()
