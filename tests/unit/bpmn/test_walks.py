"""Random walks through diagrams of every kind: saved and loaded at every step or never, they are the same walk, and the
one that BPMN's rules describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine.bpmn import checks
from engine.bpmn.graph import Node
from engine.bpmn.runtime import OverBudget, Specification, Step, Stuck
from tests.unit.bpmn import diagrams as d
from tests.unit.bpmn import drawings, test_runtime
from tests.unit.bpmn.game import Game, Turn
from tests.unit.bpmn.instances import Instance, Unsaved, told

HAND_MADE = {
    "branches of two": test_runtime.branches("a", "b"),
    "branches of three": test_runtime.branches("a", "b", "c"),
    "the answer of the other side": test_runtime.ANSWER,
    "three timers": test_runtime.TIMED,
    "rounds": test_runtime.ROUNDS,
    "all at once": test_runtime.SAVED,
    "a fork": test_runtime.FORK,
}


def moves(instance: Instance) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = [
        ("complete", key, node, answer)
        for key, node in sorted(instance.open.items())
        for answer in answers(instance.specification.pool.by_id[node])
    ]
    found += [("fire", key, node) for key, nodes in sorted(instance.timers.items()) for node in sorted(nodes)]
    found += [("deliver", message) for message in sorted(instance.awaits)]
    return found


def answers(node: Node) -> list[dict[str, str]]:
    """What may be chosen in a step's form; without a choice there, a way all the same."""
    choices = [(item.id, option.id) for item in node.form for option in item.options]
    return [{name: option} for name, option in choices] or [{"way": "left"}, {"way": "right"}]


def make(instance: Instance, move: tuple[object, ...]) -> Step | None:
    match move:
        case ("complete", int(key), _, dict(answer)):
            return instance.complete_key(key, answer)
        case ("fire", int(key), str(node)):
            return instance.fire_key(key, node)
        case ("deliver", str(message)):
            return instance.deliver(message)
        case ("retry",):
            return instance.retry()
    raise AssertionError(move)


def play(game: Game, move: tuple[object, ...]) -> Turn:
    match move:
        case ("complete", _, str(node), dict(answer)):
            return game.complete(node, answer)
        case ("fire", _, str(node)):
            return game.fire(node)
        case ("deliver", str(message)):
            return game.deliver(message)
    raise AssertionError(move)


def agree(game: Game, turn: Turn, instance: Instance, before: dict[int, str]) -> None:
    """The step that was taken is the turn that the rules describe."""
    step = instance.last
    assert sorted(turn.opened) == sorted(item.node for item in step.opened)
    assert sorted(turn.closed) == sorted(before[key] for key in step.closed)
    assert sorted(turn.timers) == sorted(item.node for item in step.timers)
    assert sorted(turn.thrown) == sorted(step.thrown)
    assert sorted(turn.passed) == sorted(step.passed)
    assert game.human == instance.people
    assert game.awaits == instance.awaits
    assert game.ended == step.ended
    assert game.is_stuck == any(isinstance(failure.error, Stuck) for failure in step.failures)


def is_clear(game: Game, move: tuple[object, ...]) -> bool:
    """Whether the rules say who is meant: no task waits twice, and a message is awaited once."""
    if move[0] != "deliver":
        return game.is_plain
    return game.is_plain and len(game.catchers(str(move[1]))) == 1


def checked(_node: Node, _variables: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"student_ok": True}


def walk(specification: Specification, data: st.DataObject, length: int, *, message: str = "") -> None:
    """Move at random, up to `length` times, after the start or the message that starts it."""
    saved, unsaved = Instance(specification, checked), Unsaved(specification, checked)
    game: Game | None = Game(specification.pool, {"student_ok": True})
    if message:
        assert told(saved.start_by(message)) == told(unsaved.start_by(message))
        game.start()
        turn = game.deliver(message)
    else:
        assert told(saved.start()) == told(unsaved.start())
        turn = game.start()
    before: dict[int, str] = {}
    for _ in range(length):
        if any(isinstance(failure.error, OverBudget) for failure in saved.last.failures):
            return
        if game is not None:
            agree(game, turn, saved, before)
        if saved.last.failures:
            assert told(saved.retry()) == told(unsaved.retry())
        possible = moves(saved)
        if not possible:
            assert saved.last.ended or saved.last.failures
            break
        move = data.draw(st.sampled_from(possible))
        before = dict(saved.open)
        assert told(make(saved, move)) == told(make(unsaved, move))
        if game is not None and is_clear(game, move):
            turn = play(game, move)
        else:
            game = None
    assert told(saved.cancel()) == told(unsaved.cancel())
    assert saved.last.ended
    assert saved.people == []


@pytest.mark.parametrize("elements", HAND_MADE.values(), ids=HAND_MADE)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_hand_made_diagram_walks_alike(elements: tuple[str, ...], data: st.DataObject) -> None:
    walk(d.specification(*elements), data, 14)


@given(drawings.in_blocks(), st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_diagram_drawn_in_blocks_passes_the_checks_and_walks_alike(
    elements: tuple[str, ...], data: st.DataObject
) -> None:
    graph = d.read(*elements)
    # A plain pool exchanges no messages; here we want them all the same.
    assert {finding.rule for finding in checks.findings(graph)} <= {"message"}
    walk(Specification(graph.executable[0]), data, 20)


@given(drawings.any_which_way(), st.data())
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
def test_whatever_passes_the_checks_can_be_walked(elements: tuple[str, ...], data: st.DataObject) -> None:
    """It ends at an end event, waits for somebody, or says what it fails at; it never hangs or ends by mistake."""
    graph = d.read(*elements)
    assume(not checks.findings(graph))
    walk(Specification(graph.executable[0]), data, 14)
