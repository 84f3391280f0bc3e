"""What the documents say beyond what the diagrams draw: phrase by phrase, under the step or fact that they belong to.

A phrase counts as said by one document alone only if no sentence of the other one has its words. What is already told
by a difference in structure (a menu, a field, a message) is not told again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.comparison.findings import Frame, place
from engine.comparison.model import Difference, Sentence, Side, Step
from engine.comparison.quotations import Said, patterns
from engine.comparison.sentences import Words, templates
from engine.comparison.wording import alike, covered, most_covered, normal

# Where sentences are parted; what is shorter is not worth a word.
_PARTS = re.compile(r"[，；。：？！（）]+")
_SHORTEST = 4
# Menus are compared by themselves.
_MENU = re.compile(r"(【[^】]*】)+")
_PICTURE = "图"
# A sentence of another document is cited by that document's number and its clause there.
_CITED = re.compile(r"\S+号 \S+")
# From here on a phrase stands in a sentence, two phrases are one in other words, a label tells what a phrase says.
# The last is for a fact that a phrase states in full.
_STANDS, _ONE_MATTER, _TOLD, _WHOLLY = 0.7, 0.45, 0.6, 0.9


@dataclass(frozen=True)
class _Home:
    """What sentences belong to: a pair of steps, a fact, or, with neither, the document as a whole."""

    steps: tuple[Step, ...] = ()
    fact: str = ""


@dataclass(frozen=True)
class _Phrase:
    text: str
    clause: str


Pairs = list[tuple[_Phrase, _Phrase]]
Halves = tuple[list[Sentence], list[Sentence]]


def texts(frame: Frame, found: Sequence[Difference]) -> Iterator[Difference]:
    """The differences between what two documents say beyond the diagrams. None where there are no two documents."""
    if frame.a.sentences and frame.b.sentences:
        yield from _Texts(frame, found).all()


class _Texts:
    def __init__(self, frame: Frame, found: Sequence[Difference]) -> None:
        self.frame = frame
        self.found = found
        self.sides = frame.a, frame.b
        self.everything = [[sentence.text for sentence in _own(side)] for side in self.sides]

    def all(self) -> Iterator[Difference]:
        homes = _homes(self.frame)
        for home in sorted(homes, key=lambda home: (not home.steps, [place(step) for step in home.steps])):
            if not home.fact or all(homes[home]):
                yield from self._of(home, homes[home])

    def _of(self, home: _Home, halves: Halves) -> Iterator[Difference]:
        whole: Pairs = []
        if home == _Home():
            whole, halves = _named_alike(halves)
        mine, theirs = ([phrase for sentence in half for phrase in _phrases(sentence)] for half in halves)
        pairs, mine, theirs = _paired(mine, theirs)
        told = [pair for pair in [*whole, *pairs] if not any(self._told(home, half, pair[half]) for half in (0, 1))]
        if otherwise := [(one, other) for one, other in told if one.text != other.text]:
            yield self._differently(home, otherwise)
        for half, phrases in ((0, mine), (1, theirs)):
            stands = most_covered([phrase.text for phrase in phrases], self.everything[1 - half])
            new = [phrase for phrase, share in zip(phrases, stands, strict=True) if share < _STANDS]
            if left := [phrase for phrase in new if not self._told(home, half, phrase)]:
                yield self._alone(home, half, left)

    def _told(self, home: _Home, half: int, phrase: _Phrase) -> bool:
        """Whether a difference in structure says it already, or what both diagrams draw."""
        side = self.sides[half]
        steps = [step for step in side.steps if phrase.clause in step.clauses]
        fields = [item for step in steps for item in step.fields]
        names = [item.name for item in fields] + [option.name for item in fields for option in item.options]
        facts = [fact.text.zh for fact in side.facts if phrase.clause in fact.clauses]
        text = normal(phrase.text)
        return (
            any(normal(name) in text or text in normal(name) for name in names)
            or any(covered(step.label.zh, phrase.text) >= _TOLD for step in steps)
            or any(covered(phrase.text, fact) >= _TOLD or covered(fact, phrase.text) >= _WHOLLY for fact in facts)
            or any(self._is_evidence(home, difference, phrase) for difference in self.found)
        )

    def _is_evidence(self, home: _Home, difference: Difference, phrase: _Phrase) -> bool:
        pattern = patterns().get(difference.kind)
        if not home.steps or pattern is None or pattern.search(phrase.text) is None:
            return False
        return home.steps[0].id in difference.a or home.steps[1].id in difference.b

    def _differently(self, home: _Home, pairs: Pairs) -> Difference:
        said = (_said([one for one, _ in pairs]), _said([other for _, other in pairs]))
        synonyms = all(normal(one.text) == normal(other.text) for one, other in pairs)
        pattern = templates()["written"]
        written = tuple(
            Words(*(sentence.format(x=one.text, y=other.text) for sentence in (pattern.zh, pattern.en)))
            for one, other in pairs
        )
        return self._difference(home, said, {"pairs": written}, "wording" if synonyms else "form")

    def _alone(self, home: _Home, half: int, phrases: Sequence[_Phrase]) -> Difference:
        said = _said(phrases)
        quoted = tuple(Words(f"“{phrase.text}”") for phrase in phrases)
        return self._difference(home, (said, None) if half == 0 else (None, said), {"phrases": quoted}, "form")

    def _difference(
        self, home: _Home, said: tuple[Said | None, Said | None], values: dict[str, tuple[Words, ...]], severity: str
    ) -> Difference:
        a, b = ([step] for step in home.steps) if home.steps else ([], [])
        party = self.frame.concerned(*home.steps) if home.steps else ""
        elements = None if home.steps else ([self.frame.a.graph.id], [self.frame.b.graph.id])
        return self.frame.difference(
            "text", "text", party, a, b, said=said, severity=severity, values=dict(values), elements=elements,
            about=" ".join([home.fact, *("a" if said[0] else ""), *("b" if said[1] else "")]),
        )  # fmt: skip


def _said(phrases: Sequence[_Phrase]) -> Said:
    return Said(tuple(dict.fromkeys(phrase.clause for phrase in phrases)))


def _own(side: Side) -> list[Sentence]:
    """The sentences that a document says itself, or makes its own by resting a step on them; no pictures."""
    stepped = {clause for step in side.steps for clause in step.clauses}
    return [
        sentence
        for sentence in side.sentences
        if not sentence.clause.endswith(_PICTURE)
        and (sentence.clause in stepped or not _CITED.fullmatch(sentence.clause))
    ]


def _phrases(sentence: Sentence) -> list[_Phrase]:
    text = _MENU.sub("…", sentence.text)
    parts = (part.strip() for part in _PARTS.split(text))
    return [_Phrase(part, sentence.clause) for part in parts if len(part) >= _SHORTEST]


def _named_alike(halves: Halves) -> tuple[Pairs, Halves]:
    """Sentences of two documents that have one place in both (主送, 标题), whole, and the sentences left."""
    pairs: Pairs = []
    left = [list(half) for half in halves]
    for one in halves[0]:
        for other in left[1]:
            if not _place(one)[-1:].isdecimal() and _place(one) == _place(other):
                pairs.append((_Phrase(one.text, one.clause), _Phrase(other.text, other.clause)))
                left[0].remove(one)
                left[1].remove(other)
                break
    return pairs, (left[0], left[1])


def _named(frame: Frame) -> set[str]:
    """The places of sentences that have a name in both documents, and not only a number."""
    places = [{_place(sentence) for sentence in _own(side)} for side in (frame.a, frame.b)]
    return {place for place in places[0] & places[1] if not place[-1:].isdecimal()}


def _place(sentence: Sentence) -> str:
    """The last part of a clause: a number, or what the sentence is to the document (主送, 标题)."""
    return sentence.clause.rpartition(".")[2]


def _paired(mine: Sequence[_Phrase], theirs: Sequence[_Phrase]) -> tuple[Pairs, list[_Phrase], list[_Phrase]]:
    """Phrases that say one thing in other words, the most alike first; and what is left on either side."""
    scores = alike([phrase.text for phrase in mine], [phrase.text for phrase in theirs])
    near = [(int(row), int(column)) for row, column in zip(*np.nonzero(scores >= _ONE_MATTER), strict=True)]
    found: dict[int, int] = {}
    taken: set[int] = set()
    for row, column in sorted(near, key=lambda pair: (-scores[pair], abs(pair[0] - pair[1]), pair)):
        if row not in found and column not in taken:
            found[row] = column
            taken.add(column)
    return (
        [(mine[row], theirs[column]) for row, column in sorted(found.items())],
        [phrase for row, phrase in enumerate(mine) if row not in found],
        [phrase for column, phrase in enumerate(theirs) if column not in taken],
    )


# Homes -----------------------------------------------------------------------------------------------------------


def _homes(frame: Frame) -> dict[_Home, Halves]:
    """The sentences of both documents under what they belong to, but for those that a difference quotes as they are."""
    found: dict[_Home, Halves] = {}
    named = _named(frame)
    for half, side in enumerate((frame.a, frame.b)):
        homes = dict(_claims(frame, half))
        for sentence in _own(side):
            home = homes.get(sentence.clause, _Home())
            if home and home.fact and _place(sentence) in named:
                home = _Home()
            if home is not None:
                found.setdefault(home, ([], []))[half].append(sentence)
    return found


def _claims(frame: Frame, half: int) -> Iterator[tuple[str, _Home | None]]:
    """Clauses with what they belong to. The best claim comes last: that of a step of people which begins with it."""
    side = (frame.a, frame.b)[half]
    pairs = {pair[half].id: pair for pair in frame.pairs}
    for fact in side.facts:
        yield from ((clause, _Home(fact=fact.key)) for clause in fact.clauses)
    for people in (False, True):
        for clauses in _CLAIMS:
            for step in sorted(side.steps, key=place, reverse=True):
                if step.is_human == people:
                    yield from ((clause, _home(frame, pairs.get(step.id))) for clause in clauses(step))


def _home(frame: Frame, pair: tuple[Step, Step] | None) -> _Home | None:
    """None for a step that the other side does not have, or that is another party's there: it is quoted whole."""
    if pair is None or frame.party(pair[0]) != frame.party(pair[1]):
        return None
    return _Home(pair)


def _all_clauses(step: Step) -> tuple[str, ...]:
    return tuple(dict.fromkeys(clause for item in step.grounded for clause in item.clauses))


def _first_clause(step: Step) -> tuple[str, ...]:
    return step.clauses[:1]


_CLAIMS: tuple[Callable[[Step], tuple[str, ...]], ...] = (_all_clauses, _first_clause)
