"""From a diagram to the steps that people take in it, however many elements draw each.

What belongs to a step is folded into it: the question behind a decision, the way on which a refusal ends the case, the
timers on its edge. What only joins or parts lines is no step. So two ways to draw the same work come out alike.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from engine.bpmn import expressions
from engine.bpmn.catalogue import TOPICS
from engine.bpmn.expressions import BadExpression
from engine.bpmn.graph import BASES, OWNER, PARTIES, Described, Flow, Lane, MessageFlow, Node, Pool, ProcessGraph
from engine.comparison.model import GUARDIAN, Decision, Fact, Folded, Reminder, Sentence, Side, Step
from engine.comparison.order import places
from engine.comparison.sentences import Words, templates
from engine.comparison.wording import says

_USER = frozenset({"userTask", "manualTask"})
_ABSTRACT = frozenset({"task", "subProcess", "transaction", "adHocSubProcess", "callActivity", "choreographyTask"})
_SERVICES = frozenset({"serviceTask", "scriptTask", "businessRuleTask"})
_SPLITS = frozenset({"exclusiveGateway", "inclusiveGateway", "complexGateway"})
_SENDS = frozenset({"intermediateThrowEvent", "sendTask"})
_CATCHES = frozenset({"intermediateCatchEvent", "receiveTask"})
_KIND_OF_TOPIC = {
    "check_student": "check", "retrieve_record": "retrieve", "change_enrolment": "enrol", "notify": "notify",
    "escalate": "escalate",
}  # fmt: skip
# A name in a condition; what stands in quotation marks is found too, and is no variable.
_NAME = re.compile(r"[A-Za-z_]\w*")
_NO = frozenset({"no", "n", "否", "不", "false"})


def side(
    graph: ProcessGraph,
    sentences: Sequence[Sentence] = (),
    *,
    key: str = "",
    label: Words | None = None,
    layout: Mapping[str, tuple[float, ...]] | None = None,
) -> Side:
    """A procedure made ready to be compared. Without a label it goes by the number of its document, or its key."""
    facts = tuple(_facts(graph))
    numbers = (fact.text for fact in facts if fact.key == "number")
    shown = label or next(numbers, Words(key or graph.id))
    return Side(key or graph.id, shown, graph, sentences, tuple(_steps(graph)), facts, layout or {})


def words(element: Described) -> Words:
    """What stands on an element, in both languages."""
    return Words(element.name, element.properties.get("label.en", ""))


def weakest(bases: Iterator[str] | Sequence[str]) -> str:
    """The least sure of some bases; `text` where there are none. What is no basis is nothing to be sure of."""
    return max((basis if basis in BASES else BASES[-1] for basis in bases), key=BASES.index, default="text")


def _facts(graph: ProcessGraph) -> Iterator[Fact]:
    holders = [(graph.id, None, graph.properties), *((pool.id, pool.side, pool.properties) for pool in graph.pools)]
    for holder, side, properties in holders:
        for name, text in properties.items():
            if name.startswith("document.") and not name.endswith((".en", ".clause")):
                said = Words(text, properties.get(f"{name}.en", ""))
                clauses = _split(properties.get(f"{name}.clause", ""))
                yield Fact(name.removeprefix("document."), side, holder, said, clauses)


def _split(clauses: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in clauses.split(";") if part.strip())


def _steps(graph: ProcessGraph) -> Iterator[Step]:
    for pool in graph.pools:
        if pool.nodes:
            yield from _Steps(graph, pool).all()


@dataclass
class _Gathered:
    """What was folded into a step so far."""

    folded: list[Folded] = field(default_factory=list)
    reminders: list[Reminder] = field(default_factory=list)
    decision: Decision | None = None

    def add(self, role: str, element: Described) -> None:
        self.folded.append(Folded(role, element.id, words(element), element.clauses, element.basis))


class _Steps:
    """The steps of one pool."""

    def __init__(self, graph: ProcessGraph, pool: Pool) -> None:
        self.graph = graph
        self.pool = pool
        self.known = pool.by_id
        self.out = {
            node.id: [flow for flow in pool.outgoing[node.id] if flow.target in self.known] for node in pool.nodes
        }
        self.into = {
            node.id: [flow for flow in pool.incoming[node.id] if flow.source in self.known] for node in pool.nodes
        }
        # The step that each folded element belongs to.
        self.host: dict[str, str] = {}
        self.gathered: dict[str, _Gathered] = {node.id: _Gathered() for node in pool.nodes}
        self.refusals: dict[str, str] = {}

    def all(self) -> Iterator[Step]:
        for node in self.pool.nodes:
            if node.attached_to in self.known:
                self._fold_timer(node)
        # A gateway that asks for no step's answer is a question of its own, which shows when all steps are known.
        for node in sorted(self.pool.nodes, key=lambda node: node.kind in _SPLITS):
            if node.id not in self.host:
                self._fold_decision(node)
        for message in self.graph.message_flows:
            self._fold_words(message)
        order = self._order()
        for node in self.pool.nodes:
            if self._is_step(node):
                yield self._step(node, order[node.id])

    # Folding ----------------------------------------------------------------------------------------------------

    def _fold(self, host: str, role: str, node: Node) -> None:
        self.host[node.id] = host
        self.gathered[host].add(role, node)

    def _fold_words(self, flow: MessageFlow) -> None:
        """The words on a message's line belong to the step of this pool that it comes from, else goes to."""
        ends = [self.host.get(end, end) for end in (flow.source, flow.target)]
        mine = [end for end in ends if end in self.known]
        if mine and flow.name and (ends[0] in self.known or self._outsider(flow.source)):
            self.gathered[mine[0]].add(f"line.{'out' if mine[0] == ends[0] else 'in'}", flow)

    def _fold_timer(self, event: Node) -> None:
        """A timer on the edge of a task, with all that happens by itself behind it and nowhere else."""
        assert event.attached_to is not None
        host, day = event.attached_to, _day(event)
        self._fold(host, f"timer {day}", event)
        branch: dict[str, Node] = {}
        waiting = [event.id]
        while waiting:
            for flow in self.out[waiting.pop()]:
                node = self.known[flow.target]
                # Two timers of one task may set off the same.
                alone = all(host in (self.host.get(id_), self.known[id_].attached_to) for id_ in self._sources(node))
                if not alone or node.id in branch or node.kind not in _SERVICES | _SENDS | {"endEvent"}:
                    continue
                if node.id not in self.host:
                    self._fold(host, f"timer {day} {node.kind}", node)
                elif self.host[node.id] != host:
                    continue
                branch[node.id] = node
                waiting.append(node.id)
        does = " ".join(sorted(filter(None, map(_service, branch.values()))))
        self.gathered[host].reminders.append(Reminder(day, does, event.interrupting))

    def _sources(self, node: Node) -> list[str]:
        return [flow.source for flow in self.into[node.id]]

    def _fold_decision(self, node: Node) -> None:
        """The question behind a step, and the ways on which the case ends."""
        if node.kind in _SPLITS:
            question = node if len(self.out[node.id]) > 1 else None
        else:
            question = self._question(node)
        if question is not None and question.id in self.host:
            question = None
        if question is not None and question is not node:
            self._fold(node.id, "question", question)
        result = node.bound("decision.result")
        if question is None and result is None:
            return
        source = question or node
        flows = self.out[source.id] if question else []
        trails = {flow.id: self._trail(flow) for flow in flows}
        refusals = [flow for flow in flows if self._refuses(flow, trails)] if _can_refuse(node) else []
        sent: list[str] = []
        for flow in flows:
            way = "refusal" if flow in refusals else "agreed"
            if flow.name:
                self.gathered[node.id].add(f"{way}.way", flow)
            if flow in refusals:
                sent += self._fold_trail(node.id, trails[flow.id] or [])
        opinion = node.bound("decision.opinion")
        stated: list[Described] = [item for item in (result, question, *refusals) if item is not None]
        self.gathered[node.id].decision = Decision(
            may_refuse=bool(refusals),
            reasons=opinion is not None and bool(opinion.required or opinion.required_when),
            messages=tuple(sorted(sent)),
            ways=tuple((flow.condition, () if flow in refusals else (flow.target,)) for flow in flows),
            clauses=tuple(dict.fromkeys(clause for item in stated for clause in item.clauses)),
            basis=weakest([item.basis for item in (result, question) if item is not None]),
        )

    def _question(self, node: Node) -> Node | None:
        """The gateway that asks for what was just done, or the step itself where its flows have the conditions."""
        if node.kind not in _USER | _ABSTRACT | _SERVICES | {"receiveTask"}:
            return None
        if len(self.out[node.id]) > 1 and any(flow.condition for flow in self.out[node.id]):
            return node
        return self._asked_after(node)

    def _asked_after(self, node: Node) -> Node | None:
        """The first gateway behind a step, if it asks for what this step says, or for what nobody does."""
        seen, after = {node.id}, self._only_next(node)
        while after is not None and after.id not in seen:
            if after.kind in _SPLITS and len(self.out[after.id]) > 1:
                asked = {name for flow in self.out[after.id] for name in _NAME.findall(flow.condition)}
                if any(self.says.get(name) == node.id for name in asked):
                    return after
                beside = len(seen) == 1 and len(self.into[after.id]) == 1
                of_others = any(self._leads_straight(self.says[name], after) for name in asked if name in self.says)
                return after if beside and not of_others else None
            seen.add(after.id)
            after = self._only_next(after)
        return None

    def _leads_straight(self, step: str, gateway: Node) -> bool:
        """Whether nothing parts the way from a step to a gateway."""
        seen: set[str] = set()
        node: Node | None = self.known[step]
        while node is not None and node.id not in seen:
            if node is gateway:
                return True
            seen.add(node.id)
            node = self._only_next(node)
        return False

    def _only_next(self, node: Node) -> Node | None:
        flows = self.out[node.id]
        return self.known[flows[0].target] if len(flows) == 1 else None

    @cached_property
    def says(self) -> Mapping[str, str]:
        """The step that gives each variable its value; a name that several of them give is left out."""
        given = Counter[str]()
        found: dict[str, str] = {}
        for node in self.pool.nodes:
            results = TOPICS[node.topic].results if node.topic in TOPICS else {}
            for name in (*(item.id for item in node.form), *results):
                given[name] += 1
                found[name] = node.id
        return {name: node for name, node in found.items() if given[name] == 1}

    def _trail(self, flow: Flow) -> list[Node] | None:
        """What happens by itself along a way until the case ends; None where somebody has something to do there."""
        found: list[Node] = []
        node = self.known[flow.target]
        while node not in found:
            found.append(node)
            flows = self.out[node.id]
            if node.kind == "endEvent":
                return found
            if node.kind not in _SENDS | _SERVICES | _SPLITS or len(flows) != 1:
                return None
            node = self.known[flows[0].target]
        return None

    def _refuses(self, flow: Flow, trails: Mapping[str, list[Node] | None]) -> bool:
        """Whether a way ends the case while another one does not, or ends it as refused."""
        if any(node.outcome for node in self.pool.nodes):
            ends = [
                self.known[node].outcome for node in self._beyond(flow.target) if self.known[node].kind == "endEvent"
            ]
            return bool(ends) and all(outcome == "refused" for outcome in ends)
        trail = trails[flow.id]
        if trail is None:
            return False
        if any(other is None for other in trails.values()):
            return True
        told = [flow.name, trail[-1].name]
        return any(says(text, "refuse") or text.strip().lower() in _NO for text in told)

    def _beyond(self, start: str) -> set[str]:
        """An element and all that can come after it."""
        found, waiting = {start}, [start]
        while waiting:
            reached = set(self._beside(waiting.pop(), backwards=False)) - found
            found |= reached
            waiting += reached
        return found

    def _fold_trail(self, host: str, trail: Sequence[Node]) -> list[str]:
        """Fold what only this refusal passes; answers what it sends or does on its way."""
        sent = []
        for node in trail:
            sent += [what for what in [_service(node)] if what]
            alone = all(self.host.get(flow.source, flow.source) == host for flow in self.into[node.id])
            if alone and node.id not in self.host:
                self._fold(host, f"refusal.{node.kind}", node)
        return sent

    # Steps ------------------------------------------------------------------------------------------------------

    def _is_step(self, node: Node) -> bool:
        if node.id in self.host or node.kind == "parallelGateway":
            return False
        return node.kind not in _SPLITS or len(self.out[node.id]) > 1

    def _step(self, node: Node, order: int) -> Step:
        gathered = self.gathered[node.id]
        kind, channel = self._kind(node, gathered.decision)
        folded = tuple(sorted(gathered.folded, key=lambda item: (item.role, item.label.zh, item.id)))
        decision = gathered.decision
        if decision is not None:
            ways = sorted((condition, self._steps_from(where, backwards=False)) for condition, where in decision.ways)
            decision = replace(decision, ways=tuple(ways))
        return Step(
            id=node.id,
            ids=(node.id, *dict.fromkeys(item.id for item in folded if item.id in self.known)),
            pool=self.pool.id,
            side=self.pool.side,
            party=GUARDIAN if channel == "guardian" else self._party(node.id),
            kind=kind,
            channel=channel,
            label=words(node),
            clauses=node.clauses,
            basis=node.basis,
            duty=node.duty if node.kind in _USER else "",
            menu=Words(node.menu("zh"), node.properties.get("menu.en", "")),
            batch=node.batch,
            deadline=_day(node) if kind == "wait" and node.kind in _CATCHES else _deadline(node.due),
            reminders=tuple(sorted(gathered.reminders, key=lambda item: (item.day, item.does))),
            fields=node.form,
            decision=decision,
            message=node.event.message if node.event is not None else "",
            does=_service(node) if node.kind in _SERVICES else "",
            outcome=_outcome(node),
            folded=folded,
            act=self._act(node),
            contacts=tuple(sorted(set(self._contacts(node)))),
            order=order,
            before=self._next(node.id, backwards=True),
            after=self._next(node.id, backwards=False),
        )

    def _kind(self, node: Node, decision: Decision | None) -> tuple[str, str]:
        if node.kind == "startEvent":
            return self._start(node)
        if node.kind == "endEvent":
            return "end", "automatic"
        if node.kind in _SENDS:
            return "send", "message"
        if node.kind in _CATCHES:
            waits = node.event is not None and node.event.kind != "message"
            return ("wait", "automatic") if waits else ("receive", "message")
        if node.kind in _SERVICES:
            return _KIND_OF_TOPIC.get(node.topic, "service"), "automatic"
        if node.kind == "manualTask":
            return "confirm" if decision is None else "decide", "off_system"
        if node.kind in _ABSTRACT:
            return "work" if decision is None else "decide", "unstated"
        if node.kind == "userTask":
            return self._work(node, decision), "system"
        return ("choice" if node.kind in _SPLITS else "wait"), "automatic"

    def _work(self, node: Node, decision: Decision | None) -> str:
        if node.bound("decision.result") or decision is not None:
            return "decide"
        return "apply" if self.pool.side != "releasing" and self.pool.application is node else "enter"

    def _start(self, node: Node) -> tuple[str, str]:
        if node.event is not None and node.event.kind == "message":
            return "start", "message"
        asked = any(self._outsider(flow.source) for flow in self.graph.message_flows if flow.target == node.id)
        return "start", "guardian" if asked and self.pool.side else "automatic"

    def _act(self, node: Node) -> tuple[str, ...]:
        """The tasks that are done in one act with this one, in their order; none where it stands for itself."""
        return next((act for act in self._acts if node.id in act), ())

    @cached_property
    def _acts(self) -> list[tuple[str, ...]]:
        acts = [
            tuple(item.id for item in self.pool.act(node.id)) for node in self.pool.nodes if node.kind == "manualTask"
        ]
        return sorted((act for act in acts if len(act) > 1), key=len, reverse=True)

    def _contacts(self, node: Node) -> Iterator[tuple[str, str]]:
        for flow in self.graph.message_flows:
            for mine, other, way in ((flow.source, flow.target, "out"), (flow.target, flow.source, "in")):
                if self.host.get(mine, mine) == node.id:
                    if pool := self._outsider(other):
                        yield way, GUARDIAN if self.pool.side else pool.name
                    elif not flow.message:
                        yield way, self._pool_of(other)

    def _outsider(self, element: str) -> Pool | None:
        return next((pool for pool in self.graph.pools if pool.id == element and not pool.nodes), None)

    def _pool_of(self, element: str) -> str:
        return next(
            (pool.side or pool.name for pool in self.graph.pools if element == pool.id or element in pool.by_id), ""
        )

    # Parties ----------------------------------------------------------------------------------------------------

    def _party(self, node_id: str) -> str:
        lane = next((lane for lane in reversed(self.pool.lanes) if node_id in lane.nodes), None)
        if lane is not None:
            return _party(lane)
        alone = len([pool for pool in self.graph.pools if pool.nodes]) == 1
        return OWNER if alone or not self.pool.name else _known(self.pool.name)

    # The run ----------------------------------------------------------------------------------------------------

    def _next(self, node_id: str, *, backwards: bool) -> tuple[str, ...]:
        """The steps directly before or after a step, past what is no step and what is folded into one."""
        return self._steps_from(self._beside(node_id, backwards=backwards), backwards=backwards, without=node_id)

    def _steps_from(self, starts: Sequence[str], *, backwards: bool, without: str = "") -> tuple[str, ...]:
        found: set[str] = set()
        seen, waiting = set(starts), list(starts)
        while waiting:
            node = waiting.pop()
            if self._is_step(self.known[node]):
                found.add(node)
                continue
            more = [other for other in self._beside(node, backwards=backwards) if other not in seen]
            seen.update(more)
            waiting += more
        return tuple(sorted(found - {without}))

    def _beside(self, node_id: str, *, backwards: bool) -> list[str]:
        """What comes directly before or after an element; a timer comes after the task that it sits on."""
        flows = self.into[node_id] if backwards else self.out[node_id]
        beside = [flow.source if backwards else flow.target for flow in flows]
        host = self.known[node_id].attached_to
        if backwards:
            return beside + ([host] if host in self.known else [])
        return beside + [event.id for event in self.pool.boundary.get(node_id, ())]

    def _order(self) -> dict[str, int]:
        """The place of each element in the run; what a timer sets off comes after the task that it sits on."""
        return places({node.id: self._beside(node.id, backwards=False) for node in self.pool.nodes})


def _party(lane: Lane) -> str:
    return lane.party if lane.party in PARTIES else _known(lane.party or lane.name)


def _known(name: str) -> str:
    """A party by the name that it has on the pages, else the name itself."""
    names = {
        words.text(locale).lower(): party
        for party in PARTIES
        for words in [templates()[f"party.{party}"]]
        for locale in ("zh", "en")
    }
    return names.get(name.strip().lower(), name.strip())


def _can_refuse(node: Node) -> bool:
    """A form that asks for a decision must offer a refusal; whatever has no such form is not judged by it."""
    result = node.bound("decision.result")
    if result is None or not result.options:
        return True
    return any(option.id == "refuse" or says(option.name, "refuse") for option in result.options)


def _service(node: Node) -> str:
    """What an element does by itself: the message that it sends, or the service that it runs."""
    if node.kind in _SENDS:
        return (node.event.message if node.event is not None else "") or node.name
    if node.kind in _SERVICES:
        return " ".join(
            filter(None, [node.topic or node.name, node.properties.get("to"), node.properties.get("notice")])
        )
    return ""


def _day(event: Node) -> str:
    """The day of a timer counted from the due day, or its expression where it counts otherwise."""
    timer = event.event.timer if event.event is not None else ""
    try:
        return f"due({expressions.due_shift(timer) or ''})"
    except BadExpression:
        return timer or (event.event.kind if event.event is not None else "")


def _outcome(node: Node) -> str:
    ends_all = node.event is not None and node.event.kind == "terminate"
    return " ".join(filter(None, [node.outcome, "terminate" if ends_all else ""]))


def _deadline(due: str) -> str:
    try:
        return str(expressions.workdays(due)) if due else ""
    except BadExpression:
        return due
