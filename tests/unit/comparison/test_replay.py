"""A case that did what its procedure does replays without a word; one that did not is told where, and of what."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine.bpmn import checks
from engine.bpmn.graph import Pool
from engine.bpmn.runtime import OverBudget, Specification
from engine.comparison.behaviour import explore
from engine.comparison.replay import Deviation, Done, Replayer
from tests.unit.bpmn import diagrams as d
from tests.unit.bpmn import drawings
from tests.unit.bpmn.instances import Instance
from tests.unit.bpmn.test_walks import make, moves
from tests.unit.comparison.sides import shipped
from tests.unit.comparison.test_behaviour import BOUND

ASKED = [
    d.start(), d.user("ask", d.choice("way", "left", "right")), d.exclusive("which", default="which_left"),
    d.user("left"), d.user("right"), d.end(), d.path("start", "ask", "which", "left", "end"),
    d.flow("which", "right", 'way == "right"'), d.flow("right", "end"),
]  # fmt: skip


def replayer(*elements: str) -> Replayer:
    return Replayer(explore(d.read(*elements).executable))


def told(replay: Replayer, *steps: Done | str, ended: bool = False, waiting: tuple[str, ...] | None = None):
    done = [Done("pool", step) if isinstance(step, str) else step for step in steps]
    standing = None if waiting is None else [("pool", element) for element in waiting]
    return replay.replay(done, outcome="completed" if ended else None, waiting=standing)


def test_the_way_that_was_taken_is_found_with_its_flows():
    found = told(replayer(*ASKED), Done("pool", "ask", "way", "right"), "right", ended=True)
    assert found.deviations == ()
    passed = [(move.step, move.elements) for move in found.moves]
    assert passed == [
        (None, ("start", "start_ask")),
        (0, ("ask", "ask_which", "which", "which_right")),
        (1, ("right", "right_end", "end")),
    ]


@pytest.mark.parametrize(
    ("steps", "how", "expected"),
    [
        (["left"], {"ended": True}, Deviation("skipped", "pool", "left", ("ask",))),
        (["ask", "left", "left"], {"ended": True}, Deviation("unexpected", "pool", "left")),
        (["ask"], {"ended": True}, Deviation("unfinished", "", "", ("left", "right"))),
        (["ask"], {"waiting": ("ask",)}, Deviation("elsewhere", "", "", ("left", "right"))),
    ],
)
def test_where_a_case_left_its_procedure_is_told(steps, how, expected):
    assert told(replayer(*ASKED), *steps, **how).deviations == (expected,)


def test_an_answer_that_leads_elsewhere_makes_the_next_step_unexpected():
    found = told(replayer(*ASKED), Done("pool", "ask", "way", "left"), "right", "left", ended=True)
    assert found.deviations == (Deviation("unexpected", "pool", "right", ("left",)),)


def test_after_a_deviation_the_case_is_followed_on():
    parts = [d.user(name) for name in "abcd"]
    line = replayer(d.start(), *parts, d.end(), d.path("start", *"abcd", "end"))
    found = told(line, "a", "c", "d", ended=True)
    assert found.deviations == (Deviation("skipped", "pool", "c", ("b",)),)


def test_what_happens_by_itself_between_two_halves_is_found():
    pools = [shipped("national").graph.pool("receiving"), shipped("anhui").graph.pool("releasing")]
    steps = [
        Done("receiving", "review_application"), Done("receiving", "apply"),
        Done("receiving", "decide_receiving_school", "result", "agree"),
        Done("receiving", "decide_receiving_authority", "result", "agree"),
        Done("releasing", "check_with_releasing_school"),
    ]  # fmt: skip
    replay = Replayer(explore(pools))
    under_way = replay.replay(steps, waiting=[("releasing", "decide_releasing_authority")])
    assert under_way.deviations == ()
    refused = replay.replay(
        [*steps, Done("releasing", "decide_releasing_authority", "result", "refuse")], outcome="refused"
    )
    assert refused.deviations == ()
    completed = replay.replay(
        [*steps, Done("releasing", "decide_releasing_authority", "result", "refuse")], outcome="completed"
    )
    assert [item.kind for item in completed.deviations] == ["unfinished"]


# Held against the runtime


def walk(elements: tuple[str, ...], data: st.DataObject) -> None:
    """What the runtime plays at random follows the procedure at every moment."""
    graph = d.read(*elements)
    assume(not {finding.rule for finding in checks.findings(graph)} - {"message"})
    space = explore(graph.executable, bound=BOUND)
    assume(space.decided)
    replay = Replayer(space)
    pool = graph.executable[0]
    instance = Instance(Specification(pool), lambda node, variables: {"student_ok": True})
    instance.start()
    steps: list[Done] = []
    for _ in range(12):
        assume(not instance.last.failures)
        found = replay.replay(steps, outcome="completed" if instance.last.ended else None, waiting=standing(instance))
        assert found.deviations == ()
        possible = [asked(pool, move) for move in moves(instance)]
        if not possible:
            return
        move = data.draw(st.sampled_from(possible))
        make(instance, move)
        assume(not any(isinstance(failure.error, OverBudget) for failure in instance.last.failures))
        if move[0] == "complete":
            # Whatever was answered: what is not said, the replay finds.
            steps.append(Done(pool.id, str(move[2])))


def asked(pool: Pool, move: tuple[object, ...]) -> tuple[object, ...]:
    """A walk also answers what nobody asked, which no case does."""
    match move:
        case ("complete", key, str(node), dict(answer)):
            fields = {field.id for field in pool.by_id[node].form}
            return ("complete", key, node, {name: value for name, value in answer.items() if name in fields})
    return move


def standing(instance: Instance) -> list[tuple[str, str]] | None:
    return None if instance.last.ended else [(instance.specification.pool.id, node) for node in instance.people]


@given(drawings.in_blocks(), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_the_runtime_plays_in_a_diagram_drawn_in_blocks_follows_it(elements: tuple[str, ...], data) -> None:
    walk(elements, data)


@given(drawings.any_which_way(), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_the_runtime_plays_in_any_diagram_follows_it(elements: tuple[str, ...], data) -> None:
    walk(elements, data)
