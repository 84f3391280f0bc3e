"""A pool made ready for exploring: what each node does with a token, who reads what is sent, which variables matter.

Written from BPMN's rules and the exchange contract, apart from the runtime, so that each can be held against the other.
What our own notation leaves out (abstract tasks, inclusive gateways, several starts, files without an executable pool)
is understood as far as BPMN says what happens; the rest is named in `Net.strange`.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import Any

from engine.bpmn import expressions
from engine.bpmn.catalogue import MESSAGES, TOPICS
from engine.bpmn.expressions import BadExpression, ExpressionFailed
from engine.bpmn.graph import GATEWAYS, Field, Flow, MessageFlow, Node, Pool

# So many ways out of one gateway, or answers to one form, are tried one by one; beyond that, not all combinations.
MOST_COMBINATIONS = 500

Values = Mapping[str, Any]
# Sets of flows, one of which is taken.
Ways = tuple[tuple[int, ...], ...]
# A reader's name for what it reads: the message's name under the contract, else the reading element.
Key = str


class Role(Enum):
    """What a node does with a token."""

    TASK = auto()  # holds it until somebody is done
    AUTOMATIC = auto()  # passes it on by itself
    CHOICE = auto()  # passes it on one of its ways
    JOIN = auto()  # waits for one on each flow that leads in
    MERGE = auto()  # waits for one on each flow on which one can still come
    RACE = auto()  # holds it until one of the events behind it occurs
    CATCH = auto()  # holds it until its event occurs
    END = auto()
    UNKNOWN = auto()  # nobody here knows


_TASKS = frozenset({"userTask", "manualTask", "task"})
_AUTOMATIC = frozenset({"serviceTask", "scriptTask", "businessRuleTask", "sendTask", "intermediateThrowEvent"})
# What happens inside is not explored; they are taken to end some time.
_OPAQUE = frozenset({"subProcess", "transaction", "adHocSubProcess", "callActivity", "choreographyTask"})
_CATCHING = frozenset({"startEvent", "intermediateCatchEvent", "boundaryEvent", "receiveTask"})
_KNOWN_EVENTS = frozenset({"none", "message", "timer", "terminate"})


def role_of(node: Node, *, incoming: int, outgoing: int) -> Role:
    """The role of a node that so many flows lead into and out of."""
    if node.kind in _TASKS | _OPAQUE:
        return Role.TASK
    if node.kind in _CATCHING:
        return Role.CATCH
    if node.kind == "endEvent":
        return Role.END
    if node.kind == "eventBasedGateway":
        return Role.RACE
    if node.kind == "exclusiveGateway":
        return Role.CHOICE if outgoing > 1 else Role.AUTOMATIC
    if node.kind == "parallelGateway":
        return Role.JOIN if incoming > 1 else Role.AUTOMATIC
    if node.kind == "inclusiveGateway":
        return Role.MERGE if incoming > 1 else Role.AUTOMATIC
    # A link's other half is not told by the graph.
    linked = node.event is not None and node.event.kind == "linkEventDefinition"
    return Role.AUTOMATIC if node.kind in _AUTOMATIC and not linked else Role.UNKNOWN


@dataclass(frozen=True)
class Place:
    """One node of a pool, by number. Flows are numbers too."""

    number: int
    node: Node
    role: Role
    incoming: tuple[int, ...]
    outgoing: tuple[int, ...]
    # Its boundary events; behind an event-based gateway, the events that race.
    events: tuple[int, ...]
    # It passes a token on along some of its flows, as their conditions say, instead of all.
    selects: bool
    # A token rests here until the next move, though nobody is waited for.
    rests: bool
    reads: frozenset[Key]
    # What it waits for may come at any time: a timer, or a message of somebody who is not explored.
    outside: bool
    # The pools that get a message when it passes, and the key there.
    sends: tuple[tuple[int, Key], ...]


# Messages --------------------------------------------------------------------------------------------------------


class Post:
    """Who gets what is sent.

    Pools with a side send by the contract: by the message's name, to the other side, whatever is drawn. All others
    send along the drawn flows, or by name where none is drawn. What a pool that is not explored sends may come at any
    time.
    """

    def __init__(self, pools: Sequence[Pool], flows: Sequence[MessageFlow]) -> None:
        self.pools = pools
        self.by_contract = any(pool.side for pool in pools)
        self.sends: dict[tuple[int, str], list[tuple[int, Key]]] = {}
        self.reads: dict[tuple[int, str], set[Key]] = {}
        self._open: set[tuple[int, str]] = set()
        if self.by_contract:
            self._by_contract()
        else:
            self._as_drawn(flows)

    def is_optional(self, key: Key) -> bool:
        """Whether nobody may count on it, so that it is recorded where nobody waits."""
        return self.by_contract and key in MESSAGES and not MESSAGES[key].required

    def is_outside(self, pool: int, node: Node) -> bool:
        """Whether what a catching node waits for may come at any time."""
        if not _reads_messages(node):
            return True
        return (pool, node.id) not in self.reads or (pool, node.id) in self._open

    def _by_contract(self) -> None:
        for number, pool in enumerate(self.pools):
            others = [other for other, it in enumerate(self.pools) if it.side and it.side != pool.side]
            for node in pool.nodes:
                message = node.event.message if node.event is not None else ""
                if message and _reads_messages(node) and others:
                    self.reads[number, node.id] = {message}
                elif message and not _reads_messages(node):
                    self.sends[number, node.id] = [(other, message) for other in others]

    def _as_drawn(self, flows: Sequence[MessageFlow]) -> None:
        owners = {node.id: number for number, pool in enumerate(self.pools) for node in pool.nodes}
        nodes = {node.id: node for pool in self.pools for node in pool.nodes}
        numbers = {pool.id: number for number, pool in enumerate(self.pools)}
        drawn = {flow.source for flow in flows}
        for flow in flows:
            sender = owners.get(flow.source)
            reader = nodes.get(flow.target)
            if sender is None and reader is not None and _reads_messages(reader):
                self._open.add((owners[reader.id], reader.id))
            elif sender is not None and reader is not None and _reads_messages(reader):
                self._connect(sender, flow.source, owners[reader.id], reader.id, reader.id)
            elif sender is not None and flow.target in numbers:
                self._by_name(sender, flow.source, flow.message, [numbers[flow.target]])
        for number, pool in enumerate(self.pools):
            for node in pool.nodes:
                if node.event is not None and not _reads_messages(node) and node.id not in drawn:
                    others = [other for other in range(len(self.pools)) if other != number]
                    self._by_name(number, node.id, node.event.message, others)

    def _by_name(self, sender: int, source: str, message: str, pools: Iterable[int]) -> None:
        for number in pools if message else ():
            for node in self.pools[number].nodes:
                if node.event is not None and node.event.message == message and _reads_messages(node):
                    self._connect(sender, source, number, node.id, f"={message}")

    def _connect(self, sender: int, source: str, pool: int, target: str, key: Key) -> None:
        self.reads.setdefault((pool, target), set()).add(key)
        sent = self.sends.setdefault((sender, source), [])
        if (pool, key) not in sent:
            sent.append((pool, key))


def _reads_messages(node: Node) -> bool:
    if node.kind == "receiveTask":
        return True
    return node.event is not None and node.event.kind == "message" and node.kind in _CATCHING


# Pools -----------------------------------------------------------------------------------------------------------


class Net:
    """One pool of the collaboration, its nodes and flows by number."""

    def __init__(self, pool: Pool, number: int, post: Post, *, pauses: bool = False) -> None:
        self.pool = pool
        self.number = number
        numbers = {node.id: place for place, node in enumerate(pool.nodes)}
        self.flows: list[Flow] = [flow for flow in pool.flows if flow.source in numbers and flow.target in numbers]
        self.targets = [numbers[flow.target] for flow in self.flows]
        self.sources = [numbers[flow.source] for flow in self.flows]
        self.places = self._places(numbers, post)
        self.merges = any(place.role is Role.MERGE for place in self.places)
        self.splits = any(len(self.branches(place)) > 1 for place in self.places)
        self._let_rest(self._in_circles())
        if pauses:
            self._let_rest(self._where_tokens_meet())
        # An end with an outcome is the case's; where no end says so, each is.
        ends = [place for place in self.places if place.role is Role.END]
        telling = [place for place in ends if place.node.outcome] or ends
        self.main_ends = frozenset(place.number for place in telling)
        self._ways: dict[tuple[int, tuple[Any, ...]], Ways] = {}

    def _places(self, numbers: Mapping[str, int], post: Post) -> list[Place]:
        incoming: list[list[int]] = [[] for _ in numbers]
        outgoing: list[list[int]] = [[] for _ in numbers]
        for position, flow in enumerate(self.flows):
            incoming[numbers[flow.target]].append(position)
            outgoing[numbers[flow.source]].append(position)
        return [
            self._place(place, node, incoming[place], outgoing[place], numbers, post)
            for place, node in enumerate(self.pool.nodes)
        ]

    def _place(
        self,
        number: int,
        node: Node,
        incoming: list[int],
        outgoing: list[int],
        numbers: Mapping[str, int],
        post: Post,
    ) -> Place:
        conditional = any(self.flows[flow].condition for flow in outgoing)
        role = role_of(node, incoming=len(incoming), outgoing=len(outgoing))
        if role is Role.RACE:
            events = tuple(self.targets[flow] for flow in outgoing)
        else:
            events = tuple(numbers[event.id] for event in self.pool.boundary.get(node.id, ()))
        if role is Role.AUTOMATIC and events:
            role = Role.TASK  # whatever stands on its edge can only occur while it lasts
        return Place(
            number=number,
            node=node,
            role=role,
            incoming=tuple(incoming),
            outgoing=tuple(outgoing),
            events=events,
            selects=node.kind == "inclusiveGateway" or (conditional and node.kind not in GATEWAYS),
            rests=False,
            reads=frozenset(post.reads.get((self.number, node.id), ())),
            outside=role is Role.CATCH and post.is_outside(self.number, node),
            sends=tuple(post.sends.get((self.number, node.id), ())),
        )

    # Its shape

    @cached_property
    def strange(self) -> frozenset[str]:
        """The kinds of elements in it that are not explored as they would run."""
        found = {place.node.kind for place in self.places if place.role is Role.UNKNOWN or place.node.kind in _OPAQUE}
        events = (place.node.event for place in self.places)
        return frozenset(found | {event.kind for event in events if event and event.kind not in _KNOWN_EVENTS})

    @cached_property
    def starts(self) -> tuple[tuple[int, ...], ...]:
        """The ways in which the pool starts by itself: the nodes that get a token."""
        events = [place for place in self.places if place.node.kind == "startEvent"]
        if events:
            return tuple((place.number,) for place in events if place.outside)
        first = [place.number for place in self._sourceless if not place.reads]
        return (tuple(first),) if first else ()

    @cached_property
    def started_by(self) -> tuple[int, ...]:
        """The nodes at which a message starts the pool."""
        events = [place for place in self.places if place.node.kind == "startEvent"]
        return tuple(place.number for place in events or self._sourceless if place.reads and not place.outside)

    @property
    def _sourceless(self) -> list[Place]:
        return [place for place in self.places if not place.incoming and not place.node.attached_to]

    def ahead(self, place: Place) -> list[int]:
        """What may follow a node: the targets of its flows, and its boundary events."""
        boundary = () if place.role is Role.RACE else place.events
        return [self.targets[flow] for flow in place.outgoing] + list(boundary)

    def branches(self, place: Place) -> list[list[int]]:
        """The branches that tokens of one node may be in at once; one where it never makes two of one."""
        lasting = [event for event in place.events if not self.places[event].node.interrupting]
        if place.role is not Role.RACE and lasting:
            return [[event] for event in lasting] + [[self.targets[flow] for flow in place.outgoing]]
        if place.role in (Role.CHOICE, Role.RACE) or len(place.outgoing) < 2:
            return [[]]
        return [[self.targets[flow]] for flow in place.outgoing]

    def reached_from(self, places: Iterable[int]) -> set[int]:
        """The nodes that a token in one of these may come to, themselves included."""
        seen: set[int] = set()
        ahead = list(places)
        while ahead:
            number = ahead.pop()
            if number not in seen:
                seen.add(number)
                ahead += self.ahead(self.places[number])
        return seen

    @cached_property
    def may_double(self) -> bool:
        """Whether tokens of two branches may come to one node without a join. False is certain, True is not."""
        for place in self.places:
            branches = self.branches(place)
            if len(branches) < 2:
                continue
            reached = Counter(number for branch in branches for number in self.reached_from(branch))
            if place.number in reached or any(times > 1 and self._gathers(number) for number, times in reached.items()):
                return True
        return False

    def _gathers(self, number: int) -> bool:
        place = self.places[number]
        return len(place.incoming) > 1 and place.role not in (Role.JOIN, Role.END)

    def _let_rest(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            place = self.places[number]
            self.places[number] = Place(**{**vars(place), "rests": True})

    def _in_circles(self) -> set[int]:
        """One node of every circle in which nobody is waited for: where a walk comes back to where it is."""
        hasty = {
            place.number: [target for target in self.ahead(place) if not self._is_waited_in(target)]
            for place in self.places
            if not self._is_waited_in(place.number)
        }
        found: set[int] = set()
        done: set[int] = set()
        for root in hasty:
            walk: dict[int, Iterator[int]] = {} if root in done else {root: iter(hasty[root])}
            while walk:
                number = next(reversed(walk))
                target = next(walk[number], None)
                if target is None:
                    done.add(number)
                    del walk[number]
                elif target in walk:
                    found.add(target)
                elif target not in done:
                    walk[target] = iter(hasty[target])
        return found

    def _is_waited_in(self, number: int) -> bool:
        return self.places[number].role in (Role.TASK, Role.CATCH, Role.RACE, Role.UNKNOWN)

    def _where_tokens_meet(self) -> set[int]:
        """Where a second token could catch up with a first one that dawdles: merges, and the ways out of a split."""
        merges = {place.number for place in self.places if place.outgoing and self._gathers(place.number)}
        split = (target for place in self.places for branch in self.branches(place) for target in branch)
        resting = {number for number in split if self.places[number].outgoing}
        return {number for number in merges | resting if self.places[number].role not in (Role.JOIN, Role.MERGE)}

    # Inclusive merges

    @cached_property
    def _behind(self) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in self.places]
        for place in self.places:
            for target in self.ahead(place):
                found[target].append(place.number)
        return found

    @cached_property
    def _feeders(self) -> dict[int, frozenset[int]]:
        """For each flow into an inclusive merge, the nodes from which it is reached without passing the merge."""
        found: dict[int, frozenset[int]] = {}
        for place in self.places:
            for flow in place.incoming if place.role is Role.MERGE else ():
                seen: set[int] = set()
                ahead = [self.sources[flow]]
                while ahead:
                    number = ahead.pop()
                    if number not in seen and number != place.number:
                        seen.add(number)
                        ahead += self._behind[number]
                found[flow] = frozenset(seen)
        return found

    def may_still_come(self, merge: Place, held: set[int], tokens: Iterable[int]) -> bool:
        """Whether an inclusive merge that holds tokens on these flows waits for one of those elsewhere."""
        empty = [self._feeders[flow] for flow in merge.incoming if flow not in held]
        full = [self._feeders[flow] for flow in merge.incoming if flow in held]
        return any(
            any(token in feeders for feeders in empty) and not any(token in feeders for feeders in full)
            for token in tokens
        )

    # Variables

    @cached_property
    def _domains(self) -> dict[str, tuple[Any, ...]]:
        """The variables whose every value can be tried, with their values."""
        kinds: dict[str, set[str]] = {}
        values: dict[str, dict[Any, None]] = {}
        for name, kind, domain in self._written:
            kinds.setdefault(name, set()).add(kind)
            values.setdefault(name, {}).update(dict.fromkeys(domain))
        return {name: tuple(values[name]) for name, found in kinds.items() if found <= {"enum", "boolean"}}

    @property
    def _written(self) -> Iterator[tuple[str, str, tuple[Any, ...]]]:
        for place in self.places:
            for item in place.node.form:
                if item.type in ("enum", "boolean", "long"):
                    yield item.id, item.type, _domain(item)
            for name in _results(place.node):
                yield name, "boolean", (True, False)

    @cached_property
    def _asked(self) -> list[frozenset[str]]:
        """The variables that each node's conditions speak of, of those whose values can be tried."""
        found = []
        for place in self.places:
            texts = [self.flows[flow].condition for flow in place.outgoing] if len(place.outgoing) > 1 else []
            names = {name for text in texts for name in _names(text) or ()}
            found.append(frozenset(names & self._domains.keys()))
        return found

    @cached_property
    def _live(self) -> tuple[list[frozenset[str]], list[frozenset[str]]]:
        """The variables that still matter before and after each node, along the ways from it."""
        before: list[frozenset[str]] = [frozenset()] * len(self.places)
        after = list(before)
        waiting = list(range(len(self.places)))
        while waiting:
            number = waiting.pop()
            place = self.places[number]
            after[number] = frozenset().union(*(before[target] for target in self.ahead(place)))
            certain = {item.id for item in place.node.form} | set(_results(place.node))
            # What its boundary events lead to may still read what was there before it.
            kept = frozenset().union(*(before[event] for event in place.events if place.role is not Role.RACE))
            now = self._asked[number] | (after[number] - certain) | kept
            if now != before[number]:
                before[number] = now
                waiting += self._behind[number]
        return before, after

    def matters(self, number: int) -> frozenset[str]:
        """The variables that matter while a token rests in a node."""
        return self._live[0][number]

    @cached_property
    def answers(self) -> list[tuple[Values, ...]]:
        """What completing each node may set its variables to, as far as that matters."""
        read: frozenset[str] = frozenset().union(*self._asked)
        # In another branch something may be read that is not read along this one.
        wanted = [read if self.splits else after for after in self._live[1]]
        return [_answers(place.node.form, wanted[place.number]) for place in self.places]

    @cached_property
    def is_too_wide(self) -> bool:
        """Whether not every answer to every form is tried."""
        return any(len(answers) >= MOST_COMBINATIONS for answers in self.answers)

    @cached_property
    def results(self) -> list[tuple[str, ...]]:
        """The variables that each service may answer either way, as far as that matters."""
        read: frozenset[str] = frozenset().union(*self._asked)
        return [
            tuple(name for name in _results(place.node) if name in (read if self.splits else self._live[1][at]))
            for at, place in enumerate(self.places)
        ]

    # Ways

    def ways(self, place: Place, values: Values) -> Ways:
        """The ways out of a node that chooses or selects: each the flows it is on. None at all where it is stuck."""
        key = (place.number, tuple(values.get(name) for name in sorted(self._asked[place.number])))
        if key not in self._ways:
            gateway = _Gateway([(flow, self.flows[flow]) for flow in place.outgoing], place.node.default)
            known = {name: values.get(name) for name in self._domains}
            self._ways[key] = gateway.several(known) if place.selects else gateway.one(known)
        return self._ways[key]


def _results(node: Node) -> tuple[str, ...]:
    topic = TOPICS.get(node.topic)
    return tuple(name for name, kind in topic.results.items() if kind == "boolean") if topic else ()


def _names(condition: str) -> list[str] | None:
    """The names in a condition; None where it is written in another language."""
    try:
        return expressions.variables(condition) if condition else []
    except BadExpression:
        return None


def _domain(item: Field) -> tuple[Any, ...]:
    known: tuple[Any, ...] = (True, False) if item.type == "boolean" else tuple(option.id for option in item.options)
    if item.visible or (item.type == "enum" and not item.required):
        known += (None,)
    return known


def _answers(form: Sequence[Field], wanted: frozenset[str]) -> tuple[Values, ...]:
    """What a form may be filled in with, as far as it is wanted; fields that its own rules forbid are left out."""
    fields = [item for item in form if item.type in ("enum", "boolean") and _counts(item, form, wanted)]
    combinations = itertools.product(*(_domain(item) for item in fields))
    found: dict[tuple[Any, ...], Values] = {}
    for combination in itertools.islice(combinations, MOST_COMBINATIONS):
        values = dict(zip((item.id for item in fields), combination, strict=True))
        if all(_may_be(item, values) for item in fields):
            kept = {name: value for name, value in values.items() if name in wanted}
            found.setdefault(tuple(kept.values()), kept)
    return tuple(found.values()) or ({},)


def _counts(item: Field, form: Sequence[Field], wanted: frozenset[str]) -> bool:
    """Whether a field is wanted, or a wanted one's rules speak of it."""
    texts = [text for other in form if other.id in wanted for text in (other.visible, other.required_when) if text]
    return item.id in wanted or any(item.id in (_names(text) or ()) for text in texts)


def _may_be(item: Field, values: Values) -> bool:
    """Whether the form's rules allow a field this value. One that speaks of other kinds of fields may hold or not."""
    visible = _rule(item.visible, values) if item.visible else True
    if visible is False:
        return values[item.id] is None
    if values[item.id] is not None or visible is None:
        return True
    required = item.required or (bool(item.required_when) and _rule(item.required_when, values) is True)
    return item.type == "enum" and not required


def _rule(text: str, values: Values) -> bool | None:
    """Whether a rule of a form holds; None where that can not be said."""
    names = _names(text)
    if names is None or not values.keys() >= set(names):
        return None
    try:
        return expressions.is_true(text, values)
    except ExpressionFailed:
        return False


# Gateways --------------------------------------------------------------------------------------------------------


class _Gateway:
    """The flows out of one node that chooses among them."""

    def __init__(self, flows: Sequence[tuple[int, Flow]], default: str | None) -> None:
        self.flows = [number for number, _ in flows]
        otherwise = [number for number, flow in flows if flow.id == default]
        self.conditions = [(number, flow.condition) for number, flow in flows if flow.condition and flow.id != default]
        self.plain = [number for number, flow in flows if not flow.condition and flow.id != default]
        if not otherwise and self.conditions and len(self.plain) == 1:
            otherwise, self.plain = self.plain, []
        self.otherwise = tuple(otherwise)
        names = [_names(text) for _, text in self.conditions]
        self.is_readable = all(found is not None for found in names)
        self.names = {name for found in names for name in found or ()}

    def one(self, known: Values) -> Ways:
        """The single flows that may be taken. Free to take any where conditions are missing or can not be read."""
        free = tuple((flow,) for flow in self.flows)
        cases = self._cases(known)
        if self.plain or not self.conditions or cases is None:
            return free
        found: dict[int, None] = {}
        for values in cases:
            flow = self._first(values)
            if flow is not None:
                found[flow] = None
        # Where every variable is known, a gateway that fails is one; else our guesses were bad.
        return tuple((flow,) for flow in found) or (() if self.names <= known.keys() else free)

    def _first(self, values: Values) -> int | None:
        """The flow whose condition is the first to hold, else the default. None where the gateway fails."""
        try:
            for flow, condition in self.conditions:
                if expressions.is_true(condition, values):
                    return flow
        except ExpressionFailed:
            return None
        return self.otherwise[0] if self.otherwise else None

    def several(self, known: Values) -> Ways:
        """The sets of flows that may be taken at once."""
        cases = self._cases(known)
        if not self.conditions or cases is None:
            sizes = range(1, len(self.flows) + 1) if len(self.flows) < 7 else (1, len(self.flows))
            return tuple(chosen for size in sizes for chosen in itertools.combinations(self.flows, size))
        found: dict[tuple[int, ...], None] = {}
        for values in cases:
            chosen = tuple(flow for flow in self.flows if flow in self.plain or self._holds(flow, values))
            if chosen or self.otherwise:
                found[chosen or self.otherwise] = None
        return tuple(found)

    def _holds(self, flow: int, values: Values) -> bool:
        try:
            return any(expressions.is_true(text, values) for number, text in self.conditions if number == flow)
        except ExpressionFailed:
            return False

    def _cases(self, known: Values) -> list[Values] | None:
        """What the variables may be: those that are known, and for the others whatever could make a difference.

        None where there would be too many, or the conditions are written in another language.
        """
        free = sorted(self.names - known.keys())
        combinations = len(self._guesses) ** len(free)
        if not self.is_readable or combinations * len(self.conditions) > 10 * MOST_COMBINATIONS:
            return None
        guesses = itertools.product(self._guesses, repeat=len(free))
        return [{**known, **dict(zip(free, guess, strict=True))} for guess in guesses]

    @cached_property
    def _guesses(self) -> list[Any]:
        """Values that tell conditions apart: both truths, and what they mention, numbers with their neighbours."""
        found: dict[tuple[type, Any], Any] = {(type(value), value): value for value in (True, False, 0, 1, "")}
        for _, text in self.conditions:
            for words in _LITERAL.findall(text):
                number = int(words[2]) if words[2] else None
                near = (words[0] or words[1],) if number is None else (number - 1, number, number + 1)
                found.update({(type(value), value): value for value in near})
        return list(found.values())


_LITERAL = re.compile(r""" "([^"]*)" | '([^']*)' | \b(\d{1,15})\b """, re.VERBOSE)
