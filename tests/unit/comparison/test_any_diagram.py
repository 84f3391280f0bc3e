"""Diagrams drawn at random: nothing differs from itself, nothing is told twice, nothing falls over."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.comparison import MOST_STEPS, Difference, Side, TooLarge, as_json, compare
from engine.comparison.findings import KINDS, MIRRORED, Frame
from engine.comparison.matching import match
from engine.comparison.structure import structure
from tests.unit.bpmn import diagrams as d
from tests.unit.bpmn.drawings import any_which_way, in_blocks
from tests.unit.comparison.mutations import Diagram, rename_ids, shuffle
from tests.unit.comparison.sides import of_text

DRAWN = st.one_of(in_blocks(), any_which_way())
SEEDS = st.integers(0, 2**32)


def drawn(one: Side, other: Side) -> tuple[Frame, list[Difference]]:
    """What differs in structure; the runs of a diagram drawn at random can be too many for a test."""
    frame = Frame(one, other, match(one, other))
    return frame, structure(frame)


@settings(max_examples=60, deadline=None)
@given(DRAWN, SEEDS)
def test_nothing_differs_from_itself_under_other_ids(parts, seed):
    text = d.plain(*parts).decode()
    diagram = Diagram(text)
    numbers = iter(random.Random(seed).sample(range(10**6), 2000))
    rename_ids(diagram, lambda _: f"id_{next(numbers)}")
    shuffle(diagram, random.Random(seed))
    _, found = drawn(of_text(text, key="a"), of_text(diagram.text, key="b"))
    assert [(item.kind, item.text("en")) for item in found] == []


@settings(max_examples=60, deadline=None)
@given(DRAWN, DRAWN)
def test_of_any_two_each_thing_is_told_once_and_the_same_from_the_other_side(one, other):
    a, b = (of_text(d.plain(*parts).decode(), key=key) for parts, key in ((one, "a"), (other, "b")))
    frame, found = drawn(a, b)
    assert {item.kind for item in found} <= set(KINDS)
    assert max(Counter(item.key for item in found).values(), default=1) == 1
    for half, side in (("a", a), ("b", b)):
        matched = Counter(step for group in frame.matching.groups for step in getattr(group, half))
        assert matched == Counter(step.id for step in side.steps)
    back, turned = drawn(b, a)
    # Where several matchings are as good as each other, either may be taken.
    if {(pair.a, pair.b) for pair in frame.matching.pairs} == {(pair.b, pair.a) for pair in back.matching.pairs}:
        mirrored = [(MIRRORED.get(item.kind, item.kind), item.b, item.a) for item in turned]
        told = [(item.kind, item.a, item.b) for item in found]
        # Which of several steps without words has changed its place is said from either side as it comes.
        assert unordered(told) == unordered(mirrored)
        assert any(kind == "reordered" for kind, _, _ in told) == any(kind == "reordered" for kind, _, _ in mirrored)


def unordered(told: list[tuple[str, tuple[str, ...], tuple[str, ...]]]) -> Counter[object]:
    return Counter(item for item in told if item[0] != "reordered")


@settings(max_examples=15, deadline=None)
@given(in_blocks(), in_blocks())
def test_any_two_can_be_exported(one, other):
    a, b = (of_text(d.plain(*parts).decode(), key=key) for parts, key in ((one, "a"), (other, "b")))
    assert json.loads(json.dumps(as_json(compare(a, b))))["a"]["key"] == "a"


def test_what_no_person_drew_is_refused():
    steps = [f"t{number}" for number in range(MOST_STEPS + 1)]
    large = of_text(d.plain(d.start(), *map(d.user, steps), d.path("start", *steps)).decode(), key="large")
    with pytest.raises(TooLarge):
        compare(large, large)
