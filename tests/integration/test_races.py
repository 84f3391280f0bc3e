"""Two people at once: one winner, one clear conflict; and a process that dies: all of a step or nothing."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from engine import audit, cases, inbox, transfers
from engine.cases import AlreadyDone, Gone
from engine.db import Database
from engine.errors import XuejiError
from engine.registry import classes
from engine.registry.classes import NoVacancy
from engine.registry.lookups import StudentNotFound
from engine.registry.tables import school_class
from engine.transfers import applications
from engine.transfers.tables import transfer
from tests.integration import play

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"


def at_once(works: list[Callable[[], Any]]) -> list[Any]:
    """Run all at the same moment in threads; answers each one's result or error, in order."""
    barrier = threading.Barrier(len(works))
    results: list[Any] = [None] * len(works)

    def run(position: int, work: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            results[position] = work()
        except XuejiError as error:
            results[position] = error

    threads = [threading.Thread(target=run, args=item) for item in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def decide(database: Database, actor, item: inbox.Task, at, *, refuse: bool = False) -> Callable[[], int]:
    def work() -> int:
        with database.transaction() as connection:
            return inbox.complete(connection, actor, item.id, play.answers(item, refuse=refuse), at=at)

    return work


def test_the_slower_of_two_officers_learns_who_was_faster_and_what_was_decided(database, world, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    [item] = play.open_tasks(database, case_id)
    place = world[ANHUI]

    results = at_once(
        [
            decide(database, place.actor("county"), item, clock()),
            decide(database, place.actor("county_colleague"), item, clock(), refuse=True),
        ]
    )

    [conflict] = [result for result in results if isinstance(result, AlreadyDone)]
    winner = place.actor("county" if results[1] is conflict else "county_colleague")
    assert conflict.values["person"] == winner.person_name
    assert conflict.values["result"] == ("agree" if results[1] is conflict else "refuse")
    with database.reading() as connection:
        entries = sa.select(sa.func.count()).where(
            audit.audit_entry.c.action == "task.completed", audit.audit_entry.c.subject_id == item.id
        )
        assert connection.scalar(entries) == 1


def test_a_replayed_request_is_answered_with_what_was_done(database, world, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    [item] = play.open_tasks(database, case_id)
    again = decide(database, world[ANHUI].actor("county"), item, clock())
    again()
    with pytest.raises(AlreadyDone):
        again()
    assert len(play.open_tasks(database, case_id)) == 1


def test_a_decision_and_a_withdrawal_at_once_leave_one_of_them(database, world, clock):
    for serial in range(1, 6):
        case_id = play.apply(database, world, HENAN, ANHUI, clock(), serial=serial)
        [item] = play.open_tasks(database, case_id)

        def withdraw(case_id: int = case_id) -> None:
            with database.transaction() as connection:
                transfers.withdraw(connection, world[ANHUI].actor("operator"), case_id, "撤回", at=clock())

        decision, withdrawal = at_once([decide(database, world[ANHUI].actor("county"), item, clock()), withdraw])

        # A withdrawal after the decision is still in time; a decision after the withdrawal comes too late.
        assert withdrawal is None
        assert decision == case_id or isinstance(decision, Gone)
        assert play.outcome(database, case_id) == "withdrawn"
        assert play.open_tasks(database, case_id) == []
    with database.reading() as connection:
        assert classes.get(connection, world[ANHUI].to_class).reserved == 0


def test_one_student_is_taken_by_one_of_two_schools(database, world, clock):
    results = at_once(
        [lambda target=target: play.apply(database, world, HENAN, target, clock()) for target in (ANHUI, ZHEJIANG)]
    )
    assert sorted(isinstance(result, transfers.CheckFailed) for result in results) == [False, True]
    with database.reading() as connection:
        assert len(connection.scalars(sa.select(cases.case.c.id)).all()) == 1
        reserved = connection.scalar(sa.select(sa.func.sum(school_class.c.reserved)))
    assert reserved == 1


def test_the_last_place_goes_to_one(database, world, clock):
    with database.transaction() as connection:
        to_class = world[ANHUI].to_class
        taken = classes.get(connection, to_class).enrolled
        connection.execute(school_class.update().where(school_class.c.id == to_class).values(capacity=taken + 1))
    results = at_once(
        [
            lambda serial=serial: play.apply(database, world, HENAN, ANHUI, clock(), serial=serial)
            for serial in range(1, 9)
        ]
    )
    assert sum(isinstance(result, int) for result in results) == 1
    assert sum(isinstance(result, NoVacancy) for result in results) == 7


# A dying process -------------------------------------------------------------------------------------------------


def in_a_process_that_dies(url: str, after: int, work: Callable[[Database], Any]) -> bool:
    """Run `work` in a child that kills itself before its statement number `after`. Whether the child got through."""
    child = os.fork()
    if child == 0:
        database = Database(url)
        seen = 0

        def count(*_: Any) -> None:
            nonlocal seen
            seen += 1
            if seen > after:
                os.kill(os.getpid(), signal.SIGKILL)

        for event in ("before_cursor_execute", "commit"):
            sa.event.listen(database.engine, event, count)
        try:
            work(database)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def snapshot(database: Database) -> dict[str, list[Any]]:
    """Everything that a step may change, row by row."""
    tables = (cases.case, cases.instance, cases.task, cases.deadline, cases.notice, audit.audit_entry, school_class)
    with database.reading() as connection:
        return {table.name: connection.execute(sa.select(table).order_by("id")).all() for table in tables}


@pytest.mark.parametrize("stop", ["decide_receiving_authority", "retrieve"])
def test_a_kill_at_any_statement_leaves_all_of_a_step_or_none(database, world, clock, stop):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    while (item := play.open_tasks(database, case_id)[0]).node.id != stop:
        play.step(database, world, case_id, clock())
    actor = play.actor_for(database, world, item)
    url = database.url.render_as_string(hide_password=False)
    before = snapshot(database)
    database.dispose()

    def work(child: Database) -> None:
        decide(child, actor, item, clock())()

    deaths = 0
    while not in_a_process_that_dies(url, deaths, work):
        deaths += 1
        assert snapshot(database) == before
        database.dispose()

    assert deaths > 5
    assert play.open_tasks(database, case_id)[0].node.id != stop
    assert snapshot(database)["task"] != before["task"]


def about_to_be_retrieved(database: Database, world, origin: str, target: str, at) -> int:
    """A transfer whose next step retrieves the record."""
    case_id = play.apply(database, world, origin, target, at)
    while play.open_tasks(database, case_id)[0].node.id != "retrieve":
        play.step(database, world, case_id, at)
    return case_id


def somebody_waits(database: Database) -> bool:
    """Whether a transaction waits for another one's lock; on SQLite they wait before they begin."""
    with database.reading() as connection:
        waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return database.is_sqlite or bool(connection.scalar(waiting))


@pytest.mark.parametrize(("origin", "target"), [(HENAN, ANHUI), (ANHUI, HENAN)])
def test_who_applies_does_not_hold_up_who_retrieves_between_the_same_classes(
    database, world, clock, monkeypatch, origin, target
):
    case_id = about_to_be_retrieved(database, world, origin, target, clock())
    reserved = threading.Event()
    insert = applications._insert

    def late(*arguments: Any) -> None:
        """Write the transfer only when the retrieval waits for the class in which a place has been reserved."""
        reserved.set()
        patience = time.monotonic() + 20
        while not somebody_waits(database) and time.monotonic() < patience:
            pass
        insert(*arguments)

    def retrieve() -> str:
        assert reserved.wait(20)
        return play.step(database, world, case_id, clock())

    monkeypatch.setattr(applications, "_insert", late)
    started, _node = at_once([lambda: play.apply(database, world, origin, target, clock(), serial=2), retrieve])

    assert [item.case_id for item in play.open_tasks(database, started)] == [started]
    with database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(cases.incident)) == 0
        states = sa.select(transfer.c.state).order_by(transfer.c.case_id)
        assert connection.scalars(states).all() == ["retrieved", "pending"]


# On SQLite an application is alone while it is checked.
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_child_who_arrives_elsewhere_meanwhile_is_not_applied_for(database, world, clock, monkeypatch):
    elsewhere = about_to_be_retrieved(database, world, HENAN, ANHUI, clock())
    asked: list[str] = []

    def then_it_is_retrieved(name: str, question: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*arguments: Any, **more: Any) -> Any:
            found = question(*arguments, **more)
            asked.append(name)
            if len(asked) == 1:
                play.step(database, world, elsewhere, clock())
            return found

        return ask

    monkeypatch.setattr(applications.students, "check", then_it_is_retrieved("check", applications.students.check))
    open_of = SimpleNamespace(first=then_it_is_retrieved("open", applications._OPEN_OF.first))
    monkeypatch.setattr(applications, "_OPEN_OF", open_of)

    with pytest.raises((transfers.CheckFailed, StudentNotFound)):
        play.apply(database, world, HENAN, ZHEJIANG, clock())
