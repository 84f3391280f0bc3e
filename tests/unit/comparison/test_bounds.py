"""What is too much ends in good time, and says that it is not all."""

from __future__ import annotations

import pytest

from engine.comparison import Side, compare
from engine.comparison.behaviour import collaboration, differences, explore
from engine.comparison.behaviour.space import MOST_MOVES
from tests.unit.bpmn import diagrams as d
from tests.unit.comparison.sides import of_text, shipped


def beside_each_other(tasks: int, key: str) -> Side:
    """So many tasks in any order."""
    parts = [
        d.start(),
        d.parallel("split"),
        d.parallel("join"),
        d.end(),
        d.path("start", "split"),
        d.path("join", "end"),
    ]
    parts += [part for task in range(tasks) for part in (d.user(f"t{task}"), d.path("split", f"t{task}", "join"))]
    return of_text(d.plain(*parts).decode(), key=key)


def test_branches_that_multiply_are_not_followed_for_ever():
    side = beside_each_other(16, "many")
    space = explore(collaboration(side.graph), side.graph.message_flows)
    moves = sum(map(len, space.edges))
    assert MOST_MOVES <= moves < MOST_MOVES + 100
    assert not space.decided


def test_nothing_is_said_of_all_runs_where_not_all_were_explored():
    found = compare(beside_each_other(14, "one"), beside_each_other(13, "other"))
    assert not found.decided
    assert not {"occurrence", "sequence", "repetition", "stop", "waits"} & {item.kind for item in found.differences}


def test_the_gravest_differences_have_their_runs_first(monkeypatch: pytest.MonkeyPatch):
    whole = compare(shipped("national"), shipped("anhui")).differences
    monkeypatch.setattr(differences, "_MOST_MOVES", 1)
    short = compare(shipped("national"), shipped("anhui")).differences
    assert [item.key for item in short] == [item.key for item in whole]
    structural = [item for item in whole if item.run and not item.cause]
    kept = [item for item in short if item.run and not item.cause]
    assert [item.key for item in kept] == [structural[0].key]
    # What only runs tell has always its own.
    assert all(item.run for item in short if item.kind == "stop")
