"""What differs between two procedures, for whom, and where each of them says so. Pure: no database, no clock.

sides = side(graph, sentences, key="anhui", label=Words("安徽", "Anhui")), side(…)
found = compare(*sides)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.comparison.behaviour.differences import behaviour
from engine.comparison.elements import elements, layout_only
from engine.comparison.export import as_json
from engine.comparison.findings import Frame
from engine.comparison.matching import match
from engine.comparison.model import Comparison, Difference, Side
from engine.comparison.same import questions, same
from engine.comparison.sentences import Words
from engine.comparison.steps import side
from engine.comparison.structure import in_order, structure
from engine.comparison.texts import texts
from engine.comparison.verdict import verdict
from engine.errors import N_, Invalid

# Everything of the one side is held against everything of the other. No procedure for people comes near these.
MOST_STEPS, MOST_SENTENCES, MOST_FIELDS = 2000, 1000, 300

__all__ = ["Comparison", "Difference", "Side", "TooLarge", "Words", "as_json", "compare", "side", "verdict"]


class TooLarge(Invalid):
    """A file beyond what can be compared in a page's time and memory."""

    code = "too_large_to_compare"
    message = N_(
        "A procedure with more than %(steps)s steps, %(sentences)s sentences or %(entries)s entries in a form"
        " is not compared."
    )
    remedy = N_("Compare its parts.")


def compare(a: Side, b: Side, fixed: Iterable[tuple[Sequence[str], Sequence[str]]] = ()) -> Comparison:
    """Everything in which two procedures differ, the most severe first.

    `fixed` are an officer's corrections of the matching: pairs of ids of steps that belong together; with nothing on
    one side, steps that have no counterpart. Raises `TooLarge`.
    """
    _refuse_what_is_too_large(a, b)
    frame = Frame(a, b, match(a, b, fixed))
    found = structure(frame)
    found, decided = behaviour(frame, in_order([*found, *texts(frame, found)]))
    found = in_order(found)
    pairs = elements(frame)
    return Comparison(
        a=a,
        b=b,
        matches=frame.matching.groups,
        pairs=frame.matching.pairs,
        differences=tuple(found),
        same=tuple(same(frame, found)),
        questions=tuple(questions(frame)),
        elements=pairs,
        layout_only=layout_only(frame, pairs, found),
        decided=decided,
        parties=frame.matching.parties,
    )


def _refuse_what_is_too_large(*sides: Side) -> None:
    for one in sides:
        fields = max((len(step.fields) for step in one.steps), default=0)
        if len(one.steps) > MOST_STEPS or len(one.sentences) > MOST_SENTENCES or fields > MOST_FIELDS:
            raise TooLarge(steps=MOST_STEPS, sentences=MOST_SENTENCES, entries=MOST_FIELDS)
