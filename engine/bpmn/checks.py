"""What is wrong with a procedure's file, said to its author: one small function per rule.

An `error` blocks deployment, a `warning` does not. Rules look at one file; whether two files fit each other in every
run is the comparison's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.bpmn import expressions
from engine.bpmn.catalogue import (
    AGREE,
    BINDINGS,
    DOCUMENT_KEYS,
    DUTIES,
    MESSAGES,
    NECESSARY,
    OUTCOMES,
    REFUSE,
    TOPICS,
)
from engine.bpmn.forms import TYPES, VARIABLE_TYPES
from engine.bpmn.graph import BASES, OWNER, PARTIES, SIDES, Described, Field, Flow, Node, Pool, ProcessGraph
from engine.errors import N_, XuejiError

# No procedure for people comes near it.
MAX_NODES = 300


@dataclass(frozen=True)
class Finding:
    """One thing that the author should know. `message` is filled from `values` after translation."""

    rule: str
    severity: str  # error, warning
    element: str
    message: str
    values: dict[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return self.message % self.values if self.values else self.message


def findings(graph: ProcessGraph) -> list[Finding]:
    """Everything that the rules find in a file, in the order of the rules."""
    found = [finding for rule in _FILE_RULES for finding in rule(graph)]
    for pool in graph.executable:
        # The other rules are for procedures that people drew; they would take long over what a program did.
        found += list(_size(pool)) or [finding for rule in _POOL_RULES for finding in rule(pool)]
    return found


def blocks(found: list[Finding]) -> bool:
    """Whether any of the findings keeps a file from being deployed."""
    return any(finding.severity == "error" for finding in found)


def variables(pool: Pool) -> dict[str, str]:
    """The names that conditions of this pool may use, with their types."""
    known = {item.id: item.type for node in pool.nodes for item in node.form if item.type in VARIABLE_TYPES}
    for node in pool.nodes:
        if node.topic in TOPICS:
            known.update(TOPICS[node.topic].results)
    return known


def _error(rule: str, element: str, message: str, **values: Any) -> Finding:
    return Finding(rule, "error", element, message, values)


def _warning(rule: str, element: str, message: str, **values: Any) -> Finding:
    return Finding(rule, "warning", element, message, values)


# Rules of the file -----------------------------------------------------------------------------------------------


def _allow_list(graph: ProcessGraph) -> Iterator[Finding]:
    for element, what in graph.strange:
        yield _error("not-supported", element, N_("“%(what)s” is not supported here and would not be run."), what=what)


def _pools(graph: ProcessGraph) -> Iterator[Finding]:
    pools = graph.executable
    if not pools:
        yield _error("no-pool", graph.id, N_("No process in this file is executable."))
    sides = [pool.side for pool in pools]
    if len(pools) > 1 or any(sides):
        for pool in pools:
            if pool.side not in SIDES:
                yield _error("side", pool.id, N_("The pool needs the property side: receiving or releasing."))
        for side in SIDES:
            if sides.count(side) != 1:
                yield _error("side", graph.id, N_("There must be exactly one pool with side = %(side)s."), side=side)


def _document(graph: ProcessGraph) -> Iterator[Finding]:
    holders: list[tuple[str, Mapping[str, str]]] = [(graph.id, graph.properties)]
    holders += [(pool.id, pool.properties) for pool in graph.pools]
    for holder, properties in holders:
        for name in properties:
            key = name.removeprefix("document.").removesuffix(".clause").removesuffix(".en")
            if name.startswith("document.") and key not in DOCUMENT_KEYS:
                yield _error("document", holder, N_("“%(name)s” is no fact that a document can state."), name=name)


def _basis(graph: ProcessGraph) -> Iterator[Finding]:
    for element in described(graph):
        if element.basis not in BASES:
            yield _error(
                "basis", element.id, N_("basis is one of %(bases)s, not “%(basis)s”."),
                bases=", ".join(BASES), basis=element.basis,
            )  # fmt: skip


def described(graph: ProcessGraph) -> Iterator[Described]:
    """Every element of a file that can carry words, clauses and a basis."""
    yield from graph.message_flows
    for pool in graph.pools:
        yield pool
        yield from pool.lanes
        yield from pool.flows
        for node in pool.nodes:
            yield node
            yield from node.form


# Rules of a pool -------------------------------------------------------------------------------------------------


def _size(pool: Pool) -> Iterator[Finding]:
    for count, most in ((len(pool.nodes), MAX_NODES), (len(pool.flows), 2 * MAX_NODES)):
        if count > most:
            yield _error("size", pool.id, N_("The pool has %(count)s elements or flows; at most %(most)s can be run."),
                         count=count, most=most)  # fmt: skip


def _starts(pool: Pool) -> Iterator[Finding]:
    starts = [node for node in pool.nodes if node.kind == "startEvent"]
    if len(starts) != 1:
        yield _error("start", pool.id, N_("The pool needs exactly one start event; it has %(count)s."),
                     count=len(starts))  # fmt: skip
    for node in starts:
        assert node.event is not None
        wanted = "message" if pool.side == "releasing" else "none"
        if node.event.kind != wanted:
            yield _error("start", node.id, N_("This pool starts with a %(wanted)s start event."), wanted=wanted)
        elif wanted == "message" and node.event.message != "release_requested":
            yield _error("start", node.id, N_("The releasing pool starts with the message release_requested."))


def _ends(pool: Pool) -> Iterator[Finding]:
    ends = [node for node in pool.nodes if node.kind == "endEvent"]
    if not ends:
        yield _error("end", pool.id, N_("The pool has no end event."))
    for node in ends:
        if node.outcome is not None and node.outcome not in OUTCOMES:
            yield _error("outcome", node.id, N_("outcome is completed or refused, not “%(outcome)s”."),
                         outcome=node.outcome)  # fmt: skip
    if pool.side and not any(node.outcome == "completed" for node in ends):
        yield _error("outcome", pool.id, N_("No end event has the outcome completed."))


def _connections(pool: Pool) -> Iterator[Finding]:
    seen: set[tuple[str, str]] = set()
    for flow in pool.flows:
        for end in (flow.source, flow.target):
            if end not in pool.by_id:
                yield _error("flow", flow.id, N_("The flow leads to “%(end)s”, which is not in this pool."), end=end)
        if (flow.source, flow.target) in seen:
            yield _error("flow", flow.id, N_("Another flow already joins these two elements."))
        seen.add((flow.source, flow.target))
    for node in pool.nodes:
        outgoing, incoming = pool.outgoing[node.id], pool.incoming[node.id]
        if not outgoing and node.kind != "endEvent":
            yield _error("dead-end", node.id, N_("Nothing follows this element."))
        if not incoming and node.kind not in {"startEvent", "boundaryEvent"}:
            yield _error("unreachable", node.id, N_("Nothing leads to this element."))
        if node.kind in {"startEvent", "boundaryEvent"} and incoming:
            yield _error("flow", node.id, N_("No flow may lead into this event."))
        if node.kind == "endEvent" and outgoing:
            yield _error("flow", node.id, N_("Nothing may follow an end event."))
        if len(outgoing) > 1 and "Gateway" not in node.kind:
            yield _error("implicit-split", node.id, N_("Several flows leave this element; put a gateway there."))


def _reachable(pool: Pool) -> Iterator[Finding]:
    if pool.start is None:
        return
    ahead = {node: _targets(pool, node) for node in pool.by_id}
    behind: dict[str, list[str]] = {node: [] for node in pool.by_id}
    for node, targets in ahead.items():
        for target in targets:
            behind[target].append(node)
    reached = _spread([pool.start.id], ahead)
    ending = _spread([node.id for node in pool.nodes if node.kind == "endEvent"], behind)
    for item in pool.nodes:
        if item.id not in reached and pool.incoming[item.id]:
            yield _error("unreachable", item.id, N_("No path leads from the start to this element."))
        if item.id not in ending and pool.outgoing[item.id]:
            yield _error("endless", item.id, N_("No path leads from this element to an end."))


def _targets(pool: Pool, node: str) -> list[str]:
    """What may follow a node: the targets of its flows, and its boundary events."""
    reached = [flow.target for flow in pool.outgoing[node] if flow.target in pool.by_id]
    return reached + [event.id for event in pool.boundary.get(node, ())]


def _spread(origins: list[str], steps: Mapping[str, list[str]]) -> set[str]:
    seen: set[str] = set()
    ahead = list(origins)
    while ahead:
        node = ahead.pop()
        if node not in seen:
            seen.add(node)
            ahead += steps[node]
    return seen


def _gateways(pool: Pool) -> Iterator[Finding]:
    for node in pool.nodes:
        outgoing = pool.outgoing[node.id]
        if node.kind == "exclusiveGateway":
            yield from _exclusive(node, outgoing)
        elif node.kind == "eventBasedGateway":
            yield from _event_based(pool, node, outgoing)
        if node.kind == "parallelGateway" and len(outgoing) > 1 and len(pool.incoming[node.id]) > 1:
            yield _error("mixed-gateway", node.id, N_("A parallel gateway either joins or splits; draw two."))


def _exclusive(node: Node, outgoing: list[Flow]) -> Iterator[Finding]:
    if len(outgoing) == 1:
        if outgoing[0].condition:
            yield _error("condition", outgoing[0].id, N_("The only flow out of a gateway has no condition."))
        return
    if node.default not in {flow.id for flow in outgoing}:
        yield _error("default", node.id, N_("The gateway needs a default flow, taken when no condition holds."))
    for flow in outgoing:
        if not flow.condition and flow.id != node.default:
            yield _error("condition", flow.id, N_("The flow needs a condition."))
        if flow.condition and flow.id == node.default:
            yield _error("condition", flow.id, N_("The default flow has no condition of its own."))


def _event_based(pool: Pool, node: Node, outgoing: list[Flow]) -> Iterator[Finding]:
    if len(outgoing) < 2:
        yield _error("event-gateway", node.id, N_("An event-based gateway waits for at least two events."))
    for flow in outgoing:
        target = pool.by_id.get(flow.target)
        if target and (target.kind != "intermediateCatchEvent" or len(pool.incoming[target.id]) > 1):
            yield _error(
                "event-gateway", flow.id, N_("Only a catch event of its own may follow an event-based gateway.")
            )


def _conditions(pool: Pool) -> Iterator[Finding]:
    known = variables(pool)
    for flow in pool.flows:
        if not flow.condition:
            continue
        source = pool.by_id.get(flow.source)
        if source is not None and source.kind != "exclusiveGateway":
            yield _error("condition", flow.id, N_("Only a flow out of an exclusive gateway may have a condition."))
        yield from _expression("condition", flow.id, flow.condition, known)


def _expression(rule: str, element: str, text: str, known: dict[str, str]) -> Iterator[Finding]:
    try:
        expressions.check(text, known)
    except XuejiError as error:
        yield Finding(rule, "error", element, error.message, error.values)


def _events(pool: Pool) -> Iterator[Finding]:
    for node in pool.nodes:
        event = node.event
        if event is None:
            continue
        allowed = _EVENT_KINDS[node.kind]
        if event.kind not in allowed:
            yield _error("event", node.id, N_("This kind of event is not supported here."))
        if event.kind == "message" and not event.message:
            yield _error("message", node.id, N_("The event refers to no message."))
        if event.kind == "timer":
            yield from _timer(pool, node)
        if node.kind == "boundaryEvent":
            host = pool.by_id.get(node.attached_to or "")
            if host is None or not host.is_human:
                yield _error("boundary", node.id, N_("A boundary event is attached to a user or manual task."))


_EVENT_KINDS = {
    "startEvent": {"none", "message"},
    "endEvent": {"none", "terminate"},
    "intermediateCatchEvent": {"message", "timer"},
    "intermediateThrowEvent": {"none", "message"},
    "boundaryEvent": {"timer"},
}


def _timer(pool: Pool, node: Node) -> Iterator[Finding]:
    assert node.event is not None
    host = pool.by_id.get(node.attached_to or "")
    try:
        if node.kind == "boundaryEvent":
            expressions.due_shift(node.event.timer)
            if host is not None and not host.due:
                yield _error("timer", node.id, N_("The task has no due date for this timer to refer to."))
        else:
            expressions.workdays(node.event.timer)
    except XuejiError as error:
        yield Finding("timer", "error", node.id, error.message, error.values)


def _tasks(pool: Pool) -> Iterator[Finding]:
    for node in pool.nodes:
        if node.is_human:
            yield from _human(pool, node)
        if node.kind == "serviceTask":
            yield from _service(node)


def _human(pool: Pool, node: Node) -> Iterator[Finding]:
    if not node.name:
        yield _error("label", node.id, N_("The step has no name."))
    party = pool.party(node.id)
    if not party:
        yield _error("party", node.id, N_("Nobody acts in this step: put it into a lane with a party."))
    elif party != OWNER and party not in PARTIES:
        yield _error("party", node.id, N_("“%(party)s” is no party of a transfer."), party=party)
    elif pool.side and not party.startswith(pool.side):
        yield _error("party", node.id, N_("“%(party)s” does not belong to this side."), party=party)
    if node.duty not in DUTIES:
        yield _error("duty", node.id, N_("“%(duty)s” is no duty: operator or reviewer."), duty=node.duty)
    if pool.side and not node.menu("zh"):
        yield _warning("menu", node.id, N_("The step has no menu, so it stands under “other” in the inbox."))
    if node.due:
        try:
            expressions.workdays(node.due)
        except XuejiError as error:
            yield Finding("due", "error", node.id, error.message, error.values)
    if node.kind == "manualTask" and node.form:
        yield _error("form", node.id, N_("A manual step has no form."))


def _service(node: Node) -> Iterator[Finding]:
    topic = TOPICS.get(node.topic)
    if topic is None:
        yield _error("topic", node.id, N_("“%(topic)s” is not in the catalogue of services."), topic=node.topic)
        return
    for name in topic.needs:
        if not node.properties.get(name):
            yield _error("topic", node.id, N_("The service %(topic)s needs the property %(name)s."),
                         topic=topic.name, name=name)  # fmt: skip
    if topic.name == "notify" and node.properties.get("to") not in PARTIES:
        yield _error("topic", node.id, N_("The property “to” names the party that is told."))


def _forms(pool: Pool) -> Iterator[Finding]:
    types: dict[str, str] = {}
    for node in pool.nodes:
        names = {item.id: item.type for item in node.form}
        for position, item in enumerate(node.form):
            yield from _field(item)
            earlier = {before.id: before.type for before in node.form[:position]}
            for text, known in ((item.visible, earlier), (item.required_when, names)):
                if text:
                    yield from _expression("form", item.id, text, known)
            if types.setdefault(item.id, item.type) != item.type:
                yield _error("form", item.id, N_("The same field has two types in this pool."))
        if len(names) < len(node.form):
            yield _error("form", node.id, N_("Two fields of the form have the same id."))
        yield from _decision(node)


def _field(item: Field) -> Iterator[Finding]:
    if not item.id.isidentifier() or not item.id.isascii():
        yield _error("form", item.id, N_("A field's id is made of letters, digits and _."))
    if not item.name:
        yield _error("form", item.id, N_("The field has no label."))
    if item.type not in TYPES:
        yield _error("form", item.id, N_("“%(type)s” is no type of field."), type=item.type)
    if item.type == "enum" and not item.options:
        yield _error("form", item.id, N_("The field offers no values."))
    ids = [option.id for option in item.options]
    if "" in ids or len(set(ids)) < len(ids):
        yield _error("form", item.id, N_("Each value of the field needs an id of its own."))
    if item.binds and item.binds not in BINDINGS:
        yield _error("binding", item.id, N_("“%(binds)s” is nothing that a field can be bound to."), binds=item.binds)


def _decision(node: Node) -> Iterator[Finding]:
    result, opinion = node.bound("decision.result"), node.bound("decision.opinion")
    if result is not None:
        if result.type != "enum" or {option.id for option in result.options} != {AGREE, REFUSE}:
            yield _error("decision", result.id, N_("A decision offers exactly the values agree and refuse."))
        if not result.required:
            yield _error("decision", result.id, N_("A decision must be required."))
        if opinion is None or not (opinion.required or opinion.required_when):
            yield _error("decision", node.id, N_("A refusal needs its reasons: add a field bound to decision.opinion."))
    elif opinion is not None:
        yield _error("decision", node.id, N_("The form has an opinion, but no field bound to decision.result."))


def _application(pool: Pool) -> Iterator[Finding]:
    if pool.side != "receiving":
        return
    node = pool.application
    if node is None:
        yield _error(
            "application", pool.id, N_("No user task follows the start directly, so there is no application form.")
        )
        return
    bound = {item.binds for item in node.form}
    for binding in NECESSARY:
        if binding not in bound:
            yield _error("binding", node.id, N_("The application form needs a field bound to %(binding)s."),
                         binding=binding)  # fmt: skip


def _messages(pool: Pool) -> Iterator[Finding]:
    if not pool.side:
        for node in pool.nodes:
            if node.event is not None and node.event.kind == "message":
                yield _error("message", node.id, N_("A plain procedure has nobody to exchange messages with."))
        return
    exchanged: set[str] = set()
    for node in pool.nodes:
        if node.event is None or node.event.kind != "message":
            continue
        contract = MESSAGES.get(node.event.message)
        throws = node.kind == "intermediateThrowEvent"
        if contract is None or contract.name == "transfer_withdrawn":
            yield _error("message", node.id, N_("“%(name)s” is no message of the exchange contract."),
                         name=node.event.message)  # fmt: skip
        elif throws != (contract.sender == pool.side):
            yield _error("message", node.id, N_("This side does not exchange %(name)s in this direction."),
                         name=contract.name)  # fmt: skip
        elif not throws and not contract.required:
            yield _error("message", node.id, N_("%(name)s is optional, so nobody may wait for it."), name=contract.name)
        else:
            exchanged.add(contract.name)
    for name, contract in MESSAGES.items():
        if contract.required and name not in exchanged:
            message = (
                N_("The pool never sends %(name)s.")
                if contract.sender == pool.side
                else N_("The pool never waits for %(name)s.")
            )
            yield _error("message", pool.id, message, name=name)


def _circles(pool: Pool) -> Iterator[Finding]:
    """A circle in which nobody is waited for runs for ever; a parallel gateway in one multiplies, or waits in vain."""
    steps = {node: _targets(pool, node) for node in pool.by_id}
    for circle in _components(steps):
        for node in circle:
            if pool.by_id[node].kind == "parallelGateway":
                yield _error("circle", node, N_("A parallel gateway can not stand inside a circle."))
    waiting = {node.id for node in pool.nodes if node.is_human or node.kind in _WAITING}
    hasty = {node: [target for target in steps[node] if target not in waiting] for node in steps.keys() - waiting}
    for circle in _components(hasty):
        yield _error("circle", min(circle), N_("This circle never waits for anybody and would run for ever."))


_WAITING = frozenset({"intermediateCatchEvent", "eventBasedGateway"})


def _components(steps: Mapping[str, list[str]]) -> list[list[str]]:
    """The circles of a graph: strongly connected components with a step inside (Tarjan, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    for root in steps:
        if root in index:
            continue
        work = [(root, iter(steps[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        while work:
            node, ahead = work[-1]
            for target in ahead:
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    work.append((target, iter(steps[target])))
                    break
                if target in stack:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component = stack[stack.index(node) :]
                    del stack[stack.index(node) :]
                    if len(component) > 1 or node in steps[node]:
                        found.append(component)
    return found


_FILE_RULES: tuple[Callable[[ProcessGraph], Iterator[Finding]], ...] = (_allow_list, _pools, _document, _basis)
_POOL_RULES: tuple[Callable[[Pool], Iterator[Finding]], ...] = (
    _starts,
    _ends,
    _connections,
    _reachable,
    _gateways,
    _conditions,
    _events,
    _tasks,
    _forms,
    _application,
    _messages,
    _circles,
)
