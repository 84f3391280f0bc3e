"""Many tasks decided in the background: a result for each, nothing twice, nothing lost when a process dies."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
import sqlalchemy as sa

from engine import accounts, audit, batches, inbox, transfers
from engine.application import Application
from engine.audit import SYSTEM
from engine.batches import batch, batch_item
from engine.cases import AlreadyDone
from engine.errors import Forbidden, Invalid, NotFound
from engine.inbox import NoBatch, NotYours
from engine.jobs import Interrupted
from engine.settings import Settings
from tests.integration import play

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"


@pytest.fixture
def application(database, clock):
    application = Application(Settings(database_url=database.url.render_as_string(hide_password=False)), clock=clock)
    yield application
    application.database.dispose()


@pytest.fixture
def county(world):
    return world[ANHUI].actor("county")


@pytest.fixture
def waiting(database, world, clock) -> list[inbox.Task]:
    """Four transfers that Anhui's receiving authority has to decide."""
    case_ids = [play.apply(database, world, HENAN, ANHUI, clock(), serial=serial) for serial in (1, 2, 3, 4)]
    return [play.open_tasks(database, case_id)[0] for case_id in case_ids]


@pytest.fixture
def begin(application, county, clock):
    def begin(tasks, *, actor=county, entered=None, ids=None) -> int:
        with application.database.transaction() as connection:
            entered = play.answers(tasks[0]) if entered is None else entered
            ids = [task.id for task in tasks] if ids is None else ids
            return batches.begin(connection, application.jobs, actor, ids, entered, at=clock())

    return begin


@pytest.fixture
def look(application, county):
    def look(batch_id: int, *, actor=county, **which):
        with application.database.reading() as connection:
            return batches.get(connection, actor, batch_id), batches.items(connection, actor, batch_id, **which)

    return look


def test_each_case_is_decided_and_has_its_result(database, application, waiting, begin, look, clock):
    batch_id = begin(waiting)
    before, _ = look(batch_id)
    assert (before.state, before.total, before.pending, before.result) == ("working", 4, 4, "agree")
    clock.turn(minutes=1)
    application.jobs.run_pending()
    after, items = look(batch_id)
    assert (after.state, after.done, after.failed, after.pending) == ("finished", 4, 0, 0)
    assert after.finished_at == clock()
    assert [(item.task_id, item.state, item.at) for item in items] == [(task.id, "done", clock()) for task in waiting]
    for task in waiting:
        [now_open] = play.open_tasks(database, task.case_id)
        assert now_open.side == "releasing"


def test_what_was_done_meanwhile_fails_alone_and_says_why(database, world, application, waiting, begin, look, clock):
    batch_id = begin(waiting)
    colleague = world[ANHUI].actor("county_colleague")
    with database.transaction() as connection:
        inbox.complete(connection, colleague, waiting[1].id, play.answers(waiting[1], refuse=True), at=clock())
        transfers.withdraw(connection, world[ANHUI].actor("operator"), waiting[2].case_id, "家长撤回", at=clock())
    application.jobs.run_pending()
    found, items = look(batch_id)
    assert (found.done, found.failed) == (2, 2)
    assert [item.error and item.error.code for item in items] == [None, "already_done", "gone", None]
    assert items[1].error.values["person"] == colleague.person_name
    assert items[1].error.message == AlreadyDone.message
    assert [item.task_id for item in look(batch_id, state="failed")[1]] == [waiting[1].id, waiting[2].id]


def test_nothing_is_begun_that_can_not_be_decided_together(database, world, waiting, begin, clock):
    [single] = play.open_tasks(database, play.apply(database, world, ANHUI, HENAN, clock()))
    reviewer = play.actor_for(database, world, single)
    with pytest.raises(NoBatch):
        begin([single], actor=reviewer)
    with pytest.raises(Invalid) as refused:
        begin(waiting, entered=play.answers(waiting[0], refuse=True) | {"receiving_authority_opinion": ""})
    assert set(refused.value.fields) == {"receiving_authority_opinion"}
    for ids in ([], list(range(1, 1002))):
        with pytest.raises(Invalid):
            begin(waiting, ids=ids)
    with pytest.raises(NotFound):
        begin(waiting, actor=world[ZHEJIANG].actor("county"))
    with pytest.raises(Forbidden):
        begin(waiting, actor=world[ANHUI].actor("county_auditor"))
    with database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(batch)) == 0


def test_a_task_that_is_not_the_actors_fails_alone(database, world, application, waiting, begin, look, clock):
    decided = play.apply(database, world, HENAN, ANHUI, clock(), serial=5)
    play.step(database, world, decided, clock())
    [elsewhere] = play.open_tasks(database, decided)
    batch_id = begin(waiting, ids=[waiting[0].id, elsewhere.id, 999_999, waiting[0].id])
    application.jobs.run_pending()
    found, items = look(batch_id)
    assert found.total == 3, "what is named twice is decided once"
    assert [item.error and item.error.code for item in items] == [None, NotYours.code, NotFound.code]


def test_killed_in_the_middle_it_is_gone_on_with(database, application, waiting, begin, look, clock, monkeypatch):
    batch_id = begin(waiting)
    complete = inbox.complete

    def dies(connection, actor, task_id, *args, **more):
        complete(connection, actor, task_id, *args, **more)
        if task_id == waiting[2].id:
            raise KeyboardInterrupt  # with the transaction open, as a process that is killed

    with monkeypatch.context() as patched:
        patched.setattr(inbox, "complete", dies)
        with pytest.raises(KeyboardInterrupt):
            batches.work_off(database, batch_id, clock=clock)
    assert [item.state for item in look(batch_id)[1]] == ["done", "done", "pending", "pending"]
    application.jobs.run_pending()
    assert [item.state for item in look(batch_id)[1]] == ["done"] * 4
    with database.reading() as connection:
        entries = sa.select(audit.audit_entry.c.subject_id).where(audit.audit_entry.c.action == "task.completed")
        completed = [subject for subject in connection.scalars(entries) if subject in {task.id for task in waiting}]
    assert sorted(completed) == sorted(task.id for task in waiting)


def test_a_process_that_ends_hands_on_what_is_left(database, application, waiting, begin, look, clock):
    batch_id = begin(waiting)
    with pytest.raises(Interrupted):
        batches.work_off(database, batch_id, clock=clock, is_stopping=lambda: True)
    left, _ = look(batch_id)
    assert (left.state, left.done, left.pending) == ("working", 1, len(waiting) - 1)
    application.jobs.run_pending()
    after, _ = look(batch_id)
    assert (after.state, after.done, after.failed) == ("finished", len(waiting), 0)


def test_a_job_that_runs_twice_changes_no_result(database, application, waiting, begin, look, clock):
    batch_id = begin(waiting)
    application.jobs.run_pending()
    before = look(batch_id)
    clock.turn(hours=1)
    batches.work_off(database, batch_id, clock=clock)
    with database.transaction() as connection:  # as if another process had read the batch before the first one finished
        connection.execute(batch.update().values(finished_at=None, values=play.answers(waiting[0])))
    batches.work_off(database, batch_id, clock=clock)
    assert [(item.state, item.at) for item in look(batch_id)[1]] == [(item.state, item.at) for item in before[1]]


def test_a_database_that_is_away_is_no_result(database, application, waiting, begin, look, clock, monkeypatch):
    batch_id = begin(waiting)

    def away(*_args, **_more):
        raise sa.exc.OperationalError("", {}, psycopg.OperationalError("the server closed the connection"))

    with monkeypatch.context() as patched:
        patched.setattr(inbox, "complete", away)
        with pytest.raises(sa.exc.OperationalError):
            batches.work_off(database, batch_id, clock=clock)
    assert [item.state for item in look(batch_id)[1]] == ["pending"] * 4
    application.jobs.run_pending()
    assert look(batch_id)[0].done == 4


def test_a_technical_failure_holds_up_no_other(database, application, waiting, begin, look, clock, monkeypatch):
    batch_id = begin(waiting)
    complete = inbox.complete

    def sometimes(connection, actor, task_id, *args, **more):
        if task_id == waiting[0].id:
            raise OSError("the disk is full")
        return complete(connection, actor, task_id, *args, **more)

    monkeypatch.setattr(inbox, "complete", sometimes)
    application.jobs.run_pending()
    _, items = look(batch_id)
    assert [item.state for item in items] == ["failed", "done", "done", "done"]
    assert items[0].error.code == "unfinished"
    assert "disk" not in str(items[0].error)


def test_who_has_lost_the_duty_decides_nothing_more(database, world, application, waiting, begin, look, clock, county):
    batch_id = begin(waiting)
    with database.transaction() as connection:
        accounts.add_membership(connection, SYSTEM, county.person_id, county.organisation_id, "auditor", at=clock())
        accounts.remove_membership(connection, SYSTEM, county.membership_id, at=clock())
    application.jobs.run_pending()
    assert {item.error.code for item in look(batch_id)[1]} == {"membership_ended"}
    assert play.open_tasks(database, waiting[0].case_id)[0].id == waiting[0].id


def test_a_batch_is_its_authors_own(world, application, waiting, begin, look, database):
    batch_id = begin(waiting)
    for name in ("county_colleague", "county_admin", "province"):
        with pytest.raises(NotFound):
            look(batch_id, actor=world[ANHUI].actor(name))
    with database.reading() as connection:
        assert [found.id for found in batches.begun_by(connection, world[ANHUI].actor("county"))] == [batch_id]
        assert batches.begun_by(connection, world[ANHUI].actor("county_colleague")) == []


def test_what_was_entered_is_kept_no_longer_than_it_is_needed(database, application, waiting, begin, clock):
    batch_id = begin(waiting)
    application.jobs.run_pending()
    with database.reading() as connection:
        assert connection.scalar(sa.select(batch.c["values"]).where(batch.c.id == batch_id)) == {}
    for days, left in ((90, 1), (91, 0)):
        with database.transaction() as connection:
            batches.forget_old(connection, at=clock() + timedelta(days=days, seconds=1 - left))
            assert connection.scalar(sa.select(sa.func.count()).select_from(batch)) == left
            assert connection.scalar(sa.select(sa.func.count()).select_from(batch_item)) == 4 * left
