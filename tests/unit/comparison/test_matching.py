"""Which steps belong together, and that an officer's word on it is the last."""

from __future__ import annotations

from engine.comparison import Side, compare
from engine.comparison.matching import match
from tests.unit.bpmn import diagrams as d
from tests.unit.comparison.sides import kinds, national_and_anhui, of_text, shipped


def plain(*labels: str) -> Side:
    """A plain pool: one user task after the other, by their labels."""
    ids = [f"t{number}" for number in range(len(labels))]
    tasks = [d.user(id, name=label) for id, label in zip(ids, labels, strict=True)]
    return of_text(d.plain(d.start(), *tasks, d.end(), d.path("start", *ids, "end")).decode(), key="plain")


def test_each_pair_has_a_confidence_that_falls_with_the_likeness():
    of = {pair.a[0]: pair.confidence for pair in national_and_anhui().pairs}
    assert of["check_student"] == 1
    assert of["decide_receiving_authority"] > of["decide_releasing_school"] > 0.4
    assert all(0 < confidence <= 1 for confidence in of.values())


def test_a_correction_joins_what_was_not_matched():
    there, back = plain("录入", "核对", "归档"), plain("录入", "家访", "归档")
    assert len(match(there, back, [(("t1",), ())]).pairs) == 4
    fixed = [(("t1",), ("t1",))]
    assert {pair.a: pair.b for pair in match(there, back, fixed).pairs}[("t1",)] == ("t1",)
    assert next(pair for pair in match(there, back, fixed).pairs if pair.a == ("t1",)).confidence == 1


def test_a_correction_parts_what_was_matched():
    found = compare(shipped("national"), shipped("anhui"), [(("decide_releasing_school",), ())])
    assert ("decide_releasing_school",) in [group.a for group in found.matches if not group.b]
    assert [item.a for item in found.differences if item.kind == "moved"] == [("release_requested_received",)]
    assert [item.b for item in found.differences if item.kind == "added"] == [("check_with_releasing_school",)]


def test_a_correction_may_name_any_element_of_a_step():
    """The gateway behind a decision is a part of it."""
    fixed = [(("releasing_school_agrees",), ("check_with_releasing_school",))]
    pairs = match(shipped("national"), shipped("anhui"), fixed).pairs
    assert next(pair for pair in pairs if pair.a == ("decide_releasing_school",)).confidence == 1


def test_a_correction_may_say_that_two_steps_are_one():
    there, back = plain("登记", "复印证件", "归档"), plain("登记", "归档")
    assert kinds(compare(there, back)) == ["removed"]
    assert kinds(compare(there, back, [(("t0", "t1"), ("t0",))])) == ["merged"]
    assert kinds(compare(back, there, [(("t0",), ("t0", "t1"))])) == ["split"]


def test_corrections_that_name_nothing_there_are_passed_over():
    found = compare(shipped("national"), shipped("anhui"), [(("nothing",), ("nowhere",))])
    assert found.pairs == national_and_anhui().pairs


def test_repeated_labels_are_told_apart_by_what_stands_around_them():
    there = plain("审核", "录入", "审核", "归档", "审核")
    back = plain("审核", "录入", "审核", "通知家长", "归档", "审核")
    pairs = {pair.a: pair.b for pair in compare(there, back).pairs}
    assert [pairs[(f"t{number}",)] for number in range(5)] == [("t0",), ("t1",), ("t2",), ("t4",), ("t5",)]
    assert kinds(compare(there, back)) == ["added"]


def test_words_of_one_meaning_are_one():
    there = plain("学校提出申请", "主管部门审核", "通知家长")
    back = plain("学校申请", "教育局核办", "告知监护人")
    assert kinds(compare(there, back)) == ["reworded"] * 3
