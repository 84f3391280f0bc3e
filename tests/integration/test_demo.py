"""What the demo world promises: every stage of every pairing, somebody for every step, nothing of anybody real."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine import accounts, cases, demo, inbox, transfers, workdays
from engine.application import Application
from engine.audit import SYSTEM, Actor, audit_entry
from engine.bpmn.catalogue import REFUSE
from engine.db import Database
from engine.permissions import DUTIES
from engine.registry import divisions, numbers, organisations, records, students
from engine.registry.tables import electronic_record, enrolment, organisation, record_part, school_class, student
from engine.settings import Settings
from engine.transfers.tables import application_draft, transfer
from engine.workdays import SHANGHAI

TODAY = datetime(2026, 9, 22, 9, 0, tzinfo=SHANGHAI)
# In the night of a Sunday in the summer holidays, in a year whose calendar nobody has published yet.
OUT_OF_SEASON = datetime(2028, 7, 23, 2, 0, tzinfo=SHANGHAI)

# Names and numbers in the document's pictures, as hashes, since this project repeats none of them.
NAMES_IN_PICTURES = {
    "f7c47096f0db6d98", "fb882f2d67ffc5d0", "0d3e9272d7c503a2", "58f8e4979cf50527", "c13e0dce09edbdf4",
    "5ae241ece784cbea", "9a690b43378375a2", "61a954efa4f5327b", "a7651ba43a77175b", "217c6ee6fbe063cc",
}  # fmt: skip
NUMBERS_IN_PICTURES = {
    "89bdbf66f537086e", "2c9d51a9aa734f9d", "1fa9ea0e246490ff", "c266c9e2e974e42c", "c33f3b7f16ec7a71",
    "5078cba67fe7f47a", "08c48560a3173581", "79f3b92f3a4ad423", "527a60632f81d54c", "bb0d1a6d55703e71",
    "75c1841198d5a200",
}  # fmt: skip


def open_demo(database: Database, at: datetime = TODAY) -> Application:
    url = database.url.render_as_string(hide_password=False)
    return Application(Settings(database_url=url, demo=True), clock=lambda: at)


@pytest.fixture(scope="module")
def application(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """The demo world, seeded once for all tests that only look at it."""
    file = tmp_path_factory.mktemp("demo") / "xueji.db"
    shutil.copy(_sqlite_template, file)
    application = open_demo(Database(f"sqlite:///{file}"))
    demo.seed(application)
    yield application
    application.close()


@pytest.fixture
def connection(application: Application) -> Iterator[Connection]:
    with application.database.reading() as connection:
        yield connection


def tasks(connection: Connection) -> list[inbox.Task]:
    return [
        item
        for case_id in connection.scalars(sa.select(transfer.c.case_id).order_by(transfer.c.case_id)).all()
        for item in inbox.of_case(connection, case_id)
    ]


def pairings(connection: Connection) -> dict[int, tuple[str, str]]:
    """By case, the regimes of the releasing and of the receiving side."""
    found = {}
    for case_id in connection.scalars(sa.select(transfer.c.case_id)).all():
        receiving, releasing = cases.stands(connection, case_id)
        found[case_id] = (releasing.version.regime, receiving.version.regime)
    return found


def demo_actors(connection: Connection) -> list[Actor]:
    return [
        accounts.actor_of_membership(connection, account.membership.id)
        for account in accounts.demo_accounts(connection)
    ]


# The registry


def test_there_are_anhui_and_provinces_of_the_national_regime_with_authorities_of_every_level(connection):
    rows = connection.execute(sa.select(organisation.c.level, organisation.c.division_code)).all()
    provinces = {divisions.province_of(row.division_code) for row in rows if row.level == "school"}
    assert "340000" in provinces
    assert len(provinces) >= 4
    assert {row.level for row in rows} == set(organisations.LEVELS)
    superiors = {
        organisations.get(connection, parent).level
        for parent in connection.scalars(sa.select(organisation.c.parent_id).where(organisation.c.level == "school"))
    }
    assert superiors == {"province", "prefecture", "county"}


def test_every_organisation_has_an_english_name(connection):
    assert connection.scalar(sa.select(organisation.c.id).where(organisation.c.name_en.is_(None))) is None


def test_there_are_enough_students_and_transfers(connection):
    assert connection.scalar(sa.select(sa.func.count()).select_from(student)) >= 400
    assert connection.scalar(sa.select(sa.func.count()).select_from(transfer)) >= 60


def test_every_number_is_valid_and_every_kind_occurs(connection):
    kinds = set()
    for row in connection.execute(sa.select(student)):
        for text in filter(None, (row.record_number, row.temporary_number)):
            kinds.add(numbers.parse(text, on=TODAY.date()).kind)
        if row.id_type == students.RESIDENT_CARD:
            number = numbers.parse(row.id_number, on=TODAY.date())
            assert not numbers.contradictions(number, birth_date=row.birth_date, gender=row.gender)
        if not row.record_number and not row.temporary_number:
            kinds.add(numbers.classify(row.id_number))
    assert kinds == {"formal", "formal_without_id", "temporary", "provincial", "id_number"}


def test_nobody_s_id_number_can_be_a_real_child_s(connection):
    serials = {
        number[14:17] for number in connection.scalars(sa.select(student.c.id_number)) if number and len(number) == 18
    }
    assert serials <= {"996", "997", "998", "999"}


def test_ages_fit_the_grades(connection):
    query = sa.select(student.c.birth_date, school_class.c.grade).join(
        enrolment, sa.and_(enrolment.c.student_id == student.c.id, enrolment.c.current)
    )
    for born, grade in connection.execute(query.join(school_class, school_class.c.id == enrolment.c.class_id)):
        youngest = {"1": 5, "2": 11, "3": 14}[grade[0]] + int(grade[1])
        assert youngest <= (datetime(2026, 8, 31, tzinfo=UTC).date() - born).days / 365.2 <= youngest + 1.1


def test_some_students_may_not_move(connection):
    for condition in (student.c.problem, student.c.open_business.is_not(None), student.c.status != "01"):
        assert connection.scalar(sa.select(sa.func.count()).select_from(student).where(condition)) > 3


def test_places_are_counted_rightly_and_some_classes_are_full(connection):
    counted = sa.select(enrolment.c.class_id, sa.func.count()).where(enrolment.c.current).group_by(enrolment.c.class_id)
    enrolled = dict(connection.execute(counted).all())
    promised = (
        sa.select(transfer.c.to_class_id, sa.func.count()).where(transfer.c.open).group_by(transfer.c.to_class_id)
    )
    reserved = dict(connection.execute(promised).all())
    free = set()
    for row in connection.execute(sa.select(school_class)):
        assert (row.enrolled, row.reserved) == (enrolled.get(row.id, 0), reserved.get(row.id, 0))
        free.add(row.capacity - row.enrolled - row.reserved)
    assert 0 in free
    assert len(free) > 4


def test_every_student_has_a_sealed_record_of_several_parts_and_one_is_damaged(connection):
    counted = sa.select(record_part.c.record_id, sa.func.count()).group_by(record_part.c.record_id)
    parts = dict(connection.execute(counted).all())
    assert min(parts.values()) >= 3
    current = sa.select(electronic_record.c.student_id).where(electronic_record.c.state == "current")
    assert set(connection.scalars(current)) == set(connection.scalars(sa.select(student.c.id)))
    assert len([record_id for record_id in parts if not records.intact(connection, record_id)]) == 1


# The transfers


def test_every_stage_of_every_pairing_waits_for_somebody(connection):
    """For both regimes on either side, each step at which a transfer can stand, read from the diagrams."""
    of_case = pairings(connection)
    waiting: dict[tuple[str, str], set[str]] = {}
    possible: dict[tuple[str, str], set[str]] = {}
    for item in tasks(connection):
        pairing = of_case[item.case_id]
        possible.setdefault(pairing, set()).update(steps(item))
        if item.state == "open":
            waiting.setdefault(pairing, set()).add(item.node.id)
    assert len(waiting) == 4
    assert waiting == possible


def steps(item: inbox.Task) -> set[str]:
    """The steps of its pool at which a case can wait for somebody: each act's first, but not the application."""
    pool = item.version.pool(item.side)
    application = pool.application_act if item.side == "receiving" else ()
    human = [node.id for node in pool.nodes if node.is_human and node not in application]
    later = {node.id for first in human for node in pool.act(first)[1:]}
    return set(human) - later


def test_every_decision_of_every_pairing_has_refused_once_with_its_reasons(connection):
    of_case = pairings(connection)
    decided: dict[tuple[str, str], set[str]] = {}
    refused: dict[tuple[str, str], set[str]] = {}
    for item in tasks(connection):
        if item.state == "done" and item.result:
            decided.setdefault(of_case[item.case_id], set()).add(item.node.id)
        if item.result == REFUSE:
            assert len(item.opinion or "") > 10
            refused.setdefault(of_case[item.case_id], set()).add(item.node.id)
    assert refused == decided


def test_every_state_occurs(connection):
    states = set(connection.scalars(sa.select(transfer.c.state)))
    assert states == set(transfers.STATES)
    assert connection.scalar(sa.select(transfer.c.case_id).where(transfer.c.failed_checks.is_not(None)).limit(1))
    assert set(connection.scalars(sa.select(application_draft.c.state))) == {"open", "declined"}


def test_some_are_overdue_and_have_been_reported_and_some_are_due_soon(connection):
    calendar = workdays.load(connection)
    overdue = soon = 0
    for item in tasks(connection):
        if item.state == "open" and item.due_at:
            overdue += item.due_at <= TODAY
            soon += TODAY < item.due_at <= calendar.due(TODAY, 3).at
    assert overdue >= 5
    assert soon >= 5
    deadlines = connection.execute(sa.select(cases.deadline)).all()
    assert all(row.at > TODAY for row in deadlines if row.state == "pending")
    told = set(connection.scalars(sa.select(cases.notice.c.organisation_id).where(cases.notice.c.kind == "overdue")))
    assert {"prefecture", "county"} <= {organisations.get(connection, found).level for found in told}


def test_what_failed_is_open_for_administrators(connection):
    incidents = connection.execute(sa.select(cases.incident.c.code, cases.incident.c.resolved_at)).all()
    assert {code for code, resolved_at in incidents if resolved_at is None} == {"record_damaged", "unstaffed"}


def test_an_authority_that_decides_in_batches_has_heaps_over_several_schools(connection):
    heaps: dict[tuple[int, str], list[int]] = {}
    for item in tasks(connection):
        if item.state == "open" and item.batch:
            heaps.setdefault((item.organisation_id, item.menu), []).append(item.case_id)
    large = {key: found for key, found in heaps.items() if len(found) >= 10}
    assert len({organisation_id for organisation_id, _ in large}) == 1
    assert len(large) == 2
    for found in large.values():
        schools = sa.select(transfer.c.receiving_school_id, transfer.c.releasing_school_id)
        rows = connection.execute(schools.where(transfer.c.case_id.in_(found))).all()
        assert len({row.receiving_school_id for row in rows}) >= 3
        assert len({row.releasing_school_id for row in rows}) >= 3


def test_everything_has_happened_in_office_hours_before_today(connection):
    calendar = workdays.load(connection)
    for item in tasks(connection):
        assert item.opened_at < TODAY
        if item.closed_at:
            done = item.closed_at.astimezone(SHANGHAI)
            assert item.opened_at <= item.closed_at
            assert calendar.is_workday(done.date())
            assert 8 <= done.hour < 18
    logged = connection.scalars(
        sa.select(audit_entry.c.at).where(audit_entry.c.case_id.is_not(None)).order_by(audit_entry.c.id)
    ).all()
    assert logged == sorted(logged)


# The accounts


def test_there_is_an_account_for_every_duty_and_every_level(connection):
    actors = demo_actors(connection)
    assert {actor.duty for actor in actors} == set(DUTIES)
    assert {actor.organisation_level for actor in actors} == set(organisations.LEVELS)
    assert len(actors) <= 32


def test_a_school_s_operator_and_reviewer_and_an_authority_play_in_each_province(connection):
    played: dict[str, set[tuple[bool, str]]] = {}
    for actor in demo_actors(connection):
        province = organisations.get(connection, actor.organisation_id).province_code
        played.setdefault(province, set()).add((actor.is_school, actor.duty))
    wanted = {(True, "operator"), (True, "reviewer"), (False, "operator")}
    assert sum(wanted <= found for found in played.values()) >= 4


def test_somebody_holds_several_memberships(connection):
    held = sa.select(sa.func.count()).select_from(accounts.membership).group_by(accounts.membership.c.person_id)
    assert max(connection.scalars(held)) >= 3


def test_every_open_task_waits_for_a_demo_account_but_the_unstaffed_one(connection):
    held = {(actor.organisation_id, actor.duty) for actor in demo_actors(connection)}
    alone = {(item.organisation_id, item.duty) for item in tasks(connection) if item.state == "open"} - held
    unstaffed = connection.scalars(sa.select(cases.incident.c["values"]).where(cases.incident.c.code == "unstaffed"))
    assert alone == {(values["organisation_id"], values["duty"]) for values in unstaffed}


def test_every_party_of_an_open_transfer_has_a_demo_account_so_that_one_can_go_on_to_its_end(connection):
    held = {(actor.organisation_id, actor.duty) for actor in demo_actors(connection)}
    unstaffed = set(connection.scalars(sa.select(cases.incident.c.case_id).where(cases.incident.c.code == "unstaffed")))
    open_cases = connection.execute(sa.select(cases.case).where(cases.case.c.state == "open")).all()
    alone = {row.id for row in open_cases if not {(found, "operator") for found in row.parties.values()} <= held}
    assert alone == unstaffed


def test_every_demo_account_can_open_its_lists(connection):
    for actor in demo_actors(connection):
        page = inbox.waiting(connection, actor)
        found = transfers.summaries(connection, actor, [item.case_id for item in page.tasks])
        assert set(found) == {item.case_id for item in page.tasks}
        assert sum(step.open for step in inbox.steps(connection, actor, at=TODAY)) == page.total
        inbox.done(connection, actor)
        transfers.started_by(connection, actor)
        if actor.organisation_level != "school":
            assert transfers.search(connection, actor, transfers.Filters(), at=TODAY).total > 0


def test_the_fixed_password_opens_every_demo_account_and_no_other(connection):
    for row in connection.execute(sa.select(accounts.person)):
        assert (row.password_hash is not None) == row.demo
        assert not row.password_temporary
    credentials = accounts.credentials_of(connection, accounts.demo_accounts(connection)[0].login)
    assert credentials.match(demo.PASSWORD)


def test_the_command_tells_every_account_and_students_to_begin_with(application, connection):
    told = demo.describe(application)
    for account in accounts.demo_accounts(connection):
        assert account.login in told
    assert demo.PASSWORD in told
    assert len(demo.examples(connection)) >= 4
    for example in demo.examples(connection):
        row = connection.execute(sa.select(student).where(student.c.record_number == example.number)).one()
        assert row.name == example.name
        assert transfers.stands_against(connection, row.id) == []
        assert example.number in told


# Nothing of anybody real


def test_no_name_and_no_number_of_the_document_s_pictures_occurs(connection):
    columns = (student.c.name, student.c.guardian_name, organisation.c.name, accounts.person.c.name)
    texts = {text for column in columns for text in connection.scalars(sa.select(column)) if text}
    texts |= {file.read_text("utf-8") for file in (Path(demo.__file__).parent / "data").glob("*.csv")}
    found = {part for text in texts for part in parts(text)}
    assert not {digest(part) for part in found} & NAMES_IN_PICTURES
    columns = (student.c.id_number, student.c.record_number, student.c.temporary_number, student.c.guardian_id_number)
    given = {number.lstrip("GJL") for column in columns for number in connection.scalars(sa.select(column)) if number}
    prefixes = {number[:length] for number in given for length in (12, 14, 15, 16)}
    assert not {digest(prefix) for prefix in prefixes} & NUMBERS_IN_PICTURES


def parts(text: str) -> Iterator[str]:
    """Everything in a text that may be a name: two to seven characters."""
    for length in range(2, 8):
        for start in range(len(text) - length + 1):
            yield text[start : start + length]


def digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


# Seeding


def test_both_databases_get_the_same_world_and_a_second_time_changes_nothing(application, database):
    other = open_demo(database)
    demo.seed(other)
    first = contents(other.database)
    assert first == contents(application.database)
    demo.seed(other)
    assert contents(other.database) == first
    other.close()


def contents(database: Database) -> dict[str, list[Any]]:
    """What is in the tables, but for salts and random ids."""
    random = {"uid", "number_hash", "password_hash", "values", "state"}
    tables = (organisation, student, enrolment, school_class, electronic_record, transfer, cases.task, audit_entry)
    with database.reading() as connection:
        return {
            table.name: connection.execute(
                sa.select(*(column for column in table.c if column.name not in random)).order_by(*table.primary_key)
            ).all()
            for table in (*tables, accounts.person, accounts.membership, cases.deadline, cases.notice, cases.incident)
        }


def test_a_database_with_somebody_in_it_is_left_alone(database):
    with database.transaction() as connection:
        organisations.add(connection, SYSTEM, level="ministry", name="教育部", at=TODAY)
    application = open_demo(database)
    demo.seed(application)
    with database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(organisation)) == 1
    application.close()


def test_it_looks_the_same_in_any_season(sqlite_url, application):
    other = open_demo(Database(sqlite_url), OUT_OF_SEASON)
    demo.seed(other)
    states = sa.select(transfer.c.case_id, transfer.c.state)
    with other.database.reading() as there, application.database.reading() as here:
        assert sorted(there.execute(states)) == sorted(here.execute(states))
        assert there.scalar(sa.select(sa.func.max(cases.task.c.opened_at))) < OUT_OF_SEASON
    other.close()
