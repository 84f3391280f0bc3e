"""What one event does to one pool: its token goes on until every branch rests.

The order is the runtime's: first come, first served. Where more than one thing may come of it (an answer, a service's
result, a way whose condition is not known), a turn asks its `Choices`, and is taken again for each combination.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from engine.comparison.behaviour.net import Net, Place, Role

T = TypeVar("T")
# After so many questions in one turn a token rests before the next one: each doubles what may come of the turn.
MOST_QUESTIONS = 6

# And after so many steps without anybody a turn is given up: tokens multiply.
MOST_STEPS = 10_000

NOT_STARTED, RUNNING, ENDED = range(3)


class Multiplying(Exception):
    """A turn that takes too many steps."""


class Token(NamedTuple):
    """A token that rests in a node; `armed` are the boundary events there that can still occur."""

    place: int
    armed: tuple[int, ...] = ()


class Standing(NamedTuple):
    """Where one pool stands. Two runs that come to the same standing have the same future."""

    status: int = NOT_STARTED
    tokens: tuple[Token, ...] = ()
    # Flows with a token that waits for others before a join, one entry for each.
    held: tuple[int, ...] = ()
    # The variables that still matter.
    values: tuple[tuple[str, Any], ...] = ()
    # The last end passed that is the case's own; -1 for none.
    end: int = -1


@dataclass(frozen=True)
class Answer:
    """What was chosen at an element: a variable's value, or the flow that was taken where nothing else decides."""

    element: str
    name: str
    value: Any


class Choices:
    """Answers every question of a turn; taken again, another way, until all combinations have been."""

    def __init__(self) -> None:
        self._script: list[tuple[int, int]] = []
        self.asked = 0

    def of(self, options: Sequence[T]) -> T:
        if len(options) == 1:
            return options[0]
        if self.asked == len(self._script):
            self._script.append((0, len(options)))
        self.asked += 1
        return options[self._script[self.asked - 1][0]]

    def others(self) -> bool:
        """Turn to the next combination. False when all have been."""
        self.asked = 0
        while self._script:
            chosen, size = self._script.pop()
            if chosen + 1 < size:
                self._script.append((chosen + 1, size))
                return True
        return False


class Turn:
    def __init__(self, net: Net, before: Standing, choices: Choices) -> None:
        self.net = net
        self.choices = choices
        self.tokens = list(before.tokens)
        self.held = Counter(before.held)
        self.values = dict(before.values)
        self.end = before.end
        # What happened, in order: nodes with what came before them in the same turn, as bits; and the way as ids.
        self.happened: list[tuple[int, int]] = []
        self.path: list[str] = []
        self.answers: list[Answer] = []
        self.sent: list[tuple[int, str, int]] = []
        self._arrivals: deque[tuple[Place, int | None, int]] = deque()
        # What came before the tokens that arrived at a join in this turn.
        self._before: dict[int, int] = {}

    # Events

    def start(self, places: Sequence[int]) -> None:
        for number in places:
            place = self.net.places[number]
            if place.node.kind == "startEvent":
                self._answer(place)
                self._pass(place, 0)
            else:
                self._arrivals.append((place, None, 0))

    def complete(self, token: Token) -> None:
        self.tokens.remove(token)
        place = self.net.places[token.place]
        self._answer(place)
        self._pass(place, 0)

    def occur(self, token: Token, event: int) -> None:
        """An event that a token waits for: its own, one behind its gateway, or one on its edge."""
        self.tokens.remove(token)
        place = self.net.places[token.place]
        if place.role is Role.RACE:
            flow = next(flow for flow in place.outgoing if self.net.targets[flow] == event)
            self._pass(place, 0, (flow,))
            return
        if event != token.place and not self.net.places[event].node.interrupting:
            self.tokens.append(Token(token.place, tuple(item for item in token.armed if item != event)))
        self._pass(self.net.places[event], 0)

    def resume(self, token: Token) -> None:
        """Let a token go on that rests where nobody is waited for."""
        self.tokens.remove(token)
        self._go(self.net.places[token.place], 0)

    def start_by(self, number: int) -> None:
        """A message starts the pool, at a start event or at what stands for one."""
        self._answer(self.net.places[number])
        self._pass(self.net.places[number], 0)

    # The rules

    def play(self) -> Standing:
        """Go on until every branch rests. Answers where the pool then stands. Raises `Multiplying`."""
        while self._arrivals or self._merge():
            while self._arrivals:
                if len(self.path) > MOST_STEPS:
                    raise Multiplying
                place, flow, before = self._arrivals.popleft()
                self._arrive(place, flow, before)
        return self._standing()

    def _arrive(self, place: Place, flow: int | None, before: int) -> None:
        if place.role in (Role.JOIN, Role.MERGE) and flow is not None:
            self.held[flow] += 1
            self._before[flow] = self._before.get(flow, 0) | before
            if place.role is Role.JOIN and all(self.held[item] for item in place.incoming):
                self._take(place, place.incoming)
        elif place.role is Role.CATCH and flow is not None and self._is_from_race(flow):
            self._pass(place, before)
        elif place.role in (Role.TASK, Role.CATCH, Role.RACE, Role.UNKNOWN):
            self.tokens.append(Token(place.number, place.events if place.role is not Role.RACE else ()))
        elif place.rests or (self.choices.asked >= MOST_QUESTIONS and self._asks(place)):
            self.tokens.append(Token(place.number))
        else:
            self._go(place, before)

    def _is_from_race(self, flow: int) -> bool:
        return self.net.places[self.net.sources[flow]].role is Role.RACE

    def _take(self, place: Place, flows: Sequence[int]) -> None:
        """A join takes its tokens and goes on."""
        before = 0
        for flow in flows:
            self.held[flow] -= 1
            before |= self._before.pop(flow, 0)
        if place.rests:
            self.tokens.append(Token(place.number))
        else:
            self._go(place, before)

    def _merge(self) -> bool:
        """Let one inclusive merge go on for which nothing more can come. Whether there was one."""
        if not self.net.merges:
            return False
        standing = [token.place for token in self.tokens]
        standing += [self.net.targets[flow] for flow in self.held.elements()]
        for number in dict.fromkeys(self.net.targets[flow] for flow in self.held.elements()):
            place = self.net.places[number]
            flows = {flow for flow in place.incoming if self.held[flow]}
            elsewhere = [other for other in standing if other != number]
            if place.role is Role.MERGE and not self.net.may_still_come(place, flows, elsewhere):
                self._take(place, sorted(flows))
                return True
        return False

    def _asks(self, place: Place) -> bool:
        return bool(self.net.results[place.number]) or (
            self._is_choice(place) and len(self.net.ways(place, self.values)) > 1
        )

    def _is_choice(self, place: Place) -> bool:
        return len(place.outgoing) > 1 and (place.role is Role.CHOICE or place.selects)

    def _go(self, place: Place, before: int) -> None:
        """Run what needs nobody. A gateway that fails holds its token."""
        if place.role is Role.CHOICE and not self.net.ways(place, self.values):
            self.tokens.append(Token(place.number))
            return
        for name in self.net.results[place.number]:
            self._set(place, name, self.choices.of((True, False)))
        self._pass(place, before)

    def _answer(self, place: Place) -> None:
        for name, value in self.choices.of(self.net.answers[place.number]).items():
            self._set(place, name, value)

    def _set(self, place: Place, name: str, value: Any) -> None:
        self.values[name] = value
        self.answers.append(Answer(place.node.id, name, value))

    def _pass(self, place: Place, before: int, flows: Sequence[int] | None = None) -> None:
        self.happened.append((place.number, before))
        self.path.append(place.node.id)
        self.sent += [(*address, place.number) for address in place.sends]
        if place.role is Role.END:
            self._end(place)
            return
        if flows is None:
            flows = self._chosen(place)
        if not flows:
            self._end(place)
        now = before | 1 << place.number
        for flow in flows:
            self.path.append(self.net.flows[flow].id)
            self._arrivals.append((self.net.places[self.net.targets[flow]], flow, now))

    def _chosen(self, place: Place) -> tuple[int, ...]:
        if not self._is_choice(place):
            return place.outgoing
        ways = self.net.ways(place, self.values)
        chosen = self.choices.of(ways) if ways else ()
        if len(ways) > 1:
            self.answers += [Answer(place.node.id, "", self.net.flows[flow].id) for flow in chosen]
        return chosen

    def _end(self, place: Place) -> None:
        if place.number in self.net.main_ends or not self.net.main_ends:
            self.end = place.number
        if place.node.event is not None and place.node.event.kind in _ENDING_ALL:
            self.tokens.clear()
            self.held.clear()
            self._arrivals.clear()

    def _standing(self) -> Standing:
        held = tuple(sorted(self.held.elements()))
        if not self.tokens and not held:
            return Standing(ENDED, end=self.end)
        stands = [token.place for token in self.tokens] + [self.net.targets[flow] for flow in held]
        kept = [name for name, value in self.values.items() if value is not None]
        if kept:
            matter: frozenset[str] = frozenset().union(*(self.net.matters(number) for number in stands))
            kept = sorted(matter.intersection(kept))
        values = tuple((name, self.values[name]) for name in kept)
        return Standing(RUNNING, tuple(sorted(self.tokens)), held, values, self.end)


# An error that nothing catches ends the whole process, as a terminate event does.
_ENDING_ALL = frozenset({"terminate", "errorEventDefinition"})


def turns(net: Net, before: Standing, event: Callable[[Turn], None]) -> Iterator[tuple[Turn, Standing]]:
    """Everything that an event may do to a pool. Raises `Multiplying`."""
    choices = Choices()
    while True:
        turn = Turn(net, before, choices)
        event(turn)
        after = turn.play()
        yield turn, after
        if not choices.others():
            return
