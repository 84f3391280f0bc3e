"""Cases of one pool: who sees them, and how they stand from their first moment to their last."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from engine import cases, inbox
from tests.integration import play
from tests.unit.bpmn import diagrams

ANHUI = "340000"

AT_ONCE = diagrams.plain(diagrams.start(), diagrams.end(), diagrams.path("start", "end"))
ASKS = diagrams.plain(diagrams.start(), diagrams.user("ask"), diagrams.end(), diagrams.path("start", "ask", "end"))


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
