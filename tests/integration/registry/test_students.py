"""Who sees what of a student, and who may move."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from engine.audit import SYSTEM, audit_entry
from engine.db import Database
from engine.errors import Forbidden, NotFound
from engine.registry import classes, numbers, students
from engine.registry.tables import enrolment, school_class, student

from .conftest import AT, MEI_ID, World, actor_of, id_number, mei_data


def put(connection: Connection, student_id: int, **values: object) -> None:
    connection.execute(student.update().where(student.c.id == student_id).values(**values))


def test_a_summary_is_masked(database: Database, world: World):
    with database.reading() as connection:
        summary = students.summary(connection, world.mei)
    assert (summary.id_number, summary.record_number) == ("4101052015****", "G4101052015****")
    assert summary.temporary_number == "L4101052015****"
    assert summary.number == "G4101052015****"
    assert (summary.place.school_name, summary.place.class_name, summary.place.grade) == ("柳林小学", "(3)班", "14")


def test_a_full_view_is_logged(database: Database, world: World, logged):
    receiving = actor_of(world.chenguang, person_id=7)
    with database.transaction() as connection:
        seen = students.view(connection, receiving, world.mei, case_id=5, at=AT)
        entry = connection.execute(sa.select(audit_entry).where(audit_entry.c.action == "student.viewed")).one()
    assert (seen.id_number, seen.guardian_name, seen.place.school_id) == (MEI_ID, "梅长河", world.liulin.id)
    assert (entry.person_id, entry.subject_id, entry.case_id, entry.at) == (7, world.mei, 5, AT)
    assert MEI_ID not in logged()
    assert "梅小雨" not in logged()


def test_without_a_case_a_student_is_seen_in_the_own_jurisdiction_alone(database: Database, world: World):
    with database.transaction() as connection:
        for entitled in (world.liulin, world.jinshui, world.henan, world.ministry):
            assert students.view(connection, actor_of(entitled), world.mei, at=AT).id == world.mei
        for other in (world.chenguang, world.anhui):
            with pytest.raises(NotFound):
                students.view(connection, actor_of(other), world.mei, at=AT)
        with pytest.raises(NotFound):
            students.view(connection, SYSTEM, 999, at=AT)


def test_a_student_is_not_printed(database: Database, world: World):
    with database.transaction() as connection:
        full = students.view(connection, SYSTEM, world.mei, at=AT)
        summary = students.summary(connection, world.mei)
    assert repr(full) == f"<Student {world.mei}>"
    assert "梅" not in repr(summary)


def test_a_student_s_grade_is_the_one_the_class_has_reached(database: Database, world: World):
    with database.transaction() as connection:
        connection.execute(school_class.update().values(grade="15"))
        assert students.summary(connection, world.mei).place.grade == "15"


def test_a_list_takes_its_students_in_one_query(database: Database, world: World):
    with database.reading() as connection:
        assert list(students.summaries(connection, [world.mei, 999])) == [world.mei]
        assert students.summaries(connection, []) == {}
        with pytest.raises(NotFound):
            students.summary(connection, 999)


def another(**changed: object) -> dict[str, object]:
    number = id_number("410105", date(2015, 3, 1), "113")
    mine = {"birth_date": date(2015, 3, 1), "gender": "1", "id_number": number, "record_number": f"g{number}"}
    return mei_data() | mine | {"temporary_number": None} | changed


def test_a_new_student_takes_a_place(database: Database, world: World):
    with database.transaction() as connection:
        enrolled = classes.get(connection, world.origin_class).enrolled
        new = students.register(connection, actor_of(world.liulin), class_id=world.origin_class, at=AT, **another())
        assert classes.get(connection, world.origin_class).enrolled == enrolled + 1
        assert students.view(connection, SYSTEM, new, at=AT).record_number.startswith("G4101")
        with pytest.raises(NotFound):
            students.register(connection, actor_of(world.chenguang), class_id=world.origin_class, at=AT, **another())


@pytest.mark.parametrize(
    ("changed", "field", "error"),
    [
        ({"birth_date": date(2015, 3, 2)}, "id_number", numbers.BirthDateContradicts),
        ({"gender": "2"}, "id_number", numbers.GenderContradicts),
        ({"id_number": "410105201503011131"}, "id_number", numbers.ChecksumWrong),
        ({"record_number": "L410105201509081239"}, "record_number", numbers.NumberUnrecognised),
        ({"temporary_number": "L419999201509081239"}, "temporary_number", numbers.DivisionUnknown),
    ],
)
def test_a_number_that_can_not_be_is_refused_with_its_field(
    database: Database, world: World, changed: dict, field: str, error: type[Exception]
):
    with database.transaction() as connection:
        with pytest.raises(numbers.NumberInvalid) as refused:
            students.register(connection, SYSTEM, class_id=world.origin_class, at=AT, **another(**changed))
        assert {name: type(each) for name, each in refused.value.fields.items()} == {field: error}


def test_a_student_needs_some_number(database: Database, world: World):
    nameless = another(id_number="", record_number=None)
    with database.transaction() as connection, pytest.raises(students.WithoutNumber):
        students.register(connection, SYSTEM, class_id=world.origin_class, at=AT, **nameless)


def several(count: int) -> list[dict[str, object]]:
    people = [id_number("410105", date(2015, 3, 1), f"{serial * 2 + 1:03d}") for serial in range(count)]
    return [
        another(name=f"同学{place}", id_number=number, record_number=f"G{number}", temporary_number=None)
        for place, number in enumerate(people)
    ]


def test_a_whole_class_is_entered_at_once(database: Database, world: World, actions):
    with database.transaction() as connection:
        ids = students.register_many(connection, SYSTEM, class_id=world.origin_class, students=several(3), at=AT)
        assert [students.summary(connection, found).name for found in ids] == ["同学0", "同学1", "同学2"]
        assert classes.get(connection, world.origin_class).enrolled == 4
        assert students.register_many(connection, SYSTEM, class_id=world.origin_class, students=[], at=AT) == []
    assert actions()[-3:] == ["student.registered"] * 3


def test_a_class_too_small_takes_none_of_them(database: Database, world: World):
    with database.transaction() as connection:
        classes.set_capacity(connection, SYSTEM, world.origin_class, capacity=3, at=AT)
        with pytest.raises(classes.NoVacancy):
            students.register_many(connection, SYSTEM, class_id=world.origin_class, students=several(3), at=AT)
        assert classes.get(connection, world.origin_class).enrolled == 1


def test_two_students_do_not_share_a_number(database: Database, world: World):
    with pytest.raises(IntegrityError), database.transaction() as connection:
        students.register(connection, SYSTEM, class_id=world.origin_class, at=AT, **mei_data())


def test_a_student_with_nothing_against_it_may_move(database: Database, world: World):
    with database.reading() as connection:
        assert students.check(connection, world.mei) == []
        as_applied = {"number": f"g{MEI_ID}", "name": "梅 小雨", "school_id": world.liulin.id}
        assert students.check(connection, world.mei, **as_applied) == []


@pytest.mark.parametrize(
    ("state", "applied", "codes"),
    [
        ({}, {"name": "梅小雪"}, ["2001"]),
        ({}, {"number": "L410105201509081235"}, ["2001"]),
        ({"open_business": "休学办理中"}, {}, ["2002"]),
        ({}, {"school_id": -1}, ["2002"]),
        ({"problem": True}, {}, ["2003"]),
        ({"status": "02"}, {}, ["status"]),
        (
            {"status": "07", "problem": True, "open_business": "毕业办理中"},
            {"name": "梅"},
            ["2001", "2002", "2003", "status"],
        ),
    ],
)
def test_each_known_failure_has_its_code_and_remedy(
    database: Database, world: World, state: dict, applied: dict, codes: list[str]
):
    with database.transaction() as connection:
        if state:
            put(connection, world.mei, **state)
        failures = students.check(connection, world.mei, **applied)
    assert [failure.code for failure in failures] == codes
    assert all(failure.message and failure.remedy for failure in failures)


def test_a_student_who_has_left_is_another_business_of_the_school(database: Database, world: World):
    with database.transaction() as connection:
        connection.execute(enrolment.update().values(current=False, until_date=date(2026, 9, 1)))
        assert [each.code for each in students.check(connection, world.mei)] == ["2002"]
        assert [each.code for each in students.check(connection, 999)] == ["2001"]


def test_the_ministry_may_let_another_status_move(database: Database, world: World, administrator, actions):
    with database.transaction() as connection:
        assert students.movable_statuses(connection) == {"01"}
        with pytest.raises(Forbidden):
            students.set_movable(connection, administrator, "05", movable=True, at=AT)
        chief = replace(actor_of(world.ministry), duty="administrator")
        students.set_movable(connection, chief, "05", movable=True, at=AT)
        students.set_movable(connection, chief, "01", movable=False, at=AT)
        assert students.movable_statuses(connection) == {"05"}
        students.set_movable(connection, chief, "01", movable=True, at=AT)
        assert students.movable_statuses(connection) == {"01", "05"}
        with pytest.raises(NotFound):
            students.set_movable(connection, chief, "77", movable=True, at=AT)
    assert actions()[-1] == "status.changed"


def move(connection: Connection, world: World, case_id: int = 5) -> int:
    moved = {"student_id": world.mei, "to_class_id": world.target_class, "case_id": case_id}
    return students.change_enrolment(connection, actor_of(world.chenguang), at=AT, **moved)


def test_a_change_of_enrolment_moves_the_student_and_the_places(database: Database, world: World):
    with database.transaction() as connection:
        classes.reserve(connection, world.target_class)
        new_id = move(connection, world)
        here, there = (classes.get(connection, each) for each in (world.target_class, world.origin_class))
        assert (here.enrolled, here.reserved, there.enrolled) == (1, 0, 0)
        assert students.summary(connection, world.mei).place.school_id == world.chenguang.id
        old, new = connection.execute(sa.select(enrolment).order_by(enrolment.c.id)).all()
    assert (old.current, old.until_date) == (False, date(2026, 9, 22))
    assert (new.id, new.current, new.from_date, new.case_id) == (new_id, True, date(2026, 9, 22), 5)


def test_repeating_a_change_of_enrolment_changes_nothing(database: Database, world: World, actions):
    with database.transaction() as connection:
        classes.reserve(connection, world.target_class)
        first = move(connection, world)
    done = actions()
    with database.transaction() as connection:
        assert move(connection, world) == first
        assert classes.get(connection, world.target_class).enrolled == 1
    assert actions() == done


def test_two_changes_at_once_move_the_student_once(database: Database, world: World):
    with database.transaction() as connection:
        classes.reserve(connection, world.target_class)

    def attempt(_: int) -> int:
        with database.transaction() as connection:
            return move(connection, world)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(attempt, range(8)))) == 1
    with database.reading() as connection:
        assert classes.get(connection, world.target_class).enrolled == 1


def test_without_a_reserved_place_nobody_moves(database: Database, world: World):
    with pytest.raises(classes.NothingReserved), database.transaction() as connection:
        move(connection, world)
    with database.reading() as connection:
        assert students.summary(connection, world.mei).place.school_id == world.liulin.id
        assert classes.get(connection, world.origin_class).enrolled == 1


def test_whoever_has_left_is_not_moved(database: Database, world: World):
    with database.transaction() as connection:
        connection.execute(enrolment.update().values(current=False, until_date=date(2026, 9, 1)))
        with pytest.raises(students.NotEnrolled):
            move(connection, world)


def test_the_day_of_a_move_is_that_of_china(database: Database, world: World):
    late_evening = datetime(2026, 9, 22, 17, 0, tzinfo=UTC)
    with database.transaction() as connection:
        classes.reserve(connection, world.target_class)
        moved = {"student_id": world.mei, "to_class_id": world.target_class, "case_id": 5}
        students.change_enrolment(connection, SYSTEM, at=late_evening, **moved)
        new = connection.execute(sa.select(enrolment).where(enrolment.c.current)).one()
    assert new.from_date == date(2026, 9, 23)


def test_a_student_is_enrolled_once_at_a_time(database: Database, world: World):
    second = {"student_id": world.mei, "school_id": world.chenguang.id, "class_id": world.target_class}
    with pytest.raises(IntegrityError), database.transaction() as connection:
        connection.execute(enrolment.insert().values(**second, grade="14", from_date=date(2026, 9, 1), current=True))


@pytest.mark.parametrize(
    ("one", "other"), [("买买提·吐尔逊", "买买提•吐尔逊"), ("王 小明", "王小明"), ("Anna  Li", "ANNA LI")]
)
def test_a_name_is_the_same_however_it_is_typed(one: str, other: str):
    assert students.same_name(one, other)
    assert not students.same_name(one, "梅小雨")
