"""Real cases tell an assumption where there are enough of them, as they were, and say nothing otherwise."""

from __future__ import annotations

import pytest

from engine import eventlog
from engine.comparison.simulation import assumptions
from engine.errors import Forbidden
from tests.integration import play

ANHUI, HENAN = "340000", "410000"


@pytest.fixture
def auditor(world):
    return world.ministry_actors["auditor"]


def measured(database, actor):
    with database.reading() as connection:
        return eventlog.measured(connection, actor)


def test_few_cases_tell_nothing(database, world, auditor, clock):
    assert measured(database, auditor) == {}
    play.play(database, world, play.apply(database, world, HENAN, ANHUI, clock()), clock())
    assert measured(database, auditor) == {}


def test_waiting_work_off_the_system_and_refusals_are_those_of_each_party(database, world, auditor, clock, monkeypatch):
    monkeypatch.setattr("engine.eventlog.measuring.FEWEST", 2)
    for serial in (1, 2):
        case_id = play.apply(database, world, HENAN, ANHUI, clock(), serial=serial)
        clock.turn(days=1)
        play.step(database, world, case_id, clock())
        clock.turn(days=1)
        play.step(database, world, case_id, clock(), refuse=serial == 2)
        clock.turn(days=19)
    found = measured(database, auditor)
    assert found.keys() <= assumptions().keys()
    # From Tuesday to Wednesday, and so again three weeks later, after the holidays of October.
    assert found["attention.receiving_authority"] == 1
    assert found["refusal.receiving_authority"] == 0
    assert found["refusal.releasing_school"] == 50
    # What was done before there was a case took no time in it.
    assert "attention.receiving_school" not in found
    assert "cases" not in found


def test_a_year_of_cases_tells_how_many_an_authority_has(database, world, auditor, clock):
    play.apply(database, world, HENAN, ANHUI, clock(), serial=1)
    clock.turn(days=370)
    for serial in range(2, 13):
        play.apply(database, world, HENAN, ANHUI, clock(), serial=serial)
    assert measured(database, auditor)["cases"] == 10


def test_only_those_who_may_read_the_log_measure(database, world):
    with pytest.raises(Forbidden):
        measured(database, world[ANHUI].actor("operator"))
