"""Who can stop a case: read from the documents, party by party."""

from __future__ import annotations

from engine.comparison.refusals import SYSTEM, refusals
from tests.unit.comparison.sides import shipped


def grid() -> dict[str, tuple[list[str] | None, list[str] | None]]:
    found = refusals(shipped("national"), shipped("anhui"), {})
    return {
        party.key: tuple(None if cells is None else [cell.step.id for cell in cells] for cells in (party.a, party.b))
        for party in found
    }


def test_all_four_may_refuse_in_the_one_and_the_two_authorities_in_the_other():
    assert grid() == {
        "receiving_school": (["decide_receiving_school"], []),
        "receiving_authority": (["decide_receiving_authority"], ["decide_receiving_authority"]),
        "releasing_school": (["decide_releasing_school"], []),
        "releasing_authority": (["decide_releasing_authority"], ["decide_releasing_authority"]),
        SYSTEM: (["check_student"], ["check_student"]),
    }


def test_reasons_are_asked_where_the_documents_say_so_and_the_reviewers_refusal_is_our_reading():
    found = {party.key: party for party in refusals(shipped("national"), shipped("anhui"), {})}
    school, authority = found["receiving_school"].a, found["releasing_authority"].b
    assert school is not None
    assert authority is not None
    assert [(cell.reasons, cell.basis) for cell in school] == [(True, "inferred")]
    assert [(cell.reasons, cell.basis, cell.clauses) for cell in authority] == [(True, "text", ("附件二.3.3",))]
    assert authority[0].recorded.zh == "审批结果、审批意见"
