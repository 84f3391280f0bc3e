"""Which steps of two procedures do the same work.

Ids and drawing count for nothing. Each pair of steps is scored by what both say of themselves (words, sentences of the
documents, form, message) and by where they stand (kind, party, neighbours, place). The best assignment of all is taken,
and then once more with the neighbours that it found. A point on which one side is silent counts for neither, so files
without clauses, parties or forms are matched by the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment

from engine.bpmn.graph import OWNER, PARTIES
from engine.comparison.model import GUARDIAN, Match, Side, Step
from engine.comparison.sentences import LOCALES, Words, templates
from engine.comparison.wording import Matrix, covered, covered_as_written, likeness, likenesses, normal, script, shared

# How much each point counts.
WEIGHTS = {
    "label": 3.0, "clause": 2.0, "message": 2.0, "neighbours": 2.0, "kind": 1.5, "form": 1.0, "party": 1.0,
    "side": 1.0, "surroundings": 1.0, "place": 0.5,
}  # fmt: skip
# Below it two steps are two steps; and so they are where nothing that they say of themselves is as alike as that,
# unless all about their place is the same.
ENOUGH, ALIKE = 0.45, 0.2
# How near the kinds of two steps must be that say nothing of themselves.
_AKIN = 0.5
# So many steps around two steps are looked at.
_AROUND = 8
# What one more line between pairs is worth in points, and of how many steps alike every two are tried.
_LINE, _MOST_LOOKALIKES = 0.1, 60
# So often the neighbours are looked at again; it settles sooner.
_ROUNDS = 4
# How much of a step must be new in a neighbour's counterpart to say that it has gone there.
_TAKEN_IN = 0.4

_HUMAN = frozenset({"apply", "confirm", "enter", "decide", "work"})
_AUTOMATIC = frozenset({"check", "retrieve", "enrol", "notify", "escalate", "service", "choice", "wait"})
_EVENTS = frozenset({"send", "receive", "start", "wait"})
# The same party everywhere; any other name belongs to its file.
_KNOWN = frozenset({*PARTIES, OWNER, GUARDIAN})

Pairs = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Matching:
    """The pairs of steps, and the groups that they form."""

    pairs: tuple[Match, ...]
    # In the order of the procedures; a group without one half has no counterpart there.
    groups: tuple[Match, ...]
    # Where several steps of one side have become one of the other.
    joined: tuple[Match, ...]
    # Where several items of one document are one item of the other, though each has steps of its own.
    items: tuple[Match, ...]
    # What the parties of b are called in a.
    parties: Mapping[str, str]


def match(a: Side, b: Side, fixed: Iterable[tuple[Sequence[str], Sequence[str]]] = ()) -> Matching:
    """Match the steps of two sides.

    `fixed` are corrections by an officer, each the ids of steps of `a` and of `b`: these belong together whatever the
    scores say, and to nobody else. An empty half says that the steps have no counterpart.
    """
    given = [Match(_steps_of(a, mine), _steps_of(b, theirs), 1.0) for mine, theirs in fixed]
    pairing = _Pairing(a, b, given)
    pairs = pairing.pairs()
    several = [
        correction
        for correction in given
        if min(map(len, (correction.a, correction.b))) == 1 < len(correction.a + correction.b) - 1
    ]
    joined = [*several, *_taken_in(a, b, pairs, given)]
    items = list(_items(a, b, pairs))
    groups = _groups(a, b, [*pairs, *joined, *items, *_of_one_item(a, b, pairs)])
    return Matching(tuple(pairs), tuple(groups), tuple(joined), tuple(items), pairing.parties)


def _steps_of(side: Side, ids: Sequence[str]) -> tuple[str, ...]:
    """The steps that these elements belong to, each once."""
    return tuple(dict.fromkeys(side.by_id[element].id for element in ids if element in side.by_id))


# Pairs -----------------------------------------------------------------------------------------------------------


class _Pairing:
    """One step with one: every point as a table of a's steps by b's, NaN where it is not known of both."""

    def __init__(self, a: Side, b: Side, given: Sequence[Match]) -> None:
        self.a, self.b = a, b
        self.given = given
        self.shape = len(a.steps), len(b.steps)
        self.parties = _alike_parties(a, b)

    def pairs(self) -> list[Match]:
        if not self.a.steps or not self.b.steps:
            return []
        alike = self.parties
        found = self._assign(self._total(None))
        for _ in range(_ROUNDS):
            self.parties = _renamed_parties(self.a, self.b, found, alike)
            neighbours = self._neighbours(found)
            total = self._total(neighbours)
            before, found = found, self._untangled(self._assign(total), total)
            if found == before:
                break
        believed = self._believed(neighbours) | (total > 1)
        found = [(row, column) for row, column in found if believed[row, column]]
        self.parties = _renamed_parties(self.a, self.b, found, alike)
        return [
            Match((self.a.steps[row].id,), (self.b.steps[column].id,), round(min(1.0, float(total[row, column])), 2))
            for row, column in found
        ]

    def _assign(self, total: Matrix) -> list[tuple[int, int]]:
        # Squared, lest one good pair be given up for two fair ones.
        rows, columns = linear_sum_assignment(np.where(total >= ENOUGH, total**2, 0), maximize=True)
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        return [(row, column) for row, column in pairs if total[row, column] >= ENOUGH]

    def _untangled(self, found: Pairs, total: Matrix) -> list[tuple[int, int]]:
        """Steps that look the same, each with the one that stands where it does.

        The assignment takes each pair by itself: of two branches alike it may pair the first step of one with that of
        the one, and the second with that of the other. So those of one look change partners where more lines then lie
        between pairs.
        """
        to = dict(found)
        after = [
            [{self._row[half][other] for other in step.after} for step in side.steps] for half, side in self._sides
        ]
        before = [
            [{self._row[half][other] for other in step.before} for step in side.steps] for half, side in self._sides
        ]

        def lines(row: int, column: int) -> int:
            pairs = ((after[0][row], after[1][column]), (before[0][row], before[1][column]))
            return sum(to.get(other) in there for here, there in pairs for other in here)

        for one, other in self._lookalikes(found):
            here, there = to[one], to[other]
            now = lines(one, here) + lines(other, there)
            to[one], to[other] = there, here
            then = lines(one, there) + lines(other, here)
            loses = total[one, here] + total[other, there] - total[one, there] - total[other, here]
            if then <= now or loses > _LINE * (then - now):
                to[one], to[other] = here, there
        return sorted(to.items())

    def _lookalikes(self, found: Pairs) -> Iterator[tuple[int, int]]:
        """Every two steps of a that say the same of themselves, the first along the run first."""
        looks: dict[tuple[object, ...], list[int]] = {}
        for row, _ in found:
            step = self.a.steps[row]
            looks.setdefault(_look(step), []).append(row)
        for rows in looks.values():
            if len(rows) <= _MOST_LOOKALIKES:
                yield from combinations(sorted(rows, key=lambda row: self.a.steps[row].order), 2)

    @cached_property
    def _sides(self) -> tuple[tuple[int, Side], tuple[int, Side]]:
        return (0, self.a), (1, self.b)

    @cached_property
    def _row(self) -> tuple[dict[str, int], dict[str, int]]:
        return tuple({step.id: row for row, step in enumerate(side.steps)} for _, side in self._sides)  # type: ignore[return-value]

    def _total(self, neighbours: Matrix | None) -> Matrix:
        score, weight = np.zeros(self.shape), np.zeros(self.shape)
        for name, points in (*self._points.items(), ("party", self._party())):
            known = ~np.isnan(points)
            score[known] += WEIGHTS[name] * points[known]
            weight[known] += WEIGHTS[name]
        # Where all around is the same, that says something; where it is not, nothing.
        score += WEIGHTS["surroundings"] * self._surroundings
        weight += WEIGHTS["surroundings"] * self._surroundings
        if neighbours is not None:
            # Good neighbours say much; that there are none says less, since the other may only be drawn more finely.
            counts = WEIGHTS["neighbours"] * (1 + neighbours) / 2
            score += counts * neighbours
            weight += counts
        # Rounded, so that what was summed in another order is the same.
        score = np.round(score / weight, 6)
        score[self._points["kind"] == 0] = 0
        return self._corrected(score)

    def _corrected(self, score: Matrix) -> Matrix:
        """An officer's word stands above every score."""
        row = {step.id: number for number, step in enumerate(self.a.steps)}
        column = {step.id: number for number, step in enumerate(self.b.steps)}
        for correction in self.given:
            score[[row[step] for step in correction.a], :] = 0
            score[:, [column[step] for step in correction.b]] = 0
        for correction in self.given:
            if len(correction.a) == len(correction.b):
                for mine, theirs in zip(correction.a, correction.b, strict=True):
                    score[row[mine], column[theirs]] = 2
            elif correction.a and correction.b:
                score[row[correction.a[-1]], column[correction.b[-1]]] = 2
        return score

    def _believed(self, neighbours: Matrix) -> Matrix:
        """Where what two steps say of themselves bears out that they are the same, or all about their place does."""
        points = self._points
        said = np.fmax.reduce([points[name] for name in ("label", "clause", "form", "message")])
        same = [points["kind"] == 1, neighbours == 1, ~(self._party() < 1), ~(points["side"] < 1)]
        silent = np.isnan(said) & (points["kind"] >= _AKIN)
        return silent | (said >= ALIKE) | np.logical_and.reduce(same)

    # Point by point

    @cached_property
    def _points(self) -> dict[str, Matrix]:
        return {
            "label": self._label(),
            "clause": self._clause(),
            "form": self._form(),
            "message": self._equal(_does),
            "kind": self._kind(),
            "side": self._equal(lambda step: step.side or ""),
            "place": 1 - np.abs(np.subtract.outer(_places(self.a), _places(self.b))),
        }

    @cached_property
    def _surroundings(self) -> Matrix:
        """How far around two steps all is the same, as a share of as far as is looked.

        Two steps have one colour if they and their neighbours had one colour in the round before.
        """
        sides = (self.a.steps, self.b.steps)
        colours = _coloured([{step.id: _look(step) for step in steps} for steps in sides])
        found = np.zeros(self.shape)
        for _ in range(_AROUND):
            colours = _coloured(
                [
                    {step.id: (of[step.id], _sorted(of, step.before), _sorted(of, step.after)) for step in steps}
                    for steps, of in zip(sides, colours, strict=True)
                ]
            )
            found += np.equal.outer(*(list(of.values()) for of in colours))
        return found / _AROUND

    def _label(self) -> Matrix:
        """In whichever languages the labels are most alike; unknown where they share no script."""
        best = np.full(self.shape, np.nan)
        spoken = [
            [[step.label.zh for step in side.steps], [step.label.en for step in side.steps]]
            for side in (self.a, self.b)
        ]
        for mine in spoken[0]:
            for theirs in spoken[1]:
                scripts = [np.array(list(map(script, texts))) for texts in (mine, theirs)]
                comparable = np.equal.outer(*scripts) & np.not_equal.outer(scripts[0], np.full(len(theirs), ""))
                if comparable.any():
                    best = np.fmax(best, np.where(comparable, likenesses(mine, theirs), np.nan))
        return best

    def _clause(self) -> Matrix:
        """By the sentences that the steps stand for; by their references where neither side has its document."""
        texts = [[_first_sentence(side, step) for step in side.steps] for side in (self.a, self.b)]
        if not self.a.sentences and not self.b.sentences:
            return self._equal(lambda step: step.clauses[0] if step.clauses else "")
        found = likenesses(*texts)
        found[[not text for text in texts[0]], :] = np.nan
        found[:, [not text for text in texts[1]]] = np.nan
        return found

    def _form(self) -> Matrix:
        """How many of all their fields two forms have in common."""
        forms = [[_fields(step) for step in side.steps] for side in (self.a, self.b)]
        common = shared(*forms)
        sizes = [np.array([len(form) for form in half]) for half in forms]
        either = np.add.outer(*sizes) - common
        both = np.logical_and.outer(*(size > 0 for size in sizes))
        return np.where(both, common / np.maximum(either, 1), np.nan)

    def _kind(self) -> Matrix:
        kinds = sorted({step.kind for step in (*self.a.steps, *self.b.steps)})
        table = np.array([[_akin(one, other) for other in kinds] for one in kinds])
        return table[np.ix_(*([kinds.index(step.kind) for step in side.steps] for side in (self.a, self.b)))]

    def _party(self) -> Matrix:
        """Whether the parties are the same; unknown between a party that is known everywhere and a file's own name."""
        mine = [step.party for step in self.a.steps]
        theirs = [self.parties.get(step.party, step.party) for step in self.b.steps]
        found = _equal(mine, theirs)
        found[np.not_equal.outer([party in _KNOWN for party in mine], [party in _KNOWN for party in theirs])] = np.nan
        return found

    def _equal(self, value: Callable[[Step], str]) -> Matrix:
        return _equal(*([value(step) for step in side.steps] for side in (self.a, self.b)))

    def _neighbours(self, found: Pairs) -> Matrix:
        """How many of the steps directly before and after two steps are pairs."""
        rows, columns = ([pair[half] for pair in found] for half in (0, 1))
        matched = sparse.csr_matrix((np.ones(len(found)), (rows, columns)), shape=self.shape)
        sides = [self._beside(matched, lambda step: step.before), self._beside(matched, lambda step: step.after)]
        return (sides[0] + sides[1]) / 2

    def _beside(self, matched: sparse.csr_matrix, beside: Callable[[Step], tuple[str, ...]]) -> Matrix:
        mine, theirs = (_adjacent(side, beside) for side in (self.a, self.b))
        common = (mine @ matched @ theirs.T).toarray()
        counts = [np.asarray(table.sum(axis=1)).ravel() for table in (mine, theirs)]
        most = np.maximum.outer(*counts)
        # Two steps at the very beginning, or at the very end, have the same neighbours: none.
        return np.where(most > 0, common / np.maximum(most, 1), 1.0)


def _akin(one: str, other: str) -> float:
    """How near two kinds are; 0 where no step of the one can be one of the other."""
    pair = {one, other}
    if one == other:
        return 1.0
    if pair <= _HUMAN:
        return 0.8 if "work" in pair else 0.5
    if pair <= _AUTOMATIC or pair <= _EVENTS:
        return 0.4
    if pair <= _HUMAN | _AUTOMATIC | {"send", "receive"}:
        return 0.3
    return 0.0


def _equal(one: Sequence[str], other: Sequence[str]) -> Matrix:
    """1 where two words are the same, 0 where they are not, NaN where one is missing."""
    found = np.equal.outer(np.array(one, dtype=object), np.array(other, dtype=object)).astype(float)
    found[[not word for word in one], :] = np.nan
    found[:, [not word for word in other]] = np.nan
    return found


def _places(side: Side) -> Matrix:
    """How far along the run of its pool each step stands, from 0 to 1."""
    last = Counter[str]()
    for step in side.steps:
        last[step.pool] = max(last[step.pool], step.order, 1)
    return np.array([step.order / last[step.pool] for step in side.steps])


def _adjacent(side: Side, beside: Callable[[Step], tuple[str, ...]]) -> sparse.csr_matrix:
    number = {step.id: position for position, step in enumerate(side.steps)}
    found = [(position, number[other]) for position, step in enumerate(side.steps) for other in beside(step)]
    rows, columns = [pair[0] for pair in found], [pair[1] for pair in found]
    return sparse.csr_matrix((np.ones(len(found)), (rows, columns)), shape=(len(number), len(number)))


def _first_sentence(side: Side, step: Step) -> str:
    return next((sentence.text for sentence in side.quote(step.clauses)), "")


def _coloured(looks: Sequence[Mapping[str, tuple[object, ...]]]) -> list[dict[str, int]]:
    """A number for each look, the same on both sides."""
    known: dict[tuple[object, ...], int] = {}
    return [{step: known.setdefault(look, len(known)) for step, look in half.items()} for half in looks]


def _sorted(colours: Mapping[str, int], steps: Sequence[str]) -> tuple[int, ...]:
    return tuple(sorted(colours[step] for step in steps))


def _does(step: Step) -> str:
    """What a step does by itself, in the notation's own words: a message, a service, an outcome."""
    return step.message or step.does or (f"end {step.outcome}" if step.kind == "end" else "")


def _look(step: Step) -> tuple[object, ...]:
    """What a step says of itself, ids and parties aside."""
    return step.kind, normal(step.label.zh), _does(step), step.deadline, _fields(step)


def _fields(step: Step) -> frozenset[str]:
    return frozenset(item.binds or normal(item.name) for item in step.fields)


# Parties ---------------------------------------------------------------------------------------------------------


def _names(side: Side) -> list[str]:
    return sorted({step.party for step in side.steps if step.party and step.party not in _KNOWN})


def _alike_parties(a: Side, b: Side) -> dict[str, str]:
    """Names of b that are parties of a in other words, the most alike first."""
    ours = sorted({step.party for step in a.steps} - {step.party for step in b.steps})
    alike = [(_alike(mine, theirs), mine, theirs) for mine in ours for theirs in _names(b)]
    found: dict[str, str] = {}
    for score, mine, theirs in sorted(alike, reverse=True):
        if score >= 0.5 and theirs not in found and mine not in found.values():
            found[theirs] = mine
    return found


def _alike(party: str, name: str) -> float:
    words = templates().get(f"party.{party}", Words(party))
    return max(likeness(words.text(locale), name) for locale in LOCALES)


def _renamed_parties(a: Side, b: Side, pairs: Pairs, known: Mapping[str, str]) -> dict[str, str]:
    """Beside what is known: a name of b most of whose steps are those of one party of a that b does not have."""
    found = dict(known)
    gone = {step.party for step in a.steps} - {step.party for step in b.steps} - set(found.values())
    for name in _names(b):
        if name not in found and name not in _names(a):
            acts = Counter(a.steps[row].party for row, column in pairs if b.steps[column].party == name)
            for party, count in acts.most_common(1):
                if party in gone and count > 1 and 2 * count > acts.total():
                    found[name] = party
                    gone.remove(party)
    return found


# Groups ----------------------------------------------------------------------------------------------------------


def _taken_in(a: Side, b: Side, pairs: Sequence[Match], given: Sequence[Match]) -> Iterator[Match]:
    """Where a step without a counterpart has gone into that of its neighbour, or come out of it."""
    alone = {step for correction in given for step in (*correction.a, *correction.b)}
    yield from _absorbed(a, b, {pair.a[0]: pair.b[0] for pair in pairs}, alone)
    for found in _absorbed(b, a, {pair.b[0]: pair.a[0] for pair in pairs}, alone):
        yield Match(found.b, found.a, found.confidence)


def _absorbed(a: Side, b: Side, counterpart: Mapping[str, str], alone: set[str]) -> Iterator[Match]:
    for step in a.steps:
        if step.id in counterpart or step.id in alone or step.kind not in _HUMAN | _AUTOMATIC:
            continue
        near = [a.by_id[other] for other in (*step.before, *step.after) if other in counterpart]
        gained = [(_gain(a, b, step, other, b.by_id[counterpart[other.id]]), other) for other in near]
        best = max(gained, key=lambda item: item[0], default=(0.0, step))
        if best[0] >= _TAKEN_IN:
            both = sorted((step, best[1]), key=lambda item: (item.order, item.id))
            yield Match(tuple(item.id for item in both), (counterpart[best[1].id],), round(best[0], 2))


def _gain(a: Side, b: Side, step: Step, neighbour: Step, counterpart: Step) -> float:
    """How much of a step stands in its neighbour's counterpart and did not stand in the neighbour itself."""
    if counterpart.kind not in _HUMAN | _AUTOMATIC:
        return 0.0
    spoken = [[one.label.text(locale) for one in (step, counterpart, neighbour)] for locale in LOCALES]
    measures = (covered, covered_as_written)
    gains = [measure(part, whole) - measure(part, old) for part, whole, old in spoken for measure in measures]
    if step.fields:
        new = _fields(step) - _fields(neighbour)
        gains.append(len(new & _fields(counterpart)) / len(_fields(step)))
    return max(gains)


def _items(a: Side, b: Side, pairs: Sequence[Match]) -> Iterator[Match]:
    """Pairs that stand in one item of the one document and in several of the other."""
    there = {pair.a[0]: pair for pair in pairs}
    back = {pair.b[0]: pair for pair in pairs}
    for side, found in ((a, there), (b, back)):
        for step in side.steps:
            for other in step.after:
                one, next_one = found.get(step.id), found.get(other)
                if one and next_one and _same_item(side, step.id, other):
                    counterparts = (one.b[0], next_one.b[0]) if side is a else (one.a[0], next_one.a[0])
                    if _same_item(b if side is a else a, *counterparts) is False:
                        yield Match(
                            (*one.a, *next_one.a), (*one.b, *next_one.b), min(one.confidence, next_one.confidence)
                        )


def _of_one_item(a: Side, b: Side, pairs: Sequence[Match]) -> Iterator[Match]:
    """A step without a counterpart, beside the pair with which it shares an item of its document."""
    there = {pair.a[0]: pair for pair in pairs}
    back = {pair.b[0]: pair for pair in pairs}
    for side, found in ((a, there), (b, back)):
        for step in side.steps:
            if step.id not in found:
                for other in (*step.before, *step.after):
                    if other in found and _same_item(side, step.id, other):
                        pair = found[other]
                        more = ((step.id,), ()) if side is a else ((), (step.id,))
                        yield Match((*pair.a, *more[0]), (*pair.b, *more[1]), pair.confidence)


def _same_item(side: Side, one: str, other: str) -> bool | None:
    """Whether two neighbouring steps of people stand in one item of the document; None where they are no such steps."""
    first, second = side.by_id[one], side.by_id[other]
    if first.kind not in _HUMAN or second.kind not in _HUMAN or not (first.clauses and second.clauses):
        return None
    if other not in first.after and one not in second.after:
        return None
    return first.clauses[0] == second.clauses[0]


def _groups(a: Side, b: Side, links: Sequence[Match]) -> list[Match]:
    """All steps in groups: whatever is linked, directly or by others, is one group."""
    group: dict[tuple[str, str], list[tuple[str, str]]] = {}
    confidence: dict[tuple[str, str], float] = {}
    for side, steps in (("a", a.steps), ("b", b.steps)):
        for step in steps:
            group[side, step.id] = [(side, step.id)]
    for link in links:
        members = [("a", step) for step in link.a] + [("b", step) for step in link.b]
        merged = list(dict.fromkeys(item for member in members for item in group[member]))
        lowest = min([link.confidence, *(confidence[item] for item in merged if item in confidence)])
        for item in merged:
            group[item] = merged
            confidence[item] = lowest
    found = {id(members): members for members in group.values()}.values()
    groups = [_group(a, b, members, confidence.get(members[0], 0.0)) for members in found]
    return sorted(groups, key=lambda item: _position(a, b, item))


def _group(a: Side, b: Side, members: Sequence[tuple[str, str]], confidence: float) -> Match:
    halves = []
    for name, side in (("a", a), ("b", b)):
        steps = [side.by_id[step] for of, step in members if of == name]
        halves.append(tuple(step.id for step in sorted(steps, key=lambda step: (step.order, step.id))))
    return Match(halves[0], halves[1], confidence)


def _position(a: Side, b: Side, group: Match) -> tuple[bool, float, str]:
    """Where a group stands in a list of all: the releasing side last, then along the run."""
    steps = [a.by_id[step] for step in group.a] or [b.by_id[step] for step in group.b]
    return steps[0].side == "releasing", steps[0].order, steps[0].id
