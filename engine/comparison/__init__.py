"""What differs between two procedures, for whom, and where each of them says so. Pure: no database, no clock.

sides = side(graph, sentences, key="anhui", label=Words("安徽", "Anhui")), side(…)
found = compare(*sides)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

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

# Matching; what is drawn and written; the runs; what is the same.
PHASES = 4
# Everything of the one side is held against everything of the other. No procedure for people comes near these.
MOST_STEPS, MOST_SENTENCES, MOST_FIELDS = 2000, 1000, 300

__all__ = [
    "PHASES", "Comparison", "Difference", "Side", "TooLarge", "Words", "as_json", "compare", "program",
    "require_comparable", "side", "verdict",
]  # fmt: skip


class TooLarge(Invalid):
    """A file beyond what can be compared in a page's time and memory."""

    code = "too_large_to_compare"
    message = N_(
        "A procedure with more than %(steps)s steps, %(sentences)s sentences or %(entries)s entries in a form"
        " is not compared."
    )
    remedy = N_("Compare its parts.")


def compare(
    a: Side,
    b: Side,
    fixed: Iterable[tuple[Sequence[str], Sequence[str]]] = (),
    *,
    reached: Callable[[int], None] = lambda _phase: None,
) -> Comparison:
    """Everything in which two procedures differ, the most severe first.

    `fixed` are an officer's corrections of the matching: pairs of ids of steps that belong together; with nothing on
    one side, steps that have no counterpart. `reached` is told each of the `PHASES` as it begins, from 1 on. Raises
    `TooLarge`.
    """
    require_comparable(a, b)
    reached(1)
    frame = Frame(a, b, match(a, b, fixed))
    reached(2)
    found = structure(frame)
    found = in_order([*found, *texts(frame, found)])
    reached(3)
    found, decided = behaviour(frame, found)
    reached(4)
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


def require_comparable(*sides: Side) -> None:
    """Raises `TooLarge` for what `compare` would not take."""
    for one in sides:
        fields = max((len(step.fields) for step in one.steps), default=0)
        if len(one.steps) > MOST_STEPS or len(one.sentences) > MOST_SENTENCES or fields > MOST_FIELDS:
            raise TooLarge(steps=MOST_STEPS, sentences=MOST_SENTENCES, entries=MOST_FIELDS)


@cache
def program() -> str:
    """A name for the rules of today, so that what was found by others is not taken for what these would find."""
    here = Path(__file__).parent
    files = sorted(file for folder in (here, here.parent / "bpmn") for file in folder.rglob("*") if file.is_file())
    sources = [file for file in files if file.suffix in (".py", ".csv")]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in sources)).hexdigest()
