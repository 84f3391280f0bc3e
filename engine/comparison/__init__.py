"""What differs between two procedures, for whom, and where each of them says so. Pure: no database, no clock.

sides = side(graph, sentences, key="anhui", label=Words("安徽", "Anhui")), side(…)
found = compare(*sides)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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

__all__ = ["Comparison", "Difference", "Side", "Words", "as_json", "compare", "side", "verdict"]


def compare(a: Side, b: Side, fixed: Iterable[tuple[Sequence[str], Sequence[str]]] = ()) -> Comparison:
    """Everything in which two procedures differ, the most severe first.

    `fixed` are an officer's corrections of the matching: pairs of ids of steps that belong together; with nothing on
    one side, steps that have no counterpart.
    """
    frame = Frame(a, b, match(a, b, fixed))
    found = structure(frame)
    found = in_order([*found, *texts(frame, found)])
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
    )
