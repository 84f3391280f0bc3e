"""In what the runs of two procedures differ: who can stop the case, what must happen, in which order, how it can end.

Runs differ because something in the diagrams does. So each of these is told as the consequence of a difference in
structure, of the nearest one; only where none explains it does it stand for itself. And each difference in structure
that a run can show gets the shortest one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from engine.comparison.behaviour.space import BOUND, collaboration, explore
from engine.comparison.behaviour.statements import (
    AFTER,
    ALWAYS,
    BEFORE,
    EXCLUSIVE,
    FOR_COMPLETION,
    FREE,
    Relations,
    Runs,
    Stop,
)
from engine.comparison.behaviour.waiting import waits
from engine.comparison.findings import Frame, place, shown
from engine.comparison.model import Difference, Run, Side, Step
from engine.comparison.quotations import Said
from engine.comparison.sentences import Value, Words, templates
from engine.comparison.steps import weakest

# Changes that runs can follow from, the likeliest first.
_CAUSES = (
    "refusal", "condition", "removed", "added", "moved", "merged", "split", "reordered", "outcome", "message",
    "service", "channel",
)  # fmt: skip
# Of these people know nothing; what they bring about shows in the steps of people and services.
_BY_ITSELF = frozenset({"send", "receive", "start", "wait", "end", "choice"})
# So many moves are written for differences in structure; what only runs tell has always its run.
_MOST_MOVES = 10_000
# So many steps are named in one sentence.
_NAMED = 6

Pair = tuple[Step, Step]


def behaviour(frame: Frame, found: Sequence[Difference], *, bound: int = BOUND) -> tuple[list[Difference], bool]:
    """The differences with the runs that show them, those of the runs themselves last; and whether all was explored.

    Where it was not, nothing is said that speaks of all runs.
    """
    halves = _Half("a", frame.a, _runs(frame.a, bound), 0), _Half("b", frame.b, _runs(frame.b, bound), 1)
    told = list(_with_runs(halves, found))
    decided = all(half.runs.decided for half in halves)
    more = _Differences(frame, halves, told).all() if decided else ()
    return [*told, *more], decided


def _runs(side: Side, bound: int) -> Runs:
    return Runs(explore(collaboration(side.graph), side.graph.message_flows, bound=bound))


@dataclass(frozen=True)
class _Half:
    """One side, its runs, and which of a pair is its own."""

    name: str
    side: Side
    runs: Runs
    own: int

    def of(self, run: Run | None) -> Run | None:
        return replace(run, side=self.name) if run else None


class _Differences:
    def __init__(self, frame: Frame, halves: tuple[_Half, _Half], found: Sequence[Difference]) -> None:
        self.frame = frame
        self.halves = halves
        self.found = found
        # Where several steps say the same of themselves, which of them is which can not be told by what happens.
        names = [Counter(map(_looks, half.side.steps)) for half in halves]
        self.pairs = [
            (a, b)
            for a, b in frame.pairs
            if a.kind not in _BY_ITSELF and names[0][_looks(a)] == names[1][_looks(b)] == 1
        ]

    def all(self) -> Iterator[Difference]:
        for half, other in (self.halves, self.halves[::-1]):
            yield from self._stops(half, other)
            yield from self._results(half, other)
            yield from self._waits(half, other)
            yield from self._repetitions(half, other)
        yield from self._occurrences()
        yield from self._sequences()

    # What one side has alone

    def _stops(self, half: _Half, other: _Half) -> Iterator[Difference]:
        """Parties that can stop the case here, and there can not."""
        here, there = self._stopping(half), self._stopping(other)
        for party in sorted(here.keys() - there.keys()) if other.runs.completing else ():
            steps = list(dict.fromkeys(half.side.by_id[stop.element] for stop in here[party]))
            outcomes = dict.fromkeys(outcome or "" for stop in here[party] for outcome in stop.outcomes)
            values: dict[str, Value] = {
                "steps": _named(steps),
                "outcomes": tuple(templates().get(f"outcome.{item}", Words(item)) for item in outcomes),
            }
            yield self._one(half, "stop", party, steps, values, here[party][0].run, about=party)

    def _stopping(self, half: _Half) -> dict[str, list[Stop]]:
        found: dict[str, list[Stop]] = {}
        for stop in half.runs.stops:
            if stop.how == "person" and stop.element in half.side.by_id:
                found.setdefault(self.frame.party(half.side.by_id[stop.element]), []).append(stop)
        return found

    def _results(self, half: _Half, other: _Half) -> Iterator[Difference]:
        """What can become of the case here, and there can not."""
        for outcome, run in half.runs.outcomes.items():
            if outcome and outcome not in other.runs.outcomes and any(other.runs.outcomes):
                ends = [step for step in half.side.steps if step.id in run.moves[-1].passed][-1:]
                values: dict[str, Value] = {"outcome": templates().get(f"outcome.{outcome}", Words(outcome))}
                yield self._one(half, "result", "", ends, values, run, about=outcome)

    def _waits(self, half: _Half, other: _Half) -> Iterator[Difference]:
        """Where the case can wait for ever here, and there nowhere."""
        hanging = waits(half.runs.space) if not waits(other.runs.space) else []
        for wait in {wait.place.node.id: wait for wait in reversed(hanging)}.values():
            node = wait.place.node
            step = half.side.by_id.get(node.id)
            words = shown(step) if step else Words(node.name or node.id, node.properties.get("label.en", ""))
            run = half.runs.space.run_to([wait.state])
            party = self.frame.party(step) if step else ""
            yield self._one(half, "waits", party, [step] if step else [], {"step": words}, run, about=node.id)

    def _repetitions(self, half: _Half, other: _Half) -> Iterator[Difference]:
        """Steps that can happen more than once here, and there can not."""
        twice = [
            pair
            for pair in self.pairs
            if half.runs.repeats([pair[half.own].id]) and not other.runs.repeats([pair[other.own].id])
        ]
        if twice:
            own = [twice[0][half.own].id]
            values: dict[str, Value] = {
                "steps": _named([pair[0] for pair in twice]), "more": half.side.label, "once": other.side.label,
            }  # fmt: skip
            run = half.of(half.runs.one_after_other(own, own))
            yield self._both("repetition", twice, values, run, about=half.name)

    # What both have, and otherwise

    def _occurrences(self) -> Iterator[Difference]:
        """Steps that must happen before a case is completed on one side, and need not, or can not, on the other.

        Where one side never completes, that says all of it.
        """
        if not all(half.runs.completing for half in self.halves):
            return
        groups: dict[tuple[str, str], list[Pair]] = {}
        for pair in self.pairs:
            often = _how_often(self.halves[0], pair), _how_often(self.halves[1], pair)
            if often[0] != often[1]:
                groups.setdefault(often, []).append(pair)
        for often, pairs in sorted(groups.items()):
            values: dict[str, Value] = {
                "steps": _named([a for a, _ in pairs]),
                "how_x": templates()[f"often.{often[0]}"],
                "how_y": templates()[f"often.{often[1]}"],
            }
            # The side that can do without it shows it.
            half = self.halves[often[0] == FOR_COMPLETION]
            own = [pairs[0][half.own].id]
            run = half.runs.without(own, completed=True) or half.runs.without(own)
            yield self._both("occurrence", pairs, values, half.of(run), about="-".join(often))

    def _sequences(self) -> Iterator[Difference]:
        """Steps that stand otherwise to each other in all runs, where no other order in the diagrams says so already.

        As few of them as explain all the rest.
        """
        said = [item for item in self.found if item.kind == "reordered"]
        pairs = self.pairs
        turned = self._turned()
        while turned:
            step = max(turned, key=lambda item: (len(turned[item]), _name(pairs[item])))
            others = turned.pop(step)
            for rest in turned.values():
                rest.pop(step, None)
            turned = {item: rest for item, rest in turned.items() if rest}
            if not any(pairs[step][0].id in item.a or pairs[step][1].id in item.b for item in said):
                for how in sorted(set(others.values())):
                    beside = [pairs[other] for other in sorted(others) if others[other] == how]
                    yield self._sequence(pairs[step], beside, how)

    def _turned(self) -> dict[int, dict[int, tuple[str, str]]]:
        """For each pair the pairs to which it stands otherwise on the other side, and how it does on both."""
        mine, theirs = (half.runs.relations([pair[half.own].id for pair in self.pairs]) for half in self.halves)
        found: dict[int, dict[int, tuple[str, str]]] = {}
        for one, (x, y) in enumerate(zip(mine, theirs, strict=True)):
            differing = (x.before ^ y.before) | (x.exclusive ^ y.exclusive) if x and y else 0
            for other in range(differing.bit_length()):
                if differing >> other & 1 and mine[other] and theirs[other]:
                    how = _relation(mine, one, other), _relation(theirs, one, other)
                    found.setdefault(one, {})[other] = how
                    found.setdefault(other, {})[one] = _turn(how[0]), _turn(how[1])
        return found

    def _sequence(self, pair: Pair, others: Sequence[Pair], how: tuple[str, str]) -> Difference:
        values: dict[str, Value] = {
            "x": shown(pair[0]),
            "others": _named([a for a, _ in others]),
            "how_x": templates()[f"sequence.{how[0]}"],
            "how_y": templates()[f"sequence.{how[1]}"],
        }
        runs = (_forbidden(half, pair, others[0], how[1 - half.own]) for half in self.halves)
        return self._both("sequence", [pair, *others], values, next(filter(None, runs), None), about="-".join(how))

    # Put together

    def _one(
        self,
        half: _Half,
        kind: str,
        party: str,
        steps: Sequence[Step],
        values: dict[str, Value],
        run: Run | None,
        *,
        about: str,
    ) -> Difference:
        """Something that one side has alone."""
        stated = _refusing(steps) if kind == "stop" else _said(steps)
        halves = (steps, ()) if half.name == "a" else ((), steps)
        found = self.frame.difference(
            kind, kind, party, *halves, said=(stated, None) if half.name == "a" else (None, stated), values=values,
            cause=self._cause(*halves), about=about,
        )  # fmt: skip
        return replace(found, run=half.of(run))

    def _both(
        self, kind: str, pairs: Sequence[Pair], values: dict[str, Value], run: Run | None, *, about: str
    ) -> Difference:
        """Something that both sides have otherwise."""
        mine, theirs = (sorted((pair[own] for pair in pairs), key=place) for own in (0, 1))
        found = self.frame.difference(
            kind, kind, self.frame.concerned(*pairs[0]), mine, theirs, said=(_said(mine), _said(theirs)),
            values=values, cause=self._cause(mine, theirs), about=about,
        )  # fmt: skip
        return replace(found, run=run)

    def _cause(self, mine: Sequence[Step], theirs: Sequence[Step]) -> Difference | None:
        """The difference in structure that these steps have, else the likeliest that there is."""
        possible = [item for item in self.found if item.kind in _CAUSES and not item.cause]
        possible.sort(key=lambda item: _CAUSES.index(item.kind))
        a, b = {step.id for step in mine}, {step.id for step in theirs}
        near = (item for item in possible if a & set(item.a) or b & set(item.b))
        return next(near, next(iter(possible), None))


def _said(steps: Sequence[Step]) -> Said:
    """Where it stands what these steps are and what may come of them; our reading where one of them is."""
    clauses = tuple(dict.fromkeys(step.clauses[0] for step in steps if step.clauses))
    decisions = [step.decision.basis for step in steps if step.decision]
    return Said(clauses, weakest([*decisions, *(step.basis for step in steps)]) if steps else "inferred")


def _refusing(steps: Sequence[Step]) -> Said:
    """Where it stands that one may refuse in these steps."""
    decisions = [step.decision for step in steps if step.decision and step.decision.clauses]
    clauses = tuple(dict.fromkeys(item.clauses[0] for item in decisions))
    return replace(_said(steps), clauses=clauses) if clauses else _said(steps)


def _looks(step: Step) -> tuple[str, str, str, str]:
    return step.kind, step.party, step.label.zh, step.does


def _name(pair: Pair) -> tuple[list[str], list[str]]:
    """The same from either side."""
    return sorted(step.label.zh for step in pair), sorted(step.id for step in pair)


def _named(steps: Sequence[Step]) -> tuple[Words, ...]:
    named = tuple(Words(f"“{shown(step).zh}”", f"“{shown(step).text('en')}”") for step in steps[:_NAMED])
    return named + ((Words("…"),) if len(steps) > _NAMED else ())


def _how_often(half: _Half, pair: Pair) -> str:
    """How often a step happens. Whether it does in runs that are stopped too is told by who can stop the case."""
    often = half.runs.how_often([pair[half.own].id])
    return FOR_COMPLETION if often == ALWAYS else often


def _relation(relations: Sequence[Relations | None], one: int, other: int) -> str:
    x, y = relations[one], relations[other]
    assert x is not None
    assert y is not None
    if x.before >> other & 1:
        return AFTER
    if y.before >> one & 1:
        return BEFORE
    return EXCLUSIVE if x.exclusive >> other & 1 else FREE


def _turn(relation: str) -> str:
    return {BEFORE: AFTER, AFTER: BEFORE}.get(relation, relation)


def _forbidden(half: _Half, pair: Pair, other: Pair, elsewhere: str) -> Run | None:
    """The shortest run of one side in which two steps do what they never do on the other side."""
    one, another = [pair[half.own].id], [other[half.own].id]
    if elsewhere == BEFORE:
        return half.of(half.runs.not_after(one, another))
    if elsewhere == AFTER:
        return half.of(half.runs.not_after(another, one))
    if elsewhere == EXCLUSIVE:
        return half.of(half.runs.one_after_other(one, another) or half.runs.one_after_other(another, one))
    return None


# Runs for the differences in structure ---------------------------------------------------------------------------


def _with_runs(halves: tuple[_Half, _Half], found: Sequence[Difference]) -> Iterator[Difference]:
    """The most severe ones first, until their runs would fill a book."""
    left = _MOST_MOVES
    for difference in found:
        shown = _with_run(halves, difference) if left > 0 else difference
        left -= len(shown.run.moves) if shown.run else 0
        yield shown


def _with_run(halves: tuple[_Half, _Half], difference: Difference) -> Difference:
    if difference.cause or difference.run or difference.kind not in _CAUSES:
        return difference
    for half, ids in zip(halves, (difference.a, difference.b), strict=True):
        run = _showing(half, difference.kind, ids)
        if run:
            return replace(difference, run=half.of(run))
    return difference


def _showing(half: _Half, kind: str, ids: Sequence[str]) -> Run | None:
    """The shortest run of one side that shows what it has: the refusal, one step before the other, or the step."""
    if kind == "refusal":
        own = {element for step in ids if step in half.side.by_id for element in half.side.by_id[step].ids}
        return next((stop.run for stop in half.runs.stops if stop.element in own), None)
    if kind == "reordered" and len(ids) > 1:
        return half.runs.one_after_other(ids[:1], ids[1:2]) or half.runs.one_after_other(ids[1:2], ids[:1])
    return half.runs.including(ids[:1]) if ids else None
