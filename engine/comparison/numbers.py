"""What a procedure costs in numbers that can be counted on its diagram: steps, decisions, hand-offs, messages, days.

A number is a list of what was counted, so that each can be shown where it stands. Nothing is estimated here; how long
cases take is `simulation`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.bpmn import expressions
from engine.bpmn.expressions import BadExpression
from engine.bpmn.graph import MessageFlow, Node, Pool
from engine.comparison.behaviour.net import Net, Post
from engine.comparison.behaviour.space import collaboration
from engine.comparison.consequences import handoffs
from engine.comparison.findings import party_words, place, shown
from engine.comparison.model import GUARDIAN, Side, Step
from engine.comparison.order import longest
from engine.comparison.sentences import LOCALES, Words, fill, templates
from engine.comparison.steps import words


@dataclass(frozen=True)
class Item:
    """One of what was counted: its words, and the elements at which it is seen on the diagram."""

    label: Words
    elements: tuple[str, ...]


@dataclass(frozen=True)
class Count:
    """One number. `name` is one of the closed list in `docs/comparison.md`."""

    name: str
    items: tuple[Item, ...]

    @property
    def value(self) -> int:
        return len(self.items)

    @property
    def label(self) -> Words:
        return templates()[f"count.{self.name}"]

    @property
    def meaning(self) -> Words:
        """What is counted, and what is not."""
        return templates()[f"count.{self.name}.means"]


@dataclass(frozen=True)
class Ceiling:
    """How many working days a case may take at most in the steps that have a time limit.

    None where a limited step can come again and again. What has no limit may take any time; it is named.
    """

    days: int | None
    # The steps with a limit; of what is done in one act, its last.
    limited: tuple[Item, ...]
    # The steps of people without one.
    unlimited: tuple[Item, ...]


def counts(side: Side) -> tuple[Count, ...]:
    """All numbers of a procedure, in the order in which they are told."""
    return tuple(Count(name, tuple(count(side))) for name, count in _COUNTS.items())


# What is counted -------------------------------------------------------------------------------------------------


def _document_steps(side: Side) -> Iterator[Item]:
    """As the document counts them: what people do under one item is one step."""
    found: dict[str, list[Step]] = {}
    for step in _in_order(side):
        if step.is_human or step.party == GUARDIAN:
            found.setdefault(step.clauses[0] if step.clauses else step.id, []).append(step)
    for steps in found.values():
        yield Item(shown(steps[0]), tuple(step.id for step in steps))


def _steps(wanted: Callable[[Step], bool]) -> Callable[[Side], Iterator[Item]]:
    def count(side: Side) -> Iterator[Item]:
        return (Item(shown(step), (step.id,)) for step in _in_order(side) if wanted(step))

    return count


def _handoffs(side: Side) -> Iterator[Item]:
    pairs = [(side.by_id[one], side.by_id[other]) for one, other in handoffs(side)]
    for one, other in sorted(pairs, key=lambda pair: (place(pair[0]), place(pair[1]))):
        values = {"x": party_words(one.party), "y": party_words(other.party)}
        label = Words(*(fill("count.handoffs.item", values, locale) for locale in LOCALES))
        yield Item(label, (one.id, other.id))


def _messages(side: Side) -> Iterator[Item]:
    """By their names: what either of two steps may send is one message."""
    pools = collaboration(side.graph)
    senders: dict[str, list[Node]] = {}
    for pool, element in Post(pools, side.graph.message_flows).sends:
        node = pools[pool].by_id[element]
        senders.setdefault((node.event and node.event.message) or node.name or node.id, []).append(node)
    for name, nodes in sorted(senders.items(), key=lambda item: min(place(side.by_id[node.id]) for node in item[1])):
        yield Item(templates().get(f"message.{name}", words(nodes[0])), tuple(node.id for node in nodes))


def _parties(side: Side) -> Iterator[Item]:
    deciding: dict[str, list[str]] = {}
    for step in _in_order(side):
        if step.kind == "decide":
            deciding.setdefault(step.party, []).append(step.id)
    return (Item(party_words(party), tuple(steps)) for party, steps in deciding.items())


_COUNTS: dict[str, Callable[[Side], Iterator[Item]]] = {
    "document_steps": _document_steps,
    "in_system": _steps(lambda step: step.channel == "system"),
    "off_system": _steps(lambda step: step.channel == "off_system"),
    "unstated": _steps(lambda step: step.channel == "unstated"),
    "parties": _parties,
    "decisions": _steps(lambda step: step.kind == "decide"),
    "refusals": _steps(lambda step: step.may_refuse and step.is_human),
    "checks": _steps(lambda step: step.may_refuse and not step.is_human),
    "handoffs": _handoffs,
    "messages": _messages,
}
NAMES = tuple(_COUNTS)


def _in_order(side: Side) -> list[Step]:
    return sorted(side.steps, key=place)


# Time limits -----------------------------------------------------------------------------------------------------


def ceiling(pools: Sequence[Pool], flows: Sequence[MessageFlow] = ()) -> Ceiling:
    """The time limits of pools that run together, of one file or of two: along the longest way, branches beside each
    other, and whoever awaits a message after its sender."""
    post = Post(pools, flows)
    nets = [Net(pool, number, post) for number, pool in enumerate(pools)]
    limits = {(number, element): days for number, pool in enumerate(pools) for element, days in _limits(pool).items()}
    names = {(net.number, spot.node.id): f"{net.number} {spot.node.id}" for net in nets for spot in net.places}
    days = longest(_after(nets, names), {names[key]: limit for key, limit in limits.items()})
    people = [(number, node) for number, pool in enumerate(pools) for node in pool.in_order if node.is_human]
    covered = {element for number, pool in enumerate(pools) for element in _covered(pool, number, limits)}
    return Ceiling(
        days,
        _items(node for number, node in people if limits.get((number, node.id))),
        _items(node for number, node in people if (number, node.id) not in covered),
    )


def _items(nodes: Iterable[Node]) -> tuple[Item, ...]:
    return tuple(Item(words(node), (node.id,)) for node in nodes)


def _after(nets: Sequence[Net], names: Mapping[tuple[int, str], str]) -> dict[str, list[str]]:
    """What may come after each node, along its flows and by what it sends."""
    nodes = [(net, spot) for net in nets for spot in net.places]
    reading: dict[tuple[int, str], list[str]] = {}
    for net, spot in nodes:
        for key in spot.reads:
            reading.setdefault((net.number, key), []).append(names[net.number, spot.node.id])
    found = {}
    for net, spot in nodes:
        ahead = [names[net.number, net.places[number].node.id] for number in net.ahead(spot)]
        told = [reader for address in spot.sends for reader in reading.get(address, ())]
        found[names[net.number, spot.node.id]] = ahead + told
    return found


def _limits(pool: Pool) -> dict[str, int]:
    """The working days of each step that has a limit; of what is done in one act, once, at its last step."""
    found = {node.id: days for node in pool.nodes if node.is_human and (days := _days(node.due))}
    for act in _acts(pool):
        most = max((found.pop(node.id, 0) for node in act), default=0)
        if most:
            found[act[-1].id] = most
    return found


def _covered(pool: Pool, number: int, limits: Mapping[tuple[int, str], int]) -> Iterator[tuple[int, str]]:
    """The steps that a limit holds for."""
    limited = {element for at, element in limits if at == number}
    yield from ((number, element) for element in limited)
    yield from ((number, node.id) for act in _acts(pool) if act[-1].id in limited for node in act)


def _acts(pool: Pool) -> list[tuple[Node, ...]]:
    """The steps done in one act, the longest acts first."""
    acts = [pool.act(node.id) for node in pool.nodes if node.kind == "manualTask"]
    return sorted((act for act in acts if len(act) > 1), key=len, reverse=True)


def _days(due: str) -> int:
    try:
        return expressions.workdays(due) if due else 0
    except BadExpression:
        return 0
