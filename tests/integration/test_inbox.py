"""The inbox below its pages: menus that follow the diagrams, what is done together, notices that name their step."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine import cases, inbox, procedures
from engine.inbox import Unfinished
from tests.integration import diagrams, play

ANHUI, HENAN = "340000", "410000"


def menus(database, actor, province, at) -> dict[str, int]:
    with database.reading() as connection:
        versions = procedures.serving(connection, province, "transfer", at=at)
        standing = inbox.duties_of(connection, actor, versions)
        found = inbox.menus(inbox.steps(connection, actor, at=at), standing)
    return {menu.path: menu.open for menu in found}


def deploy_renamed(database, world, at, since=None) -> None:
    """Put a diagram of Anhui into force that has another menu for transfers in."""
    renamed = diagrams.shipped("anhui").decode().replace("变动审批/转入审批", "转学审批/转入")
    diagrams.deploy(database, world[ANHUI].actor("policy"), "anhui", renamed.encode(), at, since=since)


def test_the_menu_is_what_the_diagram_in_force_says(database, world, clock):
    county = world[ANHUI].actor("county")
    assert menus(database, county, ANHUI, clock()) == {"变动审批/转入审批": 0, "变动审批/转出审批": 0}
    assert menus(database, world[HENAN].actor("reviewer"), HENAN, clock()) == {"学籍管理/跨省转学/跨省转学审核": 0}


def test_a_new_diagram_changes_the_menu_and_what_runs_keeps_its_own(database, world, clock):
    county = world[ANHUI].actor("county")
    play.apply(database, world, HENAN, ANHUI, clock())
    clock.turn(minutes=1)
    deploy_renamed(database, world, clock())
    assert menus(database, county, ANHUI, clock()) == {
        "转学审批/转入": 0, "变动审批/转出审批": 0, "变动审批/转入审批": 1,
    }  # fmt: skip


def test_an_authority_without_schools_of_its_own_has_no_menu(database, world, clock):
    assert menus(database, world[ANHUI].actor("province"), ANHUI, clock()) == {}
    assert menus(database, world.ministry_actors["operator"], "", clock()) == {}


def test_a_future_version_shows_in_no_menu_yet(database, world, clock):
    county = world[ANHUI].actor("county")
    deploy_renamed(database, world, clock(), since=clock() + timedelta(days=2))
    assert "转学审批/转入" not in menus(database, county, ANHUI, clock())
    assert "转学审批/转入" in menus(database, county, ANHUI, clock.turn(days=3))


def test_the_next_one_alike_is_of_the_same_step_and_never_the_same_task(database, world, clock):
    county = world[ANHUI].actor("county")
    case_ids = [play.apply(database, world, HENAN, ANHUI, clock(), serial=serial) for serial in (1, 2)]
    first, second = (play.open_tasks(database, case_id)[0] for case_id in case_ids)
    with database.reading() as connection:
        assert inbox.next_alike(connection, county, first) == second.id
        assert inbox.next_alike(connection, world[HENAN].actor("county"), first) is None


def test_a_technical_failure_leaves_one_task_as_it_was_and_holds_up_no_other(database, world, clock, monkeypatch):
    county = world[ANHUI].actor("county")
    case_ids = [play.apply(database, world, HENAN, ANHUI, clock(), serial=serial) for serial in (1, 2)]
    tasks = [play.open_tasks(database, case_id)[0] for case_id in case_ids]
    complete = inbox.complete

    def sometimes(connection, actor, task_id, entered, *, at):
        complete(connection, actor, task_id, entered, at=at)
        if task_id == tasks[0].id:
            raise OSError("the disk is full")
        return case_ids[1]

    monkeypatch.setattr(inbox, "complete", sometimes)
    outcomes = inbox.complete_many(
        database, county, [task.id for task in tasks], play.answers(tasks[0]), at=clock()
    )  # fmt: skip
    assert [type(outcome.error) for outcome in outcomes] == [Unfinished, type(None)]
    assert [play.open_tasks(database, case_id)[0].node.id for case_id in case_ids] == [
        "decide_receiving_authority", "decide_releasing_school",
    ]  # fmt: skip


@pytest.mark.parametrize(("days", "kind"), [(24, "due_soon"), (30, "overdue")])
def test_a_timers_notice_names_the_step_that_it_stands_on(database, world, clock, days, kind):
    play.apply(database, world, HENAN, ANHUI, clock())
    clock.turn(days=days)
    with database.reading() as connection:
        due = cases.due_deadlines(connection, at=clock())
    for deadline, _due in due:
        with database.transaction() as connection:
            cases.fire_deadline(connection, deadline, at=clock())
    with database.reading() as connection:
        found, _total = cases.notices(connection, world[ANHUI].actor("county"), limit=10, counted=100)
    assert {(item.kind, item.step.id) for item in found if item.kind == kind} == {(kind, "decide_receiving_authority")}
