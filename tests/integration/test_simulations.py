"""A simulation of many cases is asked for once, runs in the background, and is kept by all that it follows from."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from engine import procedures, simulations, workdays
from engine.application import Application
from engine.audit import SYSTEM
from engine.comparison.simulation import Assumptions
from engine.settings import Settings


@pytest.fixture
def application(database, world, clock, monkeypatch):
    monkeypatch.setattr(simulations, "WHOLE", 2_000)
    monkeypatch.setattr(simulations, "_PROCESSES", 1)
    url = database.url.render_as_string(hide_password=False)
    application = Application(Settings(database_url=url), clock=clock)
    yield application
    application.close()


@pytest.fixture
def anhui(database, clock, world):
    with database.reading() as connection:
        return procedures.in_force(connection, "anhui", "transfer", at=clock())


def ask(application, version, given):
    with application.database.transaction() as connection:
        simulations.ask(connection, application.jobs, SYSTEM, version, given, at=application.clock())


def find(application, version, given):
    with application.database.reading() as connection:
        return simulations.find(connection, version, given, at=application.clock())


def test_what_was_asked_for_is_simulated_once_and_then_found(application, anhui):
    given = Assumptions.defaults()
    assert find(application, anhui, given) is None
    ask(application, anhui, given)
    waiting = find(application, anhui, given)
    assert (waiting.done, waiting.total, waiting.figures) == (0, 0, None)
    ask(application, anhui, given)
    assert application.jobs.run_pending() == 1
    found = find(application, anhui, given)
    assert found.figures["cases"] == 2_000
    assert found.done == found.total == 4
    ask(application, anhui, given)
    assert application.jobs.run_pending() == 0


def test_other_assumptions_another_year_and_another_calendar_are_another_simulation(application, anhui, clock):
    given = Assumptions.defaults()
    ask(application, anhui, given)
    assert find(application, anhui, given.with_({"peak": 12})) is None
    with application.database.transaction() as connection:
        workdays.set_day(connection, SYSTEM, date(2026, 11, 2), False, "停课", at=clock())
    assert find(application, anhui, given) is None
    clock.turn(days=200)
    assert find(application, anhui, given) is None


def test_the_quick_answer_is_the_precise_one_within_its_interval(application, anhui, clock):
    given = Assumptions.defaults()
    with application.database.reading() as connection:
        quick = simulations.answer(connection, anhui, given, at=clock())
        again = simulations.answer(connection, anhui, given, at=clock())
    assert quick is again
    ask(application, anhui, given)
    application.jobs.run_pending()
    precise = find(application, anhui, given).figures
    assert abs(quick["mean"]["value"] - precise["mean"]["value"]) < quick["mean"]["margin"] + precise["mean"]["margin"]
    assert json.loads(json.dumps(quick)).keys() == precise.keys()


def test_a_result_is_forgotten_in_time_and_a_deleted_draft_harms_nothing(application, anhui, clock):
    ask(application, anhui, Assumptions.defaults())
    with application.database.transaction() as connection:
        connection.execute(simulations.simulation.update().values(version_id=4711))
    assert application.jobs.run_pending() == 1
    with application.database.transaction() as connection:
        simulations.forget_old(connection, at=clock() + timedelta(days=89))
        assert connection.scalar(sa.select(sa.func.count()).select_from(simulations.simulation)) == 1
        simulations.forget_old(connection, at=clock() + timedelta(days=91))
        assert connection.scalar(sa.select(sa.func.count()).select_from(simulations.simulation)) == 0
