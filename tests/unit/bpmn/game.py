"""The token game of BPMN, written down a second time and without any library: what the runtime is held against."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.bpmn import expressions
from engine.bpmn.graph import Flow, Node, Pool


@dataclass
class Turn:
    """What one event did, by nodes."""

    opened: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    timers: list[str] = field(default_factory=list)
    thrown: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)


class Game:
    """One instance: which nodes are waited in, and which flows hold a token before a join."""

    def __init__(self, pool: Pool, variables: Mapping[str, Any]) -> None:
        self.pool = pool
        self.variables = dict(variables)
        self.waiting: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self.arrivals: deque[tuple[str, Flow | None]] = deque()
        self.turn = Turn()
        self.ends: list[Node] = []

    # Where it stands

    @property
    def is_plain(self) -> bool:
        """No node is waited in twice, so that its name says which task is meant."""
        return max(self.waiting.values(), default=0) <= 1

    @property
    def human(self) -> list[str]:
        return sorted(node for node in self.waiting.elements() if self.pool.by_id[node].is_human)

    @property
    def awaits(self) -> set[str]:
        return {event.event.message for node in self.waiting for event in self._caught(node)} - {""}

    @property
    def ended(self) -> bool:
        return not self.waiting and not self.tokens and bool(self.ends)

    @property
    def is_stuck(self) -> bool:
        return not self.waiting and bool(self.tokens)

    def _caught(self, node_id: str) -> list[Node]:
        """The catch events that are waited for in a node."""
        if self.pool.by_id[node_id].kind == "eventBasedGateway":
            return [self.pool.by_id[flow.target] for flow in self.pool.outgoing[node_id]]
        if self.pool.by_id[node_id].kind in ("intermediateCatchEvent", "startEvent", "boundaryEvent"):
            return [self.pool.by_id[node_id]]
        return []

    def catchers(self, message: str) -> list[Node]:
        """The events that wait for a message, each as often as it waits."""
        return [
            event
            for node in self.waiting.elements()
            for event in self._caught(node)
            if event.event is not None and event.event.message == message
        ]

    # Moves; each answers its turn

    def start(self) -> Turn:
        assert self.pool.start is not None
        self.arrivals.append((self.pool.start.id, None))
        return self._play()

    def complete(self, node_id: str, variables: Mapping[str, Any]) -> Turn:
        self.variables.update(variables)
        self._leave(node_id)
        for event in self.pool.boundary.get(node_id, ()):
            self.waiting -= Counter([event.id])
        return self._play()

    def fire(self, node_id: str) -> Turn:
        return self._occur(self.pool.by_id[node_id])

    def deliver(self, message: str) -> Turn:
        return self._occur(self.catchers(message)[0])

    def _occur(self, event: Node) -> Turn:
        gateways = [node for node in self.waiting if node != event.id and event in self._caught(node)]
        if gateways:
            self._leave_to(gateways[0], event.id)
            return self._play()
        if event.attached_to and event.interrupting:
            self._abandon([event.attached_to])
            for other in self.pool.boundary[event.attached_to]:
                self.waiting -= Counter([other.id] if other is not event else [])
        self._leave(event.id)
        return self._play()

    # The rules

    def _play(self) -> Turn:
        while self.arrivals:
            node_id, flow = self.arrivals.popleft()
            self._arrive(self.pool.by_id[node_id], flow)
        turn, self.turn = self.turn, Turn()
        return turn

    def _arrive(self, node: Node, flow: Flow | None) -> None:
        if node.is_human:
            self.turn.opened.append(node.id)
            self._wait(node.id)
            for event in self.pool.boundary.get(node.id, ()):
                self._wait(event.id)
        elif node.kind == "parallelGateway":
            assert flow is not None
            self.tokens[flow.id] += 1
            incoming = Counter(each.id for each in self.pool.incoming[node.id])
            if incoming <= self.tokens:
                self.tokens -= incoming
                self._pass(node.id)
        elif node.kind == "exclusiveGateway":
            self._leave_to(node.id, self._chosen(node).target)
        elif node.kind == "eventBasedGateway":
            self._wait(node.id)
        elif node.kind == "endEvent":
            self._end(node)
        elif node.event is not None and node.event.kind in ("message", "timer") and "Throw" not in node.kind:
            self._occurred_before(node, flow)
        else:
            if node.event is not None and node.event.kind == "message":
                self.turn.thrown.append(node.id)
            self._pass(node.id)

    def _occurred_before(self, node: Node, flow: Flow | None) -> None:
        """A catch event after an event-based gateway has occurred already when it is reached."""
        if flow is not None and self.pool.by_id[flow.source].kind == "eventBasedGateway":
            self._pass(node.id)
        else:
            self._wait(node.id)

    def _chosen(self, node: Node) -> Flow:
        flows = self.pool.outgoing[node.id]
        for flow in flows:
            if flow.condition and flow.id != node.default and expressions.is_true(flow.condition, self.variables):
                return flow
        return next(flow for flow in flows if flow.id == node.default or len(flows) == 1)

    def _end(self, node: Node) -> None:
        self.turn.passed.append(node.id)
        self.ends.append(node)
        if node.event is not None and node.event.kind == "terminate":
            self._abandon(list(self.waiting.elements()))
            self.turn.timers.clear()
            self.waiting.clear()
            self.tokens.clear()
            self.arrivals.clear()

    def _wait(self, node_id: str) -> None:
        self.waiting[node_id] += 1
        self.turn.timers += [event.id for event in self._caught(node_id) if event.event.kind == "timer"]

    def _abandon(self, nodes: list[str]) -> None:
        """Human tasks opened and abandoned in one turn were never there."""
        for node_id in nodes:
            self.waiting -= Counter([node_id])
            if not self.pool.by_id[node_id].is_human:
                continue
            (self.turn.opened.remove if node_id in self.turn.opened else self.turn.closed.append)(node_id)

    def _leave(self, node_id: str) -> None:
        if self.pool.by_id[node_id].is_human:
            self.turn.closed.append(node_id)
        self.waiting -= Counter([node_id])
        self._pass(node_id)

    def _leave_to(self, node_id: str, target: str) -> None:
        self.waiting -= Counter([node_id])
        self.turn.passed.append(node_id)
        flow = next(flow for flow in self.pool.outgoing[node_id] if flow.target == target)
        self.arrivals.append((target, flow))

    def _pass(self, node_id: str) -> None:
        self.turn.passed.append(node_id)
        self.arrivals.extend((flow.target, flow) for flow in self.pool.outgoing[node_id])
