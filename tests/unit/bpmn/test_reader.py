"""Reading a diagram: what it says arrives, what is dangerous is refused, what is unknown is named."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.bpmn import checks, reader
from engine.bpmn.graph import Event, Lane, MessageFlow
from engine.bpmn.reader import DiagramError
from engine.bpmn.runtime import Specification
from tests.unit.bpmn import diagrams as d

CONDITION = '<conditionExpression xsi:type="tFormalExpression"{}>a == "x"</conditionExpression>'
SAMPLE = d.file(
    d.collaboration(
        d.participant("receiving_side", "receiving", "receiving"),
        d.participant("guardian", None),
        d.element("messageFlow", "told", sourceRef="ask", targetRef="guardian", messageRef="message_paper_sent"),
    ),
    d.process(
        "receiving",
        d.lanes(receiving_school="start ask gate", receiving_authority="check"),
        d.start(),
        d.user(
            "ask", d.form(d.field("a", "enum", options=(("x", "甲"), ("y", "乙")))), camunda_dueDate="${workdays(10)}"
        ),
        d.boundary("warn", "ask", timer="${due(-3)}", interrupting=False),
        d.exclusive("gate", default="gate_check"),
        d.service("check", "check_student"),
        d.end(outcome="completed"),
        d.path("start", "ask", "gate", "check", "end"),
        d.path("warn", "end"),
        d.flow("gate", "end", '${a == "x"}'),
    ),
)


def refused(source: bytes) -> str:
    with pytest.raises(DiagramError) as error:
        reader.read(source)
    return str(error.value)


def strange(*elements: str) -> list[tuple[str, str]]:
    return list(d.read(*elements).strange)


# ---- hostile files


BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;">]>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="&e;">&e;</definitions>"""
OUTSIDE = b"""<!DOCTYPE x [<!ENTITY secret SYSTEM "file:///etc/hostname">]>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL">&secret;</definitions>"""
PLAIN_DOCTYPE = '<!DOCTYPE definitions>\n<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"/>'


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(BOMB, id="entities that multiply"),
        pytest.param(OUTSIDE, id="an entity from outside"),
        pytest.param(
            OUTSIDE.replace(b"file:///etc/hostname", b"http://127.0.0.1:1/x"), id="an entity from the network"
        ),
        pytest.param(PLAIN_DOCTYPE.encode(), id="a plain DOCTYPE"),
        pytest.param(PLAIN_DOCTYPE.encode("utf-16"), id="a DOCTYPE in UTF-16"),
        pytest.param(PLAIN_DOCTYPE.replace("definitions>", 'definitions SYSTEM "x.dtd">', 1).encode(), id="a DTD"),
        pytest.param(d.plain(d.start()) + b"<", id="not well-formed"),
        pytest.param(b"<" * 300_000, id="only brackets"),
        pytest.param(b"<a>" * 100_000, id="deep and open"),
        pytest.param(b"<a>" * 1_000 + b"</a>" * 1_000, id="deep and closed"),
        pytest.param(d.plain("<documentation>" * 600 + "</documentation>" * 600), id="deep inside a diagram"),
        pytest.param(b"<definitions/>", id="no namespace"),
        pytest.param(b'<process xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"/>', id="another root"),
        pytest.param(b"<html/>", id="another language"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00\xff\xfe", id="bytes"),
        pytest.param(b'<?xml version="1.0" encoding="klingon"?><definitions/>', id="an unknown encoding"),
        pytest.param(b"PK\x03\x04", id="an archive"),
        pytest.param(d.plain(d.start(), d.user("start")), id="an id that stands twice"),
        pytest.param(d.file(d.collaboration(), d.element("collaboration", "two")), id="two collaborations"),
        pytest.param(b" " * (reader.MAX_BYTES + 1), id="larger than 2 MB"),
    ],
)
def test_a_hostile_or_broken_file_is_refused(source: bytes) -> None:
    assert refused(source)


def test_a_file_of_just_two_megabytes_is_read() -> None:
    source = d.plain(d.start(), d.end(), d.path("start", "end"))
    room = reader.MAX_BYTES - len(source)
    filler = f"<!--{'x' * (room - 7)}-->".encode()
    assert len(source + filler) == reader.MAX_BYTES
    assert reader.read(source + filler).executable


def test_a_refusal_says_where() -> None:
    assert "line 2" in refused(b"<definitions>\n<a></b></definitions>")
    assert "twice" in refused(d.plain(d.user("twice"), d.user("twice")))


def no_crash(source: bytes) -> None:
    """Whatever the bytes are: refused as a diagram, or read, checked and (if nothing blocks it) made ready to run."""
    try:
        graph = reader.read(source)
    except DiagramError:
        return
    if not checks.blocks(checks.findings(graph)):
        for pool in graph.executable:
            Specification(pool)


@given(st.binary(max_size=300))
@example(b"<?xml?>")
@settings(max_examples=200, deadline=None)
def test_no_bytes_do_more_than_be_refused(source: bytes) -> None:
    no_crash(source)


WORDS = st.sampled_from(
    [
        b"<", b">", b"/>", b'"', b"&", b"&amp;", b"<!--", b"-->", b"<![CDATA[", b"<?x ?>", b"\x00", b"\xff",
        b"<userTask/>", b"<userTask id='n'/>", b"<boundaryEvent id='b' attachedToRef='nobody'/>", b"<lane id='l'/>",
        b"<sequenceFlow id='f' sourceRef='ask' targetRef='ask'/>", b"<extensionElements/>", b"<camunda:properties/>",
        b" default='gate_end'", b" isExecutable='false'", b"<eventBasedGateway id='e'/>", b"<startEvent/>", b"${", b"}",
    ]
)  # fmt: skip


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_change_to_a_good_file_does_more_than_be_refused(data: st.DataObject) -> None:
    source = SAMPLE
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(source)))
        drop = data.draw(st.integers(0, 40))
        put = data.draw(st.one_of(st.just(b""), WORDS, st.binary(max_size=3)))
        source = source[:at] + put + source[at + drop :]
    no_crash(source)


ELEMENTS = st.sampled_from(SAMPLE.decode().replace(">", ">\n").splitlines())


@given(st.lists(ELEMENTS, max_size=30))
@settings(max_examples=200, deadline=None)
def test_no_order_of_its_parts_does_more_than_be_refused(lines: list[str]) -> None:
    no_crash(d.plain(*lines))


# ---- what arrives


def test_the_sample_arrives_as_it_is_drawn() -> None:
    graph = reader.read(SAMPLE)
    receiving, guardian = graph.pools
    assert graph.executable == (receiving,)
    assert (receiving.process_id, receiving.side, guardian.process_id) == ("receiving", "receiving", None)
    assert graph.message_flows == (MessageFlow("told", "", source="ask", target="guardian", message="paper_sent"),)
    assert [(node.kind, node.id) for node in receiving.nodes] == [
        ("startEvent", "start"), ("userTask", "ask"), ("boundaryEvent", "warn"), ("exclusiveGateway", "gate"),
        ("serviceTask", "check"), ("endEvent", "end"),
    ]  # fmt: skip
    ask, warn = receiving.by_id["ask"], receiving.by_id["warn"]
    assert (ask.due, ask.duty, ask.is_human) == ("workdays(10)", "operator", True)
    assert [(option.id, option.name) for option in ask.form[0].options] == [("x", "甲"), ("y", "乙")]
    assert (warn.event, warn.attached_to, warn.interrupting) == (Event("timer", timer="due(-3)"), "ask", False)
    assert receiving.by_id["gate"].default == "gate_check"
    assert receiving.by_id["check"].topic == "check_student"
    assert receiving.by_id["end"].outcome == "completed"
    assert {flow.id: flow.condition for flow in receiving.flows if flow.condition} == {"gate_end": 'a == "x"'}
    assert graph.strange == ()


def test_a_lane_gives_its_party_by_property_or_by_its_name() -> None:
    pool = d.pool(
        d.element(
            "laneSet",
            "lanes",
            d.element("lane", "one", "<flowNodeRef> ask </flowNodeRef>", name=" 转出学校学籍主管部门 "),
            d.element("lane", "two", d.properties(party="releasing_school"), "<flowNodeRef>tell</flowNodeRef>"),
            d.element("lane", "three", "<flowNodeRef>end</flowNodeRef>", name="别处"),
        ),
        d.user("ask"),
        d.user("tell"),
        d.end(),
    )
    assert pool.lanes[0] == Lane("one", " 转出学校学籍主管部门 ", {}, "releasing_authority", frozenset({"ask"}))
    assert [pool.party(node) for node in ("ask", "tell", "end")] == ["releasing_authority", "releasing_school", ""]


def test_every_party_has_its_chinese_name() -> None:
    assert sorted(reader.GLOSSARY) == ["转入学校", "转入学校学籍主管部门", "转出学校", "转出学校学籍主管部门"]


def test_a_participants_properties_stand_above_its_processes() -> None:
    graph = reader.read(
        d.file(
            d.collaboration(
                d.extension(d.property_list({"document.number": "68号"})),
                d.participant("one", "p", "receiving", withdraw="until record_retrieved", basis="practice"),
            ),
            d.process("p", d.extension(d.property_list({"side": "releasing", "clause": "一.3; 二.1;"}))),
        )
    )
    pool = graph.pools[0]
    assert (pool.side, pool.basis, pool.clauses) == ("receiving", "practice", ("一.3", "二.1"))
    assert pool.withdrawable_until == "record_retrieved"
    assert graph.properties == {"document.number": "68号"}


def test_a_form_arrives_with_its_rules() -> None:
    pool = d.pool(
        d.user(
            "ask",
            d.form(
                d.field(
                    "grade", "long", label="年级", defaultValue="7",
                    constraints={"required": None, "min": "1", "max": "9"},
                    facts={"binds": "target.grade", "label.en": "Grade"},
                ),
                d.field("why", constraints={"maxlength": "20", "required": "false"}, facts={"multiline": "true"}),
                d.field(
                    "how", "enum", options=(("post", "邮寄"),),
                    facts={"visible": '${why == "x"}', "required": "${grade > 3}", "option.post.en": "By post"},
                ),
            ),
        )
    )  # fmt: skip
    grade, why, how = pool.by_id["ask"].form
    assert (grade.label("zh"), grade.label("en"), grade.binds, grade.default) == ("年级", "Grade", "target.grade", "7")
    assert (grade.required, grade.minimum, grade.maximum, grade.max_length) == (True, 1, 9, None)
    assert (why.required, why.max_length, why.multiline) == (False, 20, True)
    assert (how.visible, how.required_when) == ('why == "x"', "grade > 3")
    assert [how.options[0].label(locale) for locale in ("zh", "en")] == ["邮寄", "By post"]


@pytest.mark.parametrize("written", ["workdays(10)", "${workdays(10)}", " ${ workdays(10) } "])
def test_the_brackets_of_other_tools_are_taken_off(written: str) -> None:
    assert d.pool(d.user("ask", camunda_dueDate=written)).by_id["ask"].due == "workdays(10)"


@pytest.mark.parametrize(("written", "interrupting"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_truth_is_read_in_both_ways_of_writing(written: str, interrupting: bool) -> None:
    pool = d.pool(d.element("boundaryEvent", "b", cancelActivity=written))
    assert pool.by_id["b"].interrupting is interrupting
    assert len(reader.read(d.file(d.process("p", isExecutable=written))).executable) == interrupting


def test_a_process_without_participant_is_a_pool_only_where_nothing_is_drawn_around_it() -> None:
    assert [pool.id for pool in reader.read(d.file(d.process("p"), d.process("q"))).executable] == ["p", "q"]
    graph = reader.read(d.file(d.collaboration(d.participant("one", "p")), d.process("p"), d.process("q")))
    assert [pool.id for pool in graph.executable] == ["one"]
    assert graph.strange == (("q", "process without a participant"),)


def test_a_black_box_may_contain_anything() -> None:
    graph = reader.read(d.file(d.process("p", d.element("scriptTask", "s"), isExecutable="false")))
    assert graph.strange == ()
    assert graph.executable == ()


def test_the_same_bytes_are_read_once() -> None:
    assert reader.read(SAMPLE) is reader.read(bytes(SAMPLE))


# ---- the allow-list


LOOP = '<multiInstanceLoopCharacteristics isSequential="true"/>'
SCRIPT = "<camunda:script scriptFormat='groovy'>x</camunda:script>"


@pytest.mark.parametrize(
    ("element", "id", "what"),
    [
        (d.element("scriptTask", "x", "<script>1</script>"), "x", "scriptTask"),
        (d.element("sendTask", "x"), "x", "sendTask"),
        (d.element("receiveTask", "x"), "x", "receiveTask"),
        (d.element("businessRuleTask", "x"), "x", "businessRuleTask"),
        (d.element("task", "x"), "x", "task"),
        (d.element("callActivity", "x", calledElement="other"), "x", "callActivity"),
        (d.element("subProcess", "x", d.start("inner")), "x", "subProcess"),
        (d.element("subProcess", "x", triggeredByEvent="true"), "x", "subProcess"),
        (d.element("transaction", "x"), "x", "transaction"),
        (d.element("adHocSubProcess", "x"), "x", "adHocSubProcess"),
        (d.element("inclusiveGateway", "x"), "x", "inclusiveGateway"),
        (d.element("complexGateway", "x"), "x", "complexGateway"),
        (d.element("dataObject", "x"), "x", "dataObject"),
        (d.element("dataObjectReference", "x"), "x", "dataObjectReference"),
        (d.element("dataStoreReference", "x"), "x", "dataStoreReference"),
        (d.element("property", "x"), "x", "property"),
        (d.element("ioSpecification", "x"), "x", "ioSpecification"),
        (d.element("correlationSubscription", "x"), "x", "correlationSubscription"),
        ('<foreign xmlns="http://elsewhere.example" id="x"/>', "x", "foreign"),
        (d.user("x", LOOP), "x", "multiInstanceLoopCharacteristics"),
        (d.user("x", "<standardLoopCharacteristics/>"), "x", "standardLoopCharacteristics"),
        (d.user("x", "<ioSpecification/>"), "x", "ioSpecification"),
        (d.user("x", "<dataInputAssociation/>"), "x", "dataInputAssociation"),
        (d.user("x", "<potentialOwner/>"), "x", "potentialOwner"),
        (d.user("x", d.extension("<camunda:inputOutput/>")), "x", "inputOutput"),
        (d.user("x", d.extension("<camunda:taskListener event='create'/>")), "x", "taskListener"),
        (d.user("x", d.extension("<camunda:executionListener event='end'/>")), "x", "executionListener"),
        (d.user("x", d.extension(SCRIPT)), "x", "script"),
        (d.user("x", d.extension('<other:job xmlns:other="http://elsewhere.example"/>')), "x", "job"),
        (d.manual("x", d.form(d.field("a"))), "x", "formData"),
        (d.user("x", camunda_asyncBefore="true"), "x", "asyncBefore=true"),
        (d.user("x", camunda_assignee="demo"), "x", "assignee=demo"),
        (d.user("x", camunda_candidateUsers="demo"), "x", "candidateUsers=demo"),
        (d.user("x", camunda_formKey="embedded:app:x.html"), "x", "formKey=embedded:app:x.html"),
        (d.user("x", isForCompensation="true"), "x", "isForCompensation=true"),
        (d.user("x", **{"xmlns:o": "http://elsewhere.example", "o:wait": "1"}), "x", "wait=1"),
        (d.service("x", camunda_expression="${1}"), "x", "expression=${1}"),
        (d.service("x", camunda_resultVariable="r"), "x", "resultVariable=r"),
        (d.service("x", implementation="##WebService"), "x", "implementation=##WebService"),
        (d.service("x", camunda_type="mail"), "x", "type=mail"),
        (d.element("startEvent", "x", "<signalEventDefinition/>"), "x", "signalEventDefinition"),
        (d.element("endEvent", "x", "<errorEventDefinition/>"), "x", "errorEventDefinition"),
        (d.element("endEvent", "x", "<escalationEventDefinition/>"), "x", "escalationEventDefinition"),
        (d.element("endEvent", "x", "<compensateEventDefinition/>"), "x", "compensateEventDefinition"),
        (d.element("endEvent", "x", "<cancelEventDefinition/>"), "x", "cancelEventDefinition"),
        (d.element("intermediateCatchEvent", "x", "<conditionalEventDefinition/>"), "x", "conditionalEventDefinition"),
        (d.element("intermediateThrowEvent", "x", "<linkEventDefinition/>"), "x", "linkEventDefinition"),
        (d.element("boundaryEvent", "x", "<eventDefinitionRef>y</eventDefinitionRef>"), "x", "eventDefinitionRef"),
        (d.element("endEvent", "x", "<messageEventDefinition><operationRef>y</operationRef></messageEventDefinition>"),
         "x", "operationRef"),
        (d.element("endEvent", "x", '<messageEventDefinition camunda:class="evil.Bean"/>'), "x", "class=evil.Bean"),
        (d.element("eventBasedGateway", "x", instantiate="true"), "x", "instantiate=true"),
        (d.element("eventBasedGateway", "x", eventGatewayType="Parallel"), "x", "eventGatewayType=Parallel"),
        (d.flow("x", "y", "", d.extension("<camunda:executionListener event='take'/>")), "x_y", "executionListener"),
        (d.flow("x", "y", "", CONDITION.format(" language='groovy'")), "x_y", "language=groovy"),
        (d.flow("x", "y", "", CONDITION.format(" camunda:resource='x.js'")), "x_y", "resource=x.js"),
        (d.element("laneSet", "s", d.element("lane", "x", "<childLaneSet/>")), "x", "childLaneSet"),
        (d.element("laneSet", "s", d.element("lane", "x", d.extension("<camunda:potentialStarter/>"))), "x",
         "potentialStarter"),
        (d.element("laneSet", "s", d.element("lane", "x", partitionElementRef="y")), "x", "partitionElementRef=y"),
        ('<userTask name="x"/>', "userTask", "userTask without an id"),
        (d.user("u", d.properties(menu="a").replace("</camunda:properties>", '<camunda:property name="menu"/>'
                                                    "</camunda:properties>")), "u", "property menu twice"),
        (d.user("u", d.form(d.field("x", constraints={"validator": "evil.Bean"}))), "x", "constraint validator"),
        (d.user("u", d.form(d.field("x", constraints={"min": "one"}))), "x", "constraint min=one"),
        (d.user("u", d.form(d.field("x").replace("></", "><camunda:script/></"))), "x", "script"),
    ],
)  # fmt: skip
def test_what_would_not_be_run_is_named(element: str, id: str, what: str) -> None:
    assert strange(element) == [(id, what)]


@pytest.mark.parametrize(
    ("definition", "what"),
    [
        ("<timeDuration>PT1H</timeDuration>", ["a timer without timeDate", "timeDuration"]),
        ("<timeCycle>R3/PT1H</timeCycle>", ["a timer without timeDate", "timeCycle"]),
    ],
)
def test_a_timer_has_a_date(definition: str, what: list[str]) -> None:
    timer = f"<timerEventDefinition>{definition}</timerEventDefinition>"
    assert sorted(strange(d.element("intermediateCatchEvent", "x", timer))) == sorted(("x", each) for each in what)


def test_two_definitions_on_one_event_are_named() -> None:
    both = d.definition(message="paper_sent") + d.definition(timer="due()")
    assert strange(d.element("intermediateCatchEvent", "x", both)) == [("x", "several event definitions")]


@pytest.mark.parametrize("attribute", ["camunda_jobPriority", "camunda_candidateStarterUsers"])
def test_a_process_too_has_its_allow_list(attribute: str) -> None:
    assert reader.read(d.file(d.process("p", **{attribute: "1"}))).strange == (("p", f"{attribute[8:]}=1"),)


def test_several_of_a_kind_in_one_pool_are_named() -> None:
    many = d.participant("one", "p").replace("></participant>", "><participantMultiplicity/></participant>")
    assert reader.read(d.file(d.collaboration(many), d.process("p"))).strange == (("one", "participantMultiplicity"),)


def test_words_and_drawing_are_no_concern() -> None:
    """Documentation, annotations, groups, comments, and every tool's own marks outside the process."""
    picture = (
        '<di:BPMNDiagram xmlns:di="http://www.omg.org/spec/BPMN/20100524/DI" id="picture">'
        '<di:BPMNPlane bpmnElement="p"><di:BPMNShape id="ask_shape" bpmnElement="ask" color:fill="#fff"'
        ' xmlns:color="http://www.omg.org/spec/BPMN/non-normative/color/1.0"/></di:BPMNPlane></di:BPMNDiagram>'
        '<tool:meta xmlns:tool="http://elsewhere.example"/>'
    )
    graph = reader.read(
        d.file(
            d.process(
                "p",
                "<!-- said -->",
                "<documentation>words</documentation>",
                d.user(
                    "ask", "<documentation>words</documentation>", "<incoming>a</incoming>", "<outgoing>b</outgoing>"
                ),
                d.element("textAnnotation", "note", "<text>words</text>"),
                d.element("association", "line", sourceRef="ask", targetRef="note"),
                d.element("group", "around"),
                d.event_based("wait", instantiate="false", eventGatewayType="Exclusive", gatewayDirection="Diverging"),
                d.flow("ask", "wait", "", CONDITION.format(" language='CEL' id='c'")),
                camunda_historyTimeToLive="180",
                processType="None",
            ),
            picture,
        )
    )
    assert graph.strange == ()
