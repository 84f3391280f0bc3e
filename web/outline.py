"""A version in words, for its readers: its steps in order with their sentences, its forms, and what changed in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.bpmn import expressions
from engine.bpmn.changes import Aspect
from engine.bpmn.graph import Described, Field, Lane, MessageFlow, Node, Pool
from engine.errors import N_, XuejiError
from engine.procedures import Fact, Sentence, Version
from web import words
from web.forms import shown_when
from web.gettext import gettext as _
from web.gettext import ngettext
from web.locales import label

# What an element is, apart from the human steps, which are numbered.
KINDS = {
    "serviceTask": N_("Automatic"),
    "exclusiveGateway": N_("Decision"),
    "parallelGateway": N_("In parallel"),
    "eventBasedGateway": N_("Waits"),
    "startEvent": N_("Start event"),
    "endEvent": N_("End event"),
    "intermediateCatchEvent": N_("Message in"),
    "intermediateThrowEvent": N_("Message out"),
    "boundaryEvent": N_("Timer"),
    "userTask": N_("In the system"),
    "manualTask": N_("Off the system"),
    "collaboration": N_("The document"),
    "participant": N_("Pool"),
    "lane": N_("Lane"),
    "field": N_("Form field"),
    "sequenceFlow": N_("Flow"),
    "messageFlow": N_("Message flow"),
}

FACTS = {
    "issuer": N_("Issued by"),
    "number": N_("Document number"),
    "date": N_("Dated"),
    "in_force": N_("In force from"),
    "scope": N_("Scope"),
    "system": N_("System"),
    "docking": N_("Docking"),
    "provincial_matters": N_("Left to the province"),
    "query": N_("Query"),
    "query_filters": N_("Filters of the query"),
    "decision_record": N_("Record of a decision"),
    "report": N_("Reports"),
}

TYPES = {
    "string": N_("Text"),
    "long": N_("Whole number"),
    "boolean": N_("Yes or no"),
    "date": N_("Date"),
    "enum": N_("Choice"),
    "file": N_("File"),
}

BINDINGS = {
    "student.name": N_("the student's name"),
    "student.record_number": N_("the student's number"),
    "student.id_number": N_("the student's ID number"),
    "student.gender": N_("the student's sex"),
    "student.id_type": N_("the student's kind of document"),
    "student.birth_date": N_("the student's date of birth"),
    "origin.province": N_("the province of origin"),
    "origin.division": N_("the division of origin"),
    "origin.school": N_("the school of origin"),
    "origin.grade": N_("the grade of origin"),
    "origin.class": N_("the class of origin"),
    "target.school": N_("the receiving school"),
    "target.grade": N_("the receiving grade"),
    "target.class": N_("the receiving class"),
    "transfer.reason": N_("the reason of the transfer"),
    "transfer.date": N_("the date of the transfer"),
    "transfer.proof": N_("the proof"),
    "decision.result": N_("the decision"),
    "decision.opinion": N_("the opinion"),
}

ASPECTS = {
    "name": N_("Wording"),
    "name_en": N_("English wording"),
    "clause": N_("Clauses"),
    "basis": N_("Basis"),
    "kind": N_("Kind of element"),
    "party": N_("Party"),
    "duty": N_("Duty"),
    "menu": N_("Menu"),
    "menu_en": N_("English menu"),
    "batch": N_("Several at once"),
    "due": N_("Time limit"),
    "fields": N_("Order of the fields"),
    "topic": N_("Service"),
    "message": N_("Message of the contract"),
    "timer": N_("Timer"),
    "event": N_("Kind of event"),
    "attached_to": N_("Attached to"),
    "interrupting": N_("Interrupts its step"),
    "default": N_("Default flow"),
    "outcome": N_("Outcome"),
    "type": N_("Type"),
    "required": N_("Required"),
    "visible": N_("Shown if"),
    "options": N_("Values"),
    "binds": N_("Bound to"),
    "max_length": N_("Longest text"),
    "minimum": N_("Lowest value"),
    "maximum": N_("Highest value"),
    "multiline": N_("Several lines"),
    "source": N_("Starts at"),
    "target": N_("Leads to"),
    "condition": N_("Condition"),
    "side": N_("Side"),
    "withdraw": N_("Withdrawal"),
    "to": N_("Told"),
    "notice": N_("Notice"),
}

CHANGES = {"added": N_("New"), "removed": N_("Gone"), "changed": N_("Changed")}


# Steps -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """One element in the order of the case, with its sentences. `number` counts the steps of people."""

    node: Node
    party: str
    sentences: list[Sentence]
    number: int | None = None
    # What its timers set off: each timer and what follows it.
    beside: tuple[Item, ...] = ()


@dataclass(frozen=True)
class Part:
    """One pool: its lanes and its elements."""

    pool: Pool
    lanes: list[tuple[Lane, list[Sentence]]]
    items: list[Item]

    @property
    def steps(self) -> list[Item]:
        """What somebody or the system does, without the signs between."""
        return [item for item in self.items if item.node.is_human or item.node.kind == "serviceTask"]


def parts(version: Version) -> list[Part]:
    """The executable pools of a version, in its order."""
    return [
        Part(pool, [(lane, version.quote(lane)) for lane in pool.lanes], list(_items(version, pool)))
        for pool in version.graph.executable
    ]


def _items(version: Version, pool: Pool) -> Iterator[Item]:
    number = 0
    told: set[str] = set()
    # What no flow reaches comes last: a draft may be unfinished.
    for node in [*pool.in_order, *pool.nodes]:
        if node.id in told:
            continue
        beside = list(_beside(pool, node, told))
        told.update([node.id, *(other.id for other in beside)])
        number += node.is_human
        yield Item(
            node,
            pool.party(node.id),
            version.quote(node),
            number if node.is_human else None,
            tuple(Item(other, pool.party(other.id), version.quote(other)) for other in beside),
        )


def _beside(pool: Pool, node: Node, told: set[str]) -> Iterator[Node]:
    """The timers on the edge of a step, each with what follows it and nothing else."""
    seen = set(told) | {node.id} | {other.id for other in pool.in_order}
    for event in pool.boundary.get(node.id, ()):
        after: Node | None = event
        while after is not None and (after is event or after.id not in seen):
            seen.add(after.id)
            yield after
            after = pool.following(after.id)


def messages(version: Version) -> list[tuple[MessageFlow, list[Sentence]]]:
    """The message flows, with their sentences."""
    return [(flow, version.quote(flow)) for flow in version.graph.message_flows]


def workdays(node: Node) -> int | None:
    """The working days that a step may take; None where it says nothing, or nothing that can be read."""
    try:
        return expressions.workdays(node.due) if node.due else None
    except XuejiError:
        return None


def limit(node: Node) -> str:
    """The step's time limit in words; empty without one."""
    days = workdays(node)
    if days is None:
        return node.due
    return str(ngettext("%(num)d working day", "%(num)d working days", days))


# Forms -----------------------------------------------------------------------------------------------------------


def field_type(field: Field) -> str:
    return str(_(TYPES[field.type])) if field.type in TYPES else field.type


def binding(field: Field) -> str:
    return str(_(BINDINGS[field.binds])) if field.binds in BINDINGS else field.binds


def required(field: Field, form: Sequence[Field]) -> str:
    """When a field must be filled in."""
    if field.required:
        return str(_("Always"))
    if not field.required_when:
        return str(_("No"))
    return str(_("If %(condition)s", condition=condition(field.required_when, form)))


def shown(field: Field, form: Sequence[Field]) -> str:
    """When a field is shown; empty for always."""
    return str(_("Shown if %(condition)s", condition=condition(field.visible, form))) if field.visible else ""


def condition(expression: str, form: Sequence[Field]) -> str:
    """`result == "refuse"` in the form's own words; any other expression as it is written."""
    name, _equals, values = shown_when(expression).partition("=")
    field = next((item for item in form if item.id == name), None)
    if field is None:
        return expression
    known = {option.id: label(option) for option in field.options} | {"true": _("yes"), "false": _("no")}
    listed = _(" or ").join(known.get(value, value) for value in values.split("|"))
    return str(_("%(field)s is %(value)s", field=label(field), value=listed))


# The document ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One sentence of the document: the elements that stand for it, and the facts that it states."""

    sentence: Sentence
    elements: list[Described]
    facts: list[Fact]


def document(version: Version) -> list[Line]:
    """The whole document in its order."""
    elements: dict[str, dict[str, Described]] = {}
    for element in _elements(version):
        for clause in element.clauses:
            elements.setdefault(clause, {})[element.id] = element
    return [
        Line(
            sentence,
            list(elements.get(sentence.clause, {}).values()),
            [fact for fact in version.facts if sentence.clause in fact.clauses],
        )
        for sentence in version.sentences
    ]


def _elements(version: Version) -> Iterator[Described]:
    graph = version.graph
    yield Described(graph.id, str(_("The procedure as a whole")), {"clause": graph.properties.get("clause", "")})
    for pool in graph.pools:
        yield pool
        yield from pool.lanes
        for node in [*pool.in_order, *pool.nodes]:
            yield node
            yield from node.form
        yield from pool.flows
    yield from graph.message_flows


def facts(version: Version) -> list[tuple[str, list[Fact]]]:
    """What the document states as a whole, key by key; nothing where it does not say."""
    return [(key, [fact for fact in version.facts if fact.key == key]) for key in FACTS]


def drawn(version: Version) -> dict[str, str]:
    """For every element and form field, the id of what a picture shows of it."""
    found = {element.id: element.id for element in _elements(version)}
    for pool in version.graph.pools:
        for node in pool.nodes:
            found.update({field.id: node.id for field in node.form} | {node.id: node.id})
    # The whole is no part of the picture.
    del found[version.graph.id]
    return found


def names(version: Version) -> dict[str, str]:
    """What each element and form field is called."""
    return {element.id: label(element) for element in _elements(version)}


# Changes ---------------------------------------------------------------------------------------------------------


def aspect_name(name: str) -> str:
    key = name.removeprefix("document.").removesuffix(".clause").removesuffix(".en")
    if name.startswith("document.") and key in FACTS:
        suffix = _(" (clauses)") if name.endswith(".clause") else _(" (English)") if name.endswith(".en") else ""
        return str(_(FACTS[key])) + suffix
    return str(_(ASPECTS[name])) if name in ASPECTS else name


def aspect_value(aspect: Aspect, value: str, version: Version) -> str:
    """A value in words; the ids of elements by what they are called."""
    if not value:
        return ""
    if aspect.name in ("source", "target", "attached_to", "default"):
        return next((label(element) for element in _elements(version) if element.id == value), value)
    if aspect.name == "due":
        return limit(Node("", "", due=value))
    known = _CODES.get(aspect.name, {}).get(value)
    return str(_(known)) if known else value


_YES_NO = {"true": N_("yes"), "false": N_("no")}
_CODES: dict[str, dict[str, str]] = {
    "party": words.PARTIES,
    "to": words.PARTIES,
    "duty": words.DUTIES,
    "basis": words.BASES | {"text": N_("From the text")},
    "kind": KINDS,
    "type": TYPES,
    "binds": BINDINGS,
    "batch": _YES_NO,
    "multiline": _YES_NO,
    "interrupting": _YES_NO,
    "required": _YES_NO,
    "outcome": {"completed": N_("Completed"), "refused": N_("Refused")},
}
