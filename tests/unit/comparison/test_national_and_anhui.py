"""The two procedures of the product: every difference that a reader finds in their documents, and no other.

`expected_differences.csv` was written from the two texts, before anything was compared.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from engine.comparison import Difference, verdict
from tests.unit.comparison.sides import national_and_anhui, shipped

with (Path(__file__).parent / "expected_differences.csv").open(encoding="utf-8", newline="") as file:
    EXPECTED = list(csv.DictReader(file))


def fits(difference: Difference, row: dict[str, str]) -> bool:
    text = difference.text("zh")
    return (
        (difference.kind, difference.severity, difference.party, difference.standing)
        == (row["kind"], row["severity"], row["party"], row["standing"])
        and set(filter(None, row["clauses_a"].split(";"))) <= set(difference.clauses_a)
        and set(filter(None, row["clauses_b"].split(";"))) <= set(difference.clauses_b)
        and bool(row["clauses_a"]) == bool(difference.clauses_a)
        and bool(row["clauses_b"]) == bool(difference.clauses_b)
        and all(word in text for word in filter(None, row["words"].split("|")))
        and (difference.cause or "").split(":")[0] == row["cause"]
    )


@pytest.mark.parametrize("row", EXPECTED, ids=[f"{row['kind']}: {row['what']}" for row in EXPECTED])
def test_every_difference_of_the_two_texts_is_stated_once(row):
    found = [item for item in national_and_anhui().differences if fits(item, row)]
    assert len(found) == 1, [item.text("zh") for item in found]


def test_nothing_else_is_stated():
    unexpected = [item for item in national_and_anhui().differences if not any(fits(item, row) for row in EXPECTED)]
    assert [(item.kind, item.text("zh")) for item in unexpected] == []


def test_a_finding_quotes_only_what_its_document_has():
    for item in national_and_anhui().differences:
        assert set(item.clauses_a) <= shipped("national").by_clause.keys(), item.key
        assert set(item.clauses_b) <= shipped("anhui").by_clause.keys(), item.key


def test_national_steps_5_and_6_stand_against_anhuis_5():
    groups = {match.a: match.b for match in national_and_anhui().matches}
    both = groups["decide_releasing_school", "decide_releasing_authority"]
    assert both == ("check_with_releasing_school", "decide_releasing_authority")
    assert groups["apply", "decide_receiving_school"] == ("apply",)
    assert groups[("announce_paper_file",)] == ()


def test_one_id_in_both_files_is_one_step():
    """`processes/README.md` says so, and the comparison finds it out without the ids."""
    pairs = {match.a[0]: match.b[0] for match in national_and_anhui().pairs}
    both = {step.id for step in shipped("national").steps} & {step.id for step in shipped("anhui").steps}
    assert {step: pairs.get(step) for step in both} == {step: step for step in both}
    assert {one: other for one, other in pairs.items() if one != other} == {
        "decide_releasing_school": "check_with_releasing_school"
    }


def test_the_same_is_said_too():
    said = " ".join(item.text("zh") for item in national_and_anhui().same)
    for words in ("2014-01-10", "10个工作日", "监护人提出申请", "须说明理由", "调取学生学籍电子档案", "纸质学籍档案"):
        assert words in said


def test_what_neither_document_says_is_asked():
    said = " ".join(item.text("zh") for item in national_and_anhui().questions)
    assert "成文日期：两份文件都未载明" in said
    assert "核验学生信息" in said


def test_the_verdict_is_three_sentences_in_both_languages():
    first, second, third = verdict(national_and_anhui())
    assert "转入学校核办" in first.zh
    assert "转出学校" in first.zh
    assert "与转出学校核对" in second.zh
    assert "相同" in third.zh
    assert "Check with the releasing school" in second.en


def test_every_finding_speaks_english():
    for item in (*national_and_anhui().differences, *national_and_anhui().same, *national_and_anhui().questions):
        assert item.text("en") != item.text("zh")
        assert "{" not in item.text("en") + item.text("zh")


def test_without_documents_the_diagrams_tell_the_same():
    """No sentence is quoted then, so only what the sentences themselves say is missing."""
    bare = national_and_anhui(documented=False)
    told, silent = (
        {item.key for item in found.differences if item.kind not in ("text", "form")}
        for found in (national_and_anhui(), bare)
    )
    assert told == silent
    assert [(pair.a, pair.b) for pair in bare.pairs] == [(pair.a, pair.b) for pair in national_and_anhui().pairs]
