"""What a reader must know to take the findings rightly: that one document hands the other on, what no diagram draws."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.comparison.aspects import message_words
from engine.comparison.findings import party_words
from engine.comparison.model import Side
from engine.comparison.sentences import LOCALES, Value, Words, fill

_APART = re.compile(r"[\s\[\]〔〕()（）]")


def notes(a: Side, b: Side) -> list[Words]:
    return [*_handed_on(a, b), *_handed_on(b, a), *_withdrawal(a, b)]


def _handed_on(one: Side, other: Side) -> Iterator[Words]:
    """That one document names the other by its number: what it does not say itself may hold by the other."""
    numbers = [_APART.sub("", fact.text.zh) for fact in other.facts if fact.key == "number"]
    naming = [
        sentence.clause
        for sentence in one.sentences
        if any(number and number in _APART.sub("", sentence.text) for number in numbers)
    ]
    own = [fact.clauses for fact in one.facts if fact.key == "number"]
    naming = [clause for clause in naming if (clause,) not in own]
    if naming:
        yield _words("note.handed_on", {"x": one.label, "y": other.label, "clauses": tuple(naming)})


def _withdrawal(a: Side, b: Side) -> Iterator[Words]:
    """Who may take a case back on both sides alike; where they differ, that is a difference."""
    mine, theirs = ({pool.side: pool.withdrawable_until for pool in side.graph.executable} for side in (a, b))
    for side, until in mine.items():
        if side and until and theirs.get(side) == until:
            values: dict[str, Value] = {"party": party_words(f"{side}_school"), "x": message_words(until)}
            yield _words("note.withdrawal", values)


def _words(name: str, values: dict[str, Value]) -> Words:
    return Words(*(fill(name, values, locale) for locale in LOCALES))
