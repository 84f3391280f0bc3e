"""Each kind of change made to a diagram is found as that kind, and nothing else is found beside it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lxml import etree

from engine.comparison import compare
from engine.comparison.findings import MIRRORED
from tests.unit.comparison.mutations import BPMN, CAMUNDA, Diagram
from tests.unit.comparison.sides import document, kinds, shipped, source

REGIMES = ("national", "anhui")
NEIGHBOUR = {
    "receiving_school": "receiving_authority_lane", "receiving_authority": "receiving_school_lane",
    "releasing_school": "releasing_authority_lane", "releasing_authority": "releasing_school_lane",
}  # fmt: skip
PEOPLE = [(regime, step.id) for regime in REGIMES for step in shipped(regime).steps if step.is_human]
PLAIN = [(regime, step) for regime, step in PEOPLE if shipped(regime).by_id[step].decision is None]

Change = Callable[[Diagram], object]


def found(regime: str, change: Change) -> list[str]:
    """The kinds found after a change: the same from either side, and whether or not there is a document."""
    diagram = Diagram(source(regime))
    change(diagram)
    before, after = shipped(regime), diagram.side(document(regime))
    there, back = kinds(compare(before, after)), kinds(compare(after, before))
    assert sorted(MIRRORED.get(kind, kind) for kind in back) == there
    assert kinds(compare(shipped(regime, documented=False), diagram.side())) == there
    return there


# Steps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("regime", "step"), PLAIN)
def test_a_step_removed(regime, step):
    assert found(regime, lambda diagram: diagram.bypass(step)) == ["removed"]


@pytest.mark.parametrize("kind", ["manualTask", "userTask"])
@pytest.mark.parametrize(("regime", "step"), PEOPLE)
def test_a_step_added(regime, step, kind):
    assert found(regime, lambda it: it.insert_after(step, kind, "fresh", "向原班主任了解情况")) == ["added"]


@pytest.mark.parametrize(("regime", "step"), PEOPLE)
def test_a_step_given_to_another_party(regime, step):
    lane = NEIGHBOUR[shipped(regime).by_id[step].party]
    assert found(regime, lambda diagram: diagram.move(step, lane)) == ["moved"]


PAIRS = [
    ("tell_student_to_enrol", "retrieve"),
    ("review_application", "apply"),
    ("retrieve_record", "change_enrolment"),
]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("regime", REGIMES)
def test_two_steps_in_the_other_order(regime, pair):
    assert found(regime, lambda diagram: diagram.swap(*pair)) == ["reordered"]


@pytest.mark.parametrize("pair", PAIRS[:2])
@pytest.mark.parametrize("regime", REGIMES)
def test_two_steps_made_one(regime, pair):
    assert found(regime, lambda diagram: diagram.merge(*pair)) == ["merged"]


PARTS = [
    ("tell_student_to_enrol", "通知学生报到", "通知学生入学"),
    ("send_paper_file", "与家长商定转出方式", "将学生的纸质学籍档案转出"),
]


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("regime", REGIMES)
def test_a_step_made_two(regime, parts):
    assert found(regime, lambda diagram: diagram.split(*parts)) == ["split"]


@pytest.mark.parametrize("words", ["完全另外的说法", "核准之后再作登记"])
@pytest.mark.parametrize(("regime", "step"), PEOPLE)
def test_a_step_called_otherwise(regime, step, words):
    assert found(regime, lambda diagram: diagram.get(step).set("name", words)) == ["reworded"]


def without_decision(diagram: Diagram) -> None:
    diagram.drop("refused_by_receiving_authority")
    diagram.bypass("receiving_authority_agrees")
    diagram.bypass("decide_receiving_authority")


def with_decision(diagram: Diagram) -> None:
    """Whether the record is complete, asked before it is retrieved; if not, the transfer ends."""
    lane = "receiving_school_lane"
    diagram.insert_after("tell_student_to_enrol", "userTask", "decide_fresh", "决定是否接收档案", lane)
    form = etree.SubElement(
        etree.SubElement(diagram.get("decide_fresh"), f"{BPMN}extensionElements"), f"{CAMUNDA}formData"
    )
    etree.SubElement(form, f"{CAMUNDA}formField", id="fresh_result", label="接收与否", type="boolean")
    gateway = diagram.insert_after("decide_fresh", "exclusiveGateway", "fresh_agrees", "是否接收？", lane)
    (onwards,) = diagram.flows(source="fresh_agrees")
    etree.SubElement(onwards, f"{BPMN}conditionExpression").text = "fresh_result"
    end = etree.SubElement(gateway.getparent(), f"{BPMN}endEvent", id="fresh_refused", name="转学流程终止")
    diagram.set_property("fresh_refused", "outcome", "refused")
    diagram.enlist(end.get("id"), diagram.get(lane))
    gateway.set("default", diagram.connect("fresh_agrees", "fresh_refused").get("id"))


@pytest.mark.parametrize("regime", REGIMES)
def test_a_decision_removed(regime):
    assert found(regime, without_decision) == ["removed"]


@pytest.mark.parametrize("regime", REGIMES)
def test_a_decision_added(regime):
    assert found(regime, with_decision) == ["added"]


def side_by_side(diagram: Diagram) -> None:
    """Two steps at once instead of one after the other."""
    for gateway in ("fork", "join"):
        etree.SubElement(diagram.get("retrieve_record").getparent(), f"{BPMN}parallelGateway", id=gateway)
        diagram.enlist(gateway, diagram.get("receiving_school_lane"))
    (between,) = diagram.flows(source="retrieve_record", target="change_enrolment")
    (before,) = diagram.flows(target="retrieve_record")
    (after,) = diagram.flows(source="change_enrolment")
    before.set("targetRef", "fork")
    after.set("sourceRef", "join")
    between.set("sourceRef", "fork")
    for source_, target in (("fork", "retrieve_record"), ("retrieve_record", "join"), ("change_enrolment", "join")):
        diagram.connect(source_, target)


@pytest.mark.parametrize("regime", REGIMES)
def test_two_steps_at_once_that_came_one_after_the_other(regime):
    assert found(regime, side_by_side) == ["reordered"]


# What a step demands ---------------------------------------------------------------------------------------------


def without_refusal(diagram: Diagram) -> None:
    diagram.drop("refused_by_receiving_authority")
    diagram.bypass("receiving_authority_agrees")


def without_refusal_in_the_form(diagram: Diagram) -> None:
    without_refusal(diagram)
    opinion = diagram.field("decide_receiving_authority", "receiving_authority_opinion")
    opinion.getparent().remove(opinion)
    result = diagram.field("decide_receiving_authority", "receiving_authority_result")
    result.remove(next(value for value in result.iterfind(f"{CAMUNDA}value") if value.get("id") == "refuse"))


def without_reasons(diagram: Diagram) -> None:
    opinion = diagram.field("decide_receiving_authority", "receiving_authority_opinion")
    demanded = next(item for item in opinion.iter(f"{CAMUNDA}property") if item.get("id") == "required")
    demanded.getparent().remove(demanded)


def with_field(diagram: Diagram) -> None:
    form = diagram.field("apply", "receiving_grade").getparent()
    etree.SubElement(form, f"{CAMUNDA}formField", id="fresh", label="联系电话", type="string")


def without_field(diagram: Diagram) -> None:
    field = diagram.field("apply", "receiving_grade")
    field.getparent().remove(field)


def with_a_field_first(diagram: Diagram) -> None:
    field = diagram.field("apply", "receiving_grade")
    field.getparent().insert(0, field)


def with_a_form(diagram: Diagram) -> None:
    form = etree.SubElement(diagram.get("retrieve").find(f"{BPMN}extensionElements"), f"{CAMUNDA}formData")
    etree.SubElement(form, f"{CAMUNDA}formField", id="fresh", label="联系电话", type="string")


def optional(diagram: Diagram) -> None:
    for rule in list(diagram.field("apply", "record_number").iter(f"{CAMUNDA}constraint")):
        if rule.get("name") == "required":
            rule.getparent().remove(rule)


def with_another_condition(diagram: Diagram) -> None:
    (flow,) = diagram.flows(source="receiving_authority_agrees", target="check_student")
    flow.find(f"{BPMN}conditionExpression").text = 'receiving_authority_result != "refuse"'


def with_a_later_reminder(diagram: Diagram) -> None:
    diagram.get("receiving_authority_due_soon").find(f".//{BPMN}timeDate").text = "due(-1)"


def without_batch(diagram: Diagram) -> None:
    """Anhui's decision one by one; the national one by one is what it was, so there it becomes one for several."""
    try:
        diagram.drop_property("decide_receiving_authority", "batch")
    except ValueError:
        diagram.set_property("decide_receiving_authority", "batch", "true")


def with_option(diagram: Diagram) -> None:
    result = diagram.field("decide_receiving_authority", "receiving_authority_result")
    etree.SubElement(result, f"{CAMUNDA}value", id="later", name="暂缓")


def with_another_option(diagram: Diagram) -> None:
    result = diagram.field("decide_receiving_authority", "receiving_authority_result")
    next(result.iterfind(f"{CAMUNDA}value")).set("name", "照准")


def visible(diagram: Diagram, field: str, condition: str) -> None:
    properties = diagram.field("apply", field).find(f"{CAMUNDA}properties")
    etree.SubElement(properties, f"{CAMUNDA}property", id="visible", value=condition)


def with_a_question(diagram: Diagram) -> None:
    """A step that is left out in some cases."""
    gateway = diagram.insert_after("retrieve", "exclusiveGateway", "needed", "需要吗？")
    (first,) = diagram.flows(source="retrieve_record")
    gateway.set("default", diagram.connect("needed", first.get("targetRef")).get("id"))
    (into,) = diagram.flows(source="needed", target="retrieve_record")
    etree.SubElement(into, f"{BPMN}conditionExpression").text = "student_ok"


def due(step: str, days: str) -> Change:
    return lambda diagram: diagram.get(step).set(f"{CAMUNDA}dueDate", days)


def words(owner: str, name: str, value: str) -> Change:
    return lambda diagram: diagram.property(owner, name).set("value", value)


CHANGES: list[tuple[str, str, Change]] = [
    ("a shorter limit", "deadline", due("decide_receiving_authority", "${workdays(5)}")),
    ("no limit", "deadline", lambda it: it.get("decide_releasing_authority").attrib.pop(f"{CAMUNDA}dueDate")),
    ("a limit", "deadline", due("retrieve", "${workdays(5)}")),
    ("another reminder", "reminder", with_a_later_reminder),
    ("no reminder", "reminder", lambda diagram: diagram.drop_branch("receiving_authority_due_soon")),
    ("batches", "batch", lambda diagram: diagram.set_property("retrieve", "batch", "true")),
    ("a menu", "menu", words("retrieve", "menu", "别处/那里")),
    ("a duty", "duty", lambda it: it.get("decide_receiving_authority").set(f"{CAMUNDA}candidateGroups", "reviewer")),
    ("into the system", "channel", lambda diagram: diagram.retag("tell_student_to_enrol", "userTask")),
    ("out of the system", "channel", lambda diagram: diagram.retag("retrieve", "manualTask")),
    ("a field optional", "form", optional),
    ("a field of another type", "form", lambda it: it.field("apply", "receiving_grade").set("type", "long")),
    ("a field less", "form", without_field),
    ("a field more", "form", with_field),
    ("fields in another order", "form", with_a_field_first),
    ("a form", "form", with_a_form),
    (
        "a field called otherwise",
        "reworded",
        lambda it: it.field("apply", "receiving_grade").set("label", "拟就读年级"),
    ),
    ("a lane called otherwise", "reworded", lambda it: it.get("receiving_school_lane").set("name", "接收学校")),
    ("no refusal", "refusal", without_refusal),
    ("no refusal, nor in the form", "refusal", without_refusal_in_the_form),
    ("no reasons", "reasons", without_reasons),
    ("another condition", "condition", with_another_condition),
    ("a message less", "message", lambda diagram: diagram.bypass("announce_retrieval")),
    ("a refusal that is not told", "message", lambda diagram: diagram.bypass("announce_refusal")),
    ("the guardian is not told", "message", lambda diagram: diagram.drop("call_to_enrol_flow")),
    ("the guardian does not apply", "message", lambda diagram: diagram.drop("application_of_guardian_flow")),
    (
        "another message",
        "message",
        lambda it: it.get("announce_agreement_message").set("messageRef", "message_record_retrieved"),
    ),
    ("another service", "service", lambda it: it.get("change_enrolment").set(f"{CAMUNDA}topic", "notify")),
    (
        "an end that ends all",
        "outcome",
        lambda it: etree.SubElement(it.get("completed_releasing"), f"{BPMN}terminateEventDefinition"),
    ),
    ("batches of nothing", "batch", without_batch),
    ("an option more", "form", with_option),
    ("an option called otherwise", "reworded", with_another_option),
    ("a field that shows sometimes", "form", lambda it: visible(it, "receiving_class", 'student_name != ""')),
    ("a question between", "condition", with_a_question),
    ("another clause of a fact", "clause", words("transfer", "document.in_force.clause", "附件一")),
    ("a service less", "removed", lambda diagram: diagram.bypass("change_enrolment")),
    ("another day in force", "fact", words("transfer", "document.in_force", "2015-01-01")),
    ("no withdrawal", "withdrawal", lambda diagram: diagram.drop_property("receiving_side", "withdraw")),
    ("another outcome", "outcome", words("completed_releasing", "outcome", "refused")),
    ("another clause", "clause", words("retrieve", "clause", "附件一.1")),
    ("another basis", "clause", lambda diagram: diagram.set_property("retrieve", "basis", "inferred")),
]


@pytest.mark.parametrize(("what", "kind", "change"), CHANGES, ids=[what for what, _, _ in CHANGES])
@pytest.mark.parametrize("regime", REGIMES)
def test_a_change_is_found_as_what_it_is(regime, what, kind, change):
    assert found(regime, change) == [kind]


def test_each_side_is_told_what_it_does_not_say():
    diagram = Diagram(source("national"))
    diagram.get("decide_releasing_authority").attrib.pop(f"{CAMUNDA}dueDate")
    (difference,) = compare(shipped("national"), diagram.side(document("national"))).differences
    assert difference.standing == "unstated"
    assert difference.text("zh") == "“转出学校学籍主管部门核办”的办理时限：全国为10个工作日；改后未载明。"
    assert difference.text("en") == (
        "Time limit of “Decision of the releasing authority”: 10 working days in National; changed does not say."
    )


def test_a_consequence_names_its_cause():
    diagram = Diagram(source("national"))
    diagram.bypass("tell_student_to_enrol")
    cause, consequence = compare(shipped("national"), diagram.side(document("national"))).differences
    assert (cause.kind, consequence.kind, consequence.cause) == ("removed", "steps", cause.key)
