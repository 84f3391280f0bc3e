"""What is wrong with a diagram: every rule finds its mistake, says nothing else, and is silent once it is mended."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bpmn import checks, reader
from engine.bpmn.checks import MAX_NODES, blocks, findings
from tests.unit.bpmn import diagrams as d


def found(source: bytes) -> list[tuple[str, str]]:
    return [(finding.rule, finding.element) for finding in findings(reader.read(source))]


# ---- diagrams without a mistake


ASKED = d.start() + d.user("ask") + d.path("start", "ask")
PLAIN = d.plain(ASKED, d.end(), d.path("ask", "end"))

APPLICATION = d.form(
    *(
        d.field(name.replace(".", "_"), facts={"binds": name})
        for name in ("student.name", "student.record_number", "target.grade", "target.class")
    )
)
MENU = d.property_list({"menu": "变动审批"})


def with_menu(extension: str) -> str:
    return extension.replace("<extensionElements>", f"<extensionElements>{MENU}")


RECEIVING = (
    d.lanes(receiving_school="apply retrieve tell"),
    d.start(),
    d.user("apply", with_menu(APPLICATION)),
    d.throw("request", "release_requested"),
    d.event_based("answer"),
    d.catch("agreed", message="release_agreed"),
    d.catch("refused", message="release_refused"),
    d.service("retrieve", "retrieve_record"),
    d.throw("tell", "record_retrieved"),
    d.end("done", outcome="completed"),
    d.end("over", outcome="refused"),
    d.path("start", "apply", "request", "answer", "agreed", "retrieve", "tell", "done"),
    d.path("answer", "refused", "over"),
)
RELEASING = (
    d.lanes(releasing_school="decide"),
    d.start("asked", message="release_requested"),
    d.user("decide", with_menu(d.decision())),
    d.exclusive("which", default="which_no"),
    d.throw("yes", "release_agreed"),
    d.throw("no", "release_refused"),
    d.catch("taken", message="record_retrieved"),
    d.end("gone", outcome="completed"),
    d.end("kept", outcome="refused"),
    d.path("asked", "decide", "which", "no", "kept"),
    d.flow("which", "yes", 'result == "agree"'),
    d.path("yes", "taken", "gone"),
)


def pair(receiving: tuple[str, ...] = RECEIVING, releasing: tuple[str, ...] = RELEASING, **properties: str) -> bytes:
    return d.file(
        d.collaboration(
            d.participant("receiving_pool", "receiving", "receiving", **properties),
            d.participant("releasing_pool", "releasing", "releasing"),
        ),
        d.process("receiving", *receiving),
        d.process("releasing", *releasing),
    )


def changed(elements: tuple[str, ...], *changes: tuple[str, str]) -> tuple[str, ...]:
    """The elements with words replaced; each must be there once."""
    text = "\n".join(elements)
    for old, new in changes:
        assert text.count(old) == 1, (old, text.count(old))
        text = text.replace(old, new)
    return (text,)


# The shape on which other engines were measured: eight steps in a row, four decisions on the way.
BENCH_STEPS = ("apply", "review", "check", "ask_school", "ask_authority", "notify", "enrol", "retrieve")
GATES = {"review": "check", "check": "ask_school", "ask_school": "ask_authority", "ask_authority": "notify"}


def bench() -> bytes:
    answer = d.form(d.field("decision", "enum", options=d.DECISION), d.field("by"))
    return d.plain(
        d.start("start", d.form(d.field("student_number", "long"), d.field("reason"))),
        *(d.user(step, answer) for step in BENCH_STEPS),
        *(d.exclusive(f"gate_{step}", default=f"gate_{step}_refused") for step in GATES),
        d.end("done"),
        d.end("refused"),
        d.path("start", "apply", "review"),
        *(
            d.path(step, f"gate_{step}", "refused") + d.flow(f"gate_{step}", following, 'decision == "agree"')
            for step, following in GATES.items()
        ),
        d.path("notify", "enrol", "retrieve", "done"),
    )


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(PLAIN, id="the smallest"),
        pytest.param(bench(), id="eight steps, four decisions"),
        pytest.param(pair(), id="two pools"),
        pytest.param(pair(withdraw="until record_retrieved", **{"basis": "practice"}), id="with properties"),
    ],
)
def test_a_good_diagram_has_no_findings(source: bytes) -> None:
    assert found(source) == []


# ---- one mistake each


ONE_OF_TWO = d.form(d.field("way", "enum", options=(("left", "左"), ("right", "右"))))
CHOICE = (
    d.start(),
    d.user("ask", ONE_OF_TWO),
    d.exclusive("gate", default="gate_right"),
    d.end("left"),
    d.end("right"),
    d.path("start", "ask", "gate", "right"),
    d.flow("gate", "left", 'way == "left"'),
)
BRANCHES = (
    d.start(),
    d.parallel("split"),
    d.user("one"),
    d.user("two"),
    d.parallel("join"),
    d.end(),
    d.path("start", "split", "one", "join", "end"),
    d.path("split", "two", "join"),
)
TIMED = (
    d.start(),
    d.user("ask", camunda_dueDate="${workdays(10)}"),
    d.boundary("late", "ask", timer="${due(-3)}", interrupting=False),
    d.service("up", "escalate"),
    d.end(),
    d.path("start", "ask", "end"),
    d.path("late", "up", "end"),
)
WAITS = (
    d.start(),
    d.event_based("wait"),
    d.catch("soon", timer="workdays(1)"),
    d.catch("later", timer="workdays(5)"),
    d.end(),
    d.path("start", "wait", "soon", "end"),
    d.path("wait", "later", "end"),
)
ROUNDS = (
    d.start(),
    d.exclusive("again"),
    d.user("ask", ONE_OF_TWO),
    d.exclusive("gate", default="gate_end"),
    d.end(),
    d.path("start", "again", "ask", "gate", "end"),
    d.flow("gate", "again", 'way == "left"'),
)


@pytest.mark.parametrize("elements", [CHOICE, BRANCHES, TIMED, WAITS, ROUNDS])
def test_each_construct_by_itself_has_no_findings(elements: tuple[str, ...]) -> None:
    assert found(d.plain(*elements)) == []


def asking(*fields: str) -> tuple[str, ...]:
    return (d.start(), d.user("ask", d.form(*fields)), d.end(), d.path("start", "ask", "end"))


def telling(service: str) -> tuple[str, ...]:
    return (d.start(), service, d.end(), d.path("start", "tell", "end"))


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        # The pool as a whole.
        ((*CHOICE, d.element("scriptTask", "odd")),
         [("not-supported", "odd"), ("dead-end", "odd"), ("unreachable", "odd")]),
        ((d.user("ask"), d.end(), d.path("ask", "end")), [("start", "pool"), ("unreachable", "ask")]),
        ((*CHOICE, d.start("other"), d.path("other", "left")), [("start", "pool")]),
        (changed(CHOICE, (d.start(), d.start(message="gossip"))), [("start", "start"), ("message", "start")]),
        ((ASKED,), [("end", "pool"), ("dead-end", "ask"), ("endless", "start")]),
        (changed(CHOICE, (d.end("left"), d.end("left", outcome="won"))), [("outcome", "left")]),
        # Flows.
        ((*CHOICE, d.flow("ask", "nowhere")), [("flow", "ask_nowhere"), ("implicit-split", "ask")]),
        ((*CHOICE, d.flow("nowhere", "ask")), [("flow", "nowhere_ask")]),
        ((*CHOICE, d.flow("gate", "left", "true").replace("gate_left", "twice")), [("flow", "twice")]),
        ((*CHOICE, d.user("lost"), d.path("lost", "left")), [("unreachable", "lost")]),
        ((*CHOICE, d.user("here"), d.exclusive("there"), d.path("here", "there", "here")),
         [("unreachable", "here"), ("endless", "here"), ("unreachable", "there"), ("endless", "there")]),
        ((*CHOICE, d.user("stuck"), d.flow("gate", "stuck", 'way == "left"')), [("dead-end", "stuck")]),
        ((*CHOICE, d.flow("gate", "start", 'way == "left"')), [("flow", "start")]),
        ((*CHOICE, d.flow("left", "right")), [("flow", "left")]),
        ((*CHOICE, d.flow("ask", "left")), [("implicit-split", "ask")]),
        ((*CHOICE, d.user("a"), d.user("b"), d.flow("gate", "a", 'way == "left"'), d.path("a", "b", "a")),
         [("endless", "a"), ("endless", "b")]),
        # Gateways and conditions.
        (changed(CHOICE, (' default="gate_right"', "")), [("default", "gate"), ("condition", "gate_right")]),
        (changed(CHOICE, ('default="gate_right"', 'default="start_ask"')),
         [("default", "gate"), ("condition", "gate_right")]),
        ((*CHOICE, d.end("more"), d.flow("gate", "more")), [("condition", "gate_more")]),
        (changed(CHOICE, ('default="gate_right"', 'default="gate_left"')),
         [("condition", "gate_right"), ("condition", "gate_left")]),
        (changed(ROUNDS, (d.flow("again", "ask"), d.flow("again", "ask", 'way == "left"'))),
         [("condition", "again_ask")]),
        (changed(CHOICE, ('way == "left"', 'wya == "left"')), [("condition", "gate_left")]),
        (changed(CHOICE, ('way == "left"', "way ==")), [("condition", "gate_left")]),
        (changed(CHOICE, ('way == "left"', "open(way)")), [("condition", "gate_left")]),
        (changed(CHOICE, (d.flow("start", "ask"), d.flow("start", "ask", "true"))), [("condition", "start_ask")]),
        ((*changed(BRANCHES, (d.flow("join", "end"), d.flow("join", "end") + d.flow("join", "more"))), d.end("more")),
         [("mixed-gateway", "join")]),
        (changed(WAITS, (d.catch("later", timer="workdays(5)"), ""), (d.flow("wait", "later"), ""),
                 (d.flow("later", "end"), "")), [("event-gateway", "wait")]),
        (changed(WAITS, (d.catch("later", timer="workdays(5)"), d.user("later"))), [("event-gateway", "wait_later")]),
        ((*WAITS, d.flow("soon", "later")),
         [("implicit-split", "soon"), ("event-gateway", "wait_later")]),
        # Events and timers.
        (changed(CHOICE, (d.end("left"), d.element("endEvent", "left", d.definition(message="gossip")))),
         [("event", "left"), ("message", "left")]),
        (changed(CHOICE, (d.end("left"), d.element("endEvent", "left", "<errorEventDefinition/>"))),
         [("not-supported", "left"), ("event", "left")]),
        (changed(WAITS, (d.catch("soon", timer="workdays(1)"), d.catch("soon"))), [("event", "soon")]),
        (changed(WAITS, ("workdays(1)", "P1D")), [("timer", "soon")]),
        (changed(WAITS, ("workdays(1)", "due()")), [("timer", "soon")]),
        (changed(TIMED, ("${due(-3)}", "${workdays(3)}")), [("timer", "late")]),
        (changed(TIMED, (' camunda:dueDate="${workdays(10)}"', "")), [("timer", "late")]),
        ((*telling(d.service("tell")), d.boundary("late", "tell"), d.path("late", "end")),
         [("timer", "late"), ("boundary", "late")]),
        (changed(TIMED, ("<timerEventDefinition><timeDate>${due(-3)}</timeDate></timerEventDefinition>",
                         '<messageEventDefinition messageRef="message_paper_sent"/>')),
         [("event", "late"), ("message", "late")]),
        ((*changed(WAITS, (d.catch("soon", timer="workdays(1)"), d.catch("soon", message="paper_sent"))),),
         [("message", "soon")]),
        (changed(WAITS, (d.catch("soon", timer="workdays(1)"),
                         '<intermediateCatchEvent id="soon"><messageEventDefinition/></intermediateCatchEvent>')),
         [("message", "soon"), ("message", "soon")]),
        # People.
        ((d.start(), d.user("ask", name=""), d.end(), d.path("start", "ask", "end")), [("label", "ask")]),
        ((*CHOICE, d.lanes(receiving_school="gate")), [("party", "ask")]),
        ((*CHOICE, d.lanes(guardian="ask")), [("party", "ask")]),
        ((d.start(), d.user("ask", camunda_candidateGroups="janitor"), d.end(), d.path("start", "ask", "end")),
         [("duty", "ask")]),
        ((d.start(), d.user("ask", camunda_dueDate="P10D"), d.end(), d.path("start", "ask", "end")), [("due", "ask")]),
        ((d.start(), d.manual("ask", d.form(d.field("name"))), d.end(), d.path("start", "ask", "end")),
         [("not-supported", "ask"), ("form", "ask")]),
        # Services.
        (telling(d.service("tell", "send_mail")), [("topic", "tell")]),
        (telling(d.service("tell", "notify", d.properties(to="receiving_school"))), [("topic", "tell")]),
        (telling(d.service("tell", "notify", d.properties(to="everybody", notice="x"))), [("topic", "tell")]),
        # Forms.
        (asking(d.field("two words")), [("form", "two words")]),
        (asking(d.field("姓名")), [("form", "姓名")]),
        (asking(d.field("name", label="")), [("form", "name")]),
        (asking(d.field("name", "colour")), [("form", "name")]),
        (asking(d.field("way", "enum")), [("form", "way")]),
        (asking(d.field("way", "enum", options=(("a", "甲"), ("a", "乙")))), [("form", "way")]),
        (asking(d.field("name"), d.field("name")), [("form", "ask")]),
        (asking(d.field("name", facts={"binds": "student.shoe_size"})), [("binding", "name")]),
        (asking(d.field("name", facts={"visible": "nobody"})), [("form", "name")]),
        (asking(d.field("name", facts={"visible": "later"}), d.field("later", "boolean")), [("form", "name")]),
        (asking(d.field("name", facts={"required": "nobody"})), [("form", "name")]),
        ((*changed(CHOICE, (d.flow("gate", "left", 'way == "left"'), "")),
          d.user("more", d.form(d.field("way", "long"))), d.flow("gate", "more", 'way == "left"'),
          d.flow("more", "left")), [("form", "way")]),
        # Decisions.
        (asking(d.field("result", "enum", options=(("yes", "同意"),), constraints={"required": None},
                        facts={"binds": "decision.result"}),
                d.field("why", constraints={"required": None}, facts={"binds": "decision.opinion"})),
         [("decision", "result")]),
        (asking(d.field("result", "enum", options=d.DECISION, facts={"binds": "decision.result"}),
                d.field("why", constraints={"required": None}, facts={"binds": "decision.opinion"})),
         [("decision", "result")]),
        (asking(d.field("result", "enum", options=d.DECISION, constraints={"required": None},
                        facts={"binds": "decision.result"})), [("decision", "ask")]),
        (asking(d.field("result", "enum", options=d.DECISION, constraints={"required": None},
                        facts={"binds": "decision.result"}),
                d.field("why", facts={"binds": "decision.opinion"})), [("decision", "ask")]),
        (asking(d.field("why", facts={"binds": "decision.opinion"})), [("decision", "ask")]),
        # Where the words come from.
        (asking(d.field("name", facts={"basis": "hearsay"})), [("basis", "name")]),
        ((*CHOICE, d.lanes(), d.element("laneSet", "more", d.element("lane", "l", d.properties(basis="hearsay"))))[1:],
         [("basis", "l"), ("start", "pool"), ("flow", "start_ask"), ("party", "ask")]),
        # Circles.
        (changed(ROUNDS, (d.user("ask", ONE_OF_TWO), d.service("ask", "check_student")),
                 ('way == "left"', "student_ok")), [("circle", "again")]),
        # One person in the circle is not enough where a shorter one goes past.
        ((*ROUNDS, d.exclusive("short", default="short_end"), d.flow("gate", "short", 'way == "right"'),
          d.path("short", "end"), d.flow("short", "gate", 'way == "right"')), [("circle", "gate")]),
        ((*ROUNDS, d.parallel("split"), d.flow("gate", "split", 'way == "right"'), d.path("split", "again"),
          d.path("split", "end")), [("circle", "split")]),
        ((d.start(), d.parallel("split"), d.user("one"), d.parallel("join"), d.user("two", ONE_OF_TWO),
          d.exclusive("gate", default="gate_end"), d.end(), d.path("start", "split", "join", "two", "gate", "end"),
          d.path("split", "one", "end"), d.flow("gate", "join", 'way == "left"')), [("circle", "join")]),
    ],
)  # fmt: skip
def test_one_mistake_is_found_and_nothing_else(broken: tuple[str, ...], expected: list[tuple[str, str]]) -> None:
    assert found(d.plain(*broken)) == expected
    assert blocks(findings(d.read(*broken)))


@pytest.mark.parametrize(
    ("receiving", "releasing", "expected"),
    [
        # The contract of messages.
        (changed(RECEIVING, (d.throw("request", "release_requested"), d.throw("request"))), RELEASING,
         [("message", "receiving_pool")]),
        (changed(RECEIVING, (d.throw("tell", "record_retrieved"), d.throw("tell"))), RELEASING,
         [("message", "receiving_pool")]),
        (changed(RECEIVING, (d.throw("tell", "record_retrieved"), d.throw("tell", "gossip"))), RELEASING,
         [("message", "tell"), ("message", "receiving_pool")]),
        (changed(RECEIVING, (d.throw("tell", "record_retrieved"), d.throw("tell", "transfer_withdrawn"))), RELEASING,
         [("message", "tell"), ("message", "receiving_pool")]),
        (changed(RECEIVING, (d.throw("tell", "record_retrieved"), d.throw("tell", "release_agreed"))), RELEASING,
         [("message", "tell"), ("message", "receiving_pool")]),
        (changed(RECEIVING, (d.catch("refused", message="release_refused"), d.catch("refused", timer="workdays(1)"))),
         RELEASING, [("message", "receiving_pool")]),
        (changed(RECEIVING, (d.catch("refused", message="release_refused"), d.catch("refused", message="paper_sent"))),
         RELEASING, [("message", "refused"), ("message", "receiving_pool")]),
        (RECEIVING, changed(RELEASING, (d.throw("no", "release_refused"), d.throw("no", "paper_sent"))),
         [("message", "releasing_pool")]),
        (RECEIVING, changed(RELEASING, (d.start("asked", message="release_requested"), d.start("asked"))),
         [("start", "asked"), ("message", "releasing_pool")]),
        (RECEIVING, changed(RELEASING, ("message_release_requested", "message_gossip")),
         [("start", "asked"), ("message", "asked"), ("message", "releasing_pool")]),
        (changed(RECEIVING, (d.start(), d.start(message="release_requested"))), RELEASING,
         [("start", "start"), ("message", "start")]),
        # The outcome, the application form, parties and menus.
        (changed(RECEIVING, (d.end("done", outcome="completed"), d.end("done"))), RELEASING,
         [("outcome", "receiving_pool")]),
        (changed(RECEIVING, (d.user("apply", with_menu(APPLICATION)), d.manual("apply", d.extension(MENU)))), RELEASING,
         [("application", "receiving_pool")]),
        (changed(RECEIVING, ("target.class", "target.school")), RELEASING, [("binding", "apply")]),
        (changed(RECEIVING, (' id="lane_receiving_school"', ' id="l"'), ('value="receiving_school"',
                                                                         'value="releasing_school"')), RELEASING,
         [("party", "apply")]),
        (changed(RECEIVING, (MENU, "")), RELEASING, [("menu", "apply")]),
    ],
)  # fmt: skip
def test_one_mistake_in_a_pair_is_found_and_nothing_else(
    receiving: tuple[str, ...], releasing: tuple[str, ...], expected: list[tuple[str, str]]
) -> None:
    assert found(pair(receiving, releasing)) == expected


def test_a_missing_menu_is_a_warning_and_everything_else_blocks() -> None:
    graph = reader.read(pair(changed(RECEIVING, (MENU, ""))))
    assert [finding.severity for finding in findings(graph)] == ["warning"]
    assert not blocks(findings(graph))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (d.file(), [("no-pool", "file")]),
        (d.file(d.process("p", isExecutable="false")), [("no-pool", "file")]),
        (PLAIN.replace(b"</definitions>", d.process("two", d.start("a"), d.end("b"), d.path("a", "b")).encode())
         + b"</definitions>", [("side", "pool"), ("side", "two"), ("side", "file"), ("side", "file")]),
        (pair().replace(b'value="releasing"/>', b'value="receiving"/>'),
         [("side", "collaboration"), ("side", "collaboration")]),
    ],
)  # fmt: skip
def test_a_file_has_one_plain_pool_or_one_of_each_side(source: bytes, expected: list[tuple[str, str]]) -> None:
    assert found(source)[: len(expected)] == expected


def test_a_document_states_only_facts_of_the_closed_list() -> None:
    facts = {"document.number": "68号", "document.number.en": "68", "document.number.clause": "函.文号", "clause": "一"}
    odd = {"document.colour": "red"}
    source = d.file(
        d.collaboration(
            d.extension(d.property_list(facts | odd)),
            d.participant("one", "p", **{"document.weight": "1", "note": "x"}),
        ),
        d.process("p", ASKED, d.end(), d.path("ask", "end")),
    )
    assert found(source) == [("document", "collaboration"), ("document", "one")]


def test_a_pool_of_a_size_that_nobody_draws_is_refused_at_once() -> None:
    names = [f"n{number}" for number in range(MAX_NODES - 2)]
    steps = "".join(map(d.user, names))
    chain = (d.start(), steps, d.end(), d.path("start", *names, "end"))
    assert found(d.plain(*chain)) == []
    assert found(d.plain(*chain, d.user("one_more"))) == [("size", "pool")]
    tangle = "".join(d.flow(a, b) for a in names[:20] for b in names[40:60])
    assert found(d.plain(*chain, tangle)) == [("size", "pool")]


def test_a_finding_reads_as_a_sentence() -> None:
    (finding,) = findings(reader.read(d.plain(*telling(d.service("tell", "send_mail")))))
    assert str(finding) == "“send_mail” is not in the catalogue of services."
    assert finding.severity == "error"


def test_conditions_may_name_choices_numbers_and_the_answers_of_services() -> None:
    pool = d.pool(
        d.start("start", d.form(d.field("grade", "long"), d.field("name"))),
        d.user("ask", d.form(d.field("way", "enum"), d.field("sure", "boolean"), d.field("day", "date"))),
        d.service("check", "check_student"),
    )
    assert checks.variables(pool) == {"grade": "long", "way": "enum", "sure": "boolean", "student_ok": "boolean"}


def test_every_message_can_be_filled_with_its_values() -> None:
    """A text and its values are translated apart; a value that is missing would only show on somebody's page."""
    for source in (d.plain(d.user("ask", camunda_dueDate="%(x)s")), pair(changed(RECEIVING, ("target.class", "%s")))):
        for finding in findings(reader.read(source)):
            assert str(finding)


PIECES = st.sampled_from(
    [line for part in (CHOICE, BRANCHES, TIMED, WAITS, ROUNDS, RECEIVING, RELEASING)
     for line in "\n".join(part).replace("><", ">\n<").splitlines()]
)  # fmt: skip
WHOLE = st.sampled_from([*CHOICE, *BRANCHES, *TIMED, *WAITS, *ROUNDS, *RECEIVING, *RELEASING])


@given(st.lists(PIECES | WHOLE, max_size=12))
@settings(max_examples=200, deadline=None)
def test_no_readable_file_makes_a_rule_fail(pieces: list[str]) -> None:
    try:
        graph = reader.read(d.plain(*pieces))
    except reader.DiagramError:
        return
    for finding in findings(graph):
        assert str(finding)
