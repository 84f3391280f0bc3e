"""What stops a case, who learns of it, and how it goes on; and what a change of the calendar does to deadlines."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from engine import accounts, audit, calendar, cases, inbox, transfers, workdays
from engine.application import Application
from engine.audit import SYSTEM
from engine.cases import Kind, Mended, Unstaffed
from engine.errors import Forbidden, NotFound, XuejiError
from engine.outages import is_outage
from engine.registry.tables import record_part
from engine.settings import Settings
from engine.workdays import Day
from tests.integration import play
from tests.unit.bpmn import diagrams

ANHUI, HENAN = "340000", "410000"


def shanghai(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Shanghai"))


def incidents_of(database, actor, **more) -> list[cases.Incident]:
    with database.reading() as connection:
        found, total = cases.incidents(connection, actor, limit=20, counted=100, **more)
    assert total == len(found)
    return found


def retry(database, actor, incident_id, at) -> bool:
    with database.transaction() as connection:
        return cases.retry_incident(connection, actor, incident_id, at=at)


# A transfer whose record is damaged ------------------------------------------------------------------------------


@pytest.fixture
def stopped(database, world, clock) -> int:
    """A transfer from Henan to Anhui that could not retrieve the record."""
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    damage(database, {"姓名": "改过"})
    while play.step(database, world, case_id, clock()) != "retrieve":
        pass
    return case_id


def damage(database, content: Any) -> None:
    with database.transaction() as connection:
        connection.execute(record_part.update().values(content=content))


@pytest.fixture
def repair(database):
    """Puts the record back as it was before `stopped` damaged it."""
    with database.reading() as connection:
        before = connection.execute(sa.select(record_part.c.id, record_part.c.content)).all()

    def mend() -> None:
        with database.transaction() as connection:
            for row in before:
                connection.execute(record_part.update().where(record_part.c.id == row.id).values(content=row.content))

    return mend


def test_a_failure_says_what_where_since_when_and_what_to_do(database, world, clock, repair, stopped):
    [incident] = incidents_of(database, world[ANHUI].actor("school_admin"))
    assert (incident.case_id, incident.case_kind) == (stopped, "transfer")
    assert incident.step.id == "retrieve_record"
    assert (incident.party, incident.organisation_id) == ("receiving_school", world[ANHUI].school)
    assert incident.code == "record_damaged"
    assert incident.message
    assert incident.remedy
    assert (incident.opened_at, incident.attempts, incident.resolved_at) == (clock(), 1, None)


def test_those_above_the_school_see_it_and_the_other_side_does_not(database, world, clock, repair, stopped):
    for actor in (world[ANHUI].actor("county_admin"), world[ANHUI].actor("province_admin"),
                  world.ministry_actors["administrator"]):  # fmt: skip
        assert [item.case_id for item in incidents_of(database, actor)] == [stopped]
    for place in (world[HENAN], world["330000"]):
        assert incidents_of(database, place.actor("school_admin")) == []
    [incident] = incidents_of(database, world[ANHUI].actor("school_admin"))
    with pytest.raises(NotFound):
        retry(database, world[HENAN].actor("county_admin"), incident.id, clock())


def test_incidents_are_the_administrators(database, world, clock, repair, stopped):
    [incident] = incidents_of(database, world[ANHUI].actor("school_admin"))
    for actor in (world[ANHUI].actor("operator"), world[ANHUI].actor("policy"), world.ministry_actors["auditor"]):
        with pytest.raises(Forbidden):
            incidents_of(database, actor)
        with pytest.raises(Forbidden):
            retry(database, actor, incident.id, clock())


def test_what_is_not_repaired_fails_again_and_stays_one_incident(database, world, clock, repair, stopped):
    admin = world[ANHUI].actor("county_admin")
    [incident] = incidents_of(database, admin)
    clock.turn(hours=1)
    assert retry(database, admin, incident.id, clock()) is False
    [again] = incidents_of(database, admin)
    assert (again.id, again.attempts, again.opened_at) == (incident.id, 2, incident.opened_at)


def test_what_is_repaired_goes_on_where_it_stopped(database, world, clock, repair, stopped):
    admin = world[ANHUI].actor("county_admin")
    [incident] = incidents_of(database, admin)
    repair()
    clock.turn(hours=1)
    assert retry(database, admin, incident.id, clock()) is True
    assert incidents_of(database, admin) == []
    [over] = incidents_of(database, admin, resolved=True)
    assert (over.id, over.resolved_at) == (incident.id, clock())
    assert play.school_of(database, world[HENAN].students[0]) == world[ANHUI].school
    assert play.play(database, world, stopped, clock()) == ["send_paper_file"]
    assert play.outcome(database, stopped) == "completed"
    with pytest.raises(Mended):
        retry(database, admin, incident.id, clock())


def test_a_retry_is_audited(database, world, clock, repair, stopped):
    admin = world[ANHUI].actor("county_admin")
    [incident] = incidents_of(database, admin)
    retry(database, admin, incident.id, clock())
    entry = audit.audit_entry.c
    retried = sa.select(entry.person_id, entry.case_id, entry.after).where(entry.action == "incident.retried")
    with database.reading() as connection:
        assert [tuple(row) for row in connection.execute(retried)] == [(admin.person_id, stopped, {"went_on": False})]


def test_the_end_of_a_case_ends_its_incidents(database, world, clock, repair, stopped):
    admin = world[ANHUI].actor("county_admin")
    [incident] = incidents_of(database, admin)
    with database.transaction() as connection:
        transfers.withdraw(connection, world[ANHUI].actor("operator"), stopped, "家长放弃", at=clock())
    assert incidents_of(database, admin) == []
    with pytest.raises(Mended):
        retry(database, admin, incident.id, clock())


# Services of a plain procedure that fail -------------------------------------------------------------------------

# Two services and a person, side by side.
SIDE_BY_SIDE = diagrams.plain(
    diagrams.start(), diagrams.parallel("split"), diagrams.parallel("join"), diagrams.end(),
    diagrams.service("one", "retrieve_record"), diagrams.service("two", "change_enrolment"), diagrams.user("ask"),
    diagrams.path("start", "split"), diagrams.path("join", "end"),
    *(diagrams.path("split", node, "join") for node in ("one", "two", "ask")),
)  # fmt: skip


# A person, then a service.
ONE_BY_ONE = diagrams.plain(
    diagrams.start(), diagrams.user("ask"), diagrams.service("one", "retrieve_record"), diagrams.end(),
    diagrams.path("start", "ask", "one", "end"),
)  # fmt: skip


class Broken(XuejiError):
    code = "broken"
    message = "%(what)s is broken."
    remedy = "Mend it."


class Services:
    """Two services that fail with what stands in `errors`."""

    def __init__(self) -> None:
        self.errors: dict[str, Exception] = {}

    def kind(self) -> Kind:
        return Kind(services=dict.fromkeys(("retrieve_record", "change_enrolment"), self._run))

    def _run(self, call: cases.Call) -> dict[str, Any]:
        if call.node.id in self.errors:
            raise self.errors[call.node.id]
        return {}


@pytest.fixture
def services():
    services = Services()
    cases.register("side-by-side", services.kind())
    return services


def complete(database, actor, case_id, at) -> None:
    [task] = play.open_tasks(database, case_id)
    with database.transaction() as connection:
        inbox.complete(connection, actor, task.id, {}, at=at)


def test_each_element_has_its_own_incident_and_goes_on_by_itself(database, world, clock, services):
    school, admin = world[ANHUI].actor("operator"), world[ANHUI].actor("school_admin")
    services.errors = {"one": Broken(what=1, at=clock()), "two": Broken(what=2)}
    play.start_plain(database, school, "side-by-side", SIDE_BY_SIDE, clock())
    found = {item.step.id: item for item in incidents_of(database, admin)}
    assert {node: (item.message, item.values["what"]) for node, item in found.items()} == {
        "one": (Broken.message, 1), "two": (Broken.message, 2),
    }  # fmt: skip
    del services.errors["one"]
    assert retry(database, admin, found["one"].id, clock()) is True
    [left] = incidents_of(database, admin)
    assert (left.id, left.attempts) == (found["two"].id, 2)


def test_what_else_happens_in_the_case_tries_again_and_keeps_the_account(database, world, clock, services):
    school, admin = world[ANHUI].actor("operator"), world[ANHUI].actor("school_admin")
    services.errors = {"one": Broken(what=1), "two": Broken(what=2)}
    case_id = play.start_plain(database, school, "side-by-side", SIDE_BY_SIDE, clock())
    services.errors = {"two": Broken(what=22)}
    complete(database, school, case_id, clock())
    [left] = incidents_of(database, admin)
    assert (left.step.id, left.attempts, left.values) == ("two", 2, {"what": 22})
    services.errors = {}
    assert retry(database, admin, left.id, clock()) is True
    assert play.outcome(database, case_id) == "completed"


def test_a_technical_failure_tells_nobody_what_it_met(database, world, clock, services):
    school, admin = world[ANHUI].actor("operator"), world[ANHUI].actor("school_admin")
    services.errors = {"one": RuntimeError("张三 340104201503080018")}
    play.start_plain(database, school, "side-by-side", SIDE_BY_SIDE, clock())
    [incident] = incidents_of(database, admin)
    assert incident.code == "technical"
    assert "张三" not in f"{incident.message}{incident.remedy}{incident.values}"


def test_a_database_that_goes_away_in_the_midst_of_a_service_is_no_incident_and_leaves_the_case_as_it_was(
    database, world, clock
):
    if database.is_sqlite:
        return
    served = []

    def serve(call: cases.Call) -> dict[str, Any]:
        if not served:
            served.append(call.node.id)
            ask = call.locked.connection.execute
            pid = ask(sa.text("SELECT pg_backend_pid()")).scalar()
            with database.reading() as other:
                other.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            ask(sa.text("SELECT 1"))
        return {}

    cases.register("one-by-one", Kind(services={"retrieve_record": serve}))
    school, admin = world[ANHUI].actor("operator"), world[ANHUI].actor("school_admin")
    case_id = play.start_plain(database, school, "one-by-one", ONE_BY_ONE, clock())
    with pytest.raises(sa.exc.SQLAlchemyError) as error:
        complete(database, school, case_id, clock())
    assert is_outage(error.value)
    assert served
    assert incidents_of(database, admin) == []
    complete(database, school, case_id, clock())
    assert play.outcome(database, case_id) == "completed"


# Nobody to do it -------------------------------------------------------------------------------------------------


def find_unstaffed(database, at) -> None:
    with database.transaction() as connection:
        cases.find_unstaffed(connection, at=at)


def test_a_step_that_nobody_can_do_is_told_to_the_organisations_administrator(database, world, clock):
    reviewer = world[HENAN].actor("reviewer")
    with database.transaction() as connection:
        accounts.set_active(connection, world[HENAN].actor("school_admin"), reviewer.person_id, False, at=clock())
    case_id = play.apply(database, world, ANHUI, HENAN, clock())
    find_unstaffed(database, clock())
    find_unstaffed(database, clock())

    admin = world[HENAN].actor("school_admin")
    [incident] = incidents_of(database, admin)
    assert (incident.case_id, incident.step.id, incident.duty) == (case_id, "decide_receiving_school", "reviewer")
    assert (incident.organisation_id, incident.organisation) == (world[HENAN].school, "测试410000第一小学")
    with pytest.raises(Unstaffed):
        retry(database, admin, incident.id, clock())
    assert [task.node.id for task in play.open_tasks(database, case_id)] == ["decide_receiving_school"]

    with database.transaction() as connection:
        accounts.set_active(connection, admin, reviewer.person_id, True, at=clock())
    find_unstaffed(database, clock())
    assert incidents_of(database, admin) == []
    with pytest.raises(Mended):
        retry(database, admin, incident.id, clock())


# The calendar ----------------------------------------------------------------------------------------------------


def deadlines(database) -> dict[str, datetime]:
    columns = cases.deadline.c
    with database.reading() as connection:
        rows = connection.execute(sa.select(columns.node, columns.at).where(columns.state == "pending"))
        return {row.node: row.at for row in rows}


def change(database, world, operation, *arguments, at, **more) -> int:
    with database.transaction() as connection:
        return operation(connection, world.ministry_actors["administrator"], *arguments, at=at, **more)


def test_a_day_that_is_free_after_all_moves_what_is_counted_over_it(database, world, clock):
    case_ids = [play.apply(database, world, HENAN, ANHUI, clock(), serial=serial) for serial in (1, 2)]
    before = deadlines(database)
    moved = change(database, world, calendar.set_day, date(2026, 9, 28), False, "台风停工", at=clock())
    assert moved == 2
    for case_id in case_ids:
        [task] = play.open_tasks(database, case_id)
        assert task.due_at == shanghai("2026-10-15T00:00:00")
    after = deadlines(database)
    assert after["receiving_authority_due"] == shanghai("2026-10-15T00:00:00")
    assert after["receiving_authority_due_soon"] > before["receiving_authority_due_soon"]
    assert change(database, world, calendar.clear_day, date(2026, 9, 28), at=clock()) == 2
    assert deadlines(database) == before


def test_a_day_that_nobody_counts_moves_nothing(database, world, clock):
    play.apply(database, world, HENAN, ANHUI, clock())
    assert change(database, world, calendar.set_day, date(2026, 3, 2), False, "某日", at=clock()) == 0


def test_a_published_year_confirms_or_moves_and_its_retraction_undoes_it(database, world, clock):
    clock.turn(to=shanghai("2026-12-24T09:00:00"))
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    [task] = play.open_tasks(database, case_id)
    assert (task.due_at, task.due_provisional) == (shanghai("2027-01-08T00:00:00"), True)

    new_year = [Day(date(2027, 1, 1), False, "元旦")]
    assert change(database, world, calendar.publish_year, 2027, new_year, "某号通知", at=clock()) == 1
    [task] = play.open_tasks(database, case_id)
    assert (task.due_at, task.due_provisional) == (shanghai("2027-01-09T00:00:00"), False)

    assert change(database, world, calendar.retract_year, 2027, at=clock()) == 1
    [task] = play.open_tasks(database, case_id)
    assert (task.due_at, task.due_provisional) == (shanghai("2027-01-08T00:00:00"), True)


def test_a_year_that_moves_nothing_is_confirmed_all_the_same(database, world, clock):
    clock.turn(to=shanghai("2026-12-24T09:00:00"))
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    in_may = [Day(date(2027, 5, 3), False, "劳动节")]
    assert change(database, world, calendar.publish_year, 2027, in_may, "某号通知", at=clock()) == 0
    [task] = play.open_tasks(database, case_id)
    assert task.due_provisional is False


def fail_after(operation):
    def fail(*arguments, **more):
        operation(*arguments, **more)
        raise RuntimeError

    return fail


def test_a_change_that_fails_leaves_every_deadline_where_it_was(database, world, clock):
    play.apply(database, world, HENAN, ANHUI, clock())
    before = deadlines(database)
    with pytest.raises(RuntimeError):
        change(database, world, fail_after(calendar.set_day), date(2026, 9, 28), False, "台风", at=clock())
    assert deadlines(database) == before


def test_only_the_ministrys_administrators_change_the_calendar(database, world, clock):
    for actor in (world[ANHUI].actor("province_admin"), world.ministry_actors["policy_editor"]):
        for operation, arguments in (
            (calendar.set_day, (date(2026, 9, 28), False, "某日")),
            (calendar.clear_day, (date(2026, 9, 28),)),
            (calendar.publish_year, (2027, [], "某号")),
            (calendar.retract_year, (2027,)),
        ):
            with pytest.raises(Forbidden), database.transaction() as connection:
                operation(connection, actor, *arguments, at=clock())


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [(calendar.clear_day, (date(2026, 9, 28),)), (calendar.retract_year, (2027,))],
    ids=["day", "year"],
)
def test_what_was_never_entered_can_not_be_taken_back(database, world, clock, operation, arguments):
    with pytest.raises(NotFound):
        change(database, world, operation, *arguments, at=clock())


# Deadlines that are overtaken ------------------------------------------------------------------------------------


def test_a_deadline_that_the_calendar_moves_does_not_fire_at_its_old_time(database, world, clock):
    play.apply(database, world, HENAN, ANHUI, clock())
    clock.turn(to=shanghai("2026-10-14T00:00:00"))
    with database.reading() as connection:
        due = cases.due_deadlines(connection, at=clock())
    change(database, world, calendar.set_day, date(2026, 10, 12), False, "台风停工", at=clock())
    with database.transaction() as connection:
        # The warning's own day is past all the same.
        assert [cases.fire_deadline(connection, deadline_id, at=clock()) for deadline_id, _due in due] == [True, False]
    clock.turn(days=1)
    with database.transaction() as connection:
        assert cases.fire_deadline(connection, due[-1][0], at=clock()) is True


LIMITED = diagrams.plain(
    diagrams.start(), diagrams.parallel("split"), diagrams.end("over", terminate=True), diagrams.end("told"),
    diagrams.user("slow", camunda_dueDate="${workdays(10)}"), diagrams.user("quick"),
    diagrams.boundary("late", "slow", interrupting=False), diagrams.end("done"),
    diagrams.path("start", "split", "slow", "done"), diagrams.path("split", "quick", "over"),
    diagrams.path("late", "told"),
)  # fmt: skip


def test_a_deadline_whose_task_ended_another_way_is_over(database, world, clock):
    school = world[ANHUI].actor("operator")
    case_id = play.start_plain(database, school, "limited", LIMITED, clock())
    quick = next(task for task in play.open_tasks(database, case_id) if task.node.id == "quick")
    with database.transaction() as connection:
        inbox.complete(connection, school, quick.id, {}, at=clock())
    clock.turn(days=60)
    with database.reading() as connection:
        due = cases.due_deadlines(connection, at=clock())
    with database.transaction() as connection:
        assert [cases.fire_deadline(connection, deadline_id, at=clock()) for deadline_id, _due in due] == [False]
        assert cases.due_deadlines(connection, at=clock()) == []


# The application's rounds ----------------------------------------------------------------------------------------


@pytest.fixture
def application(database, clock):
    application = Application(Settings(database_url=database.url.render_as_string(hide_password=False)), clock=clock)
    yield application
    application.database.dispose()


def test_the_sweep_fires_each_deadline_once_and_again_if_the_calendar_moved_it(database, world, clock, application):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    clock.turn(to=shanghai("2026-10-11T00:30:00"))
    for _ in range(2):
        application._sweep({})
    assert application.jobs.run_pending() == 1
    clock.turn(to=shanghai("2026-10-14T00:00:00"))
    application._sweep({})
    # Between the sweep and the job the day is declared free.
    change(database, world, calendar.set_day, date(2026, 10, 12), False, "台风停工", at=clock())
    application.jobs.run_pending()
    assert notices(database, case_id).count("overdue") == 0
    clock.turn(days=1)
    application._sweep({})
    application.jobs.run_pending()
    assert notices(database, case_id).count("overdue") == 2


def notices(database, case_id) -> list[str]:
    with database.reading() as connection:
        return list(connection.scalars(sa.select(cases.notice.c.kind).where(cases.notice.c.case_id == case_id)))


def test_the_daily_round_counts_again_for_a_newer_package_of_holidays(database, world, clock, application):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    with database.transaction() as connection:
        # As a newer package would: nobody's act.
        workdays.set_day(connection, SYSTEM, date(2026, 9, 28), False, "新通知", at=clock())
    application._clean({})
    [task] = play.open_tasks(database, case_id)
    assert task.due_at == shanghai("2026-10-15T00:00:00")


def test_jobs_that_were_set_aside_are_the_ministrys(database, world, clock, application):
    with database.transaction() as connection:
        for actor in (world[ANHUI].actor("province_admin"), world.ministry_actors["operator"]):
            with pytest.raises(Forbidden):
                application.failed_jobs(connection, actor)
            with pytest.raises(Forbidden):
                application.retry_job(connection, actor, 1, at=clock())
        assert list(application.failed_jobs(connection, world.ministry_actors["administrator"])) == []
