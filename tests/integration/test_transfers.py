"""Whole transfers over the real database and the real engine, in all four pairings of the two procedures."""

from __future__ import annotations

import pytest

from tests.integration import play

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"
PAIRINGS = {
    "national to national": (HENAN, ZHEJIANG),
    "national to Anhui": (HENAN, ANHUI),
    "Anhui to national": (ANHUI, HENAN),
    "within Anhui": (ANHUI, ANHUI),
}

RECEIVING = {
    "national": ["decide_receiving_school", "decide_receiving_authority"],
    "anhui": ["decide_receiving_authority"],
}
RELEASING = {
    "national": ["decide_releasing_school", "decide_releasing_authority"],
    "anhui": ["check_with_releasing_school"],
}


def regime(province: str) -> str:
    return "anhui" if province == ANHUI else "national"


@pytest.mark.parametrize(("origin", "target"), PAIRINGS.values(), ids=PAIRINGS)
def test_every_pairing_runs_to_its_end_in_the_documents_order(database, world, clock, origin, target):
    case_id = play.apply(database, world, origin, target, clock())

    done = play.play(database, world, case_id, clock())

    assert done == [
        *RECEIVING[regime(target)],
        *RELEASING[regime(origin)],
        "tell_student_to_enrol",
        "retrieve",
        "send_paper_file",
    ]
    assert play.outcome(database, case_id) == "completed"
    assert play.school_of(database, world[origin].students[0]) == play.applicant(world, origin, target).organisation_id
