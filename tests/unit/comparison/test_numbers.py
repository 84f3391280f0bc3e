"""Each number is what one counts on the diagram with a finger, whatever the drawing and the ids."""

from __future__ import annotations

import pytest

from engine.bpmn import reader
from engine.comparison.behaviour import collaboration
from engine.comparison.numbers import NAMES, Ceiling, ceiling, counts
from tests.unit.bpmn import diagrams as d
from tests.unit.comparison.sides import document, of_text, shipped, source

# Counted by hand on the two texts and their diagrams.
EXPECTED = {
    "national": {
        "document_steps": 9, "in_system": 6, "off_system": 3, "unstated": 0, "parties": 4, "decisions": 4,
        "refusals": 4, "checks": 1, "handoffs": 5, "messages": 5,
    },
    "anhui": {
        "document_steps": 8, "in_system": 4, "off_system": 4, "unstated": 0, "parties": 2, "decisions": 2,
        "refusals": 2, "checks": 1, "handoffs": 4, "messages": 4,
    },
}  # fmt: skip


def values(side):
    return {count.name: count.value for count in counts(side)}


def limits(*parts: str) -> Ceiling:
    graph = reader.read(d.plain(*parts))
    return ceiling(collaboration(graph), graph.message_flows)


@pytest.mark.parametrize("regime", EXPECTED)
def test_the_numbers_are_those_counted_by_hand(regime):
    assert values(shipped(regime)) == EXPECTED[regime]
    assert tuple(EXPECTED[regime]) == NAMES


@pytest.mark.parametrize("regime", EXPECTED)
def test_what_is_counted_stands_on_the_diagram(regime):
    drawn = {node.id for pool in shipped(regime).graph.pools for node in pool.nodes}
    for count in counts(shipped(regime)):
        assert count.label.en
        assert count.meaning.en
        for item in count.items:
            assert set(item.elements) <= drawn
            assert item.elements
            assert item.label.zh


def test_ids_change_no_number():
    text = source("national").replace("decide_", "x_").replace("send_paper_file", "a1").replace("apply", "z9")
    other = of_text(text, document("national"))
    assert values(other) == EXPECTED["national"]
    labels = [[item.label for item in count.items] for count in counts(other)]
    assert labels == [[item.label for item in count.items] for count in counts(shipped("national"))]


@pytest.mark.parametrize("receiving", EXPECTED)
@pytest.mark.parametrize("releasing", EXPECTED)
def test_every_pair_has_ten_working_days_for_each_authority(receiving, releasing):
    pools = shipped(receiving).graph.pool("receiving"), shipped(releasing).graph.pool("releasing")
    found = ceiling(pools)
    assert found.days == 20
    assert [item.elements for item in found.limited] == [
        ("decide_receiving_authority",), ("decide_releasing_authority",),
    ]  # fmt: skip


def test_what_has_no_limit_is_named_and_what_prepares_a_limited_step_has_its_limit():
    releasing = ceiling((shipped("anhui").graph.pool("releasing"),))
    assert releasing.days == 10
    assert [item.elements for item in releasing.unlimited] == [("send_paper_file",)]


def test_steps_after_each_other_add_up_and_branches_beside_each_other_do_not():
    first, second = (
        d.user("first", camunda_dueDate="${workdays(3)}"),
        d.user("second", camunda_dueDate="${workdays(5)}"),
    )
    straight = d.path("start", "first", "second", "end")
    assert limits(d.start(), first, second, d.end(), straight).days == 8
    fork, join = d.parallel("fork"), d.parallel("join")
    beside = d.path("start", "fork", "first", "join", "end") + d.path("fork", "second", "join")
    assert limits(d.start(), fork, first, second, join, d.end(), beside).days == 5


def test_a_limited_step_that_comes_again_has_no_ceiling():
    again = d.exclusive("again", default="again_end")
    way = d.path("start", "task", "again", "end") + d.flow("again", "task", 'more == "yes"')
    parts = [d.start(), again, d.end(), way]
    assert limits(d.user("task", camunda_dueDate="${workdays(3)}"), *parts).days is None
    assert limits(d.user("task"), *parts).days == 0
