"""Changes to a diagram, each as an author would make it: one kind at a time."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from copy import deepcopy

from lxml import etree

from engine.comparison import Side, Words
from tests.unit.comparison.sides import of_text

BPMN = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
CAMUNDA = "{http://camunda.org/schema/1.0/bpmn}"
DI = "{http://www.omg.org/spec/BPMN/20100524/DI}"
DC = "{http://www.omg.org/spec/DD/20100524/DC}"
POINTS = "{http://www.omg.org/spec/DD/20100524/DI}"
NODES = {
    "userTask", "manualTask", "serviceTask", "task", "startEvent", "endEvent", "intermediateThrowEvent",
    "intermediateCatchEvent", "boundaryEvent", "exclusiveGateway", "parallelGateway", "eventBasedGateway",
}  # fmt: skip
# Words that mean the same, as `synonyms.csv` has them.
SYNONYMS = (
    ("核办", "审定"), ("审核", "核准"), ("审批", "批准"), ("通知", "告知"), ("调取", "调阅"), ("学生姓名", "学生名字"),
    ("转学理由", "转学事由"), ("原因", "缘由"), ("提出申请", "申请"), ("不同意", "驳回"), ("同意", "准予"),
    ("转出", "移出"),
)  # fmt: skip


class Diagram:
    """A diagram that is being changed."""

    def __init__(self, text: str) -> None:
        self.root = etree.fromstring(text.encode())

    @property
    def text(self) -> str:
        return etree.tostring(self.root, encoding="unicode")

    def side(self, document: str = "") -> Side:
        return of_text(self.text, document, "changed", Words("改后", "changed"))

    def copy(self) -> Diagram:
        return Diagram(self.text)

    # Finding

    def get(self, id: str) -> etree._Element:
        (found,) = self.root.xpath("//*[@id=$id]", id=id)
        return found

    def nodes(self, *kinds: str) -> Iterator[etree._Element]:
        for element in self.root.iter(f"{BPMN}*"):
            if etree.QName(element).localname in (kinds or NODES):
                yield element

    def flows(self, *, source: str = "", target: str = "") -> list[etree._Element]:
        return [
            flow
            for flow in self.root.iter(f"{BPMN}sequenceFlow")
            if (not source or flow.get("sourceRef") == source) and (not target or flow.get("targetRef") == target)
        ]

    def property(self, owner: str, name: str) -> etree._Element:
        (found,) = self.get(owner).xpath("*//*[@name=$name]", name=name)
        return found

    # Small changes

    def set_property(self, owner: str, name: str, value: str) -> None:
        element = self.get(owner)
        extensions = element.find(f"{BPMN}extensionElements")
        if extensions is None:
            extensions = etree.Element(f"{BPMN}extensionElements")
            element.insert(0, extensions)
        group = extensions.find(f"{CAMUNDA}properties")
        if group is None:
            group = etree.SubElement(extensions, f"{CAMUNDA}properties")
        etree.SubElement(group, f"{CAMUNDA}property", name=name, value=value)

    def drop_property(self, owner: str, name: str) -> None:
        found = self.property(owner, name)
        found.getparent().remove(found)

    def drop(self, id: str) -> None:
        """Take an element away, and all that refers to it."""
        element = self.get(id)
        element.getparent().remove(element)
        for other in list(self.root.iter()):
            refers = [other.get(name) for name in ("sourceRef", "targetRef", "bpmnElement", "attachedToRef")]
            told = (other.text or "").strip() if etree.QName(other).localname in _REFERENCES else ""
            if (id in refers or told == id) and other.getparent() is not None:
                if etree.QName(other).localname == "boundaryEvent":
                    self.drop_branch(other.get("id"))
                elif etree.QName(other).localname in ("sequenceFlow", "messageFlow"):
                    self.drop(other.get("id"))
                else:
                    other.getparent().remove(other)

    def drop_branch(self, id: str) -> None:
        """Take an element away, and all behind it that nothing else leads to."""
        targets = [flow.get("targetRef") for flow in self.flows(source=id)]
        self.drop(id)
        for target in targets:
            if not self.flows(target=target):
                self.drop_branch(target)

    def connect(self, source: str, target: str, id: str = "") -> etree._Element:
        process = self.get(source).getparent()
        return etree.SubElement(
            process, f"{BPMN}sequenceFlow", id=id or f"{source}_then_{target}", sourceRef=source, targetRef=target
        )

    def lane_of(self, node: str) -> etree._Element:
        (found,) = self.root.xpath(
            "//b:lane[b:flowNodeRef[normalize-space()=$node]]", node=node, namespaces={"b": BPMN[1:-1]}
        )
        return found

    def enlist(self, node: str, lane: etree._Element) -> None:
        etree.SubElement(lane, f"{BPMN}flowNodeRef").text = node

    # Changes of steps

    def bypass(self, id: str) -> None:
        """Take a step away and lead what came to it on to what came after it."""
        (after,) = self.flows(source=id)
        for before in self.flows(target=id):
            before.set("targetRef", after.get("targetRef"))
        self.drop(after.get("id"))
        self.drop(id)

    def insert_after(self, id: str, kind: str, new: str, name: str, lane: str = "") -> etree._Element:
        """A new step behind another one, in the same lane where none is given."""
        (after,) = self.flows(source=id)
        element = etree.SubElement(self.get(id).getparent(), f"{BPMN}{kind}", id=new, name=name)
        self.enlist(new, self.get(lane) if lane else self.lane_of(id))
        self.connect(new, after.get("targetRef"))
        after.set("targetRef", new)
        return element

    def move(self, id: str, lane: str) -> None:
        old = self.lane_of(id)
        for reference in old.iterfind(f"{BPMN}flowNodeRef"):
            if (reference.text or "").strip() == id:
                old.remove(reference)
                break
        self.enlist(id, self.get(lane))

    def swap(self, first: str, second: str) -> None:
        """Two steps, one directly after the other, in the other order."""
        (between,) = self.flows(source=first, target=second)
        (after,) = self.flows(source=second)
        for before in self.flows(target=first):
            before.set("targetRef", second)
        between.set("sourceRef", second)
        between.set("targetRef", first)
        after.set("sourceRef", first)

    def merge(self, first: str, second: str) -> None:
        """Two steps as one: the second one, which takes in the words and the form of the first."""
        one, other = self.get(first), self.get(second)
        other.set("name", f"{one.get('name')}，并{other.get('name')}")
        fields = list(one.iter(f"{CAMUNDA}formField"))
        for form in other.iter(f"{CAMUNDA}formData"):
            for number, field in enumerate(fields):
                form.insert(number, deepcopy(field))
            break
        self.set_property(second, "clause", ";".join(self.pop_property(step, "clause") for step in (first, second)))
        for flow in self.root.iter(f"{BPMN}messageFlow"):
            for end in ("sourceRef", "targetRef"):
                if flow.get(end) == first:
                    flow.set(end, second)
        self.bypass(first)

    def pop_property(self, owner: str, name: str) -> str:
        value = str(self.property(owner, name).get("value"))
        self.drop_property(owner, name)
        return value

    def split(self, id: str, first: str, second: str) -> None:
        """One step as two, each with a part of its words."""
        element = self.get(id)
        new = self.insert_after(id, etree.QName(element).localname, f"{id}_second", second)
        for name, value in element.attrib.items():
            if name not in ("id", "name"):
                new.set(name, value)
        for extensions in element.iterfind(f"{BPMN}extensionElements"):
            taken = deepcopy(extensions)
            for form in taken.iterfind(f"{CAMUNDA}formData"):
                taken.remove(form)
            new.insert(0, taken)
        element.set("name", first)

    def retag(self, id: str, kind: str) -> None:
        self.get(id).tag = f"{BPMN}{kind}"

    def field(self, step: str, id: str) -> etree._Element:
        (found,) = [item for item in self.get(step).iter(f"{CAMUNDA}formField") if item.get("id") == id]
        return found


_REFERENCES = {"flowNodeRef", "incoming", "outgoing"}
_IDS = {
    "id", "sourceRef", "targetRef", "attachedToRef", "default", "bpmnElement", "processRef", "messageRef",
}  # fmt: skip


# What changes no meaning -----------------------------------------------------------------------------------------


def rename_ids(diagram: Diagram, names: Callable[[str], str]) -> None:
    """Other ids everywhere, in the references to them and in the conditions that name fields."""
    known = {
        element.get("id"): names(element.get("id"))
        for element in diagram.root.iter()
        if element.get("id") and etree.QName(element).localname not in ("property", "value")
    }
    variables = {item.get("id") for item in diagram.root.iter(f"{CAMUNDA}formField")}
    names_of_fields = (rf"\b{re.escape(name)}\b" for name in sorted(variables, key=len, reverse=True))
    pattern = re.compile("|".join(names_of_fields) or "(?!)")
    for element in diagram.root.iter():
        local = etree.QName(element).localname
        for name, value in element.attrib.items():
            if local not in ("property", "value") and name in _IDS and value in known:
                element.set(name, known[value])
            if local == "property" and name == "value" and element.get("id") in ("required", "visible"):
                element.set(name, pattern.sub(lambda found: known[found[0]], value))
        if local in _REFERENCES:
            element.text = known.get((element.text or "").strip(), element.text)
        if local == "conditionExpression":
            element.text = pattern.sub(lambda found: known[found[0]], element.text or "")


def shuffle(diagram: Diagram, chance: random.Random) -> None:
    """The elements of each process, lane and collaboration in another order."""
    for name in ("process", "collaboration", "lane", "laneSet", "definitions"):
        for parent in diagram.root.iter(f"{BPMN}{name}"):
            children = list(parent)
            chance.shuffle(children)
            # Where BPMN has an order, the extensions come first.
            children.sort(key=lambda child: etree.QName(child).localname != "extensionElements")
            for child in children:
                parent.remove(child)
            parent.extend(children)


def move_shapes(diagram: Diagram, chance: random.Random, share: float = 1.0) -> int:
    """Shapes put elsewhere; answers how many."""
    moved = 0
    for shape in diagram.root.iter(f"{DI}BPMNShape"):
        for bounds in shape.iterfind(f"{DC}Bounds"):
            if chance.random() < share:
                bounds.set("x", str(float(bounds.get("x", "0")) + chance.randint(1, 400)))
                moved += 1
    return moved


def reword(diagram: Diagram, chance: random.Random, share: float = 0.7) -> None:
    """Words replaced by others of the same meaning, wherever a reader sees them."""
    for element in diagram.root.iter():
        local = etree.QName(element).localname
        for name in ("name", "label"):
            if local in ("property", "message", "constraint") or not element.get(name) or chance.random() > share:
                continue
            for word, other in SYNONYMS:
                if word in element.get(name):
                    element.set(name, element.get(name).replace(word, other))
                    break


def strip(diagram: Diagram) -> None:
    """All that our own notation adds taken away: what is left is what any tool draws."""
    for extensions in list(diagram.root.iter(f"{BPMN}extensionElements")):
        extensions.getparent().remove(extensions)
    for element in diagram.root.iter():
        for name in list(element.attrib):
            if name.startswith(CAMUNDA):
                del element.attrib[name]
    for process in diagram.root.iter(f"{BPMN}process"):
        process.set("isExecutable", "false")
