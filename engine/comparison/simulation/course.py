"""The course that cases take under a procedure: its states, what waits in each, and where every answer leads.

The states are those that were explored (`behaviour`), so what is simulated is what the diagram does. A message arrives
at once, a gateway takes no time, and a reminder that changes nothing for the case is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.bpmn import expressions
from engine.bpmn.expressions import BadExpression
from engine.comparison.behaviour import Runs, collaboration, explore
from engine.comparison.behaviour.net import Place
from engine.comparison.behaviour.space import Edge, Space
from engine.comparison.model import Side, Step
from engine.errors import N_, Invalid

# How a work goes on: somebody does it in the system; or off it; it was done before the case began; time passes.
DESK, ELSEWHERE, BEFORE, TIME = "desk", "elsewhere", "before", "time"
# What a way out of a work means for the case.
ON, REFUSED, FAILED = "on", "refused", "failed"


class NotSimulated(Invalid):
    """A procedure whose runs are too many, or hold what nobody here understands."""

    code = "not_simulated"
    message = N_("How long cases take can not be simulated: not all runs of this procedure could be explored.")
    remedy = N_("See what the check of the procedure says of it.")


@dataclass(frozen=True)
class Work:
    """Something that waits in some states: a step that somebody does, or a time that passes."""

    element: str
    kind: str
    party: str
    # The working days of its limit, or that pass; 0 for none.
    days: int
    # The guardian has to do something before it can be done.
    awaits_guardian: bool
    # It is done in one act with this work, which came before it.
    prepared_by: str
    # A person decides something in it, so that there may be a refusal.
    decides: bool


@dataclass(frozen=True)
class State:
    """Where a case stands: the works that wait, by number, each with its ways out (what they mean, the next state).

    With `passing`, ways of which one is taken at once.
    """

    works: tuple[tuple[int, tuple[tuple[str, int], ...]], ...]
    passing: tuple[tuple[str, int], ...] = ()
    # Of a state in which nothing waits: completed, refused …; "" where no end says anything.
    outcome: str = ""


@dataclass(frozen=True)
class Course:
    works: tuple[Work, ...]
    states: tuple[State, ...]
    # An outcome that counts as completed; "" where the ends say nothing.
    goal: str


def course_of(side: Side) -> Course:
    """The course of a procedure, both of its halves. Raises `NotSimulated`."""
    space = explore(collaboration(side.graph), side.graph.message_flows)
    if not space.decided or not Runs(space).completing:
        raise NotSimulated
    return _Reader(side, space).course()


class _Reader:
    def __init__(self, side: Side, space: Space) -> None:
        self.side = side
        self.space = space
        self.completing = Runs(space).completing
        self.open = space.leading_to(self.completing)
        self.numbers: dict[tuple[int, int], int] = {}
        self.works: list[Work] = []
        explored = {node.id for net in space.nets for node in net.pool.nodes}
        drawn = [flow for flow in side.graph.message_flows if flow.source not in explored]
        self.from_outside = {flow.target for flow in drawn}
        self.acts = {
            node.id: tuple(member.id for member in net.pool.act(node.id))
            for net in space.nets
            for node in net.pool.nodes
            if node.kind == "manualTask"
        }
        applied = [node.id for net in space.nets for node in net.pool.application_act if net.pool.side == "receiving"]
        self.before = frozenset(applied)

    def course(self) -> Course:
        states = tuple(self._state(number, edges) for number, edges in enumerate(self.space.edges))
        return Course(tuple(self.works), states, self.space.outcome(self.completing[0]) or "")

    def _state(self, number: int, edges: Sequence[Edge]) -> State:
        waits: dict[tuple[int, int], list[Edge]] = {}
        at_once: dict[object, list[Edge]] = {}
        for edge in edges:
            if edge.kind in ("complete", "fire"):
                waits.setdefault((edge.pool, edge.place), []).append(edge)
            else:
                at_once.setdefault((edge.kind, edge.pool, edge.place, edge.message), []).append(edge)
        for alike in at_once.values():
            return State((), self._ways(number, alike))
        works = [
            (self._number(*key), self._ways(number, alike))
            for key, alike in waits.items()
            if any(self._changes(number, edge) for edge in alike)
        ]
        return State(tuple(works), outcome=self.space.outcome(number) or "")

    def _changes(self, number: int, edge: Edge) -> bool:
        """Whether a move leads elsewhere; a reminder only uses up its timer."""
        if edge.kind != "fire":
            return True
        before, after = (
            [(item.status, [token.place for token in item.tokens], item.held, item.values) for item in state.standings]
            for state in (self.space.states[number], self.space.states[edge.target])
        )
        return before != after or self.space.states[number].mail != self.space.states[edge.target].mail

    def _ways(self, number: int, edges: Sequence[Edge]) -> tuple[tuple[str, int], ...]:
        going_on = [edge for edge in edges if edge.target in self.open]
        return tuple((self._meaning(number, edge, going_on), edge.target) for edge in edges)

    def _meaning(self, number: int, edge: Edge, going_on: Iterable[Edge]) -> str:
        """Whether the case can still be completed; if not, whether who did the step or the system has decided so."""
        if number not in self.open or edge.target in self.open:
            return ON
        element = self._place(edge).node.id
        said = _said(edge, element)
        return FAILED if any(_said(other, element) == said for other in going_on) else REFUSED

    def _place(self, edge: Edge) -> Place:
        return self.space.nets[edge.pool].places[edge.place]

    def _number(self, pool: int, number: int) -> int:
        if (pool, number) not in self.numbers:
            self.numbers[pool, number] = len(self.works)
            self.works.append(self._work(self.space.nets[pool].places[number]))
        return self.numbers[pool, number]

    def _work(self, place: Place) -> Work:
        node = place.node
        step = self.side.by_id.get(node.id)
        timer = node.event is not None and node.event.kind == "timer"
        host = self.side.by_id.get(node.attached_to or "")
        return Work(
            element=node.id,
            kind=TIME if timer else self._kind(node.id, step),
            party=step.party if step else "",
            days=self._timer_days(node.event.timer, host) if timer and node.event else _days(node.due),
            awaits_guardian=node.id in self.from_outside,
            prepared_by=next((act[0] for act in self.acts.values() if node.id in act[1:]), ""),
            decides=bool(step and step.may_refuse),
        )

    def _kind(self, element: str, step: Step | None) -> str:
        if element in self.before:
            return BEFORE
        return ELSEWHERE if step is None or not step.is_human or step.channel == "off_system" else DESK

    def _timer_days(self, text: str, host: Step | None) -> int:
        """When a timer fires, in working days after it was armed: its own, or counted from its step's limit."""
        limit = int(host.deadline) if host is not None and host.deadline.isdigit() else 0
        try:
            return max(0, limit + expressions.due_shift(text)) if host else expressions.workdays(text)
        except BadExpression:
            return 1


def _said(edge: Edge, element: str) -> tuple[object, ...]:
    """What somebody answered in the step itself, apart from what the system found afterwards."""
    return tuple(answer for answer in edge.answers if answer.element == element)


def _days(due: str) -> int:
    try:
        return expressions.workdays(due) if due else 0
    except BadExpression:
        return 0
