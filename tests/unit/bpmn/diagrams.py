"""Small diagrams as text: a test shows what it runs, one element a line."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from engine.bpmn import reader
from engine.bpmn.catalogue import MESSAGES
from engine.bpmn.graph import Pool, ProcessGraph
from engine.bpmn.runtime import Specification

_HEAD = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"'
    ' xmlns:camunda="http://camunda.org/schema/1.0/bpmn"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" id="file" targetNamespace="test">'
    + "".join(f'<message id="message_{name}" name="{name}"/>' for name in [*MESSAGES, "gossip"])
)

# The options of a decision, as (id, label).
DECISION = (("agree", "同意"), ("refuse", "不同意"))


# Files -----------------------------------------------------------------------------------------------------------


def file(*elements: str) -> bytes:
    """A whole file around what stands at its top level."""
    return (_HEAD + "".join(elements) + "</definitions>").encode()


def process(id: str, *elements: str, **attributes: str) -> str:
    return element("process", id, *elements, **{"isExecutable": "true"} | attributes)


def plain(*elements: str) -> bytes:
    """A file with one pool of its own and nothing else."""
    return file(process("pool", *elements))


def read(*elements: str) -> ProcessGraph:
    return reader.read(plain(*elements))


def pool(*elements: str) -> Pool:
    return read(*elements).executable[0]


def specification(*elements: str) -> Specification:
    return Specification(pool(*elements))


def collaboration(*elements: str, **attributes: str) -> str:
    return element("collaboration", "collaboration", *elements, **attributes)


def participant(id: str, process: str | None, side: str | None = None, **properties: str) -> str:
    facts = ({"side": side} if side else {}) | properties
    reference = {"processRef": process} if process else {}
    return element("participant", id, extension(property_list(facts)) if facts else "", **reference)


# Elements --------------------------------------------------------------------------------------------------------


def element(kind: str, id: str, *inside: str, **attributes: str) -> str:
    """Any element; `camunda_topic` is the attribute `camunda:topic`."""
    given = {"id": id, **attributes}
    words = "".join(f" {name.replace('camunda_', 'camunda:')}={quoteattr(value)}" for name, value in given.items())
    return f"<{kind}{words}>{''.join(inside)}</{kind}>"


def start(id: str = "start", *inside: str, message: str = "", **attributes: str) -> str:
    return element("startEvent", id, *inside, definition(message=message), **attributes)


def end(id: str = "end", *, outcome: str = "", terminate: bool = False, **attributes: str) -> str:
    facts = extension(property_list({"outcome": outcome})) if outcome else ""
    return element("endEvent", id, facts, "<terminateEventDefinition/>" if terminate else "", **attributes)


def user(id: str, *inside: str, **attributes: str) -> str:
    return element("userTask", id, *inside, **{"name": id} | attributes)


def manual(id: str, *inside: str, **attributes: str) -> str:
    return element("manualTask", id, *inside, **{"name": id} | attributes)


def service(id: str, topic: str = "escalate", *inside: str, **attributes: str) -> str:
    return element("serviceTask", id, *inside, **{"camunda_type": "external", "camunda_topic": topic} | attributes)


def exclusive(id: str, default: str = "", **attributes: str) -> str:
    return element("exclusiveGateway", id, **({"default": default} if default else {}) | attributes)


def parallel(id: str, **attributes: str) -> str:
    return element("parallelGateway", id, **attributes)


def event_based(id: str, **attributes: str) -> str:
    return element("eventBasedGateway", id, **attributes)


def catch(id: str, *, message: str = "", timer: str = "") -> str:
    return element("intermediateCatchEvent", id, definition(message=message, timer=timer))


def throw(id: str, message: str = "") -> str:
    return element("intermediateThrowEvent", id, definition(message=message))


def boundary(id: str, host: str, *, timer: str = "due()", interrupting: bool = True) -> str:
    cancels = {} if interrupting else {"cancelActivity": "false"}
    return element("boundaryEvent", id, definition(timer=timer), attachedToRef=host, **cancels)


def definition(*, message: str = "", timer: str = "") -> str:
    if message:
        return f'<messageEventDefinition messageRef="message_{message}"/>'
    if timer:
        return f"<timerEventDefinition><timeDate>{escape(timer)}</timeDate></timerEventDefinition>"
    return ""


def flow(source: str, target: str, condition: str = "", *inside: str) -> str:
    """A sequence flow; its id is `source_target`."""
    words = (
        f'<conditionExpression xsi:type="tFormalExpression">{escape(condition)}</conditionExpression>'
        if condition
        else ""
    )
    return element("sequenceFlow", f"{source}_{target}", words, *inside, sourceRef=source, targetRef=target)


def path(*nodes: str) -> str:
    """The flows along a way: `path("start", "ask", "end")`."""
    return "".join(flow(source, target) for source, target in pairwise(nodes))


def lanes(**nodes_by_party: str) -> str:
    """Lanes by party; their nodes separated by blanks."""
    inside = (
        element(
            "lane",
            f"lane_{party}",
            extension(property_list({"party": party})),
            *(f"<flowNodeRef>{node}</flowNodeRef>" for node in nodes.split()),
        )
        for party, nodes in nodes_by_party.items()
    )
    return f"<laneSet>{''.join(inside)}</laneSet>"


# What stands inside an element -----------------------------------------------------------------------------------


def extension(*inside: str) -> str:
    return f"<extensionElements>{''.join(inside)}</extensionElements>"


def property_list(facts: Mapping[str, str], named_by: str = "name") -> str:
    inside = "".join(
        f"<camunda:property {named_by}={quoteattr(name)} value={quoteattr(value)}/>" for name, value in facts.items()
    )
    return f"<camunda:properties>{inside}</camunda:properties>"


def properties(**facts: str) -> str:
    """Properties whose names are words; `property_list` takes any."""
    return extension(property_list(facts))


def form(*fields: str) -> str:
    return extension(f"<camunda:formData>{''.join(fields)}</camunda:formData>")


def field(
    id: str,
    type: str = "string",
    *,
    options: tuple[tuple[str, str], ...] = (),
    constraints: Mapping[str, str | None] | None = None,
    facts: Mapping[str, str] | None = None,
    **attributes: str,
) -> str:
    """A form field. A constraint without a value, such as `required`, is given as None."""
    # Those of a field go by `id`, all others by `name`.
    inside = property_list(facts, "id") if facts else ""
    inside += "".join(f"<camunda:value id={quoteattr(option)} name={quoteattr(name)}/>" for option, name in options)
    if constraints:
        rules = "".join(
            f"<camunda:constraint name={quoteattr(name)}" + (f" config={quoteattr(value)}/>" if value else "/>")
            for name, value in constraints.items()
        )
        inside += f"<camunda:validation>{rules}</camunda:validation>"
    given = {"label": id} | attributes
    words = "".join(f" {name}={quoteattr(value)}" for name, value in given.items())
    return f'<camunda:formField id="{id}" type="{type}"{words}>{inside}</camunda:formField>'


def choice(id: str, *options: str) -> str:
    """A form with one enum field."""
    return form(field(id, "enum", options=tuple((option, option) for option in options)))


def decision() -> str:
    """A form with a result and an opinion that a refusal needs."""
    return form(
        field("result", "enum", options=DECISION, constraints={"required": None}, facts={"binds": "decision.result"}),
        field("opinion", facts={"binds": "decision.opinion", "required": 'result == "refuse"'}),
    )
