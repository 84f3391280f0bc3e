"""What can be said of all runs of a procedure: what always happens, what never does, what comes before what, who can
stop the case. Each with the shortest run that shows it.

Computed once for all nodes together, as bits: what has always, and what has ever, happened before each state, and what
may still happen after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial, reduce
from operator import or_

from engine.comparison.behaviour.space import Edge, Space
from engine.comparison.model import Run, Step

# How often a step happens, the surest first: in every run; in every run that completes the case; in some runs; never.
ALWAYS, FOR_COMPLETION, SOMETIMES, NEVER = "always", "for_completion", "sometimes", "never"
# How two steps stand to each other. `free`: either may come first, or one without the other.
BEFORE, AFTER, EXCLUSIVE, FREE = "before", "after", "exclusive", "free"
COMPLETED = "completed"


@dataclass(frozen=True)
class Statement:
    """One thing that holds for all runs, or is shown by one."""

    # how_often (always, for_completion, sometimes, never), order (before, exclusive), repeats, stops, outcome
    kind: str
    what: str
    # The steps that it speaks of, by the elements that stand for them.
    elements: tuple[str, ...]
    # Who stops the case; "" where it speaks of nobody, or of the system itself.
    party: str = ""
    # Searches for the run, which takes longer than the statement itself.
    search: Callable[[], Run | None] = field(default=lambda: None, compare=False, repr=False)

    @cached_property
    def run(self) -> Run | None:
        """The shortest run that shows it; None where only all runs together do."""
        return self.search()


@dataclass(frozen=True)
class Relations:
    """How one step stands to others, as bits by their positions: those always before it, those never in its run."""

    before: int
    exclusive: int


@dataclass(frozen=True)
class Stop:
    """Somebody, or something, after which the case can not be completed any more, though it could before."""

    element: str
    # person, system (a service's result), time (a timer), message (the first of several that race)
    how: str
    party: str
    # What was chosen there, as variable and value; empty where doing the step is enough.
    answers: tuple[tuple[str, str | bool | None], ...]
    # What may then become of the case; None where no end says so.
    outcomes: tuple[str | None, ...]
    run: Run


class Runs:
    """All runs of a space, and what holds for them."""

    def __init__(self, space: Space) -> None:
        self.space = space

    @property
    def decided(self) -> bool:
        """Whether what is said of all runs, or of none, is certain."""
        return self.space.decided

    # Before and after, as bits by state

    @cached_property
    def _always_before(self) -> list[int]:
        """The nodes that have happened before a state, on whatever way it was come to."""
        return self._spread(0, lambda here, edge: here | edge.mask, lambda known, more: known & more)

    @cached_property
    def _ever_before(self) -> list[int]:
        return self._spread(0, lambda here, edge: here | edge.mask, lambda known, more: known | more)

    def _spread(self, first: int, step: Callable[[int, Edge], int], join: Callable[[int, int], int]) -> list[int]:
        found: dict[int, int] = {0: first}
        ahead = deque([0])
        while ahead:
            state = ahead.popleft()
            for edge in self.space.edges[state]:
                more = step(found[state], edge)
                now = join(found[edge.target], more) if edge.target in found else more
                if found.get(edge.target) != now:
                    found[edge.target] = now
                    ahead.append(edge.target)
        return [found[state] for state in range(len(self.space.states))]

    @cached_property
    def _ever_after(self) -> list[int]:
        found = [0] * len(self.space.states)
        ahead = deque(range(len(found) - 1, -1, -1))
        while ahead:
            state = ahead.popleft()
            now = 0
            for edge in self.space.edges[state]:
                now |= edge.mask | found[edge.target]
            if now != found[state]:
                found[state] = now
                ahead += self.space.behind[state]
        return found

    # Nodes, as bits by node

    @cached_property
    def _nodes(self) -> tuple[dict[int, int], dict[int, int], int]:
        """By node: those that always came before it, those that it ever shares a run with; and those that repeat."""
        before: dict[int, int] = {}
        beside: dict[int, int] = {}
        repeated = 0
        for state, edges in enumerate(self.space.edges):
            for edge in edges:
                around = self._ever_before[state] | self._ever_after[edge.target]
                seen = 0
                for node, earlier in edge.happened:
                    known = self._always_before[state] | earlier
                    before[node] = before.get(node, known) & known
                    beside[node] = beside.get(node, 0) | around | edge.mask
                    repeated |= (around | seen) & 1 << node
                    seen |= 1 << node
        return before, beside, repeated

    @cached_property
    def _happening(self) -> int:
        return reduce(or_, (1 << node for node in self._nodes[0]), 0)

    def _always(self, states: Iterable[int]) -> int:
        found = -1
        for state in states:
            found &= self._always_before[state]
        return found

    @cached_property
    def _in_all(self) -> int:
        return self._always(self.space.completed)

    @cached_property
    def _in_all_completed(self) -> int:
        return self._always(self.completing)

    @cached_property
    def completing(self) -> list[int]:
        """The states in which the case has been completed; where no end says so, in which it is over."""
        found = [state for state in self.space.completed if self.space.outcome(state) == COMPLETED]
        return found if self._has_outcomes else list(self.space.completed)

    @cached_property
    def _has_outcomes(self) -> bool:
        return any(place.node.outcome for net in self.space.nets for place in net.places)

    # Statements

    def how_often(self, elements: Sequence[str]) -> str:
        """How often a step happens that these elements draw, each by itself."""
        bits = self.space.bits(elements)
        if not bits & self._happening:
            return NEVER
        if self.space.completed and bits & self._in_all:
            return ALWAYS
        return FOR_COMPLETION if self.completing and bits & self._in_all_completed else SOMETIMES

    def repeats(self, elements: Sequence[str]) -> bool:
        return bool(self.space.bits(elements) & self._nodes[2])

    def order(self, one: Sequence[str], other: Sequence[str]) -> str | None:
        """How two steps stand to each other; None where one of them never happens."""
        mine, theirs = self.space.bits(one) & self._happening, self.space.bits(other) & self._happening
        if not mine or not theirs:
            return None
        before, beside, _ = self._nodes
        if not any(beside[node] & theirs for node in _numbers(mine)):
            return EXCLUSIVE
        if all(before[node] & mine for node in _numbers(theirs)):
            return BEFORE
        return AFTER if all(before[node] & theirs for node in _numbers(mine)) else FREE

    def relations(self, elements: Sequence[str]) -> list[Relations | None]:
        """How each of these steps stands to the others, by their positions; None for those that never happen."""
        positions = {bit: position for position, bit in enumerate(map(self._node, elements)) if bit in self._nodes[0]}
        known = sum(1 << bit for bit in positions)
        before, beside, _ = self._nodes

        def turned(bits: int) -> int:
            return sum(1 << positions[bit] for bit in _numbers(bits & known))

        return [
            Relations(turned(before[bit]), turned(known & ~beside[bit])) if bit in positions else None
            for bit in map(self._node, elements)
        ]

    def _node(self, element: str) -> int:
        """The node with this id, of those that happen in any run."""
        return next(_numbers(self.space.bits([element]) & self._happening), -1)

    @cached_property
    def outcomes(self) -> dict[str | None, Run]:
        """What may become of the case, each with the shortest run to it."""
        by_outcome: dict[str | None, list[int]] = {}
        for state in self.space.completed:
            by_outcome.setdefault(self.space.outcome(state), []).append(state)
        found = {outcome: self.space.run_to(states) for outcome, states in by_outcome.items()}
        return {outcome: run for outcome, run in found.items() if run is not None}

    @cached_property
    def stops(self) -> list[Stop]:
        """Whoever can stop the case, at which step, by what, and what then becomes of it; the soonest first."""
        open_ = self.space.leading_to(self.completing)
        found: dict[object, Stop] = {}
        for state, edges in enumerate(self.space.edges):
            for edge in edges if state in open_ else ():
                if edge.target not in open_:
                    element, how, answers = self._who(edge, edges, open_)
                    if (element, how, answers) not in found:
                        run = self.space.run(lambda other, edge=edge: other is edge)  # type: ignore[misc]
                        assert run is not None
                        party = self._party(edge.pool, element) if how == "person" else ""
                        outcomes = self._outcomes_after(edge.target)
                        found[element, how, answers] = Stop(element, how, party, answers, outcomes, run)
        return list(found.values())

    def _who(
        self, edge: Edge, edges: Sequence[Edge], open_: set[int]
    ) -> tuple[str, str, tuple[tuple[str, str | bool | None], ...]]:
        """Whose doing it is: the last one's who could have chosen otherwise, so that the case went on."""
        element = self.space.nets[edge.pool].places[edge.place].node.id
        alike = [
            other for other in edges if (other.kind, other.pool, other.place) == (edge.kind, edge.pool, edge.place)
        ]
        saved = [other.answers for other in alike if other.target in open_]
        same = max((_common(edge.answers, answers) for answers in saved), default=0)
        decisive = edge.answers[same] if saved and same < len(edge.answers) else None
        own = decisive is None or decisive.element == element
        how = _HOW.get(edge.kind, "person") if own else "system"
        if decisive is None:
            return element, how, ()
        return decisive.element, how, ((decisive.name, decisive.value),)

    def _party(self, pool: int, element: str) -> str:
        return self.space.nets[pool].pool.party(element)

    def _outcomes_after(self, state: int) -> tuple[str | None, ...]:
        return tuple(outcome for outcome, states in self._leading.items() if state in states)

    @cached_property
    def _leading(self) -> dict[str | None, set[int]]:
        outcomes = dict.fromkeys(self.space.outcome(state) for state in self.space.completed)
        return {
            outcome: self.space.leading_to(
                state for state in self.space.completed if self.space.outcome(state) == outcome
            )
            for outcome in outcomes
        }

    # Runs that show them

    def including(self, elements: Sequence[str]) -> Run | None:
        """The shortest run in which a step happens."""
        bits = self.space.bits(elements)
        return self.space.run(lambda edge: bool(edge.mask & bits))

    def without(self, elements: Sequence[str], *, completed: bool = False) -> Run | None:
        """The shortest run to the end of the case in which a step does not happen."""
        bits = self.space.bits(elements)
        goals = set(self.completing if completed else self.space.completed)
        return self.space.run(lambda edge: edge.target in goals and not edge.mask & bits, avoiding=bits)

    def one_after_other(self, one: Sequence[str], other: Sequence[str]) -> Run | None:
        """The shortest run in which a step happens and then, or by itself in the same move, another one."""
        first, then = self.space.bits(one), self.space.bits(other)

        def at_once(edge: Edge) -> bool:
            order = [node for node, _ in edge.happened]
            return bool(edge.mask & first) and any(1 << node & then for node in order[_first(order, first) + 1 :])

        straight = self.space.run(at_once)
        apart = self.space.run(lambda edge: bool(edge.mask & first), lambda edge: bool(edge.mask & then))
        return min(filter(None, (straight, apart)), key=lambda run: len(run.moves), default=None)

    def not_after(self, one: Sequence[str], other: Sequence[str]) -> Run | None:
        """The shortest run in which the other step happens, and the one has not happened before it."""
        first, then = self.space.bits(one), self.space.bits(other)

        def shows(edge: Edge) -> bool:
            return any(1 << node & then and not earlier & first for node, earlier in edge.happened)

        return self.space.run(shows, avoiding=first)


_HOW = {"fire": "time", "deliver": "message"}


def _numbers(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _first(order: Sequence[int], bits: int) -> int:
    return next(position for position, node in enumerate(order) if 1 << node & bits)


def _common(one: Sequence[object], other: Sequence[object]) -> int:
    """How many answers two moves have in common before they part."""
    for position, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            return position
    return min(len(one), len(other))


def statements(space: Space, steps: Sequence[Step]) -> list[Statement]:
    """What holds for the steps of a procedure; what is said of all runs only where all were explored."""
    runs = Runs(space)
    found = [*_occurring(runs, steps), *_stopping(runs), *_ending(runs)]
    return [*found, *_ordered(runs, steps)] if runs.decided else found


def _occurring(runs: Runs, steps: Sequence[Step]) -> Iterator[Statement]:
    for step in steps:
        own = [step.id]
        what = runs.how_often(own)
        if runs.decided or what == SOMETIMES:
            shown = runs.without if what in (SOMETIMES, FOR_COMPLETION) else runs.including
            yield Statement("how_often", what, (step.id,), search=partial(shown, own))
        if runs.repeats(own):
            yield Statement("repeats", "", (step.id,), search=partial(runs.one_after_other, own, own))


def _ordered(runs: Runs, steps: Sequence[Step]) -> Iterator[Statement]:
    """Of what comes before a step only the nearest is told, where two ways part only the first: the rest follows."""
    ids = [step.id for step in steps]
    relations = runs.relations(ids)
    nearest = [_without_earlier(relations, item.before) if item else 0 for item in relations]
    for position, item in enumerate(relations):
        for other in _numbers(nearest[position]):
            pair = ids[other], ids[position]
            search = partial(runs.one_after_other, [pair[0]], [pair[1]])
            yield Statement("order", BEFORE, pair, search=search)
        for other in _numbers(item.exclusive if item else 0):
            parted = any(_is_exclusive(relations, earlier, other) for earlier in _numbers(nearest[position]))
            parted = parted or any(_is_exclusive(relations, earlier, position) for earlier in _numbers(nearest[other]))
            if other < position and not parted:
                yield Statement("order", EXCLUSIVE, (ids[other], ids[position]))


def _without_earlier(relations: Sequence[Relations | None], before: int) -> int:
    """Of the steps before one, those that are before no other of them."""
    found = before
    for other in _numbers(before):
        item = relations[other]
        found &= ~item.before if item else -1
    return found


def _is_exclusive(relations: Sequence[Relations | None], one: int, other: int) -> bool:
    item = relations[one]
    return bool(item and item.exclusive >> other & 1)


def _stopping(runs: Runs) -> Iterator[Statement]:
    for stop in runs.stops:
        for outcome in stop.outcomes:
            yield Statement("stops", outcome or "", (stop.element,), stop.party, partial(_this, stop.run))


def _ending(runs: Runs) -> Iterator[Statement]:
    for outcome, run in runs.outcomes.items():
        yield Statement("outcome", outcome or "", (), search=partial(_this, run))


def _this(run: Run) -> Run:
    return run
