"""What is marked in the drawing of a pool, and the same as a list of steps, on the shipped procedures."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

import pytest

from engine.cases import Stand
from engine.procedures import Version
from engine.settings import processes_folder
from engine.transfers import Entry
from web.progress import AHEAD, CURRENT, DONE, REFUSED, WAITING, Picture, picture

AT = datetime(2026, 9, 22, 1, 0, tzinfo=UTC)


@cache
def version(regime: str) -> Version:
    folder = processes_folder() / regime
    document = (folder / "document.csv").read_text("utf-8")
    return Version(1, regime, "transfer", 1, "", (folder / "transfer.bpmn").read_bytes(), document)


def drawn(regime: str, side: str, marks: dict[str, list[str]], results: dict[str, str] | None = None) -> Picture:
    of = version(regime)
    entries = [
        Entry(AT, side, "", "", None, node=of.node(side, node), result=result)
        for node, result in (results or {}).items()
    ]
    return picture(Stand(side, of, marks, True, False), entries)


def listed(of: Picture) -> list[tuple[str, str]]:
    return [(step.node.id, step.state) for step in of.listed]


def test_peoples_steps_are_listed_in_the_order_of_the_flow_with_what_is_still_to_come():
    found = drawn(
        "anhui", "receiving", {"done": ["review_application", "apply"], "current": ["decide_receiving_authority"]}
    )

    assert listed(found) == [
        ("review_application", DONE),
        ("apply", DONE),
        ("decide_receiving_authority", CURRENT),
        ("tell_student_to_enrol", AHEAD),
        ("retrieve", AHEAD),
    ]
    assert found.first_told.node.id == "decide_receiving_authority"


def test_what_is_waited_for_is_listed_but_no_timer():
    found = drawn("anhui", "receiving", {"done": ["decide_receiving_authority"], "waiting": ["await_release"]})
    assert ("await_release", WAITING) in listed(found)

    timers = [node.id for node in found.pool.nodes if node.attached_to]
    assert timers
    found = drawn("anhui", "receiving", {"current": ["decide_receiving_authority"], "waiting": timers})
    assert not set(timers) & {node for node, _state in listed(found)}
    assert all(found.marks[timer] == WAITING for timer in timers)


def test_a_refusal_is_marked_as_one_and_so_is_the_end_that_follows_from_it():
    [refused_end] = [
        node.id for node in version("national").pool("releasing").nodes if node.id == "refused_by_releasing_school"
    ]
    done = ["decide_releasing_school", refused_end]
    found = drawn("national", "releasing", {"done": done}, {"decide_releasing_school": "refuse"})

    assert found.marks["decide_releasing_school"] == found.marks[refused_end] == REFUSED
    assert listed(found)[-1] == (refused_end, REFUSED)
    agreed = drawn("national", "releasing", {"done": done[:1]}, {"decide_releasing_school": "agree"})
    assert agreed.marks["decide_releasing_school"] == DONE


def test_a_flow_is_marked_when_it_was_taken():
    found = drawn("anhui", "receiving", {"done": ["review_application"], "current": ["apply"]})
    taken = {flow.id for flow in found.pool.flows if flow.source == "review_application"}
    assert {name for name in found.marks if found.marks[name] == DONE} == taken | {"review_application"}


@pytest.mark.parametrize("regime", ["national", "anhui"])
@pytest.mark.parametrize("side", ["receiving", "releasing"])
def test_every_element_tells_its_clauses_whether_it_is_listed_or_not(regime, side):
    found = drawn(regime, side, {})

    assert {step.node.id for step in (*found.listed, *found.unlisted)} == set(found.pool.by_id)
    assert all(len(step.sentences) >= len(set(step.node.clauses)) for step in found.steps)
