"""The exploration, held against every run of the runtime itself."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine.bpmn import checks, reader
from engine.bpmn.graph import Event, Node, Pool, ProcessGraph
from engine.comparison.behaviour import Space, explore
from engine.settings import processes_folder
from tests.unit.bpmn import diagrams as d
from tests.unit.bpmn import drawings, test_runtime
from tests.unit.comparison.brute import Marking, Played, Table

GRAPHS: dict[str, ProcessGraph] = {
    path.parent.name: reader.read(path.read_bytes()) for path in sorted(processes_folder().glob("*/transfer.bpmn"))
}
PAIRS = list(itertools.product(GRAPHS, repeat=2))
# Brute force gives up beyond; what it has met until then must be found all the same.
MOST = 300
# More than that for the exploration, which remembers more of a state, and less than it takes its time for.
BOUND = 2000


def halves(receiving: str, releasing: str) -> tuple[Pool, Pool]:
    return GRAPHS[receiving].pool("receiving"), GRAPHS[releasing].pool("releasing")


# Held against the runtime ----------------------------------------------------------------------------------------


def marking(space: Space, state: int) -> Marking:
    tokens = space.tokens(state)
    return tuple(
        (
            tuple(sorted(tokens[space.name(number)])),
            tuple(sorted(mail.key for mail in space.states[state].mail if mail.pool == number)),
        )
        for number in range(len(space.nets))
    )


def happened(space: Space) -> set[tuple[int, str]]:
    bits = 0
    for edges in space.edges:
        for edge in edges:
            bits |= edge.mask
    return {
        (number, place.node.id)
        for number, net in enumerate(space.nets)
        for place in net.places
        if bits >> (space.offsets[number] + place.number) & 1
    }


def outcomes(space: Space) -> set[tuple[str | None, ...]]:
    """The outcomes of the pools at each end of all."""
    return {
        tuple(
            net.places[item.end].node.outcome if item.end >= 0 else None
            for net, item in zip(space.nets, standings, strict=True)
        )
        for standings in (space.states[state].standings for state in space.completed)
    }


def agree(pools: tuple[Pool, ...]) -> Played:
    """What the runtime does is what was explored, and nothing else was."""
    space = explore(pools, bound=BOUND)
    played = Table(*pools).play(MOST)
    assert not space.strange
    markings = {marking(space, state) for state in range(len(space.states))}
    assert played.markings <= markings or space.cut
    assert played.happened <= happened(space) or space.cut
    if played.whole and not played.ambiguous:
        assert space.is_whole
        assert markings == played.markings
        assert happened(space) == played.happened
        assert {marking(space, state) for state in space.ends if not space.is_over(state)} == played.dead
        assert outcomes(space) == played.outcomes
    return played


HAND_MADE = {
    "branches of two": test_runtime.branches("a", "b"),
    "branches of three": test_runtime.branches("a", "b", "c"),
    "the answer of the other side": test_runtime.ANSWER,
    "three timers": test_runtime.TIMED,
    "rounds": test_runtime.ROUNDS,
    "a fork": test_runtime.FORK,
}


@pytest.mark.parametrize("elements", HAND_MADE.values(), ids=HAND_MADE)
def test_a_hand_made_diagram_does_what_was_explored(elements: tuple[str, ...]) -> None:
    assert agree((d.pool(*elements),)).whole


@given(drawings.in_blocks())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_diagram_drawn_in_blocks_does_what_was_explored(elements: tuple[str, ...]) -> None:
    agree((d.pool(*elements),))


@given(drawings.any_which_way())
@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
def test_whatever_passes_the_checks_does_what_was_explored(elements: tuple[str, ...]) -> None:
    graph = d.read(*elements)
    assume(not checks.findings(graph))
    agree((graph.executable[0],))


@pytest.mark.parametrize(("receiving", "releasing"), PAIRS)
def test_each_pairing_does_what_was_explored(receiving: str, releasing: str) -> None:
    played = agree(halves(receiving, releasing))
    assert played.whole
    assert not played.dead
    assert not played.doubled
    assert not played.unread


SENT = {
    "receiving": ("record_retrieved", "release_requested"),
    "releasing": ("release_agreed", "release_refused", "paper_sent"),
}


@st.composite
def half(draw: st.DrawFn, side: str) -> Pool:
    """A pool that sends and awaits whatever the contract knows in its direction, in any order."""
    elements = draw(drawings.in_blocks())
    if side == "receiving":
        # Asks the other side at once, so that it mostly runs.
        led = (element.replace('sourceRef="start"', 'sourceRef="request"') for element in elements)
        elements = (*led, d.throw("request", "release_requested"), d.flow("start", "request"))
    pool = d.pool(*elements)
    other = "releasing" if side == "receiving" else "receiving"

    def directed(node: Node) -> Node:
        if node.kind == "startEvent" and side == "releasing":
            return replace(node, event=Event("message", message="release_requested"))
        if node.event is None or node.event.kind != "message":
            return node
        if node.id == "request":
            return node
        names = SENT[side] if node.kind == "intermediateThrowEvent" else SENT[other]
        return replace(node, event=Event("message", message=draw(st.sampled_from(names))))

    return replace(pool, properties={"side": side}, nodes=tuple(map(directed, pool.nodes)))


@given(half("receiving"), half("releasing"))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_two_halves_do_together_what_was_explored(receiving: Pool, releasing: Pool) -> None:
    agree((receiving, releasing))
