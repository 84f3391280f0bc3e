"""What must not matter: ids, the order of elements in a file, the drawing, and, but for the wording, the words."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.comparison import Comparison, Side, compare
from tests.unit.comparison.mutations import Diagram, move_shapes, rename_ids, reword, shuffle
from tests.unit.comparison.sides import document, kinds, national_and_anhui, of_text, shipped, source

REGIMES = st.sampled_from(["national", "anhui"])
SEEDS = st.integers(0, 2**32)


def redrawn(regime: str, seed: int) -> Side:
    """The same procedure under other ids, its elements in another order, drawn elsewhere."""
    chance = random.Random(seed)
    diagram = Diagram(source(regime))
    numbers = iter(chance.sample(range(10**6), 2000))
    rename_ids(diagram, lambda _: f"id_{next(numbers)}")
    shuffle(diagram, chance)
    move_shapes(diagram, chance)
    original = shipped(regime)
    return of_text(diagram.text, document(regime), original.key, original.label)


def told(found: Comparison) -> Counter[tuple[str, ...]]:
    return Counter(
        (item.kind, item.party, item.standing, item.text("zh"), item.text("en")) for item in found.differences
    )


@settings(max_examples=25, deadline=None)
@given(REGIMES, SEEDS)
def test_ids_order_and_drawing_are_no_difference(regime, seed):
    found = compare(shipped(regime), redrawn(regime, seed))
    assert told(found) == Counter()
    assert {len(match.a) == len(match.b) == 1 for match in found.matches} == {True}


@settings(max_examples=25, deadline=None)
@given(SEEDS, SEEDS)
def test_ids_order_and_drawing_change_no_finding(seed, other):
    found = compare(redrawn("national", seed), redrawn("anhui", other))
    assert told(found) == told(national_and_anhui())


@settings(max_examples=25, deadline=None)
@given(REGIMES, SEEDS, st.floats(0.1, 1))
def test_other_words_of_the_same_meaning_are_found_as_wording_alone(regime, seed, share):
    diagram = Diagram(source(regime))
    reword(diagram, random.Random(seed), share)
    found = compare(shipped(regime), diagram.side(document(regime)))
    assert set(kinds(found)) <= {"reworded"}
    assert {pair.a[0]: pair.b[0] for pair in found.pairs} == {step.id: step.id for step in shipped(regime).steps}


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.floats(0.1, 1))
def test_other_words_change_no_other_finding(seed, share):
    diagram = Diagram(source("anhui"))
    reword(diagram, random.Random(seed), share)
    found = compare(shipped("national"), diagram.side(document("anhui")))
    there, here = (
        Counter(
            (item.kind, item.party, item.standing, item.a, item.b)
            for item in every.differences
            if item.kind not in ("reworded", "text")
        )
        for every in (national_and_anhui(), found)
    )
    assert here == there


@settings(max_examples=10, deadline=None)
@given(REGIMES, SEEDS, st.floats(0, 0.4))
def test_the_drawing_is_only_counted(regime, seed, share):
    diagram = Diagram(source(regime))
    moved = move_shapes(diagram, random.Random(seed), share)
    found = compare(shipped(regime), diagram.side(document(regime)))
    assert (found.differences, found.layout_only) == ((), moved)


def test_a_drawing_moved_as_a_whole_is_the_same_drawing():
    diagram = Diagram(source("anhui"))
    for element in diagram.root.iter():
        for name in ("x", "y"):
            if element.get(name):
                element.set(name, str(float(element.get(name)) + 40))
    assert compare(shipped("anhui"), diagram.side(document("anhui"))).layout_only == 0


def test_nothing_differs_from_itself():
    for regime in ("national", "anhui"):
        found = compare(shipped(regime), shipped(regime))
        assert (found.differences, found.layout_only, found.decided) == ((), 0, True)
        assert all(match.confidence == 1 for match in found.matches)


def test_from_the_other_side_it_is_the_same():
    there, back = national_and_anhui(), compare(shipped("anhui"), shipped("national"))
    mirrored = {"added": "removed", "removed": "added", "merged": "split", "split": "merged"}
    seen = Counter((item.kind, item.severity, item.party, item.standing, item.a, item.b) for item in there.differences)
    turned = Counter(
        (mirrored.get(item.kind, item.kind), item.severity, item.party, item.standing, item.b, item.a)
        for item in back.differences
    )
    assert turned == seen
    assert {(match.b, match.a) for match in back.matches} == {(match.a, match.b) for match in there.matches}
