"""Plain procedures: started by their name, and worked through task by task."""

from __future__ import annotations

import pytest

from engine import procedures
from engine.audit import SYSTEM
from tests.integration.api.conftest import ok, refused

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"


@pytest.fixture
def deploy(database, world, clock):
    def deploy(regime: str) -> None:
        with database.transaction() as connection:
            version = procedures.upload(connection, SYSTEM, regime, "leave", LEAVE.encode(), at=clock())
            procedures.deploy(connection, SYSTEM, version.id, at=clock())

    return deploy


@pytest.fixture
def school(program_of, world, deploy):
    deploy("national")
    return program_of(world[HENAN].actor("operator"))


LEAVE = """<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL"
  xmlns:camunda="http://camunda.org/schema/1.0/bpmn" id="d" targetNamespace="http://test">
<bpmn:process id="leave" isExecutable="true">
  <bpmn:startEvent id="start" name="开始"><bpmn:extensionElements><camunda:formData>
    <camunda:formField id="days" label="天数" type="long"><camunda:validation>
      <camunda:constraint name="required"/><camunda:constraint name="max" config="30"/>
    </camunda:validation></camunda:formField>
  </camunda:formData></bpmn:extensionElements><bpmn:outgoing>f0</bpmn:outgoing></bpmn:startEvent>
  <bpmn:userTask id="enter" name="登记"><bpmn:extensionElements><camunda:formData>
    <camunda:formField id="by" label="经办人" type="string"/>
  </camunda:formData></bpmn:extensionElements><bpmn:incoming>f0</bpmn:incoming><bpmn:outgoing>f1</bpmn:outgoing>
  </bpmn:userTask>
  <bpmn:userTask id="close" name="销假"><bpmn:incoming>f1</bpmn:incoming><bpmn:outgoing>f2</bpmn:outgoing>
  </bpmn:userTask>
  <bpmn:endEvent id="done" name="结束"><bpmn:incoming>f2</bpmn:incoming></bpmn:endEvent>
  <bpmn:sequenceFlow id="f0" sourceRef="start" targetRef="enter"/>
  <bpmn:sequenceFlow id="f1" sourceRef="enter" targetRef="close"/>
  <bpmn:sequenceFlow id="f2" sourceRef="close" targetRef="done"/>
</bpmn:process>
</bpmn:definitions>"""


def test_a_case_is_started_by_its_name_and_worked_through(school):
    [procedure] = ok(school.get("/cases/startable"))
    assert (procedure["kind"], [field["id"] for field in procedure["form"]["fields"]]) == ("leave", ["days"])
    answer = school.post("/cases", {"kind": "leave", "values": {"days": 3}}, key="one")
    started = ok(answer, 201)
    assert school.post("/cases", {"kind": "leave", "values": {"days": 3}}, key="one").data == answer.data
    case = ok(school.get(answer.headers["Location"]))
    assert (case["id"], case["state"], case["kind"]) == (started["case_id"], "open", "leave")
    [task] = ok(school.get(f"/cases/{case['id']}/tasks"))
    assert started["next"] == [task["id"]]
    assert (task["steps"][0]["id"], task["party"], task["transfer"]) == ("enter", "owner", None)
    became = ok(school.post(f"/tasks/{task['id']}/completion", {"values": {"by": "甲"}}))
    assert (became["outcome"], became["holders"][0]["step"]["id"]) == (None, "close")
    [row] = ok(school.get(f"/cases/{case['id']}/tasks"))
    assert became["next"] == [row["id"]]
    assert ok(school.get(f"/tasks/{row['id']}"))["form"]["fields"] == []
    became = ok(school.post(f"/tasks/{row['id']}/completion", {"values": {}, "revision": became["revision"]}))
    assert became["outcome"] == "completed"
    ended = ok(school.get(answer.headers["Location"]))
    assert (ended["state"], ended["outcome"], ended["holders"]) == ("ended", "completed", [])


def test_its_start_form_is_checked(school):
    assert set(refused(school.post("/cases", {"kind": "leave"}), 422)["fields"]) == {"days"}
    assert set(refused(school.post("/cases", {"kind": "leave", "values": {"days": 31}}), 422)["fields"]) == {"days"}


def test_it_is_started_where_its_regime_is_in_force(program_of, world, deploy):
    deploy("anhui")
    body = {"kind": "leave", "values": {"days": 1}}
    refused(program_of(world[HENAN].actor("operator")).post("/cases", body), 404)
    assert ok(program_of(world[HENAN].actor("operator")).get("/cases/startable")) == []
    ok(program_of(world[ANHUI].actor("county")).post("/cases", body), 201)


def test_it_is_started_by_who_works_on_cases(program_of, world, school):
    refused(program_of(world[HENAN].actor("policy")).post("/cases", {"kind": "leave", "values": {"days": 1}}), 403)
    refused(school.post("/cases", {"kind": "transfer", "values": {}}), 404)
    refused(school.post("/cases", {"kind": "nothing", "values": {}}), 404)


def test_it_is_its_owners_own(program_of, world, school):
    case_id = ok(school.post("/cases", {"kind": "leave", "values": {"days": 1}}), 201)["case_id"]
    for actor in (world[HENAN].actor("county"), world[HENAN].actor("other_operator"), world[ANHUI].actor("operator")):
        refused(program_of(actor).get(f"/cases/{case_id}"), 404)
        assert ok(program_of(actor).get(f"/cases/{case_id}/tasks")) == []
    ok(program_of(world[HENAN].actor("reviewer")).get(f"/cases/{case_id}"))
