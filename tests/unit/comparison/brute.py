"""Every run of one pool, or of the two halves of a transfer, played on the runtime itself: what the exploration is held
against. Nothing is shared with it but the pools and the exchange contract."""

from __future__ import annotations

import itertools
import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, NamedTuple

from engine.bpmn import runtime
from engine.bpmn.catalogue import MESSAGES, TOPICS
from engine.bpmn.graph import Node, Pool
from engine.bpmn.runtime import Opened, OverBudget, Service, Specification, Step


class Seat(NamedTuple):
    """One pool's saved state; None before it starts."""

    state: bytes | None = None
    ended: bool = False
    outcome: str | None = None


# Where every pool's tokens stand, by their elements, and the names of the messages on their way to each.
Marking = tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


# As many tokens at once in one pool, and acts in one game, are not looked at: a few circles would take hours.
MOST_TOKENS, MOST_ACTS = 12, 10_000


class TooMuch(Exception):
    """A walk in circles that nobody ends, or too long a game."""


@dataclass
class Played:
    """What was met on all runs."""

    markings: set[Marking] = field(default_factory=set)
    happened: set[tuple[int, str]] = field(default_factory=set)
    # Where nothing could happen any more, though a pool was still running.
    dead: set[Marking] = field(default_factory=set)
    # The outcomes of the pools where all that had started had ended.
    outcomes: set[tuple[str | None, ...]] = field(default_factory=set)
    doubled: set[tuple[int, str]] = field(default_factory=set)
    # Messages that a pool never got: because it had ended, or at the end of all.
    unread: set[str] = field(default_factory=set)
    # Whether every run was played; and whether a message might have been taken by one of two.
    whole: bool = True
    ambiguous: bool = False


State = tuple[tuple[Seat, ...], tuple[tuple[int, str], ...]]


class Table:
    """The pools at play. A pool that is alone gets every message that it awaits from outside, at any time."""

    def __init__(self, *pools: Pool) -> None:
        self.specifications = [Specification(pool) for pool in pools]
        self.alone = len(pools) == 1
        self.played = Played()
        self._acts = 0

    def play(self, most: int) -> Played:
        try:
            self.played.whole = self._all(most)
        except TooMuch:
            self.played.whole = False
        return self.played

    def _all(self, most: int) -> bool:
        """Play from state to state. Whether there are no more of them."""
        first: State = (tuple(Seat() for _ in self.specifications), ())
        seen = {self._key(first)}
        ahead = deque([first])
        while ahead and len(seen) <= most:
            state = ahead.popleft()
            moved = False
            for after in self._moves(state):
                moved = True
                if self._key(after) not in seen:
                    seen.add(self._key(after))
                    ahead.append(after)
            self._note(state, over=not moved)
        return not ahead

    # Moves

    def _moves(self, state: State) -> Iterator[State]:
        seats, mail = state
        if seats[0].state is None:
            yield from self._after(state, 0, self._steps(0, None))
            return
        for number, seat in enumerate(seats):
            if seat.state is not None and not seat.ended:
                yield from self._after(state, number, self._steps(number, seat.state))
        for to, name in dict.fromkeys(mail):
            left = list(mail)
            left.remove((to, name))
            without: State = (seats, tuple(left))
            steps = self._told(to, seats[to].state, name)
            yield from self._after(without, to, steps)
            if not steps and name in MESSAGES and not MESSAGES[name].required:
                yield without

    @cache  # noqa: B019  a table is thrown away with its game
    def _steps(self, number: int, state: bytes | None) -> list[Step]:
        """Whatever may happen to a pool without the other one."""
        specification = self.specifications[number]
        if state is None:
            return list(self._played(lambda service: runtime.start(specification, service)))
        live = runtime.load(specification, state).live()
        if len(live) > MOST_TOKENS:
            raise TooMuch
        acts: list[Callable[[Service], Step | None]] = []
        for task in live:
            if task.task_spec.manual:
                node = specification.pool.by_id[task.task_spec.bpmn_id]
                for answer in answers(node, specification.pool):
                    acts.append(partial(_complete, specification, state, task.id, answer))
            for timer in runtime._timers(task):
                acts.append(partial(_fire, specification, state, Opened(task.id, timer.name)))
        awaited = Counter(name for task in live for name in runtime._awaited(task))
        self.played.ambiguous |= max(awaited.values(), default=0) > 1
        acts += [partial(_deliver, specification, state, name) for name in awaited if self.alone]
        return [step for act in acts for step in self._played(act)]

    @cache  # noqa: B019
    def _told(self, number: int, state: bytes | None, name: str) -> list[Step]:
        """What a message may do to a pool; nothing where nobody waits for it."""
        specification = self.specifications[number]
        if state is not None:
            return list(self._played(partial(_deliver, specification, state, name)))
        start = specification.pool.start
        if start is None or start.event is None or start.event.message != name:
            return []
        return list(self._played(lambda service: runtime.start_by_message(specification, service, name)))

    def _played(self, act: Callable[[Service], Step | None]) -> Iterator[Step]:
        """What may come of one act: again for each way in which its services may answer."""
        for service in services():
            self._acts += 1
            step = act(service)
            if step is None:
                return
            if self._acts > MOST_ACTS or any(isinstance(failure.error, OverBudget) for failure in step.failures):
                raise TooMuch
            yield step

    def _after(self, state: State, number: int, steps: list[Step]) -> Iterator[State]:
        seats, mail = state
        pool = self.specifications[number].pool
        for step in steps:
            self.played.happened |= {(number, node) for node in step.passed}
            seat = Seat(step.state, step.ended, step.outcome)
            after = (*seats[:number], seat, *seats[number + 1 :])
            thrown = [pool.by_id[node].event.message for node in step.thrown]
            sent = [] if self.alone else [(1 - number, name) for name in thrown]
            kept = []
            for to, name in [*mail, *sent]:
                if not after[to].ended:
                    kept.append((to, name))
                elif name not in MESSAGES or MESSAGES[name].required:
                    self.played.unread.add(name)
            yield after, tuple(sorted(kept))

    # What is noted

    def _note(self, state: State, *, over: bool) -> None:
        seats, mail = state
        marking = tuple(
            (tuple(self._tokens(number, seat.state)), tuple(sorted(name for to, name in mail if to == number)))
            for number, seat in enumerate(seats)
        )
        self.played.markings.add(marking)
        running = any(seat.state is not None and not seat.ended for seat in seats)
        if over and running:
            self.played.dead.add(marking)
        elif over:
            self.played.outcomes.add(tuple(seat.outcome for seat in seats))
            self.played.unread |= {name for _, name in mail}

    @cache  # noqa: B019
    def _tokens(self, number: int, state: bytes | None) -> list[str]:
        """The elements with a token. The timers of a task stand where it stands, and are none of their own."""
        if state is None:
            return []
        live = runtime.load(self.specifications[number], state).live()
        nodes = [(task.task_spec.bpmn_id, task.parent.task_spec.name) for task in live]
        pool = self.specifications[number].pool
        found = [(node, before) for node, before in nodes if not pool.by_id[node].attached_to]
        for (node, _), times in Counter(found).items():
            if times > 1 and pool.by_id[node].kind == "parallelGateway":
                self.played.doubled.add((number, node))
        for node, times in Counter(node for node, _ in found).items():
            if times > 1 and pool.by_id[node].kind != "parallelGateway":
                self.played.doubled.add((number, node))
        return sorted(node for node, _ in found)

    def _key(self, state: State) -> object:
        """A state without its keys' numbers: two with the same key have the same future."""
        seats, mail = state
        return tuple(self._seat_key(number, seat) for number, seat in enumerate(seats)), mail

    def _seat_key(self, number: int, seat: Seat) -> object:
        if seat.state is None:
            return None
        _, variables, passed, rows = json.loads(seat.state[1:])
        keys = sorted({key for row in rows for key in (row[0], row[3])})
        rank = {key: position for position, key in enumerate(keys)}
        places = [(rank[key], place, live, rank[before], came) for key, place, live, before, came in rows]
        has_ended = any(self.specifications[number].node(place).kind == "endEvent" for place in passed)
        return json.dumps([variables, places, has_ended, seat.outcome], sort_keys=True)


def answers(node: Node, pool: Pool) -> list[dict[str, Any]]:
    """Everything that a form's choices may be filled in with, but for fields that no condition mentions."""
    domains = []
    for item in node.form:
        if not any(item.id in flow.condition for flow in pool.flows):
            continue
        if item.type == "boolean":
            domains.append([(item.id, True), (item.id, False)])
        elif item.type == "enum":
            values = [option.id for option in item.options] + ([] if item.required else [None])
            domains.append([(item.id, value) for value in values])
        elif item.type == "long":
            domains.append([(item.id, value) for value in range(7)])
    return [dict(combination) for combination in itertools.product(*domains)]


def services() -> Iterator[Service]:
    """Services that answer one way, then the other, in every combination that is asked for."""
    script: list[bool] = []
    while True:
        asked = 0

        def service(node: Node, _variables: Mapping[str, Any]) -> dict[str, bool]:
            nonlocal asked
            found = {}
            for name in TOPICS[node.topic].results:
                if asked == len(script):
                    script.append(True)
                found[name] = script[asked]
                asked += 1
            return found

        yield service
        while script and not script[-1]:
            script.pop()
        if not script:
            return
        script[-1] = False


def _complete(
    specification: Specification, state: bytes, key: int, answer: Mapping[str, Any], service: Service
) -> Step:
    return runtime.complete(specification, state, service, key, answer)


def _fire(specification: Specification, state: bytes, timer: Opened, service: Service) -> Step:
    return runtime.fire(specification, state, service, timer)


def _deliver(specification: Specification, state: bytes, name: str, service: Service) -> Step | None:
    return runtime.deliver(specification, state, service, name)
