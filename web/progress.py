"""Where a case stands in its diagrams: what to mark in the pictures, and the same in words to be read or heard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.bpmn.catalogue import REFUSE
from engine.bpmn.graph import Node, Pool
from engine.cases import Stand
from engine.procedures import Sentence, Version
from engine.transfers import Entry

DONE, REFUSED, CURRENT, WAITING, AHEAD = "done", "refused", "current", "waiting", "ahead"


@dataclass(frozen=True)
class Step:
    """One element of a pool: where it stands, what the document says of it, and when it was done."""

    node: Node
    state: str
    sentences: tuple[Sentence, ...]
    entry: Entry | None
    # Whether it is among the steps that are listed; the others only tell their clauses.
    listed: bool


@dataclass(frozen=True)
class Picture:
    """One pool of a case, for its drawing and for its list of steps."""

    side: str | None
    version: Version
    pool: Pool
    started: bool
    ended: bool
    # By element and by flow.
    marks: Mapping[str, str]
    steps: tuple[Step, ...]

    @property
    def listed(self) -> list[Step]:
        """In the order of the flow; the end that was reached comes last, wherever the flow has it."""
        return sorted((step for step in self.steps if step.listed), key=lambda step: step.node.kind == "endEvent")

    @property
    def unlisted(self) -> list[Step]:
        """Those that tell their clauses alone, when somebody points at them in the drawing."""
        return [step for step in self.steps if not step.listed]

    @property
    def source(self) -> str:
        """The document's number."""
        return self.version.graph.properties.get("document.number", "")

    @property
    def first_told(self) -> Step | None:
        """The step whose clause is shown before anybody points at one: where the pool stands, else where it ended."""
        told = [step for step in self.listed if step.sentences]
        for states in ((CURRENT,), (WAITING,), (DONE, REFUSED)):
            if found := [step for step in told if step.state in states]:
                return found[-1]
        return told[0] if told else None


def picture(stand: Stand, entries: Iterable[Entry]) -> Picture:
    """A pool of a case as it stands, with the times at which its steps were done."""
    pool = stand.version.pool(stand.side)
    done = {entry.node.id: entry for entry in entries if entry.node is not None and entry.side == stand.side}
    states = _states(stand.marks)
    states |= {node.id: REFUSED for node in pool.nodes if states.get(node.id) == DONE and _refuses(node, done)}
    main = _reachable(pool)
    steps = []
    for node in _in_order(pool, main):
        state = states.get(node.id, AHEAD)
        said = tuple(stand.version.quote(node))
        steps.append(Step(node, state, said, done.get(node.id), _is_listed(node, state, main)))
    marks = states | _passed_flows(pool, states)
    return Picture(stand.side, stand.version, pool, stand.started, stand.ended, marks, tuple(steps))


def _states(marks: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """The state of each element; where it was done and is waited for again, the newer one."""
    return {node: state for state in (DONE, WAITING, CURRENT) for node in marks.get(state, ())}


def _refuses(node: Node, done: Mapping[str, Entry]) -> bool:
    """Whether this step said no, or is the end that follows from it."""
    return node.outcome == "refused" or (node.id in done and done[node.id].result == REFUSE)


def _is_listed(node: Node, state: str, main: Mapping[str, None]) -> bool:
    """People's steps always; of the rest what is waited for, and the end that was reached."""
    if node.is_human:
        return node.id in main or state != AHEAD
    if node.attached_to:
        return False
    return state in (CURRENT, WAITING) or (node.kind == "endEvent" and state != AHEAD and node.id in main)


def _passed_flows(pool: Pool, states: Mapping[str, str]) -> dict[str, str]:
    """The flows that were taken, as far as their ends tell: both have happened, or the second is what happens now."""
    return {
        flow.id: DONE
        for flow in pool.flows
        if states.get(flow.source) in (DONE, REFUSED) and states.get(flow.target) is not None
    }


def _reachable(pool: Pool) -> dict[str, None]:
    """What follows from the start without any timer or error on a boundary, nearest first."""
    found: dict[str, None] = {}
    waiting = [pool.start.id] if pool.start else []
    while waiting:
        node = waiting.pop(0)
        if node not in found:
            found[node] = None
            waiting += [flow.target for flow in pool.outgoing.get(node, ())]
    return found


def _in_order(pool: Pool, main: Mapping[str, None]) -> list[Node]:
    """All nodes in the order of the flow, and then what hangs on boundaries."""
    rest = [node.id for node in pool.nodes if node.id not in main]
    return [pool.by_id[node] for node in [*main, *rest] if node in pool.by_id]
