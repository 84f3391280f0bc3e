"""Running a diagram: every element does what its picture says, and what stops is told and can go on."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from engine.bpmn import runtime
from engine.bpmn.expressions import ExpressionFailed
from engine.bpmn.graph import Node
from engine.bpmn.runtime import NotOpen, Opened, OverBudget, RuntimeFailure, Specification, Stuck
from tests.unit.bpmn import diagrams as d
from tests.unit.bpmn.instances import Broken, Instance

CHOICE = d.choice("way", "left", "right")


def started(*elements: str, service: runtime.Service | None = None, **variables: Any) -> Instance:
    instance = Instance(d.specification(*elements), *([service] if service else []))
    instance.start(**variables)
    return instance


# ---- tasks


def test_steps_follow_each_other_to_the_end() -> None:
    instance = started(d.start(), d.user("ask"), d.manual("send"), d.end(), d.path("start", "ask", "send", "end"))
    assert (instance.people, instance.last.passed, instance.last.ended) == (["ask"], ["start"], False)
    instance.complete("ask")
    assert (instance.people, instance.last.closed, instance.last.passed) == (["send"], [1 + 1], ["ask"])
    instance.complete("send")
    assert (instance.people, instance.last.ended, instance.last.outcome) == ([], True, None)
    assert instance.passed == ["start", "ask", "send", "end"]


def test_a_service_is_called_with_its_node_and_the_variables_and_answers_new_ones() -> None:
    calls: list[tuple[str, str, dict[str, Any]]] = []

    def service(node: Node, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        calls.append((node.id, node.topic, dict(variables)))
        return {"student_ok": True}

    instance = started(
        d.start(),
        d.service("check", "check_student"),
        d.exclusive("gate", default="gate_bad"),
        d.user("good"),
        d.user("bad"),
        d.end(),
        d.path("start", "check", "gate", "bad", "end"),
        d.flow("gate", "good", "student_ok"),
        d.path("good", "end"),
        service=service,
        grade=7,
    )
    assert calls == [("check", "check_student", {"grade": 7})]
    assert instance.people == ["good"]
    assert instance.last.variables == {"grade": 7, "student_ok": True}


def test_a_service_can_not_reach_into_the_variables() -> None:
    def service(_node: Node, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        variables["grade"] = 9  # type: ignore[index]
        return {}

    instance = started(d.start(), d.service("tell"), d.end(), d.path("start", "tell", "end"), service=service, grade=7)
    assert instance.last.variables == {"grade": 7}


def test_a_task_that_is_done_is_not_open_any_more() -> None:
    instance = started(d.start(), d.user("ask"), d.user("more"), d.end(), d.path("start", "ask", "more", "end"))
    key = instance.key("ask")
    instance.complete("ask")
    for wrong in (key, 999, 0, -1):
        with pytest.raises(NotOpen):
            instance.complete_key(wrong, {})
    assert instance.people == ["more"]


def test_an_element_may_have_any_id() -> None:
    """Also those that the library uses itself."""
    instance = started(
        d.start("Start"),
        d.user("Root", camunda_dueDate="workdays(1)"),
        d.boundary("Root.split", "Root", interrupting=False),
        d.exclusive("End"),
        d.end("pool.EndJoin"),
        d.path("Start", "Root", "End", "pool.EndJoin"),
        d.path("Root.split", "End"),
    )
    instance.fire("Root.split")
    instance.complete("Root")
    assert instance.last.ended


# ---- exclusive gateways


FORK = (
    d.start(),
    d.user("ask", CHOICE),
    d.exclusive("gate", default="gate_other"),
    d.user("left"),
    d.user("right"),
    d.user("other"),
    d.end(),
    d.path("start", "ask", "gate", "other", "end"),
    d.flow("gate", "left", 'way == "left"'),
    d.flow("gate", "right", 'way == "right" || way == "left"'),
    d.path("left", "end"),
    d.path("right", "end"),
)


@pytest.mark.parametrize(("way", "target"), [("left", "left"), ("right", "right"), ("up", "other"), (None, "other")])
def test_the_first_condition_that_holds_is_taken_else_the_default(way: str | None, target: str) -> None:
    instance = started(*FORK)
    instance.complete("ask", way=way)
    assert instance.people == [target]


def test_a_condition_without_a_value_stops_there_and_can_be_tried_again() -> None:
    instance = started(
        d.start(),
        d.user("ask"),
        d.exclusive("gate", default="gate_end"),
        d.user("more"),
        d.end(),
        d.path("start", "ask", "gate", "end"),
        d.flow("gate", "more", "grade > 6"),
        d.path("more", "end"),
    )
    instance.complete("ask")
    for _ in range(2):
        (failure,) = instance.last.failures
        assert (failure.node, type(failure.error)) == ("gate", ExpressionFailed)
        assert not instance.last.ended
        assert instance.marks["current"] == ["gate"]
        instance.retry()
    # An administrator's repair, as far as this layer is concerned: the variable has a value now.
    instance.state = instance.state.replace(b"{}", b'{"grade":7}')
    instance.retry()
    assert (instance.people, instance.last.failures) == (["more"], [])


# ---- parallel gateways


def branches(*names: str) -> tuple[str, ...]:
    return (
        d.start(),
        d.parallel("split"),
        *map(d.user, names),
        d.parallel("join"),
        d.user("after"),
        d.end(),
        d.path("start", "split"),
        *(d.path("split", name, "join") for name in names),
        d.path("join", "after", "end"),
    )


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d")])
def test_a_join_waits_for_every_branch_in_whatever_order_they_come(names: tuple[str, ...]) -> None:
    for order in itertools.permutations(names):
        instance = started(*branches(*names))
        assert instance.people == list(names)
        for position, name in enumerate(order):
            instance.complete(name)
            left = sorted(order[position + 1 :])
            assert instance.people == (left or ["after"])
        instance.complete("after")
        assert instance.last.ended
        assert instance.passed.count("join") == instance.passed.count("after") == 1


def test_branches_without_a_join_end_each_by_itself() -> None:
    instance = started(
        d.start(),
        d.parallel("split"),
        d.user("a"),
        d.user("b"),
        d.end("one", outcome="completed"),
        d.end("two"),
        d.path("start", "split", "a", "one"),
        d.path("split", "b", "two"),
    )
    instance.complete("a")
    assert (instance.people, instance.last.ended, instance.last.outcome) == (["b"], False, "completed")
    instance.complete("b")
    # The outcome is that of the last end event that has one, also when it was passed in an earlier step.
    assert (instance.last.ended, instance.last.outcome) == (True, "completed")


def test_the_last_outcome_counts() -> None:
    instance = started(
        d.start(),
        d.parallel("split"),
        d.user("a"),
        d.user("b"),
        d.end("one", outcome="completed"),
        d.end("two", outcome="refused"),
        d.path("start", "split", "a", "one"),
        d.path("split", "b", "two"),
    )
    instance.complete("b")
    instance.complete("a")
    assert instance.last.outcome == "completed"


def test_a_join_that_nobody_can_reach_says_so_instead_of_waiting_for_ever() -> None:
    instance = started(
        d.start(),
        d.exclusive("gate", default="gate_a"),
        d.user("a"),
        d.user("b"),
        d.parallel("join"),
        d.end(),
        d.path("start", "gate", "a", "join", "end"),
        d.flow("gate", "b", "false"),
        d.path("b", "join"),
    )
    instance.complete("a")
    assert [(failure.node, type(failure.error)) for failure in instance.last.failures] == [("join", Stuck)]
    assert not instance.last.ended
    assert instance.retry().failures
    assert instance.cancel().ended


def test_a_join_takes_one_token_from_each_flow_and_leaves_the_others() -> None:
    """Two tokens on one of its flows are not one on each of two."""
    instance = started(
        d.start(),
        d.parallel("split"),
        d.user("a"),
        d.user("b"),
        d.exclusive("merge"),
        d.user("c"),
        d.parallel("join"),
        d.user("after"),
        d.end(),
        d.path("start", "split", "a", "merge", "join", "after", "end"),
        d.path("split", "b", "merge"),
        d.path("split", "c", "join"),
    )
    instance.complete("a")
    instance.complete("b")
    assert instance.people == ["c"]
    instance.complete("c")
    assert instance.people == ["after"]
    instance.complete("after")
    assert [type(failure.error) for failure in instance.last.failures] == [Stuck]


def test_many_parallel_blocks_cost_no_more_than_few() -> None:
    """The library's predictions double with each of them."""
    names = [f"block{number}" for number in range(60)]
    blocks = [
        d.parallel(f"{name}_split") + d.user(f"{name}_a") + d.user(f"{name}_b") + d.parallel(f"{name}_join")
        + d.path(f"{name}_split", f"{name}_a", f"{name}_join") + d.path(f"{name}_split", f"{name}_b", f"{name}_join")
        for name in names
    ]  # fmt: skip
    links = [d.path(f"{one}_join", f"{other}_split") for one, other in itertools.pairwise(names)]
    edges = d.path("start", "block0_split") + d.path("block59_join", "end")
    instance = started(d.start(), *blocks, *links, edges, d.end())
    for name in names:
        instance.complete(f"{name}_b")
        instance.complete(f"{name}_a")
    assert instance.last.ended


# ---- event-based gateways, messages and timers


ANSWER = (
    d.start(),
    d.event_based("answer"),
    d.catch("agreed", message="release_agreed"),
    d.catch("refused", message="release_refused"),
    d.catch("late", timer="workdays(10)"),
    d.user("go_on"),
    d.user("ask_why"),
    d.user("remind"),
    d.end(),
    d.path("start", "answer", "agreed", "go_on", "end"),
    d.path("answer", "refused", "ask_why", "end"),
    d.path("answer", "late", "remind", "end"),
)


@pytest.mark.parametrize(
    ("act", "event", "target"),
    [
        (lambda instance: instance.deliver("release_agreed"), "agreed", "go_on"),
        (lambda instance: instance.deliver("release_refused"), "refused", "ask_why"),
        (lambda instance: instance.fire("late"), "late", "remind"),
    ],
)
def test_the_first_event_decides_and_the_others_are_waited_for_no_more(
    act: Callable[[Instance], Any], event: str, target: str
) -> None:
    instance = started(*ANSWER)
    assert instance.awaits == {"release_agreed", "release_refused"}
    assert (instance.clocks, instance.people) == (["late"], [])
    timer = Opened(next(iter(instance.timers)), "late")
    act(instance)
    assert (instance.people, instance.last.passed) == ([target], ["answer", event])
    assert (instance.awaits, instance.clocks) == (set(), [])
    assert instance.deliver("release_agreed") is None
    with pytest.raises(NotOpen):
        runtime.fire(instance.specification, instance.state, instance.service, timer)
    instance.complete(target)
    assert instance.last.ended


def test_two_timers_of_one_gateway_are_told_apart() -> None:
    elements = (
        d.start(),
        d.event_based("wait"),
        d.catch("soon", timer="workdays(1)"),
        d.catch("later", timer="workdays(5)"),
        d.end("first"),
        d.end("second"),
        d.path("start", "wait", "soon", "first"),
        d.path("wait", "later", "second"),
    )
    for timer, end in (("soon", "first"), ("later", "second")):
        instance = started(*elements)
        assert instance.clocks == ["later", "soon"]
        instance.fire(timer)
        assert instance.passed == ["start", "wait", timer, end]


def test_a_message_is_caught_by_whoever_waits_and_by_nobody_else() -> None:
    instance = started(
        d.start(),
        d.user("ask"),
        d.catch("taken", message="record_retrieved"),
        d.end(),
        d.path("start", "ask", "taken", "end"),
    )
    before = instance.state
    assert (instance.awaits, instance.deliver("record_retrieved")) == (set(), None)
    assert instance.state == before
    instance.complete("ask")
    assert (instance.awaits, instance.deliver("release_agreed")) == ({"record_retrieved"}, None)
    instance.deliver("record_retrieved")
    assert instance.last.ended


def test_one_message_goes_to_one_of_those_who_wait_the_first_one_first() -> None:
    instance = started(
        d.start(),
        d.parallel("split"),
        d.user("a"),
        d.catch("one", message="paper_sent"),
        d.catch("two", message="paper_sent"),
        d.user("first"),
        d.user("second"),
        d.end(),
        d.path("start", "split", "a", "one", "first", "end"),
        d.path("split", "two", "second", "end"),
    )
    instance.complete("a")
    instance.deliver("paper_sent")
    assert instance.people == ["second"]
    instance.deliver("paper_sent")
    assert instance.people == ["first", "second"]


def test_messages_are_thrown_in_order_and_once() -> None:
    instance = started(
        d.start(),
        d.throw("tell", "release_requested"),
        d.throw("mark"),
        d.throw("again", "record_retrieved"),
        d.user("ask"),
        d.end(),
        d.path("start", "tell", "mark", "again", "ask", "end"),
    )
    assert instance.last.thrown == ["tell", "again"]
    assert instance.last.passed == ["start", "tell", "mark", "again"]
    assert instance.complete("ask").thrown == []


def test_what_a_pool_throws_it_does_not_catch_itself() -> None:
    instance = started(
        d.start(),
        d.parallel("split"),
        d.catch("heard", message="release_agreed"),
        d.user("ask"),
        d.throw("tell", "release_agreed"),
        d.end(),
        d.path("start", "split", "heard", "end"),
        d.path("split", "ask", "tell", "end"),
    )
    instance.complete("ask")
    assert (instance.last.thrown, instance.awaits, instance.last.ended) == (["tell"], {"release_agreed"}, False)


def test_a_message_starts_the_pool_that_starts_by_it() -> None:
    specification = d.specification(
        d.start(message="release_requested"), d.user("decide"), d.end(), d.path("start", "decide", "end")
    )
    instance = Instance(specification)
    with pytest.raises(NotOpen):
        instance.start_by("release_agreed")
    instance.start_by("release_requested")
    assert (instance.people, instance.last.passed) == (["decide"], ["start"])


def test_a_pool_that_starts_by_itself_is_not_started_by_a_message() -> None:
    specification = d.specification(d.start(), d.user("ask"), d.end(), d.path("start", "ask", "end"))
    with pytest.raises(NotOpen):
        Instance(specification).start_by("release_requested")


def test_an_intermediate_timer_waits_until_it_is_fired() -> None:
    instance = started(d.start(), d.catch("pause", timer="workdays(3)"), d.end(), d.path("start", "pause", "end"))
    assert (instance.clocks, instance.marks["waiting"], instance.last.ended) == (["pause"], ["pause"], False)
    instance.fire("pause")
    assert instance.last.ended


# ---- boundary timers


TIMED = (
    d.start(),
    d.user("ask", camunda_dueDate="workdays(10)"),
    d.boundary("warn", "ask", timer="due(-3)", interrupting=False),
    d.boundary("late", "ask", timer="due()", interrupting=False),
    d.boundary("over", "ask", timer="due(5)"),
    d.service("remind", "notify"),
    d.user("look"),
    d.user("instead"),
    d.end("done"),
    d.end("told"),
    d.end("taken_over"),
    d.path("start", "ask", "done"),
    d.path("warn", "remind", "told"),
    d.path("late", "look", "told"),
    d.path("over", "instead", "taken_over"),
)


def test_a_task_done_in_time_takes_its_timers_along() -> None:
    instance = started(*TIMED)
    assert instance.clocks == ["late", "over", "warn"]
    timers = [Opened(key, node) for key, nodes in instance.timers.items() for node in nodes]
    instance.complete("ask")
    assert (instance.last.ended, instance.clocks) == (True, [])
    for timer in timers:
        with pytest.raises(NotOpen):
            runtime.fire(instance.specification, instance.state, instance.service, timer)


def test_a_timer_that_does_not_interrupt_leaves_its_task_open_and_fires_once() -> None:
    instance = started(*TIMED)
    key, timer = instance.key("ask"), next(key for key, nodes in instance.timers.items() if nodes == ["warn"])
    instance.fire("warn")
    assert (instance.key("ask"), instance.last.closed, instance.last.passed) == (key, [], ["warn", "remind", "told"])
    assert instance.clocks == ["late", "over"]
    with pytest.raises(NotOpen):
        instance.fire_key(timer, "warn")
    instance.fire("late")
    assert instance.people == ["ask", "look"]
    instance.complete("ask")
    # What the timer started goes on by itself, and the instance ends with the last of both.
    assert (instance.people, instance.last.ended) == (["look"], False)
    instance.complete("look")
    assert instance.last.ended


def test_a_timer_that_interrupts_takes_the_task_away() -> None:
    instance = started(*TIMED)
    key = instance.key("ask")
    instance.fire("late")
    instance.fire("over")
    assert (instance.last.closed, instance.people, instance.clocks) == ([key], ["instead", "look"], [])
    with pytest.raises(NotOpen):
        instance.complete_key(key, {})
    instance.complete("look")
    instance.complete("instead")
    assert instance.last.ended


def test_a_timer_fires_for_its_own_task_alone() -> None:
    instance = started(
        d.start(),
        d.parallel("split"),
        d.user("a", camunda_dueDate="workdays(1)"),
        d.user("b", camunda_dueDate="workdays(1)"),
        d.boundary("late_a", "a"),
        d.boundary("late_b", "b"),
        d.end(),
        d.path("start", "split", "a", "end"),
        d.path("split", "b", "end"),
        d.path("late_a", "end"),
        d.path("late_b", "end"),
    )
    instance.fire("late_b")
    assert (instance.people, instance.clocks) == (["a"], ["late_a"])


def test_a_timers_key_does_not_fire_another_timer() -> None:
    instance = started(*TIMED)
    key = next(key for key, nodes in instance.timers.items() if nodes == ["warn"])
    for wrong in (Opened(key, "late"), Opened(instance.key("ask"), "warn"), Opened(999, "warn")):
        with pytest.raises(NotOpen):
            runtime.fire(instance.specification, instance.state, instance.service, wrong)


# ---- ends


def test_a_terminate_end_takes_everything_with_it() -> None:
    instance = started(
        d.start(),
        d.parallel("split"),
        d.user("a"),
        d.user("b", camunda_dueDate="workdays(1)"),
        d.boundary("late", "b"),
        d.catch("heard", message="paper_sent"),
        d.catch("pause", timer="workdays(1)"),
        d.end("stop", terminate=True, outcome="refused"),
        d.end(),
        d.path("start", "split", "a", "stop"),
        d.path("split", "b", "end"),
        d.path("late", "end"),
        d.path("split", "heard", "end"),
        d.path("split", "pause", "end"),
    )
    b = instance.key("b")
    instance.complete("a")
    assert (instance.last.ended, instance.last.outcome, b in instance.last.closed) == (True, "refused", True)
    assert (instance.people, instance.clocks, instance.awaits) == ([], [], set())


def test_cancelling_closes_what_is_open_and_keeps_what_was_done() -> None:
    instance = started(*branches("a", "b"))
    instance.complete("a")
    key = instance.key("b")
    instance.cancel()
    assert (instance.last.ended, instance.last.closed, instance.last.outcome) == (True, [key], None)
    assert instance.marks == {"done": ["start", "split", "a"], "current": [], "waiting": []}


# ---- circles


ROUNDS = (
    d.start(),
    d.exclusive("again"),
    d.user("enter", camunda_dueDate="workdays(3)"),
    d.boundary("late", "enter", interrupting=False),
    d.user("decide", CHOICE),
    d.exclusive("gate", default="gate_again"),
    d.end("done"),
    d.end("told"),
    d.path("start", "again", "enter", "decide", "gate", "again"),
    d.path("late", "told"),
    d.flow("gate", "done", 'way == "right"'),
)


def test_a_case_may_be_sent_back_as_often_as_anybody_likes() -> None:
    """Two thousand rounds, twice as deep as the library looks, without growing and without ending by mistake."""
    instance = started(*ROUNDS)
    sizes = set()
    for number in range(2000):
        if not number % 500:
            instance.fire("late")
        instance.complete("enter")
        instance.complete("decide", way="left")
        assert (instance.people, instance.last.ended, instance.last.failures) == (["enter"], False, [])
        sizes.add(len(instance.state))
    assert max(sizes) < 200
    instance.complete("enter")
    instance.complete("decide", way="right")
    assert instance.last.ended


def test_a_circle_without_people_ends_at_the_budget_and_goes_on_when_told_to() -> None:
    """The checks refuse it; what slipped through is stopped."""
    instance = started(
        d.start(),
        d.exclusive("again"),
        d.service("work"),
        d.exclusive("gate", default="gate_again"),
        d.end(),
        d.path("start", "again", "work", "gate", "again"),
        d.flow("gate", "end", "false"),
    )
    assert [type(failure.error) for failure in instance.last.failures] == [OverBudget]
    assert len(instance.last.passed) == runtime.STEP_BUDGET
    assert not instance.last.ended
    assert len(instance.retry().passed) == runtime.STEP_BUDGET
    assert len(instance.state) < 100


def test_a_split_in_a_circle_ends_at_the_budget() -> None:
    instance = started(
        d.start(),
        d.exclusive("again"),
        d.parallel("split"),
        d.end(),
        d.path("start", "again", "split", "again"),
        d.path("split", "end"),
    )
    assert isinstance(instance.last.failures[-1].error, OverBudget)
    assert not instance.last.ended


# ---- failures


class Switch:
    """A service that fails until it is mended."""

    def __init__(self) -> None:
        self.broken = True
        self.calls = 0

    def __call__(self, _node: Node, _variables: Mapping[str, Any]) -> Mapping[str, Any]:
        self.calls += 1
        if self.broken:
            raise Broken("The registry does not answer.")
        return {"student_ok": True}


def test_a_service_that_fails_stops_there_and_goes_on_when_mended() -> None:
    switch = Switch()
    instance = started(
        d.start(), d.service("check"), d.user("ask"), d.end(), d.path("start", "check", "ask", "end"), service=switch
    )
    for calls in (1, 2):
        assert switch.calls == calls
        (failure,) = instance.last.failures
        assert (failure.node, str(failure.error)) == ("check", "The registry does not answer.")
        assert (instance.people, instance.last.ended, instance.marks["current"]) == ([], False, ["check"])
        assert instance.last.variables == {}
        if calls == 1:
            instance.retry()
    switch.broken = False
    instance.retry()
    assert (instance.people, instance.last.failures, instance.last.passed) == (["ask"], [], ["check"])
    assert instance.retry().passed == []
    assert switch.calls == 3


def test_one_branch_that_fails_does_not_hold_up_the_other() -> None:
    switch = Switch()
    instance = started(
        d.start(),
        d.parallel("split"),
        d.service("check"),
        d.user("ask"),
        d.user("more"),
        d.parallel("join"),
        d.end(),
        d.path("start", "split", "check", "join", "end"),
        d.path("split", "ask", "more", "join"),
        service=switch,
    )
    assert (instance.people, len(instance.last.failures)) == (["ask"], 1)
    instance.complete("ask")
    # Every step tries it again; it is told each time.
    assert (instance.people, len(instance.last.failures)) == (["more"], 1)
    instance.complete("more")
    assert not instance.last.ended
    switch.broken = False
    assert instance.retry().ended


def test_a_failure_behind_a_timer_leaves_the_task_open() -> None:
    instance = started(*TIMED, service=Switch())
    instance.fire("warn")
    assert (instance.people, [failure.node for failure in instance.last.failures]) == (["ask"], ["remind"])
    instance.complete("ask")
    assert not instance.last.ended


def test_an_exit_is_no_failure_of_the_diagram() -> None:
    def service(_node: Node, _variables: Mapping[str, Any]) -> Mapping[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        started(d.start(), d.service("tell"), d.end(), d.path("start", "tell", "end"), service=service)


# ---- marks and keys


def test_the_marks_say_what_is_done_open_and_waited_for() -> None:
    instance = started(*branches("a", "b"))
    assert instance.marks == {"done": ["start", "split"], "current": ["a", "b"], "waiting": []}
    instance.complete("a")
    assert instance.marks == {"done": ["start", "split", "a"], "current": ["b"], "waiting": ["join"]}
    instance.complete("b")
    assert instance.marks["done"] == ["start", "split", "a", "b", "join"]


def test_a_task_keeps_its_key_whatever_happens_beside_it() -> None:
    instance = started(*branches("a", "b", "c"))
    key = instance.key("c")
    instance.complete("a")
    instance.retry()
    instance.complete("b")
    assert instance.key("c") == key


# ---- saved states


# As the first release writes it: a task with a timer fired and one waiting, a branch at the join, a message awaited.
FORMAT_1 = (
    '\x01[11,{"way":"left","grade":7,"ok":true},[0,2,8,16,6],[[5,12,8,2,2],[6,4,16,3,5],[8,10,8,3,5],[10,14,8,4,6]]]'
)
SAVED = (
    d.start(),
    d.parallel("split"),
    d.user("ask", camunda_dueDate="workdays(10)"),
    d.user("quick"),
    d.boundary("warn", "ask", interrupting=False),
    d.boundary("over", "ask", interrupting=True),
    d.catch("heard", message="release_agreed"),
    d.parallel("join"),
    d.end("told"),
    d.end("done", outcome="completed"),
    d.end("lost"),
    d.path("start", "split", "ask", "join", "done"),
    d.path("split", "quick", "join"),
    d.path("split", "heard", "join"),
    d.path("warn", "told"),
    d.path("over", "lost"),
)


def test_a_state_saved_by_the_first_release_goes_on() -> None:
    instance = Instance(d.specification(*SAVED))
    instance.start(way="left", grade=7, ok=True)
    instance.fire("warn")
    instance.complete("quick")
    assert instance.state.decode() == FORMAT_1
    loaded = Instance(instance.specification)
    loaded.state = FORMAT_1.encode()
    assert loaded.marks == {
        "done": ["start", "split", "warn", "told", "quick"], "current": ["ask"], "waiting": ["heard", "over", "join"],
    }  # fmt: skip
    step = loaded._deliver("release_agreed")
    assert step is not None
    step = runtime.complete(loaded.specification, step.state, loaded.service, instance.key("ask"), {"way": "right"})
    assert (step.ended, step.outcome, step.passed) == (True, "completed", ["ask", "join", "done"])
    assert step.variables == {"way": "right", "grade": 7, "ok": True}


@pytest.mark.parametrize("state", [b"", b"\x00[]", b"\x02[1,{},[],[]]", b"[1,{},[],[]]", b"{}"])
def test_a_state_of_a_foreign_format_is_refused(state: bytes) -> None:
    specification = d.specification(d.start(), d.end(), d.path("start", "end"))
    for read in (
        lambda: runtime.load(specification, state),
        lambda: runtime.variables_of(state),
        lambda: runtime.retry(specification, state, Switch()),
        lambda: runtime.open_nodes(specification, state),
    ):
        with pytest.raises(RuntimeFailure, match="format"):
            read()


def test_a_state_holds_chinese_words_as_they_are() -> None:
    instance = started(d.start(), d.user("ask"), d.end(), d.path("start", "ask", "end"), way="合肥")
    assert "合肥".encode() in instance.state
    assert runtime.variables_of(instance.state) == {"way": "合肥"}


def test_reading_a_state_changes_nothing() -> None:
    instance = started(*ANSWER)
    before = instance.state
    instance.marks  # noqa: B018
    runtime.variables_of(before)["x"] = 1
    assert instance.retry().state == before


# ---- one specification, many threads


def test_threads_share_one_specification() -> None:
    specification = Specification(d.pool(*SAVED))
    rounds = Specification(d.pool(*ROUNDS))

    def play() -> list[object]:
        seen: list[object] = []
        for number in range(40):
            instance = Instance(specification)
            instance.start(grade=number)
            for act in (
                lambda: instance.fire("warn"),  # noqa: B023
                lambda: instance.complete("ask", way="left"),  # noqa: B023
                lambda: instance.deliver("release_agreed"),  # noqa: B023
                lambda: instance.complete("quick"),  # noqa: B023
            ):
                act()
                seen.append((instance.state, instance.last.passed, instance.people))
            circle = Instance(rounds)
            circle.start()
            for way in ("left", "left", "right"):
                circle.complete("enter")
                circle.complete("decide", way=way)
            seen.append((circle.state, circle.last.ended))
        return seen

    results: list[list[object]] = []
    threads = [threading.Thread(target=lambda: results.append(play())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [play()] * 8
