"""What was changed from one diagram to the next, element by element."""

from __future__ import annotations

import pytest

from engine.bpmn import reader
from engine.bpmn.changes import changes
from engine.settings import processes_folder


def shipped(regime: str = "anhui") -> str:
    return (processes_folder() / regime / "transfer.bpmn").read_text("utf-8")


def edited(*replacements: tuple[str, str]) -> list[tuple[str, str, dict[str, tuple[str, str]]]]:
    """What the changes say after texts of the shipped diagram were replaced: what, element, aspects."""
    text = shipped()
    for old, new in replacements:
        assert text.count(old) == 1, (text.count(old), old)
        text = text.replace(old, new)
    found = changes(reader.read(shipped().encode()), reader.read(text.encode()))
    return [
        (item.what, item.parts[-1].id, {aspect.name: (aspect.before, aspect.after) for aspect in item.aspects})
        for item in found
    ]


def test_the_same_diagram_has_no_changes():
    assert edited() == []


def test_the_drawing_is_no_change():
    assert edited(('<bpmndi:BPMNShape id="apply_di" bpmnElement="apply">\n        <dc:Bounds x="', '<bpmndi:BPMNShape id="apply_di" bpmnElement="apply">\n        <dc:Bounds x="1')) == []  # fmt: skip # noqa: E501


AUTHORITY = 'name="转入学校学籍主管部门审核" camunda:dueDate="${workdays(10)}"'
TOLD = "<bpmn:flowNodeRef>tell_student_to_enrol</bpmn:flowNodeRef>"
DECIDES = "<bpmn:flowNodeRef>decide_receiving_authority</bpmn:flowNodeRef>"


@pytest.mark.parametrize(
    ("replacements", "expected"),
    [
        (
            [(AUTHORITY, AUTHORITY.replace("10", "5"))],
            ("changed", "decide_receiving_authority", {"due": ("workdays(10)", "workdays(5)")}),
        ),
        (
            [(AUTHORITY, AUTHORITY.replace("审核", "核准"))],
            (
                "changed",
                "decide_receiving_authority",
                {"name": ("转入学校学籍主管部门审核", "转入学校学籍主管部门核准")},
            ),
        ),
        (
            [(TOLD, ""), (DECIDES, TOLD + DECIDES)],
            ("changed", "tell_student_to_enrol", {"party": ("receiving_school", "receiving_authority")}),
        ),
        (
            [('<bpmn:userTask id="retrieve" ', '<bpmn:userTask id="retrieve" camunda:candidateGroups="reviewer" ')],
            ("changed", "retrieve", {"duty": ("operator", "reviewer")}),
        ),
        (
            [
                (
                    'sourceRef="apply" targetRef="decide_receiving_authority"',
                    'sourceRef="apply" targetRef="check_student"',
                )
            ],
            (
                "changed",
                "apply_to_decide_receiving_authority",
                {"target": ("decide_receiving_authority", "check_student")},
            ),
        ),
        (
            [('id="receiving_authority_opinion" label="审批意见"', 'id="receiving_authority_opinion" label="意见"')],
            ("changed", "receiving_authority_opinion", {"name": ("审批意见", "意见")}),
        ),
        (
            [("student_ok</bpmn:conditionExpression>", "!student_ok</bpmn:conditionExpression>")],
            ("changed", "student_check_passed_to_request_release", {"condition": ("student_ok", "!student_ok")}),
        ),
        (
            [('<camunda:property name="withdraw" value="until record_retrieved" />', "")],
            ("changed", "receiving_side", {"withdraw": ("until record_retrieved", "")}),
        ),
        (
            [('name="document.in_force" value="2014-01-10"', 'name="document.in_force" value="2027-01-01"')],
            ("changed", "transfer", {"document.in_force": ("2014-01-10", "2027-01-01")}),
        ),
    ],
    ids=["deadline", "wording", "party", "duty", "order", "label", "condition", "withdrawal", "fact"],
)
def test_each_kind_of_change_is_named_with_before_and_after(replacements, expected):
    assert edited(*replacements) == [expected]


FIELD = '<camunda:formField id="receiving_authority_opinion" '


def test_a_field_more_is_one_change_that_names_its_step():
    new = '<camunda:formField id="deed" label="房产证号" type="string"></camunda:formField>'
    text = shipped().replace(FIELD, new + FIELD)
    [added] = changes(reader.read(shipped().encode()), reader.read(text.encode()))
    assert (added.what, added.kind, added.element) == ("added", "field", "decide_receiving_authority")
    assert added.label("zh") == "转入学校学籍主管部门审核 · 房产证号"
    [removed] = changes(reader.read(text.encode()), reader.read(shipped().encode()))
    assert (removed.what, removed.parts[-1].id) == ("removed", "deed")


def test_a_flow_is_called_by_its_ends():
    text = shipped().replace("student_ok</bpmn:conditionExpression>", "!student_ok</bpmn:conditionExpression>")
    [changed] = changes(reader.read(shipped().encode()), reader.read(text.encode()))
    assert changed.label("zh") == "核验通过？ → 提请转出方审核 (通过)"
    assert changed.label("en") == "Passed? → Ask the releasing side to decide (Passed)"


def test_what_one_regime_has_and_the_other_has_not_is_added_and_removed():
    found = changes(reader.read(shipped("national").encode()), reader.read(shipped("anhui").encode()))
    what = {item.parts[-1].id: item.what for item in found}
    assert what["check_with_releasing_school"] == "added"
    assert what["decide_receiving_school"] == what["decide_releasing_school"] == "removed"
