"""Runs that wait for ever: where, for what, and whether the case had come to an end by then.

What merely waits for something else that is stuck is left out: a half that waits for the answer of the other one, which
hangs at a join, is not told beside that join.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import NamedTuple

from engine.comparison.behaviour.net import Key, Place, Role
from engine.comparison.behaviour.space import Space


class Waiting(NamedTuple):
    """One node, by pool and number, in which tokens wait: for flows that stay empty, or messages that do not come."""

    pool: int
    place: int
    flows: frozenset[int] = frozenset()
    keys: frozenset[Key] = frozenset()


@dataclass(frozen=True)
class Wait:
    """Where a case can wait for ever, and the state in which it does, the soonest one."""

    waiting: Waiting
    place: Place
    state: int
    # Whether an end of the case has been passed before: what waits is left behind.
    ended: bool


def waits(space: Space) -> list[Wait]:
    """Every node in which a case can wait for ever, once for each way: left behind or not."""
    dependencies = _Dependencies(space)
    dead = (state for state in space.ends if not space.is_over(state) and not space.is_lost(state))
    found: dict[tuple[int, int, bool], Wait] = {}
    for state in [*dead, *_endless(space)]:
        for waiting in dependencies.roots(_waiting(space, state)):
            # Where no run at all completes, an end on the way to where it hangs is no end of the case.
            ended = space.states[state].standings[waiting.pool].end >= 0 and bool(space.completed)
            place = space.nets[waiting.pool].places[waiting.place]
            found.setdefault((waiting.pool, waiting.place, ended), Wait(waiting, place, state, ended))
    return list(found.values())


def _waiting(space: Space, state: int) -> frozenset[Waiting]:
    return frozenset(_waiting_nodes(space, state))


def _waiting_nodes(space: Space, state: int) -> Iterator[Waiting]:
    for number, standing in enumerate(space.states[state].standings):
        net = space.nets[number]
        for token in standing.tokens:
            place = net.places[token.place]
            events = place.events if place.role is Role.RACE else token.armed
            yield Waiting(number, place.number, keys=place.reads.union(*(net.places[event].reads for event in events)))
        for target in {net.targets[flow] for flow in standing.held}:
            yield Waiting(number, target, flows=frozenset(net.places[target].incoming) - set(standing.held))


class _Dependencies:
    """What waits for what. Many states hang in the same nodes, so each answer is kept."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.roots = cache(self._roots)
        self._reached = cache(self._reached_from)

    def _roots(self, waiting: frozenset[Waiting]) -> list[Waiting]:
        """Those that do not merely wait for one of the others; a circle of them is a root as a whole."""
        ahead = {one: {other for other in waiting if other != one and self._comes_of(one, other)} for one in waiting}
        behind = {one: _all_ahead(ahead, one) for one in waiting}
        return sorted(one for one in waiting if all(one in behind[other] for other in behind[one]))

    def _comes_of(self, one: Waiting, other: Waiting) -> bool:
        """Whether what one waits for could come of the other, if that went on."""
        sources, sent = self._reached(other.pool, other.place)
        flows = self.space.nets[one.pool].sources
        if one.pool == other.pool and any(flows[flow] in sources for flow in one.flows):
            return True
        return any((one.pool, key) in sent for key in one.keys)

    def _reached_from(self, pool: int, place: int) -> tuple[set[int], set[tuple[int, Key]]]:
        """The nodes that a token may come to, and all that is sent there."""
        net = self.space.nets[pool]
        reached = net.reached_from([place])
        return reached, {address for number in reached for address in net.places[number].sends}


def _all_ahead(ahead: Mapping[Waiting, set[Waiting]], one: Waiting) -> set[Waiting]:
    seen: set[Waiting] = set()
    rest = list(ahead[one])
    while rest:
        item = rest.pop()
        if item not in seen:
            seen.add(item)
            rest += ahead[item]
    return seen


def _endless(space: Space) -> list[int]:
    """The first state from which no end can be reached, though things go on happening."""
    ending = space.leading_to([*space.ends, *space.cut])
    endless: Iterable[int] = (state for state in range(len(space.states)) if state not in ending)
    return list(islice((state for state in endless if not space.is_over(state)), 1))
