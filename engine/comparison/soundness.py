"""What can go wrong when a procedure runs, found by exploring all its runs: said to its author like other findings.

- `deadlock`: a run in which the case waits for ever, and has come to no end.
- `token-left-behind`: a run that has come to an end, and still something waits for ever.
- `more-than-one-token`: a run in which two tokens are in one place at once, so that what follows happens twice.
- `message-never-read`: a run in which a message is sent that nobody ever takes.
- `never-happens`: an element that no run comes to, a way that none takes.
- `not-decided`: not all runs could be explored; what is found is true, but there may be more.

The rules are those of the whole collaboration of a file: of both halves of a transfer, or of all pools drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

from engine.bpmn.checks import Finding
from engine.bpmn.graph import GATEWAYS, Pool, ProcessGraph
from engine.comparison.behaviour import BOUND, Space, collaboration, explore
from engine.comparison.behaviour.net import Place, Role
from engine.comparison.behaviour.space import Edge, Mail
from engine.comparison.behaviour.waiting import Wait, waits
from engine.comparison.behaviour.words import in_words
from engine.comparison.model import Run
from engine.errors import N_


def findings(graph: ProcessGraph, *, bound: int = BOUND) -> list[Finding]:
    """What is wrong with the runs of a file, as far as so many states tell."""
    return list(_findings(graph, bound))


# A page asks for the same version again and again.
@lru_cache(maxsize=64)
def _findings(graph: ProcessGraph, bound: int) -> tuple[Finding, ...]:
    pools = collaboration(graph)
    space = explore(pools, graph.message_flows, bound=bound)
    found = [*_waits(space), *_doubles(space), *_unread(space), *_never(space)]
    if not any(finding.rule == "more-than-one-token" for finding in found) and any(
        net.may_double for net in space.nets
    ):
        found += _near_doubles(explore(pools, graph.message_flows, bound=bound, pauses=True))
    return (*found, *_undecided(space, graph))


@lru_cache(maxsize=256)
def pair(receiving: Pool, releasing: Pool) -> tuple[Finding, ...]:
    """The runs in which these two halves, of whatever files, wait for ever."""
    return tuple(_waits(explore((receiving, releasing))))


def _finding(
    space: Space, rule: str, severity: str, element: str, message: str, run: Run | None, **values: Any
) -> Finding:
    told = {"run": in_words(space, run)} if run is not None else {}
    return Finding(rule, severity, element, message, values | told)


# Waiting for ever ------------------------------------------------------------------------------------------------


def _waits(space: Space) -> Iterator[Finding]:
    for wait in waits(space):
        run = space.run_to([wait.state])
        element = wait.place.node.id
        if wait.ended:
            message = N_("The procedure can come to its end while something still waits here for ever: %(run)s")
            yield _finding(space, "token-left-behind", "error", element, message, run)
        elif wait.waiting.keys and not wait.waiting.flows:
            message = N_("Here the case can wait for ever for %(name)s, which does not come: %(run)s")
            names = sorted({_name(space, wait.waiting.pool, key) for key in wait.waiting.keys})
            yield _finding(space, "deadlock", "error", element, message, run, name=", ".join(names))
        else:
            yield _finding(space, "deadlock", "error", element, _hanging(wait), run)


def _hanging(wait: Wait) -> str:
    if wait.waiting.flows:
        return N_("Here the case can wait for ever for a branch that does not come: %(run)s")
    if wait.place.role is Role.CHOICE:
        return N_("No way leads on from here in this run: %(run)s")
    return N_("From here the case can go on for ever, but never come to an end: %(run)s")


def _name(space: Space, pool: int, key: str) -> str:
    """What a message is called by its reader."""
    node = space.nets[pool].pool.by_id.get(key)
    return key.removeprefix("=") if node is None else (node.event and node.event.message) or node.name or node.id


# Tokens, messages, elements --------------------------------------------------------------------------------------


def _doubles(space: Space) -> Iterator[Finding]:
    message = N_("Two tokens can be here at once, so that what follows happens twice: %(run)s")
    yield from _first_doubles(space, "error", message)


def _near_doubles(space: Space) -> Iterator[Finding]:
    """Where our own engine is too quick for it, but another, or a slower service, would not be."""
    yield from _first_doubles(space, "warning", N_("Two branches come together here without a join: %(run)s"))


def _first_doubles(space: Space, severity: str, message: str) -> Iterator[Finding]:
    doubled = [_doubled(space, state) for state in range(len(space.states))]
    told: set[str] = set()
    for state, edges in enumerate(space.edges):
        for edge in edges if not doubled[state] else ():
            for element in doubled[edge.target] - told:
                told.add(element)
                yield _finding(space, "more-than-one-token", severity, element, message, space.run_to([edge.target]))


def _doubled(space: Space, state: int) -> set[str]:
    found: set[str] = set()
    for net, standing in zip(space.nets, space.states[state].standings, strict=True):
        inside = Counter(token.place for token in standing.tokens)
        found |= {net.places[place].node.id for place, times in inside.items() if times > 1}
        before = Counter(standing.held)
        found |= {net.places[net.targets[flow]].node.id for flow, times in before.items() if times > 1}
    return found


def _unread(space: Space) -> Iterator[Finding]:
    told: set[str] = set()
    for mail, run in _unread_mail(space):
        sender = space.sender(mail).id
        if sender not in told:
            told.add(sender)
            message = N_("%(name)s can be sent from here without anybody ever reading it: %(run)s")
            yield _finding(space, "message-never-read", "warning", sender, message, run, name=space.words(mail))


def _unread_mail(space: Space) -> Iterator[tuple[Mail, Run | None]]:
    lost = {mail for edges in space.edges for edge in edges for mail in edge.unread}
    for mail in sorted(lost):
        yield mail, space.run(partial(_loses, mail))
    for state in space.ends:
        for mail in space.states[state].mail if not space.is_lost(state) else ():
            if not _may_be_read(space, state, mail):
                yield mail, space.run_to([state])


def _loses(mail: Mail, edge: Edge) -> bool:
    return mail in edge.unread


def _may_be_read(space: Space, state: int, mail: Mail) -> bool:
    """Whether it merely lies where another fault keeps its pool from reading it."""
    net, standing = space.nets[mail.pool], space.states[state].standings[mail.pool]
    stands = [token.place for token in standing.tokens] + [net.targets[flow] for flow in standing.held]
    return any(mail.key in net.places[number].reads for number in net.reached_from(stands))


def _never(space: Space) -> Iterator[Finding]:
    if not space.is_whole:
        return
    happened = 0
    for edges in space.edges:
        for edge in edges:
            happened |= edge.mask
    taken = {element for edges in space.edges for edge in edges for element in edge.path}
    rested = {(number, place.number) for state in range(len(space.states)) for number, place in space.resting(state)}
    for number, net in enumerate(space.nets):
        alive = {
            place.number
            for place in net.places
            if happened >> (space.offsets[number] + place.number) & 1 or (number, place.number) in rested
        }
        for place in net.places:
            if place.number not in alive and _is_told(net.sources, place, alive):
                yield Finding("never-happens", "warning", place.node.id, N_("No run ever comes to this element."))
        for position, flow in enumerate(net.flows):
            both = net.sources[position] in alive and net.targets[position] in alive
            if both and flow.id not in taken and flow.id != net.places[net.sources[position]].node.default:
                yield Finding("never-happens", "warning", flow.id, N_("No run ever takes this way."))


def _is_told(sources: list[int], place: Place, alive: set[int]) -> bool:
    """Of a dead part its gateways are left out, unless it begins with one; so are sub-processes that events start."""
    if not place.incoming and place.node.kind == "subProcess":
        return False
    return place.node.kind not in GATEWAYS or any(sources[flow] in alive for flow in place.incoming)


def _undecided(space: Space, graph: ProcessGraph) -> Iterator[Finding]:
    if space.strange:
        message = N_("Not explored as they would run, so there may be more to find: %(kinds)s.")
        yield Finding("not-decided", "warning", graph.id, message, {"kinds": ", ".join(sorted(space.strange))})
    elif not space.is_whole:
        message = N_("There are more than %(count)s states to explore, so there may be more to find.")
        yield Finding("not-decided", "warning", graph.id, message, {"count": len(space.states)})
