"""Element beside element: what a picture marks, and what is only drawn elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from engine.bpmn.graph import Flow, Node, Pool
from engine.comparison.aspects import same_role
from engine.comparison.findings import Frame
from engine.comparison.model import Difference, Side

# Chains of gateways between steps are hardly ever longer.
_ROUNDS = 4


def elements(frame: Frame) -> dict[str, str]:
    """The element of b for each of a: of matched steps with what is folded into them, gateways, lines, pools, lanes."""
    found: dict[str, str] = dict(frame.counterpart)
    for a, b in frame.pairs:
        found |= {one.id: other.id for one, other in same_role(a.folded, b.folded)}
    for _ in range(_ROUNDS):
        more = dict(_gateways(frame, found))
        if not more:
            break
        found |= more
    found |= dict(_pools(frame, found))
    return found | dict(_lines(frame, found))


def _pools(frame: Frame, found: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Pools and lanes by most of what they hold."""
    theirs = {node.id: pool for pool in frame.b.graph.pools for node in pool.nodes}
    lanes = {node: lane.id for pool in frame.b.graph.pools for lane in pool.lanes for node in lane.nodes}
    for pool in frame.a.graph.pools:
        held = Counter(theirs[found[node.id]].id for node in pool.nodes if found.get(node.id) in theirs)
        yield from ((pool.id, other) for other, _ in held.most_common(1))
        for lane in pool.lanes:
            held = Counter(lanes[found[node]] for node in lane.nodes if found.get(node) in lanes)
            yield from ((lane.id, other) for other, _ in held.most_common(1))
    outsiders = [[pool.id for pool in side.graph.pools if not pool.nodes] for side in (frame.a, frame.b)]
    if len(outsiders[0]) == len(outsiders[1]) == 1:
        yield outsiders[0][0], outsiders[1][0]


def _gateways(frame: Frame, found: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is left, by its kind and all that leads into it, or all that it leads to."""
    taken = set(found.values())
    theirs: dict[_Around, str] = {}
    for pool in frame.b.graph.pools:
        for node in pool.nodes:
            if node.id not in taken:
                theirs |= dict.fromkeys(_around(pool, node, {item.id: item.id for item in pool.nodes}), node.id)
    for pool in frame.a.graph.pools:
        for node in pool.nodes:
            if node.id not in found:
                others = [theirs[around] for around in _around(pool, node, found) if around in theirs]
                if others and others[0] not in taken:
                    taken.add(others[0])
                    yield node.id, others[0]


_Around = tuple[str, str, tuple[str, ...]]


def _around(pool: Pool, node: Node, names: Mapping[str, str]) -> Iterator[_Around]:
    """Where an element stands, once by what is before it and once by what is after it, as far as that has a name."""
    before = [flow.source for flow in pool.incoming.get(node.id, ())]
    after = [flow.target for flow in pool.outgoing.get(node.id, ())]
    for where, others in (("before", before), ("after", after)):
        if others and all(other in names for other in others):
            yield node.kind, where, tuple(sorted(names[other] for other in others))


def _lines(frame: Frame, found: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Lines by their ends."""
    theirs = {(line.source, line.target): line.id for line in _all_lines(frame.b)}
    for line in _all_lines(frame.a):
        other = theirs.get((found.get(line.source, ""), found.get(line.target, "")))
        if other is not None:
            yield line.id, other


def _all_lines(side: Side) -> Iterator[Flow]:
    for pool in side.graph.pools:
        yield from pool.flows
    for message in side.graph.message_flows:
        yield Flow(message.id, message.name, message.properties, message.source, message.target)


def layout_only(frame: Frame, pairs: Mapping[str, str], differences: Sequence[Difference]) -> int:
    """How many elements are drawn elsewhere and differ in nothing else. A drawing moved as a whole is not changed."""
    differing = {element for difference in differences for element in difference.a}
    drawn = [
        (frame.a.layout[mine], frame.b.layout[theirs])
        for mine, theirs in pairs.items()
        if mine in frame.a.layout and theirs in frame.b.layout and mine not in differing
    ]
    shifts = [_shift(one, other) for one, other in drawn]
    whole, count = Counter(shifts).most_common(1)[0] if shifts else (None, 0)
    return sum(shift != (whole if 2 * count > len(shifts) else (0, 0)) for shift in shifts)


def _shift(one: Sequence[float], other: Sequence[float]) -> tuple[int, int] | None:
    """By how much an element is moved as it is; None where it has another form."""
    steps = [round(y - x) for x, y in zip(one, other, strict=False)]
    across, down = set(steps[::2]), set(steps[1::2])
    if len(one) != len(other) or len(across) != 1 or len(down) != 1:
        return None
    return across.pop(), down.pop()
