"""What real cases say of a version: counted right, replayed right, of one's own jurisdiction."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from engine import eventlog, procedures, transfers
from engine.cases import case, instance, task
from engine.errors import Forbidden
from engine.eventlog import Filters, findings, summaries, traces
from tests.integration import play

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"


@pytest.fixture
def auditor(world):
    return world.ministry_actors["auditor"]


@pytest.fixture
def played(database, world, clock):
    """Six transfers into Anhui: four completed, one refused by each authority; a working day for each step."""
    cases = []
    for serial in range(1, 7):
        cases.append(play.apply(database, world, HENAN, ANHUI, clock(), serial=serial))
    refusals = {4: "decide_receiving_authority", 5: "decide_releasing_authority"}
    for number, case_id in enumerate(cases):
        while waiting := play.open_tasks(database, case_id):
            clock.turn(minutes=1)
            act = {node.id for node in waiting[0].act}
            play.step(database, world, case_id, clock(), refuse=refusals.get(number) in act)
    return cases


def version_of(database, regime, at):
    with database.reading() as connection:
        return procedures.in_force(connection, regime, "transfer", at=at)


def found(database, actor, clock, regime="anhui"):
    version = version_of(database, regime, clock())
    with database.reading() as connection:
        return findings(connection, actor, version)


def test_every_step_and_flow_is_counted_as_often_as_it_was_passed(database, auditor, played, clock):
    of = found(database, auditor, clock)
    assert of.summary.cases == 6
    assert of.summary.outcomes == {"completed": 4, "refused": 2}
    assert of.steps["receiving", "decide_receiving_authority"].count == 6
    assert of.steps["receiving", "retrieve"].count == 4
    assert ("releasing", "decide_releasing_authority") not in of.steps
    assert of.decided
    assert of.left == []
    pool = of.version.pool("receiving")
    [start] = [flow for flow in pool.flows if flow.source == pool.start.id]
    assert of.flows["receiving", start.id].count == 6
    for flow in pool.flows:
        before = of.flows.get(("receiving", flow.id))
        if flow.target == "retrieve":
            assert before.count == 4


def test_the_other_half_is_found_under_its_own_version(database, auditor, played, clock):
    of = found(database, auditor, clock, "national")
    assert of.steps["releasing", "decide_releasing_authority"].count == 5
    assert of.steps["releasing", "decide_releasing_school"].count == 5
    assert all(side == "releasing" for side, _ in [*of.steps, *of.flows])


def test_how_long_a_step_took_is_told_in_working_days_and_not_of_a_few(database, world, auditor, clock):
    cases = [play.apply(database, world, HENAN, ANHUI, clock(), serial=serial) for serial in range(1, 7)]
    clock.turn(days=3)
    for case_id in cases[:4]:
        play.step(database, world, case_id, clock())
    assert found(database, auditor, clock).steps["receiving", "decide_receiving_authority"].mean is None
    for case_id in cases[4:5]:
        play.step(database, world, case_id, clock())
    times = found(database, auditor, clock).steps["receiving", "decide_receiving_authority"]
    # From Tuesday to Friday, which is free: the middle of autumn.
    assert (times.mean, times.median, times.count, times.open, times.late) == (2, 2, 5, 1, 0)


def test_what_was_done_after_its_limit_is_late(database, world, auditor, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    clock.turn(days=40)
    play.step(database, world, case_id, clock())
    of = found(database, auditor, clock)
    assert of.steps["receiving", "decide_receiving_authority"].late == 1
    assert of.summary.late == 1
    assert of.left == []


def test_a_withdrawn_case_has_left_nothing(database, world, auditor, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    actor = play.applicant(world, HENAN, ANHUI)
    with database.transaction() as connection:
        transfers.withdraw(connection, actor, case_id, reason="家长撤回", at=clock())
    of = found(database, auditor, clock)
    assert of.summary.outcomes == {"withdrawn": 1}
    assert of.left == []


@pytest.mark.parametrize("refuse_at", ["", "decide_receiving_school", "decide_releasing_authority"])
@pytest.mark.parametrize("origin", [ANHUI, HENAN])
@pytest.mark.parametrize("target", [ANHUI, ZHEJIANG])
def test_whatever_the_engine_does_follows_the_diagram_at_every_moment(
    database, world, auditor, clock, origin, target, refuse_at
):
    case_id = play.apply(database, world, origin, target, clock())
    while True:
        with database.reading() as connection:
            pairs = summaries(connection, auditor)
        assert [item.left for item in pairs.values()] == [0]
        waiting = play.open_tasks(database, case_id)
        if not waiting:
            break
        refuse = refuse_at in {node.id for node in waiting[0].act}
        play.step(database, world, case_id, clock.turn(minutes=5), refuse=refuse)


# Cases that left the procedure; the engine does not let them, so rows are changed behind its back.


def deviations(database, auditor, clock):
    [left] = found(database, auditor, clock).left
    return [(item.kind, item.element, item.expected) for item in left.deviations]


def test_a_step_that_was_left_out_is_told(database, world, auditor, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    play.play(database, world, case_id, clock())
    with database.transaction() as connection:
        connection.execute(task.delete().where(task.c.case_id == case_id, task.c.node == "tell_student_to_enrol"))
    assert deviations(database, auditor, clock) == [("skipped", "retrieve", ("tell_student_to_enrol",))]


def test_a_step_done_twice_is_told(database, world, auditor, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    play.play(database, world, case_id, clock())
    with database.transaction() as connection:
        [row] = connection.execute(sa.select(task).where(task.c.case_id == case_id, task.c.node == "retrieve"))
        again = row._asdict() | {"id": row.id + 1000, "key": 9999}
        connection.execute(task.insert(), again)
    [(kind, element, _)] = deviations(database, auditor, clock)
    assert (kind, element) == ("unexpected", "retrieve")


def test_a_case_closed_too_early_is_told(database, world, auditor, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    with database.transaction() as connection:
        connection.execute(task.delete().where(task.c.case_id == case_id, task.c.state == "open"))
        ended = {"state": "ended", "outcome": "completed", "ended_at": clock()}
        connection.execute(case.update().where(case.c.id == case_id).values(ended))
    assert deviations(database, auditor, clock) == [("unfinished", "", ("decide_receiving_authority",))]


def test_a_case_that_waits_elsewhere_is_told(database, world, auditor, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    with database.transaction() as connection:
        connection.execute(task.update().where(task.c.state == "open").values(node="retrieve"))
    assert deviations(database, auditor, clock) == [("elsewhere", "", ("decide_receiving_authority",))]
    assert case_id


def test_one_sees_the_cases_of_ones_own_jurisdiction_alone(database, world, auditor, clock):
    play.apply(database, world, HENAN, ZHEJIANG, clock(), serial=1)
    play.apply(database, world, HENAN, ANHUI, clock(), serial=2)
    with database.reading() as connection:
        assert len(list(traces(connection, auditor))) == 2
        own = world[ANHUI].actor("county_auditor")
        [mine] = traces(connection, own)
        assert mine.parties["receiving_authority"] == world[ANHUI].county
        assert set(summaries(connection, own)) == {("anhui", "national")}
        with pytest.raises(Forbidden):
            list(traces(connection, world[ANHUI].actor("operator")))
        with pytest.raises(Forbidden):
            findings(connection, world[ANHUI].actor("county"), mine.versions["receiving"])


def test_newer_and_older_cases_can_be_chosen(database, world, auditor, clock):
    play.apply(database, world, HENAN, ANHUI, clock(), serial=1)
    later = clock.turn(days=10)
    second = play.apply(database, world, HENAN, ANHUI, later, serial=2)
    with database.reading() as connection:
        assert [item.case_id for item in traces(connection, auditor, Filters(since=later))] == [second]
        assert second not in [item.case_id for item in traces(connection, auditor, Filters(until=later))]
        assert [item.case_id for item in traces(connection, auditor, newest=1)] == [second]
        versions = {version.id for item in traces(connection, auditor) for version in item.versions.values()}
        of_instances = set(connection.scalars(sa.select(instance.c.version_id)))
        assert versions == of_instances
        of = findings(connection, auditor, version_of(database, "anhui", later), newest=1)
    assert (of.summary.cases, of.is_all) == (1, False)
    assert eventlog.Findings is type(of)
