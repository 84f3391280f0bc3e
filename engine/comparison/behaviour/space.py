"""Every state that a whole collaboration can come to, and every move between them, within a bound.

A move is one event and all that follows from it without anybody: a pool starts, a step is completed, a timer fires, a
message is delivered. A message that was sent travels for as long as it likes, so that what is found holds whether both
halves run in one place or in two; it is kept until its pool waits for it, and recorded where nobody ever will.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from operator import or_
from typing import NamedTuple

from engine.bpmn.graph import MessageFlow, Node, Pool, ProcessGraph
from engine.comparison.behaviour.net import Key, Net, Place, Post, Role
from engine.comparison.behaviour.turn import (
    ENDED,
    NOT_STARTED,
    RUNNING,
    Answer,
    Multiplying,
    Standing,
    Token,
    Turn,
    turns,
)
from engine.comparison.model import Move, Run

# So many states are explored before giving up; ours have some hundred.
BOUND = 20_000
# And so many nodes and flows are passed, in all runs together.
MOST_WORK = 1_000_000
# Moves are what takes time: so many of them a second or so.
MOST_MOVES = 30_000
# More tokens in one node, or copies of one message, are not followed: they would go on multiplying.
MOST_ALIKE = 6


class Mail(NamedTuple):
    """A message on its way: the pool that gets it, the key there, and the pool and node that sent it."""

    pool: int
    key: Key
    sender: tuple[int, int]


class State(NamedTuple):
    standings: tuple[Standing, ...]
    mail: tuple[Mail, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """One move, from one state to another."""

    target: int
    kind: str  # as in `Move`
    pool: int
    place: int
    answers: tuple[Answer, ...] = ()
    # The nodes that pass, as bits; and each of them with those before it in the same move.
    mask: int = 0
    happened: tuple[tuple[int, int], ...] = ()
    path: tuple[str, ...] = ()
    sent: tuple[Mail, ...] = ()
    # Delivered or recorded.
    message: Mail | None = None
    # Messages that nobody can read any more, because their pool has ended.
    unread: tuple[Mail, ...] = ()


class Space:
    """What was explored. State 0 is the one before anything has happened."""

    def __init__(self, nets: tuple[Net, ...], post: Post) -> None:
        self.nets = nets
        self.post = post
        self.states: list[State] = []
        self.edges: list[list[Edge]] = []
        # The states whose moves were not followed: the bound was reached, or tokens multiply.
        self.cut: set[int] = set()
        sizes = [len(net.places) for net in nets]
        # Runs go the same ways again and again.
        self._moves: dict[int, Move] = {}
        # Every node of every pool has a bit; those of a pool begin here.
        self.offsets = tuple(sum(sizes[:number]) for number in range(len(sizes)))

    # How far it reaches

    @cached_property
    def strange(self) -> frozenset[str]:
        """Kinds of elements that were not explored as they would run."""
        return frozenset().union(*(net.strange for net in self.nets))

    @cached_property
    def is_whole(self) -> bool:
        """Whether no state is missing."""
        return not self.cut and not any(net.is_too_wide for net in self.nets) and not any(map(self.is_lost, self.ends))

    @property
    def decided(self) -> bool:
        """Whether what is not here can not happen."""
        return self.is_whole and not self.strange

    # States

    @cached_property
    def ends(self) -> list[int]:
        """The states in which nothing can happen any more."""
        return [state for state, edges in enumerate(self.edges) if not edges and state not in self.cut]

    @cached_property
    def completed(self) -> list[int]:
        """The states in which every pool that started has ended, and nothing is on its way any more."""
        return [state for state in self.ends if self.is_over(state)]

    def is_over(self, state: int) -> bool:
        return all(standing.status != RUNNING for standing in self.states[state].standings)

    def is_lost(self, state: int) -> bool:
        """Whether a token is in an element whose behaviour nobody here knows."""
        return any(place.role is Role.UNKNOWN for _, place in self.resting(state))

    def resting(self, state: int) -> Iterator[tuple[int, Place]]:
        """The pool and the node of each token, those that wait before a join included."""
        for number, standing in enumerate(self.states[state].standings):
            net = self.nets[number]
            yield from ((number, net.places[token.place]) for token in standing.tokens)
            yield from ((number, net.places[net.targets[flow]]) for flow in standing.held)

    def last_ends(self, state: int) -> list[Node]:
        """The end that each pool has come to last, of those that have."""
        standings = enumerate(self.states[state].standings)
        return [self.nets[number].places[item.end].node for number, item in standings if item.end >= 0]

    def outcome(self, state: int) -> str | None:
        """What has become of the case: refused if one pool says so; None where no end says anything."""
        found = {node.outcome for node in self.last_ends(state) if node.outcome}
        return "refused" if "refused" in found else min(found, default=None)

    @cached_property
    def behind(self) -> list[list[int]]:
        """The states from which each state is come to."""
        found: list[list[int]] = [[] for _ in self.states]
        for state, edges in enumerate(self.edges):
            for edge in edges:
                found[edge.target].append(state)
        return found

    def leading_to(self, goals: Iterable[int]) -> set[int]:
        """The states from which one of these can be come to."""
        seen: set[int] = set()
        ahead = list(goals)
        while ahead:
            state = ahead.pop()
            if state not in seen:
                seen.add(state)
                ahead += self.behind[state]
        return seen

    # Nodes as bits

    @cached_property
    def _bits(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for offset, net in zip(self.offsets, self.nets, strict=True):
            for place in net.places:
                found[place.node.id] = found.get(place.node.id, 0) | 1 << offset + place.number
        return found

    def bits(self, elements: Iterable[str]) -> int:
        """The bits of the nodes with these ids."""
        found = 0
        for element in elements:
            found |= self._bits.get(element, 0)
        return found

    # Runs

    def run(self, *wanted: Callable[[Edge], bool], avoiding: int = 0) -> Run | None:
        """The shortest run on which moves as wanted come one after the other, and until the last of them none that
        passes a node to be avoided."""
        came: dict[tuple[int, int], tuple[tuple[int, int], Edge] | None] = {(0, 0): None}
        ahead = deque(came)
        while ahead:
            here = ahead.popleft()
            state, met = here
            for edge in self.edges[state]:
                now = met + wanted[met](edge)
                if now == len(wanted):
                    return Run(tuple(self.move(item) for item in [*_back(came, here), edge]))
                if (edge.target, now) not in came and not edge.mask & avoiding:
                    came[edge.target, now] = (here, edge)
                    ahead.append((edge.target, now))
        return None

    def run_to(self, states: Iterable[int]) -> Run | None:
        """The shortest run to one of these states."""
        goals = set(states)
        return Run(()) if 0 in goals else self.run(lambda edge: edge.target in goals)

    def move(self, edge: Edge) -> Move:
        """An edge of this space as others read it."""
        found = self._moves.get(id(edge))
        if found is None:
            found = self._moves[id(edge)] = self._written(edge)
        return found

    def _written(self, edge: Edge) -> Move:
        mail = edge.message
        return Move(
            kind=edge.kind,
            pool=self.name(edge.pool),
            element=self.nets[edge.pool].places[edge.place].node.id,
            answers=tuple((answer.element, answer.name, answer.value) for answer in edge.answers),
            passed=edge.path,
            message=self.words(mail) if mail else "",
            sender=self.sender(mail).id if mail else "",
            sent=tuple(map(self.words, edge.sent)),
            tokens=self.tokens(edge.target),
        )

    def name(self, pool: int) -> str:
        """What a pool is called: its side where it has one, since two files may use one id twice."""
        return self.nets[pool].pool.side or self.nets[pool].pool.id

    def sender(self, mail: Mail) -> Node:
        pool, place = mail.sender
        return self.nets[pool].places[place].node

    def words(self, mail: Mail) -> str:
        """What a message is called."""
        node = self.sender(mail)
        return (node.event.message if node.event else "") or node.name or node.id

    def tokens(self, state: int) -> Mapping[str, tuple[str, ...]]:
        """Where the tokens of every pool stand, by its name."""
        found: dict[str, list[str]] = {self.name(number): [] for number in range(len(self.nets))}
        for number, place in self.resting(state):
            found[self.name(number)].append(place.node.id)
        return {name: tuple(elements) for name, elements in found.items()}


def _back(came: Mapping[tuple[int, int], tuple[tuple[int, int], Edge] | None], here: tuple[int, int]) -> list[Edge]:
    edges: list[Edge] = []
    while (step := came[here]) is not None:
        here, edge = step
        edges.append(edge)
    return edges[::-1]


# Exploring -------------------------------------------------------------------------------------------------------


def collaboration(graph: ProcessGraph) -> tuple[Pool, ...]:
    """The pools of a file that run together: the executable ones with a side, else all that are drawn out."""
    sided = tuple(pool for pool in graph.executable if pool.side)
    return sided or tuple(pool for pool in graph.pools if pool.nodes)


def explore(
    pools: Sequence[Pool], flows: Sequence[MessageFlow] = (), *, bound: int = BOUND, pauses: bool = False
) -> Space:
    """Everything that these pools can do together. With `pauses`, tokens may dawdle where another could catch up."""
    post = Post(pools, flows)
    space = Space(tuple(Net(pool, number, post, pauses=pauses) for number, pool in enumerate(pools)), post)
    _Explorer(space, bound).explore()
    return space


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of an event in one pool; as in `Edge`."""

    after: Standing
    answers: tuple[Answer, ...]
    mask: int
    happened: tuple[tuple[int, int], ...]
    path: tuple[str, ...]
    sent: tuple[Mail, ...]

    @classmethod
    def of(cls, turn: Turn, after: Standing, pool: int, offset: int) -> _Outcome:
        return cls(
            after,
            tuple(turn.answers),
            reduce(or_, (1 << offset + number for number, _ in turn.happened)),
            tuple((offset + number, before << offset) for number, before in turn.happened),
            tuple(turn.path),
            tuple(Mail(to, key, (pool, sender)) for to, key, sender in turn.sent),
        )


class _Explorer:
    def __init__(self, space: Space, bound: int) -> None:
        self.space = space
        self.bound = bound
        self.work = 0
        self.moves = 0
        self.numbers: dict[State, int] = {}
        self.known: dict[object, list[_Outcome]] = {}

    def explore(self) -> None:
        self._number(State(tuple(Standing() for _ in self.space.nets)))
        state = 0
        while state < len(self.space.states):
            edges = self._followed(state)
            self.space.edges.append(edges or [])
            self.moves += len(edges or [])
            if edges is None:
                self.space.cut.add(state)
            state += 1

    def _followed(self, state: int) -> list[Edge] | None:
        """The moves from a state; None where they are not followed."""
        is_too_much = len(self.space.states) > self.bound or self.work > MOST_WORK or self.moves > MOST_MOVES
        if is_too_much or self._multiplies(state):
            return None
        try:
            return self._edges(self.space.states[state])
        except Multiplying:
            return None

    def _number(self, state: State) -> int:
        found = self.numbers.setdefault(state, len(self.numbers))
        if found == len(self.space.states):
            self.space.states.append(state)
        return found

    def _multiplies(self, number: int) -> bool:
        state = self.space.states[number]
        alike = Counter[object](state.mail)
        for pool, standing in enumerate(state.standings):
            alike.update((pool, "in", token.place) for token in standing.tokens)
            alike.update((pool, "on", flow) for flow in standing.held)
        return max(alike.values(), default=0) > MOST_ALIKE

    def _edges(self, state: State) -> list[Edge]:
        found: dict[object, Edge] = {}
        for edge in self._starting(state) or [*self._moving(state), *self._arriving(state)]:
            # Answers that nothing ever tells apart are one move.
            found.setdefault((edge.target, edge.kind, edge.pool, edge.place, edge.path, edge.message), edge)
        return list(found.values())

    def _starting(self, state: State) -> list[Edge]:
        """Pools that start by themselves do so before anything else, one after the other."""
        for number, standing in enumerate(state.standings):
            ways = self.space.nets[number].starts if standing.status == NOT_STARTED else ()
            if ways:
                return [
                    edge
                    for places in ways
                    for edge in self._turn(state, "start", number, places[0], partial(Turn.start, places=places))
                ]
        return []

    def _moving(self, state: State) -> Iterator[Edge]:
        for number, standing in enumerate(state.standings):
            for token in dict.fromkeys(standing.tokens):
                place = self.space.nets[number].places[token.place]
                if place.role is Role.TASK:
                    yield from self._turn(state, "complete", number, place.number, partial(Turn.complete, token=token))
                elif place.role not in (Role.CATCH, Role.RACE, Role.UNKNOWN):
                    yield from self._turn(state, "resume", number, place.number, partial(Turn.resume, token=token))
                for event in self._awaited(number, token):
                    if event.outside:
                        act = partial(Turn.occur, token=token, event=event.number)
                        yield from self._turn(state, "fire", number, event.number, act)

    def _awaited(self, number: int, token: Token) -> list[Place]:
        """The events that a token waits for."""
        places = self.space.nets[number].places
        place = places[token.place]
        own = [place] if place.role is Role.CATCH else []
        return own + [places[event] for event in (place.events if place.role is Role.RACE else token.armed)]

    def _arriving(self, state: State) -> Iterator[Edge]:
        for mail in dict.fromkeys(state.mail):
            edges = list(self._delivered(state, mail))
            if not edges and self.space.post.is_optional(mail.key):
                left = list(state.mail)
                left.remove(mail)
                target = self._number(State(state.standings, tuple(left)))
                edges = [Edge(target, "record", *mail.sender, message=mail)]
            yield from edges

    def _delivered(self, state: State, mail: Mail) -> Iterator[Edge]:
        net, standing = self.space.nets[mail.pool], state.standings[mail.pool]
        if standing.status != RUNNING:
            for number in net.started_by:
                if mail.key in net.places[number].reads:
                    act = partial(Turn.start_by, number=number)
                    yield from self._turn(state, "deliver", mail.pool, number, act, mail)
            return
        for token in dict.fromkeys(standing.tokens):
            for event in self._awaited(mail.pool, token):
                if mail.key in event.reads:
                    act = partial(Turn.occur, token=token, event=event.number)
                    yield from self._turn(state, "deliver", mail.pool, event.number, act, mail)

    def _turn(
        self, state: State, kind: str, pool: int, place: int, act: partial[None], mail: Mail | None = None
    ) -> Iterator[Edge]:
        """The moves that an event may bring about; none where a gateway fails again."""
        for outcome in self._outcomes(pool, state.standings[pool], act):
            standings = (*state.standings[:pool], outcome.after, *state.standings[pool + 1 :])
            on_its_way = [*state.mail, *outcome.sent]
            if mail is not None:
                on_its_way.remove(mail)
            unread = [item for item in on_its_way if not self._can_be_read(standings, item)]
            kept = tuple(sorted(item for item in on_its_way if item not in unread))
            yield Edge(
                target=self._number(State(standings, kept)),
                kind=kind,
                pool=pool,
                place=place,
                answers=outcome.answers,
                mask=outcome.mask,
                happened=outcome.happened,
                path=outcome.path,
                sent=outcome.sent,
                message=mail,
                unread=tuple(item for item in unread if not self.space.post.is_optional(item.key)),
            )

    def _outcomes(self, pool: int, before: Standing, act: partial[None]) -> list[_Outcome]:
        """What an event may do to a pool; the same wherever the other pools stand, so that it is done once."""
        key = (pool, before, act.func, *act.keywords.values())
        if key not in self.known:
            net, offset = self.space.nets[pool], self.space.offsets[pool]
            found = []
            for turn, after in turns(net, Standing() if before.status == ENDED else before, act):
                self.work += len(turn.path) + 1
                if turn.happened:
                    found.append(_Outcome.of(turn, after, pool, offset))
            self.known[key] = found
        return self.known[key]

    def _can_be_read(self, standings: Sequence[Standing], mail: Mail) -> bool:
        """Whether its pool runs, or may yet; under the contract a half of a transfer runs once."""
        if standings[mail.pool].status != ENDED:
            return True
        net = self.space.nets[mail.pool]
        starts = (net.places[number].reads for number in net.started_by)
        return not self.space.post.by_contract and any(mail.key in reads for reads in starts)
