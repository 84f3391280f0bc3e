"""What can go wrong when a procedure runs: one small diagram for each rule, and generated ones against the runtime."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings

from engine.bpmn import checks, reader
from engine.bpmn.checks import Finding
from engine.bpmn.graph import Pool, ProcessGraph
from engine.comparison import soundness
from tests.unit.bpmn import diagrams as d
from tests.unit.bpmn import drawings
from tests.unit.comparison.brute import Table
from tests.unit.comparison.test_behaviour import BOUND, GRAPHS, MOST, PAIRS, half, halves

WAY = d.choice("way", "left", "right")


def told(findings: Iterable[Finding]) -> set[tuple[str, str]]:
    return {(finding.rule, finding.element) for finding in findings}


def found(*elements: str) -> set[tuple[str, str]]:
    return told(soundness.findings(d.read(*elements)))


def run_of(rule: str, *elements: str) -> str:
    (finding,) = [item for item in soundness.findings(d.read(*elements)) if item.rule == rule]
    run: str = finding.values["run"]
    return run


def fork(*rest: str, left: str = "a", right: str = "b") -> tuple[str, ...]:
    """A question, and a way on each side of it."""
    gate = d.exclusive("gate", default=f"gate_{right}")
    ways = d.flow("gate", left, 'way == "left"') + d.flow("gate", right)
    return (d.start(), d.user("ask", WAY), gate, d.path("start", "ask", "gate"), ways, *rest)


def together(*rest: str) -> tuple[str, ...]:
    return (
        d.start(),
        d.parallel("split"),
        d.user("a"),
        d.user("b"),
        d.path("start", "split", "a") + d.path("split", "b"),
        *rest,
    )


# One file, one pool ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GRAPHS)
def test_nothing_can_go_wrong_in_what_we_ship(name: str) -> None:
    assert soundness.findings(GRAPHS[name]) == []


@pytest.mark.parametrize(("receiving", "releasing"), PAIRS)
def test_nor_in_any_pairing(receiving: str, releasing: str) -> None:
    assert soundness.pair(*halves(receiving, releasing)) == ()


def test_branches_that_part_and_meet_alike_are_sound() -> None:
    assert found(*together(d.parallel("join"), d.end(), d.path("a", "join", "end"), d.path("b", "join"))) == set()
    assert found(*fork(d.user("a"), d.user("b"), d.end(), d.path("a", "end"), d.path("b", "end"))) == set()
    assert found(*together(d.end(), d.end("other"), d.path("a", "end"), d.path("b", "other"))) == set()


DEADLOCK = fork(d.user("a"), d.user("b"), d.parallel("join"), d.end(), d.path("a", "join", "end"), d.path("b", "join"))


def test_a_choice_before_a_join_waits_for_ever() -> None:
    assert found(*DEADLOCK) == {("deadlock", "join"), ("never-happens", "end")}
    assert run_of("deadlock", *DEADLOCK) == "ask: left → a"


def test_branches_that_meet_without_a_join_go_on_twice() -> None:
    twice = together(d.exclusive("merge"), d.user("c"), d.end(), d.path("a", "merge", "c", "end"), d.path("b", "merge"))
    assert found(*twice) == {("more-than-one-token", "c")}
    assert run_of("more-than-one-token", *twice) == "a → b"


def test_branches_that_could_meet_without_a_join_are_named_even_if_we_are_too_quick_for_it() -> None:
    quick = together(d.exclusive("merge"), d.end(), d.path("a", "merge", "end"), d.path("b", "merge"))
    (finding,) = soundness.findings(d.read(*quick))
    assert (finding.rule, finding.element, finding.severity) == ("more-than-one-token", "merge", "warning")


def test_a_reminder_that_leads_back_into_the_main_line_makes_two_of_one() -> None:
    rejoining = (
        d.start(),
        d.user("a", camunda_dueDate="workdays(10)"),
        d.boundary("late", "a", interrupting=False),
        d.exclusive("merge"),
        d.user("b"),
        d.end(),
        d.path("start", "a", "merge", "b", "end") + d.path("late", "merge"),
    )
    assert found(*rejoining) == {("more-than-one-token", "b")}
    assert run_of("more-than-one-token", *rejoining) == "late → a"


def test_a_token_is_left_behind_where_one_branch_may_end_and_the_other_waits_for_it() -> None:
    left = (
        d.start(),
        d.user("ask", WAY),
        d.parallel("split"),
        d.exclusive("gate", default="gate_join"),
        d.user("b"),
        d.parallel("join"),
        d.end(),
        d.end("out"),
        d.path("start", "ask", "split", "gate", "join", "end") + d.path("split", "b", "join"),
        d.flow("gate", "out", 'way == "left"'),
    )
    assert found(*left) == {("token-left-behind", "join")}
    assert run_of("token-left-behind", *left) == "ask: left → b"


def test_what_no_answer_leads_to_never_happens() -> None:
    dead = (
        d.start(),
        d.user("ask", WAY),
        d.exclusive("gate", default="gate_b"),
        d.user("a"),
        d.user("b"),
        d.end(),
        d.path("start", "ask", "gate", "b", "end") + d.flow("gate", "a", 'way == "up"') + d.path("a", "end"),
    )
    assert found(*dead) == {("never-happens", "a")}


def test_a_way_that_no_answer_takes_is_named_where_it_leads_to_what_happens_anyway() -> None:
    straight = fork(d.user("b"), d.end(), d.path("b", "end"), left="end")
    dead = [element.replace('way == "left"', 'way == "up"') for element in straight]
    assert found(*straight) == set()
    assert found(*dead) == {("never-happens", "gate_end")}


def test_an_answer_is_remembered_as_long_as_somebody_asks_for_it() -> None:
    """The second question has the answer of the first, so that what contradicts it never happens."""
    asked_twice = fork(
        d.user("a"),
        d.user("b"),
        d.exclusive("again", default="again_b"),
        d.user("c"),
        d.end(),
        d.path("a", "again", "b", "end") + d.flow("again", "c", 'way == "right"') + d.path("c", "end"),
    )
    assert found(*asked_twice) == {("never-happens", "c")}


def test_a_number_may_be_anything_but_not_both_more_and_less() -> None:
    def compared(second: str) -> set[tuple[str, str]]:
        return found(
            d.start(),
            d.user("ask", d.form(d.field("days", "long"))),
            d.exclusive("gate", default="gate_c"),
            *map(d.user, "abc"),
            d.end(),
            d.path("start", "ask", "gate", "c", "end") + d.path("a", "end") + d.path("b", "end"),
            d.flow("gate", "a", "days > 10") + d.flow("gate", "b", second),
        )

    assert compared("days > 5") == set()
    assert compared("days <= 10") == {("never-happens", "c")}


def test_a_field_that_is_not_shown_has_no_answer() -> None:
    form = d.form(
        d.field("way", "enum", options=(("left", "left"), ("right", "right")), constraints={"required": None}),
        d.field("sure", "boolean", facts={"visible": 'way == "left"'}),
    )
    asked = (
        d.start(),
        d.user("ask", form),
        d.exclusive("gate", default="gate_b"),
        *map(d.user, "ab"),
        d.end(),
        d.path("start", "ask", "gate", "b", "end") + d.path("a", "end"),
        d.flow("gate", "a", 'way == "right" && sure == true'),
    )
    assert found(*asked) == {("never-happens", "a")}


def test_a_circle_without_a_way_out_never_ends() -> None:
    circle = (d.start(), d.exclusive("again"), d.user("a"), d.user("b"), d.path("start", "again", "a", "b", "again"))
    assert found(*circle) == {("deadlock", "a")}


def test_a_gateway_that_fails_waits_for_ever() -> None:
    stuck = (
        d.start(),
        d.user("ask", WAY),
        d.exclusive("gate"),
        *map(d.user, "ab"),
        d.end(),
        d.path("start", "ask", "gate") + d.path("a", "end") + d.path("b", "end"),
        d.flow("gate", "a", 'way == "left"') + d.flow("gate", "b", 'way == "right"'),
    )
    assert found(*stuck) == {("deadlock", "gate")}
    assert run_of("deadlock", *stuck) == "ask: —"


# Two halves ------------------------------------------------------------------------------------------------------


def halves_of(receiving: Iterable[str], releasing: Iterable[str]) -> ProcessGraph:
    return reader.read(
        d.file(
            d.collaboration(
                d.participant("one", "receiving", "receiving"), d.participant("other", "releasing", "releasing")
            ),
            d.process("receiving", *receiving),
            d.process("releasing", *releasing),
        )
    )


ASKING = (
    d.start("start"),
    d.throw("request", "release_requested"),
    d.event_based("await"),
    d.catch("agreed", message="release_agreed"),
    d.catch("refused", message="release_refused"),
    d.user("retrieve"),
    d.throw("retrieved", "record_retrieved"),
    d.end("completed"),
    d.end("stopped"),
    d.path("start", "request", "await", "agreed", "retrieve", "retrieved", "completed"),
    d.path("await", "refused", "stopped"),
)


def answering(*, yes: str = "release_agreed", no: str = "release_refused", last: str = "record_retrieved") -> list[str]:
    return [
        d.start("requested", message="release_requested"),
        d.user("decide", WAY),
        d.exclusive("gate", default="gate_no"),
        d.throw("yes", yes) if yes else d.service("yes"),
        d.throw("no", no) if no else d.service("no"),
        d.catch("last", message=last) if last else d.service("last"),
        d.end("sent"),
        d.end("kept"),
        d.path("requested", "decide", "gate", "no", "kept") + d.path("yes", "last", "sent"),
        d.flow("gate", "yes", 'way == "left"'),
    ]


def test_two_halves_that_answer_each_other_are_sound() -> None:
    assert soundness.findings(halves_of(ASKING, answering())) == []


def test_a_half_that_does_not_always_answer_lets_the_other_wait() -> None:
    assert told(soundness.findings(halves_of(ASKING, answering(no="")))) == {
        ("deadlock", "await"), ("never-happens", "refused"), ("never-happens", "stopped"),
    }  # fmt: skip


def test_a_half_that_waits_for_an_optional_message_is_found_with_one_that_does_not_send_it() -> None:
    waiting = [
        *ASKING[:-2],
        d.catch("paper", message="paper_sent"),
        d.path("start", "request", "await", "agreed", "retrieve", "retrieved", "paper", "completed"),
        d.path("await", "refused", "stopped"),
    ]
    receiving, releasing = halves_of(waiting, answering()).executable
    (finding,) = soundness.pair(receiving, releasing)
    assert (finding.rule, finding.element) == ("deadlock", "paper")
    assert finding.values["name"] == "paper_sent"
    assert finding.values["run"].startswith("release_requested → decide: left → release_agreed → retrieve")


def test_what_merely_waits_for_the_one_that_is_stuck_is_not_told_beside_it() -> None:
    stuck = [
        *answering()[:-2],
        d.parallel("join"),
        d.path("requested", "decide", "gate", "no", "kept") + d.path("yes", "join", "last", "sent"),
        d.flow("gate", "yes", 'way == "left"') + d.flow("gate", "join", 'way == "never"'),
    ]
    moved = [element.replace('default="gate_no"', 'default="gate_no"') for element in stuck]
    rules = {pair for pair in told(soundness.findings(halves_of(ASKING, moved))) if pair[0] == "deadlock"}
    assert rules == {("deadlock", "join")}


def test_two_halves_that_wait_for_each_other_are_both_named() -> None:
    last_first = [
        d.start("requested", message="release_requested"),
        d.catch("last", message="record_retrieved"),
        d.throw("yes", "release_agreed"),
        d.end("sent"),
        d.path("requested", "last", "yes", "sent"),
    ]
    rules = {pair for pair in told(soundness.findings(halves_of(ASKING, last_first))) if pair[0] == "deadlock"}
    assert rules == {("deadlock", "await"), ("deadlock", "last")}


def test_a_message_to_a_half_that_has_ended_is_never_read() -> None:
    assert told(soundness.findings(halves_of(ASKING, answering(last="")))) == {("message-never-read", "retrieved")}


def test_a_message_that_nobody_need_read_is_no_fault() -> None:
    telling = [
        *answering()[:-2],
        d.throw("paper", "paper_sent"),
        d.path("requested", "decide", "gate", "no", "kept") + d.path("yes", "last", "paper", "sent"),
        d.flow("gate", "yes", 'way == "left"'),
    ]
    assert soundness.findings(halves_of(ASKING, telling)) == []


def test_a_half_that_nobody_starts_never_happens() -> None:
    silent = [d.start("start"), d.user("retrieve"), d.end("completed"), d.path("start", "retrieve", "completed")]
    never = told(soundness.findings(halves_of(silent, answering())))
    assert ("never-happens", "requested") in never
    assert {rule for rule, _ in never} == {"never-happens"}


# Files that nobody here drew -------------------------------------------------------------------------------------


def foreign(*flows: tuple[str, str], **pools: Iterable[str]) -> ProcessGraph:
    """Pools without an executable process, and messages drawn between them."""
    drawn = (
        d.element("messageFlow", f"m_{source}_{target}", sourceRef=source, targetRef=target) for source, target in flows
    )
    participants = (d.participant(name, f"{name}_process") for name in pools)
    processes = (
        d.process(f"{name}_process", *elements, isExecutable="false") if elements else ""
        for name, elements in pools.items()
    )
    return reader.read(d.file(d.collaboration(*participants, *drawn), *processes))


def task(id: str) -> str:
    return d.element("task", id)


CUSTOMER = (
    d.start("hungry"),
    d.element("sendTask", "order"),
    d.event_based("wait"),
    d.element("receiveTask", "pizza"),
    d.catch("patience", timer="PT1H"),
    task("complain"),
    d.end("fed"),
    d.path("hungry", "order", "wait", "pizza", "fed") + d.path("wait", "patience", "complain", "wait"),
)
BAKER = (
    d.element("startEvent", "ordered", "<messageEventDefinition/>"),
    task("bake"),
    d.element("endEvent", "delivered", "<messageEventDefinition/>"),
    d.path("ordered", "bake", "delivered"),
)


def test_a_foreign_pair_of_pools_is_explored_along_its_drawn_messages() -> None:
    ordering = foreign(("order", "ordered"), ("delivered", "pizza"), customer=CUSTOMER, baker=BAKER)
    assert soundness.findings(ordering) == []


def test_a_message_that_is_not_drawn_does_not_come() -> None:
    """Nobody answers the customer, who is never fed; what nobody drawn sends may come from elsewhere."""
    unanswered = foreign(("order", "ordered"), ("delivered", "hungry"), customer=CUSTOMER, baker=BAKER)
    assert soundness.findings(unanswered) == []
    impatient = [element for element in CUSTOMER if "patience" not in element]
    once = [*impatient, d.path("hungry", "order", "pizza", "fed")]
    never = [
        *BAKER[:-1],
        d.exclusive("sold_out"),
        d.end("closed"),
        d.path("ordered", "sold_out", "bake", "delivered") + d.path("sold_out", "closed"),
    ]
    closed = foreign(("order", "ordered"), ("delivered", "pizza"), customer=once, baker=never)
    assert ("deadlock", "pizza") in told(soundness.findings(closed))


def test_a_pool_that_is_not_drawn_out_may_send_at_any_time() -> None:
    alone = foreign(("order", "baker"), ("baker", "pizza"), customer=CUSTOMER, baker=())
    assert soundness.findings(alone) == []


def test_gateways_without_conditions_may_go_either_way() -> None:
    open_ways = foreign(
        it=(
            d.start(),
            d.exclusive("gate"),
            *map(task, "ab"),
            d.parallel("join"),
            d.end(),
            d.path("start", "gate", "a", "join", "end") + d.path("gate", "b", "join"),
        )
    )
    assert told(soundness.findings(open_ways)) == {("deadlock", "join"), ("never-happens", "end")}


def test_conditions_in_another_language_may_hold_or_not() -> None:
    java = fork(d.user("a"), d.user("b"), d.end(), d.path("a", "end"), d.path("b", "end"))
    written = [element.replace('way == "left"', "#{execution.getVariable('x') eq 3}") for element in java]
    assert found(*written) == set()


INCLUSIVE = (
    d.start(),
    d.element("inclusiveGateway", "some"),
    *map(task, "abc"),
    d.element("inclusiveGateway", "met"),
    d.end(),
    d.path("start", "some", "a", "met", "end") + d.path("some", "b", "met") + d.path("some", "c", "met"),
)


def test_an_inclusive_gateway_waits_for_what_can_still_come_and_no_more() -> None:
    assert soundness.findings(foreign(it=INCLUSIVE)) == []
    # A join does wait for all, so that it waits for ever where only some were taken.
    joined = [element.replace('inclusiveGateway id="met"', 'parallelGateway id="met"') for element in INCLUSIVE]
    closed = [
        element.replace("/inclusiveGateway", "/parallelGateway")
        if "met" in element and "Gateway" in element
        else element
        for element in joined
    ]
    assert ("deadlock", "met") in told(soundness.findings(foreign(it=closed)))


@pytest.mark.parametrize("kind", ["subProcess", "callActivity", "complexGateway", "transaction", "choreographyTask"])
def test_what_is_not_understood_is_said_to_be_undecided(kind: str) -> None:
    around = (d.start(), d.element(kind, "x"), task("after"), d.end(), d.path("start", "x", "after", "end"))
    findings = soundness.findings(foreign(it=around))
    assert [(finding.rule, finding.severity) for finding in findings] == [("not-decided", "warning")]
    assert findings[0].values["kinds"] == kind


def test_a_fault_before_what_is_not_understood_is_found_all_the_same() -> None:
    before = [*DEADLOCK, d.element("subProcess", "x"), d.end("later"), d.path("x", "later")]
    assert ("deadlock", "join") in found(*before)


def test_a_file_without_anything_to_run_has_nothing_to_find() -> None:
    assert soundness.findings(foreign(it=(), other=())) == []


def test_a_broken_file_is_explored_as_far_as_it_goes() -> None:
    broken = d.read(d.start(), d.user("a"), d.flow("start", "a"), d.flow("a", "nowhere"), d.flow("nowhere", "a"))
    assert soundness.findings(broken) == []


# Bounds ----------------------------------------------------------------------------------------------------------


def test_what_multiplies_is_cut_short_and_said_to_be_undecided() -> None:
    multiplying = (
        d.start(),
        d.exclusive("again"),
        d.user("a"),
        d.parallel("split"),
        d.end(),
        d.path("start", "again", "a", "split", "again") + d.path("split", "end"),
    )
    endless = [element.replace("split_end", "split_b") for element in multiplying]
    assert {rule for rule, _ in found(*endless)} <= {"more-than-one-token", "not-decided", "deadlock"}
    doubling = [d.start(), d.end()]
    before = "start"
    for number in range(40):
        doubling += [d.parallel(f"s{number}"), d.exclusive(f"m{number}")]
        doubling += [d.path(before, f"s{number}", f"m{number}"), d.service(f"x{number}")]
        doubling += [d.path(f"s{number}", f"x{number}", f"m{number}")]
        before = f"m{number}"
    doubling += [d.path(before, "end")]
    assert "not-decided" in {rule for rule, _ in found(*doubling)}


def test_many_branches_are_given_up_in_time() -> None:
    wide = [
        d.start(),
        d.parallel("split"),
        d.parallel("join"),
        d.end(),
        d.path("start", "split"),
        d.path("join", "end"),
    ]
    for branch in range(12):
        steps = [f"t{branch}_{number}" for number in range(4)]
        wide += [*map(d.user, steps), d.path("split", *steps, "join")]
    begun = time.perf_counter()
    assert found(*wide) == {("not-decided", "file")}
    assert time.perf_counter() - begun < 20


# Held against the runtime ----------------------------------------------------------------------------------------


def agree(pools: tuple[Pool, ...], findings: Sequence[Finding]) -> None:
    """The faults told are those that some run has, and no others."""
    played = Table(*pools).play(MOST)
    rules = told(findings)
    if not played.whole or played.ambiguous or "not-decided" in {rule for rule, _ in rules}:
        return
    # What goes on for ever is never dead: always another step can be done.
    standing = [finding for finding in findings if "go on for ever" not in finding.message]
    waits = {element for rule, element in told(standing) if rule in ("deadlock", "token-left-behind")}
    assert bool(waits) == bool(played.dead)
    assert waits <= {element for marking in played.dead for tokens, _ in marking for element in tokens}
    assert all(waits & {element for tokens, _ in marking for element in tokens} for marking in played.dead)
    doubled = {
        (finding.element)
        for finding in findings
        if (finding.rule, finding.severity) == ("more-than-one-token", "error")
    }
    assert doubled <= {element for _, element in played.doubled}
    assert bool(doubled) == bool(played.doubled)
    unread = {finding.values["name"] for finding in findings if finding.rule == "message-never-read"}
    assert unread >= played.unread
    met = {element for _, element in played.happened} | {
        element for marking in played.markings for tokens, _ in marking for element in tokens
    }
    never = {element for rule, element in rules if rule == "never-happens"}
    nodes = {node.id for pool in pools for node in pool.nodes if "Gateway" not in node.kind}
    assert never & nodes == nodes - met


@given(drawings.in_blocks())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_faults_of_a_diagram_drawn_in_blocks_are_those_of_its_runs(elements: tuple[str, ...]) -> None:
    graph = d.read(*elements)
    agree(graph.executable, soundness.findings(graph, bound=BOUND))


@given(drawings.any_which_way())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_faults_of_any_diagram_are_those_of_its_runs(elements: tuple[str, ...]) -> None:
    graph = d.read(*elements)
    assume(not checks.findings(graph))
    agree(graph.executable, soundness.findings(graph, bound=BOUND))


def renamed(pool: Pool) -> Pool:
    """The same pool, so that none of its elements has an id of the other's."""

    def new(id: str | None) -> str | None:
        return f"other_{id}" if id else id

    nodes = (
        replace(node, id=new(node.id), attached_to=new(node.attached_to), default=new(node.default))
        for node in pool.nodes
    )
    flows = (replace(flow, id=new(flow.id), source=new(flow.source), target=new(flow.target)) for flow in pool.flows)
    return replace(pool, id=new(pool.id), nodes=tuple(nodes), flows=tuple(flows))


@given(half("receiving"), half("releasing"))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_faults_of_two_halves_are_those_of_their_runs(receiving: Pool, releasing: Pool) -> None:
    pools = (receiving, renamed(releasing))
    agree(pools, soundness.findings(ProcessGraph("file", pools), bound=BOUND))
