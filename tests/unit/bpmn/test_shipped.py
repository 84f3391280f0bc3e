"""The procedures that we ship, in every pairing: both pools in memory, their messages carried by hand."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bpmn import checks, reader
from engine.bpmn.catalogue import AGREE, MESSAGES, REFUSE
from engine.bpmn.graph import Node, Pool, ProcessGraph
from engine.bpmn.runtime import Specification
from engine.settings import processes_folder
from tests.unit.bpmn import test_walks
from tests.unit.bpmn.instances import Instance

GRAPHS: dict[str, ProcessGraph] = {
    path.parent.name: reader.read(path.read_bytes()) for path in sorted(processes_folder().glob("*/transfer.bpmn"))
}
SPECIFICATIONS = {(name, pool.side): Specification(pool) for name, graph in GRAPHS.items() for pool in graph.executable}
PAIRS = list(itertools.product(GRAPHS, repeat=2))
# What the engine may keep for one running pool.
MOST_BYTES = 1024


def decisions(pool: Pool) -> list[str]:
    return [node.id for node in pool.nodes if node.bound("decision.result")]


class Pair:
    """One transfer: a mailbox keeps what its side does not wait for yet."""

    def __init__(self, receiving: str, releasing: str, *, student_ok: bool = True) -> None:
        self.student_ok = student_ok
        self.sides = {
            "receiving": Instance(SPECIFICATIONS[receiving, "receiving"], self._service),
            "releasing": Instance(SPECIFICATIONS[releasing, "releasing"], self._service),
        }
        self.started: set[str] = set()
        self.mailbox: list[tuple[str, str]] = []
        self.sent: list[str] = []
        self.recorded: list[str] = []
        self.services: list[str] = []
        self.most = 0
        self.sides["receiving"].start()
        self._after("receiving")

    def _service(self, node: Node, _variables: Mapping[str, Any]) -> Mapping[str, Any]:
        self.services.append(node.topic)
        return {"student_ok": self.student_ok} if node.topic == "check_student" else {}

    @property
    def open(self) -> list[tuple[str, str]]:
        return [(side, node) for side, instance in self.sides.items() for node in instance.people]

    @property
    def clocks(self) -> list[tuple[str, str]]:
        return [(side, timer) for side, instance in self.sides.items() for timer in instance.clocks]

    @property
    def over(self) -> bool:
        return all(self.sides[side].last.ended for side in self.started)

    @property
    def pools(self) -> list[Pool]:
        return [instance.specification.pool for instance in self.sides.values()]

    def outcome(self, side: str) -> str | None:
        return self.sides[side].last.outcome

    def complete(self, side: str, node_id: str, result: str = AGREE) -> None:
        """Complete a step; where it decides something, with this result."""
        field = self.sides[side].specification.pool.by_id[node_id].bound("decision.result")
        self.sides[side].complete(node_id, **({field.id: result} if field else {}))
        self._after(side)

    def fire(self, side: str, timer: str) -> None:
        self.sides[side].fire(timer)
        self._after(side)

    def play(self, results: Mapping[tuple[str, str], str] | None = None) -> None:
        """Complete whatever is open until nothing is, agreeing to what `results` does not name."""
        while self.open:
            for side, node in self.open:
                self.complete(side, node, (results or {}).get((side, node), AGREE))

    def _after(self, side: str) -> None:
        instance = self.sides[side]
        self.started.add(side)
        assert instance.last.failures == []
        self.most = max(self.most, len(instance.state))
        other = "releasing" if side == "receiving" else "receiving"
        for node in instance.last.thrown:
            message = instance.specification.pool.by_id[node].event.message
            assert MESSAGES[message].sender == side
            self.sent.append(message)
            self.mailbox.append((other, message))
        while any(self._deliver(*item) for item in list(self.mailbox)):
            pass

    def _deliver(self, side: str, message: str) -> bool:
        instance = self.sides[side]
        if side not in self.started:
            if not MESSAGES[message].starts:
                return False
            instance.start_by(message)
        elif instance.last.ended:
            self.recorded.append(message)
            self.mailbox.remove((side, message))
            return True
        else:
            before = instance.state
            if instance.deliver(message) is None:
                # Nothing has happened, and nothing will ever take an optional message.
                assert instance.state == before
                if not MESSAGES[message].required:
                    self.recorded.append(message)
                    self.mailbox.remove((side, message))
                return False
        self.mailbox.remove((side, message))
        self._after(side)
        return True


@pytest.mark.parametrize("name", GRAPHS)
def test_there_is_nothing_to_find(name: str) -> None:
    assert checks.findings(GRAPHS[name]) == []


@pytest.mark.parametrize(("receiving", "releasing"), PAIRS)
def test_all_agree(receiving: str, releasing: str) -> None:
    pair = Pair(receiving, releasing)
    pair.play()
    assert pair.over
    assert [pair.outcome(side) for side in pair.sides] == ["completed", "completed"]
    assert pair.sent[:3] == ["release_requested", "release_agreed", "record_retrieved"]
    assert set(pair.sent[3:]) <= {"paper_sent"}
    assert pair.recorded == pair.sent[3:]
    assert pair.mailbox == []
    assert pair.services == ["check_student", "retrieve_record", "change_enrolment"]
    for side, name in (("receiving", receiving), ("releasing", releasing)):
        done = pair.sides[side].marks["done"]
        assert set(decisions(SPECIFICATIONS[name, side].pool)) <= set(done)


REFUSALS = [
    (receiving, releasing, side, node)
    for receiving, releasing in PAIRS
    for side, name in (("receiving", receiving), ("releasing", releasing))
    for node in decisions(SPECIFICATIONS[name, side].pool)
]


@pytest.mark.parametrize(("receiving", "releasing", "side", "node"), REFUSALS)
def test_a_refusal_at_any_decision_ends_the_transfer(receiving: str, releasing: str, side: str, node: str) -> None:
    pair = Pair(receiving, releasing)
    pair.play({(side, node): REFUSE})
    assert pair.over
    assert pair.outcome("receiving") == "refused"
    assert "retrieve_record" not in pair.services
    if side == "receiving":
        assert pair.started == {"receiving"}
        assert pair.sent == []
    else:
        assert pair.outcome("releasing") == "refused"
        assert pair.sent == ["release_requested", "release_refused"]
    # Whoever would have decided later was not asked.
    order = decisions(pair.sides[side].specification.pool)
    done = set(pair.sides[side].marks["done"])
    assert done.isdisjoint(order[order.index(node) + 1 :])


@pytest.mark.parametrize(("receiving", "releasing"), PAIRS)
def test_a_student_who_fails_the_check_is_not_asked_for(receiving: str, releasing: str) -> None:
    pair = Pair(receiving, releasing, student_ok=False)
    pair.play()
    assert pair.over
    assert (pair.outcome("receiving"), pair.sent, pair.started) == ("refused", [], {"receiving"})


@pytest.mark.parametrize("name", GRAPHS)
def test_a_message_that_comes_too_early_waits(name: str) -> None:
    """Kept by whoever carries it: the pool does not take it, and does not change."""
    early = Instance(SPECIFICATIONS[name, "releasing"])
    early.start_by("release_requested")
    kept = early.deliver("record_retrieved")
    assert kept is None
    while "record_retrieved" not in early.awaits:
        pool = early.specification.pool
        for node in early.people:
            field = pool.by_id[node].bound("decision.result")
            early.complete(node, **({field.id: AGREE} if field else {}))
    assert early.deliver("record_retrieved") is not None
    assert early.deliver("record_retrieved") is None


@pytest.mark.parametrize(("receiving", "releasing"), PAIRS)
def test_nothing_is_decided_by_time(receiving: str, releasing: str) -> None:
    pair = Pair(receiving, releasing)
    fired = 0
    while pair.open:
        for side, timer in pair.clocks:
            before = pair.open
            pair.fire(side, timer)
            assert pair.open == before
            fired += 1
        side, node = pair.open[0]
        pair.complete(side, node)
    assert pair.over
    assert fired == sum(node.attached_to is not None for pool in pair.pools for node in pool.nodes)
    assert pair.services.count("escalate") == pair.services.count("notify") == fired / 2
    assert pair.outcome("receiving") == "completed"


@pytest.mark.parametrize(("receiving", "releasing"), PAIRS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_however_it_goes_both_sides_end_alike_and_small(receiving: str, releasing: str, data: st.DataObject) -> None:
    pair = Pair(receiving, releasing, student_ok=data.draw(st.booleans()))
    while pair.open:
        acts = [("complete", side, node) for side, node in pair.open] + [("fire", *clock) for clock in pair.clocks]
        act, side, node = data.draw(st.sampled_from(acts))
        if act == "fire":
            pair.fire(side, node)
        else:
            pair.complete(side, node, data.draw(st.sampled_from([AGREE, AGREE, REFUSE])))
    assert pair.over
    assert pair.mailbox == []
    assert {pair.outcome(side) for side in pair.started} in ({"completed"}, {"refused"})
    assert ("release_requested" in pair.sent) == (pair.started == {"receiving", "releasing"})
    assert pair.most < MOST_BYTES


@pytest.mark.parametrize("key", SPECIFICATIONS, ids="-".join)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_each_pool_walks_alike_saved_or_never(key: tuple[str, str], data: st.DataObject) -> None:
    specification = SPECIFICATIONS[key]
    starting = specification.pool.start.event.message
    test_walks.walk(specification, data, 25, message=starting)
