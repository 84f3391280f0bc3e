"""What was changed from one diagram to the next, element by element, for the author of a draft to check the own work.

Elements are matched by id alone, and the drawing is left out. What two procedures mean to the people in them, whatever
their ids, is another question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.bpmn.graph import Described, Field, Flow, MessageFlow, Node, Pool, ProcessGraph

_DOT = " · "
# Properties that have an aspect of their own.
_NAMED = {"clause", "basis", "label.en", "menu", "menu.en", "batch", "due", "party"}


@dataclass(frozen=True)
class Aspect:
    """One thing about an element. Empty where the element says nothing of it."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Change:
    """One element that is there no more, is new, or differs in some aspects."""

    what: str  # added, removed, changed
    # The element as it is now, or was last; after its step where it is a field, both its ends where it is a flow.
    parts: tuple[Described, ...]
    kind: str
    aspects: tuple[Aspect, ...] = ()

    @property
    def element(self) -> str:
        """The id of what a picture shows of it: the field's step, the flow itself."""
        return self.parts[0].id if self.kind == "field" else self.parts[-1].id

    def label(self, locale: str) -> str:
        if self.kind == "sequenceFlow":
            source, target, flow = self.parts
            name = f" ({flow.label(locale)})" if flow.name else ""
            return f"{source.label(locale)} → {target.label(locale)}{name}"
        return _DOT.join(part.label(locale) for part in self.parts)


@dataclass(frozen=True)
class _Element:
    parts: tuple[Described, ...]
    kind: str
    aspects: dict[str, str]


def changes(before: ProcessGraph, after: ProcessGraph) -> list[Change]:
    """Every element that differs, in the order of the later diagram, what is gone last."""
    old, new = dict(_elements(before)), dict(_elements(after))
    found = []
    for key, element in new.items():
        if key not in old:
            found.append(Change("added", element.parts, element.kind))
        elif aspects := tuple(_differing(old[key].aspects, element.aspects)):
            found.append(Change("changed", element.parts, element.kind, aspects))
    found += [Change("removed", element.parts, element.kind) for key, element in old.items() if key not in new]
    return found


def _differing(before: dict[str, str], after: dict[str, str]) -> Iterator[Aspect]:
    for name in dict.fromkeys([*after, *before]):
        was, now = before.get(name, ""), after.get(name, "")
        # A field more or less is a change of its own, so only another order is left to say.
        if was != now and (name != "fields" or set(was.split(_DOT)) == set(now.split(_DOT))):
            yield Aspect(name, was, now)


def _elements(graph: ProcessGraph) -> Iterator[tuple[tuple[str, ...], _Element]]:
    """Every element by its id; a field by its step's and its own."""
    # What the document states as a whole stands on the collaboration, which has a name of its own in no graph.
    yield ("",), _Element((Described(graph.id, ""),), "collaboration", _others(graph.properties))
    for pool in graph.pools:
        yield (pool.id,), _Element((pool,), "participant", _common(pool))
        for lane in pool.lanes:
            yield (lane.id,), _Element((lane,), "lane", _common(lane) | {"party": lane.party})
        for node in pool.nodes:
            yield (node.id,), _Element((node,), node.kind, _node(pool, node))
            for field in node.form:
                yield (node.id, field.id), _Element((node, field), "field", _field(field))
        for flow in pool.flows:
            yield (flow.id,), _Element(_with_ends(pool, flow), "sequenceFlow", _flow(flow))
    for message in graph.message_flows:
        yield (message.id,), _Element((message,), "messageFlow", _message_flow(message))


def _common(element: Described) -> dict[str, str]:
    return {
        "name": element.name,
        "name_en": element.properties.get("label.en", ""),
        "clause": "; ".join(element.clauses),
        "basis": element.basis,
        **_others(element.properties),
    }


def _others(properties: Mapping[str, str]) -> dict[str, str]:
    """Properties without an aspect of their own, under their own names."""
    return {name: value for name, value in properties.items() if name not in _NAMED}


def _node(pool: Pool, node: Node) -> dict[str, str]:
    event = node.event
    return _common(node) | {
        "kind": node.kind,
        "party": pool.party(node.id),
        "duty": node.duty if node.is_human else "",
        "menu": node.menu("zh"),
        "menu_en": node.menu("en"),
        "batch": "true" if node.batch else "",
        "due": node.due,
        "fields": _DOT.join(field.id for field in node.form),
        "topic": node.topic,
        "message": event.message if event else "",
        "timer": event.timer if event else "",
        "event": event.kind if event else "",
        "attached_to": node.attached_to or "",
        "interrupting": "" if node.interrupting else "false",
        "default": node.default or "",
    }


def _field(field: Field) -> dict[str, str]:
    return _common(field) | {
        "type": field.type,
        "required": "true" if field.required else field.required_when,
        "visible": field.visible,
        "options": _DOT.join(f"{option.id}={option.name}" for option in field.options),
        "default": field.default,
        "max_length": _number(field.max_length),
        "minimum": _number(field.minimum),
        "maximum": _number(field.maximum),
    }


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def _flow(flow: Flow) -> dict[str, str]:
    return _common(flow) | {"source": flow.source, "target": flow.target, "condition": flow.condition}


def _with_ends(pool: Pool, flow: Flow) -> tuple[Described, ...]:
    ends = (pool.by_id.get(end) or Described(end, "") for end in (flow.source, flow.target))
    return (*ends, flow)


def _message_flow(flow: MessageFlow) -> dict[str, str]:
    return _common(flow) | {"source": flow.source, "target": flow.target, "message": flow.message}
