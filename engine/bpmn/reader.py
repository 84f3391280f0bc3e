"""Hardened XML to `ProcessGraph`. What stands in an executable pool and is not named here becomes a `strange` entry.

The allow-list matters because the executing library passes over in silence much that it does not know; see
`processes/README.md` for what each part of the notation means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from lxml import etree

from engine.bpmn.expressions import strip
from engine.bpmn.graph import Event, Field, Flow, Lane, MessageFlow, Node, Option, Pool, ProcessGraph
from engine.errors import N_, Invalid

BPMN = "http://www.omg.org/spec/BPMN/20100524/MODEL"
CAMUNDA = "http://camunda.org/schema/1.0/bpmn"
_XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
MAX_BYTES = 2 * 1024 * 1024
# Going through the attributes of one element takes lxml the square of their number: minutes for 100,000.
MAX_ATTRIBUTES = 100

# Lanes without a `party` property are looked up by their name.
GLOSSARY = {
    "转入学校": "receiving_school",
    "转入学校学籍主管部门": "receiving_authority",
    "转出学校": "releasing_school",
    "转出学校学籍主管部门": "releasing_authority",
}

_EVENTS = frozenset({"startEvent", "endEvent", "intermediateCatchEvent", "intermediateThrowEvent", "boundaryEvent"})
_TASKS = frozenset({"userTask", "manualTask", "serviceTask"})
_GATEWAYS = frozenset({"exclusiveGateway", "parallelGateway", "eventBasedGateway"})
_ALLOWED_NODES = _EVENTS | _TASKS | _GATEWAYS
_ALL_NODES = _ALLOWED_NODES | {
    "task", "sendTask", "receiveTask", "scriptTask", "businessRuleTask", "subProcess", "transaction",
    "adHocSubProcess", "callActivity", "inclusiveGateway", "complexGateway", "choreographyTask",
}  # fmt: skip
_DEFINITIONS = {
    "messageEventDefinition": "message",
    "timerEventDefinition": "timer",
    "terminateEventDefinition": "terminate",
}
# No effect on execution: words and drawing.
_INERT = frozenset({"documentation", "textAnnotation", "association", "extensionElements", "group"})

_PROCESS_CHILDREN = _ALLOWED_NODES | _INERT | {"laneSet", "sequenceFlow"}
_NODE_CHILDREN = {"incoming", "outgoing", "documentation", "extensionElements"}
_EXTENSIONS = {
    "userTask": {"properties", "formData"},
    "startEvent": {"properties", "formData"},
}
_COMMON = {"id", "name"}
_ATTRIBUTES = {
    "process": _COMMON | {"isExecutable", "processType", "isClosed"},
    "sequenceFlow": _COMMON | {"sourceRef", "targetRef", "isImmediate"},
    "exclusiveGateway": _COMMON | {"default", "gatewayDirection"},
    "parallelGateway": _COMMON | {"gatewayDirection"},
    "eventBasedGateway": _COMMON | {"gatewayDirection", "eventGatewayType", "instantiate"},
    "startEvent": _COMMON | {"isInterrupting"},
    "boundaryEvent": _COMMON | {"attachedToRef", "cancelActivity"},
    "messageEventDefinition": _COMMON | {"messageRef"},
    "conditionExpression": _COMMON | {"language"},
}
_CAMUNDA_ATTRIBUTES = {
    "userTask": {"candidateGroups", "dueDate"},
    "serviceTask": {"type", "topic"},
    # Written by a common modeler on every process; it says how long its own history is kept.
    "process": {"historyTimeToLive"},
}
_FIXED_VALUES = {"instantiate": "false", "eventGatewayType": "Exclusive", f"{{{CAMUNDA}}}type": "external"}
# The two ways in which XML Schema writes each.
_TRUE, _FALSE = ("true", "1"), ("false", "0")


class DiagramError(Invalid):
    """A file that is not a readable BPMN diagram."""

    code = "diagram"
    message = N_("This file can not be read as a BPMN diagram.")
    remedy = N_("Save it again in a BPMN 2.0 editor and try once more.")


def parse(source: bytes) -> etree._Element:
    """The root of the document, read without entities, network or DTD.

    Raises `DiagramError` for anything above 2 MB, with a DOCTYPE, not well-formed, or not BPMN.
    """
    if len(source) > MAX_BYTES:
        raise DiagramError(N_("The file is larger than 2 MB."), remedy=N_("Split the procedure or remove pictures."))
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(source, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise DiagramError(N_("The file is not well-formed XML, near line %(line)s."), line=line) from None
    if root.getroottree().docinfo.doctype or root.getroottree().docinfo.internalDTD is not None:
        raise DiagramError(N_("The file has a DOCTYPE, which is refused for safety."))
    if root.tag != _bpmn("definitions"):
        raise DiagramError(N_("The file is XML, but its root is not BPMN 2.0 `definitions`."))
    return root


@lru_cache(maxsize=64)
def read(source: bytes) -> ProcessGraph:
    """The graph of a file. Raises `DiagramError`."""
    return _Reader(parse(source)).graph()


def _bpmn(name: str) -> str:
    return f"{{{BPMN}}}{name}"


def _camunda(name: str) -> str:
    return f"{{{CAMUNDA}}}{name}"


def _local(element: etree._Element) -> str:
    return str(etree.QName(element).localname)


def _is_bpmn(element: etree._Element) -> bool:
    return bool(etree.QName(element).namespace == BPMN)


class _Reader:
    def __init__(self, root: etree._Element) -> None:
        self.root = root
        self.strange: list[tuple[str, str]] = []
        self.messages = {message.get("id", ""): message.get("name", "") for message in root.iterfind(_bpmn("message"))}
        self._refuse_repeated_ids()

    def _refuse_repeated_ids(self) -> None:
        seen: set[str] = set()
        for element in self.root.iter(f"{{{BPMN}}}*"):
            found = element.get("id")
            if found and found in seen:
                raise DiagramError(N_("The id “%(id)s” stands on two elements."), id=found)
            if found:
                seen.add(found)

    def graph(self) -> ProcessGraph:
        processes = {item.get("id", ""): item for item in self.root.iterfind(_bpmn("process"))}
        collaborations = self.root.findall(_bpmn("collaboration"))
        if len(collaborations) > 1:
            raise DiagramError(N_("The file has more than one collaboration."))
        if not collaborations:
            pools = tuple(self._pool(item.get("id", ""), item, item) for item in processes.values())
            return ProcessGraph(self.root.get("id", ""), pools, strange=tuple(self.strange))
        collaboration = collaborations[0]
        pools = tuple(
            self._pool(item.get("id", ""), item, processes.get(item.get("processRef", "")))
            for item in collaboration.iterfind(_bpmn("participant"))
        )
        drawn = {pool.process_id for pool in pools}
        for name, process in processes.items():
            if name not in drawn and process.get("isExecutable") in _TRUE:
                self._note(process, "process without a participant")
        events = {node.id: node.event for pool in pools for node in pool.nodes if node.event is not None}
        flows = tuple(self._message_flow(item, events) for item in collaboration.iterfind(_bpmn("messageFlow")))
        properties = self._properties(collaboration)
        return ProcessGraph(collaboration.get("id", ""), pools, flows, properties, tuple(self.strange))

    # Properties, forms ------------------------------------------------------------------------------------------

    def _extension(self, element: etree._Element, name: str) -> Iterator[etree._Element]:
        for extensions in element.iterfind(_bpmn("extensionElements")):
            yield from extensions.iterfind(_camunda(name))

    def _properties(self, element: etree._Element) -> dict[str, str]:
        found: dict[str, str] = {}
        for group in self._extension(element, "properties"):
            for item in group.iterfind(_camunda("property")):
                name = item.get("name", "")
                if name in found:
                    self._note(element, f"property {name} twice")
                found[name] = item.get("value", "")
        return found

    def _form(self, element: etree._Element) -> tuple[Field, ...]:
        return tuple(
            self._field(item)
            for form in self._extension(element, "formData")
            for item in form.iterfind(_camunda("formField"))
        )

    def _field(self, element: etree._Element) -> Field:
        properties = {
            item.get("id", ""): item.get("value", "")
            for group in element.iterfind(_camunda("properties"))
            for item in group.iterfind(_camunda("property"))
        }
        constraints = {
            item.get("name", ""): item.get("config", "")
            for group in element.iterfind(_camunda("validation"))
            for item in group.iterfind(_camunda("constraint"))
        }
        for unknown in sorted(set(constraints) - {"required", "maxlength", "min", "max"}):
            self._note(element, f"constraint {unknown}")
        for child in element:
            if _local(child) not in {"properties", "validation", "value"}:
                self._note(element, _local(child))
        return Field(
            id=element.get("id", ""),
            name=element.get("label", ""),
            properties=properties,
            type=element.get("type", "string"),
            required="required" in constraints and constraints["required"] != "false",
            visible=strip(properties.get("visible", "")),
            required_when=strip(properties.get("required", "")),
            options=tuple(
                Option(item.get("id", ""), item.get("name", ""), properties.get(f"option.{item.get('id')}.en", ""))
                for item in element.iterfind(_camunda("value"))
            ),
            default=element.get("defaultValue", ""),
            max_length=self._number(element, constraints, "maxlength"),
            minimum=self._number(element, constraints, "min"),
            maximum=self._number(element, constraints, "max"),
        )

    def _number(self, element: etree._Element, constraints: dict[str, str], name: str) -> int | None:
        text = constraints.get(name)
        if text is None:
            return None
        try:
            return int(text)
        except ValueError:
            self._note(element, f"constraint {name}={text}")
            return None

    # Pools ------------------------------------------------------------------------------------------------------

    def _pool(self, pool_id: str, element: etree._Element, process: etree._Element | None) -> Pool:
        properties = self._properties(element)
        if process is None:
            return Pool(pool_id, element.get("name", ""), properties)
        executable = process.get("isExecutable") in _TRUE
        if executable:
            self._look_for_strange(process)
            if element.find(_bpmn("participantMultiplicity")) is not None:
                self._note(element, "participantMultiplicity")
        return Pool(
            id=pool_id,
            name=element.get("name", ""),
            properties=properties if element is process else {**self._properties(process), **properties},
            process_id=process.get("id"),
            executable=executable,
            lanes=tuple(self._lane(item) for item in process.iter(_bpmn("lane"))),
            nodes=tuple(self._node(item) for item in process if _local(item) in _ALL_NODES),
            flows=tuple(self._flow(item) for item in process.iterfind(_bpmn("sequenceFlow"))),
        )

    def _lane(self, element: etree._Element) -> Lane:
        properties = self._properties(element)
        name = element.get("name", "")
        party = properties.get("party") or GLOSSARY.get(name.strip(), "")
        nodes = frozenset((item.text or "").strip() for item in element.iterfind(_bpmn("flowNodeRef")))
        return Lane(element.get("id", ""), name, properties, party, nodes)

    def _flow(self, element: etree._Element) -> Flow:
        condition = element.find(_bpmn("conditionExpression"))
        return Flow(
            id=element.get("id", ""),
            name=element.get("name", ""),
            properties=self._properties(element),
            source=element.get("sourceRef", ""),
            target=element.get("targetRef", ""),
            condition=strip(condition.text or "") if condition is not None else "",
        )

    def _node(self, element: etree._Element) -> Node:
        kind = _local(element)
        properties = self._properties(element)
        return Node(
            id=element.get("id", ""),
            name=element.get("name", ""),
            properties=properties,
            kind=kind,
            form=self._form(element),
            # Other tools know both attributes on user tasks alone, so a manual task says them by properties.
            duty=element.get(_camunda("candidateGroups")) or properties.get("duty") or "operator",
            topic=element.get(_camunda("topic"), ""),
            due=strip(element.get(_camunda("dueDate")) or properties.get("due", "")),
            event=self._event(element) if kind in _EVENTS else None,
            attached_to=element.get("attachedToRef"),
            interrupting=element.get("cancelActivity") not in _FALSE,
            default=element.get("default"),
        )

    def _event(self, element: etree._Element) -> Event:
        definitions = [item for item in element if _local(item).endswith("EventDefinition")]
        if not definitions:
            return Event("none")
        if len(definitions) > 1:
            self._note(element, "several event definitions")
        definition = definitions[0]
        kind = _DEFINITIONS.get(_local(definition), _local(definition))
        if kind == "message":
            return Event(kind, message=self.messages.get(definition.get("messageRef", ""), ""))
        if kind == "timer":
            date = definition.find(_bpmn("timeDate"))
            if date is None:
                self._note(element, "a timer without timeDate")
            return Event(kind, timer=strip(date.text or "") if date is not None else "")
        return Event(kind)

    def _message_flow(self, element: etree._Element, events: Mapping[str, Event]) -> MessageFlow:
        # Most editors draw an envelope over a flow that names its message, so the events at its ends may say it.
        ends = (events.get(element.get(end, "")) for end in ("sourceRef", "targetRef"))
        names = [self.messages.get(element.get("messageRef", ""), ""), *(event.message for event in ends if event)]
        return MessageFlow(
            id=element.get("id", ""),
            name=element.get("name", ""),
            properties=self._properties(element),
            source=element.get("sourceRef", ""),
            target=element.get("targetRef", ""),
            message=next(filter(None, names), ""),
        )

    # The allow-list ---------------------------------------------------------------------------------------------

    def _note(self, element: etree._Element, what: str) -> None:
        self.strange.append((element.get("id", "") or _local(element), what))

    def _look_for_strange(self, process: etree._Element) -> None:
        self._attributes(process, process)
        self._extensions(process, process)
        for child in process:
            kind = _local(child)
            if not _is_bpmn(child) or kind not in _PROCESS_CHILDREN:
                self._note(child, kind)
            elif kind in _ALLOWED_NODES:
                self._known(child, _NODE_CHILDREN | (_DEFINITIONS.keys() if kind in _EVENTS else set()))
            elif kind == "sequenceFlow":
                self._known(child, _INERT | {"conditionExpression"})
            elif kind == "laneSet":
                self._lane_set(child)

    def _known(self, element: etree._Element, children: set[str] | frozenset[str]) -> None:
        """Note what is not known of a node or flow: attributes, children, extensions, and those of its parts."""
        if not element.get("id"):
            self._note(element, f"{_local(element)} without an id")
        self._attributes(element, element)
        self._extensions(element, element)
        for child in element:
            local = _local(child)
            if not _is_bpmn(child) or local not in children:
                self._note(element, local)
            elif local in _DEFINITIONS:
                self._definition(element, child)
            elif local == "conditionExpression":
                self._condition(element, child)

    def _attributes(self, owner: etree._Element, element: etree._Element) -> None:
        kind = _local(element)
        if len(element.attrib) > MAX_ATTRIBUTES:
            raise DiagramError(N_("An element has more than %(most)s attributes."), most=MAX_ATTRIBUTES)
        for name, value in element.attrib.items():
            qname = etree.QName(str(name))
            local = qname.localname
            if qname.namespace == CAMUNDA:
                known = local in _CAMUNDA_ATTRIBUTES.get(kind, set())
            else:
                known = name == _XSI_TYPE or (qname.namespace is None and local in _ATTRIBUTES.get(kind, _COMMON))
            if not known or _FIXED_VALUES.get(name, value) != value:
                self._note(owner, f"{local}={value}"[:80])

    def _extensions(self, owner: etree._Element, element: etree._Element) -> None:
        allowed = _EXTENSIONS.get(_local(element), {"properties"})
        for extensions in element.iterfind(_bpmn("extensionElements")):
            for child in extensions:
                if etree.QName(child).namespace != CAMUNDA or _local(child) not in allowed:
                    self._note(owner, _local(child))

    def _definition(self, owner: etree._Element, element: etree._Element) -> None:
        self._attributes(owner, element)
        self._extensions(owner, element)
        for part in element:
            if _local(part) not in {"timeDate", "extensionElements", "documentation"}:
                self._note(owner, _local(part))

    def _condition(self, owner: etree._Element, element: etree._Element) -> None:
        self._attributes(owner, element)
        if element.get("language", "cel").lower() != "cel":
            self._note(owner, f"language={element.get('language')}"[:80])

    def _lane_set(self, lane_set: etree._Element) -> None:
        self._attributes(lane_set, lane_set)
        for lane in lane_set.iterfind(_bpmn("lane")):
            self._attributes(lane, lane)
            self._extensions(lane, lane)
            for child in lane:
                if _local(child) not in {"flowNodeRef", "extensionElements", "documentation"}:
                    self._note(lane, _local(child))
