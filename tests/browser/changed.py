"""Anhui's procedure as a policy officer might change it: another label, half the time, and one step more."""

from __future__ import annotations

from tests.integration import diagrams

_STEP = """
    <bpmn:userTask id="confirm_receiving_school" name="转入学校分管领导确认" camunda:candidateGroups="reviewer">
      <bpmn:extensionElements>
        <camunda:properties>
          <camunda:property name="basis" value="practice" />
          <camunda:property name="label.en" value="Confirmation by the head of the receiving school" />
          <camunda:property name="menu" value="学籍变动/转入确认" />
          <camunda:property name="menu.en" value="Record changes/Confirmation of transfers in" />
        </camunda:properties>
      </bpmn:extensionElements>
    </bpmn:userTask>
    <bpmn:sequenceFlow id="confirmed" sourceRef="confirm_receiving_school" targetRef="decide_receiving_authority" />
"""
_DRAWN = """
      <bpmndi:BPMNShape id="confirm_receiving_school_di" bpmnElement="confirm_receiving_school">
        <dc:Bounds x="780" y="350" width="190" height="80" />
      </bpmndi:BPMNShape>
      <bpmndi:BPMNEdge id="confirmed_di" bpmnElement="confirmed">
        <di:waypoint x="875" y="430" />
        <di:waypoint x="875" y="630" />
      </bpmndi:BPMNEdge>
"""
_DECISION = '<bpmn:userTask id="decide_receiving_authority"'
_SHAPE = '      <bpmndi:BPMNShape id="decide_receiving_authority_di"'


def anhui() -> bytes:
    return diagrams.edited(
        "anhui",
        (
            f'{_DECISION} name="转入学校学籍主管部门审核" camunda:dueDate="${{workdays(10)}}"',
            f'{_DECISION} name="转入学校学籍主管部门审批" camunda:dueDate="${{workdays(5)}}"',
        ),
        (
            'sourceRef="apply" targetRef="decide_receiving_authority"',
            'sourceRef="apply" targetRef="confirm_receiving_school"',
        ),
        (f"    {_DECISION}", f"{_STEP}    {_DECISION}"),
        (_SHAPE, f"{_DRAWN}{_SHAPE}"),
        (
            "<bpmn:flowNodeRef>apply</bpmn:flowNodeRef>",
            "<bpmn:flowNodeRef>apply</bpmn:flowNodeRef><bpmn:flowNodeRef>confirm_receiving_school</bpmn:flowNodeRef>",
        ),
    )
