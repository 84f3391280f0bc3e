"""Cases of one pool: who sees them, and how they stand from their first moment to their last."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from engine import cases, inbox, transfers
from tests.integration import play
from tests.unit.bpmn import diagrams

ANHUI, HENAN = "340000", "410000"

AT_ONCE = diagrams.plain(diagrams.start(), diagrams.end(), diagrams.path("start", "end"))
ASKS = diagrams.plain(diagrams.start(), diagrams.user("ask"), diagrams.end(), diagrams.path("start", "ask", "end"))
# A task with a time limit, which leads back to itself as long as somebody wants it again.
AGAIN = diagrams.plain(
    diagrams.start(),
    diagrams.user("ask", diagrams.choice("again", "yes", "no"), camunda_dueDate="${workdays(10)}"),
    diagrams.boundary("late", "ask", interrupting=False), diagrams.end("told"), diagrams.path("late", "told"),
    diagrams.exclusive("gate", default="gate_end", name="Again?"), diagrams.end(),
    diagrams.path("start", "ask", "gate", "end"), diagrams.flow("gate", "ask", 'again == "yes"'),
)  # fmt: skip


@pytest.fixture
def school(world):
    return world[ANHUI].actor("operator")


def standing(database, case_id):
    """The case's own state, and the one under which its only party finds it."""
    with database.reading() as connection:
        listed = sa.select(cases.case_scope.c.organisation_id, cases.case_scope.c.state)
        [found] = connection.execute(listed.where(cases.case_scope.c.case_id == case_id)).all()
        state = connection.scalar(sa.select(cases.case.c.state).where(cases.case.c.id == case_id))
    return state, found.organisation_id, found.state


def test_a_case_that_ends_as_it_begins_is_listed_as_it_ended(database, school, clock):
    case_id = play.start_plain(database, school, "at-once", AT_ONCE, clock())
    assert standing(database, case_id) == ("ended", school.organisation_id, "completed")


def test_a_case_is_listed_as_open_until_its_task_is_done(database, school, clock):
    case_id = play.start_plain(database, school, "asks", ASKS, clock())
    assert standing(database, case_id) == ("open", school.organisation_id, "open")
    [task] = play.open_tasks(database, case_id)
    with database.transaction() as connection:
        inbox.complete(connection, school, task.id, {}, at=clock())
    assert standing(database, case_id) == ("ended", school.organisation_id, "completed")


def test_a_task_that_comes_again_has_its_time_limit_again(database, school, clock):
    case_id = play.start_plain(database, school, "again", AGAIN, clock())
    [task] = play.open_tasks(database, case_id)
    with database.transaction() as connection:
        inbox.complete(connection, school, task.id, {"again": "yes"}, at=clock())
    deadline = cases.deadline.c
    with database.reading() as connection:
        states = sa.select(deadline.state).where(deadline.case_id == case_id).order_by(deadline.id)
        assert connection.scalars(states).all() == ["cancelled", "pending"]


def test_it_is_no_transfer_and_stands_in_no_query_of_them(database, world, school, clock):
    first = play.apply(database, world, HENAN, ANHUI, clock())
    play.start_plain(database, school, "at-once", AT_ONCE, clock())
    play.start_plain(database, school, "asks", ASKS, clock())
    last = play.apply(database, world, HENAN, ANHUI, clock(), serial=2)
    both, none = [last, first], []
    for filters, expected in (
        (transfers.Filters(), both), (transfers.Filters(school_year=2026), both),
        (transfers.Filters(state="completed"), none), (transfers.Filters(holder_id=school.organisation_id), none),
    ):  # fmt: skip
        with database.reading() as connection:
            found = transfers.search(connection, school, filters, at=clock())
        assert ([each.case_id for each in found.transfers], found.total) == (expected, len(expected))
