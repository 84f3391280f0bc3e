"""Electronic records: sealed, moved once, kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from engine.audit import SYSTEM
from engine.db import Database
from engine.errors import NotFound
from engine.registry import records, students
from engine.registry.records import Part, RetrievedRecord
from engine.registry.tables import electronic_record, record_part

from .conftest import AT, World, actor_of, mei_data, mei_parts

MARKS = record_part.update().where(record_part.c.kind == "成绩")


def retrieve(connection: Connection, world: World, **changed: object) -> RetrievedRecord:
    asked = {
        "student_id": world.mei,
        "from_school_id": world.liulin.id,
        "to_school_id": world.chenguang.id,
        "case_id": 5,
        "at": AT,
    }
    return records.retrieve(connection, actor_of(world.chenguang), **(asked | changed))


def test_retrieval_copies_the_record_and_leaves_a_backup(database: Database, world: World):
    with database.transaction() as connection:
        retrieved = retrieve(connection, world)
        assert retrieved.hash == records.seal(mei_parts())
        assert records.held(connection, world.mei) == [
            (retrieved.record_id, world.chenguang.id, "current"),
            (world.mei_record, world.liulin.id, "backup"),
        ]
        new = records.view(connection, actor_of(world.chenguang), retrieved.record_id, at=AT)
        assert list(new.parts) == mei_parts()
        assert records.intact(connection, retrieved.record_id)
        assert records.intact(connection, world.mei_record)


def test_repeating_a_retrieval_changes_nothing(database: Database, world: World, actions):
    with database.transaction() as connection:
        first = retrieve(connection, world)
        records.add_part(
            connection, actor_of(world.chenguang), first.record_id, Part("评价", "报到", {"评语": "好"}), at=AT
        )
    done = actions()
    with database.transaction() as connection:
        assert retrieve(connection, world) == first
        assert len(records.held(connection, world.mei)) == 2
    assert actions() == done


def test_two_retrievals_at_once_move_the_record_once(database: Database, world: World):
    def attempt(_: int) -> RetrievedRecord:
        with database.transaction() as connection:
            return retrieve(connection, world)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(attempt, range(8)))) == 1
    with database.reading() as connection:
        assert len(records.held(connection, world.mei)) == 2


@pytest.mark.parametrize(
    "damage",
    [
        record_part.update()
        .where(record_part.c.kind == "成绩")
        .values(content={"语文": 99.5, "数学": 88, "备注": None}),
        record_part.update().where(record_part.c.kind == "成绩").values(title="另一学期"),
        record_part.update().where(record_part.c.kind == "成绩").values(hash="0" * 64),
        record_part.delete().where(record_part.c.kind == "奖惩"),
        electronic_record.update().values(hash="0" * 64),
    ],
)
def test_a_damaged_record_does_not_move(database: Database, world: World, damage: sa.Update | sa.Delete):
    with database.transaction() as connection:
        connection.execute(damage)
        assert not records.intact(connection, world.mei_record)
        with pytest.raises(records.RecordDamaged):
            retrieve(connection, world)
        assert records.held(connection, world.mei) == [(world.mei_record, world.liulin.id, "current")]
        with pytest.raises(records.RecordDamaged):
            records.add_part(connection, SYSTEM, world.mei_record, Part("评价", "某事", {}), at=AT)


def test_a_record_is_fetched_from_the_school_that_has_it(database: Database, world: World):
    with database.transaction() as connection, pytest.raises(records.RecordMissing):
        retrieve(connection, world, from_school_id=world.qingshan.id)


def test_a_backup_is_read_only(database: Database, world: World):
    releasing = actor_of(world.liulin)
    with database.transaction() as connection:
        retrieve(connection, world)
        with pytest.raises(records.RecordReadOnly):
            records.add_part(connection, releasing, world.mei_record, Part("评价", "事后", {}), at=AT)
        assert records.view(connection, releasing, world.mei_record, at=AT).state == "backup"


def test_the_new_school_continues_the_record(database: Database, world: World):
    more = Part("奖惩", "运动会", {"名次": 1})
    with database.transaction() as connection:
        retrieved = retrieve(connection, world)
        with pytest.raises(NotFound):
            records.add_part(connection, actor_of(world.liulin), retrieved.record_id, more, at=AT)
        resealed = records.add_part(connection, actor_of(world.chenguang), retrieved.record_id, more, at=AT)
        assert resealed == records.seal([*mei_parts(), more])
        assert records.intact(connection, retrieved.record_id)
        with pytest.raises(records.UnknownKind):
            records.add_part(connection, SYSTEM, retrieved.record_id, Part("其他", "", {}), at=AT)


def test_a_student_has_one_current_record(database: Database, world: World):
    again = {"student_id": world.mei, "school_id": world.chenguang.id, "parts": mei_parts(), "at": AT}
    with database.transaction() as connection, pytest.raises(records.RecordExists):
        records.create(connection, SYSTEM, **again)


def test_the_records_of_a_class_are_opened_at_once(database: Database, world: World, actions):
    fresh = mei_data() | {"id_number": None, "id_type": None, "record_number": None}
    pupils = [fresh | {"temporary_number": f"L41010520150908000{place}"} for place in range(2)]
    with database.transaction() as connection:
        one, two = students.register_many(connection, SYSTEM, class_id=world.origin_class, students=pupils, at=AT)
        parts = {one: mei_parts(), two: mei_parts()[:1]}
        for record_id in records.create_many(connection, SYSTEM, school_id=world.liulin.id, parts=parts, at=AT):
            assert records.intact(connection, record_id)
        (record_id, _, _), *_ = records.held(connection, two)
        assert list(records.view(connection, SYSTEM, record_id, at=AT).parts) == mei_parts()[:1]
        with pytest.raises(records.RecordExists):
            records.create_many(connection, SYSTEM, school_id=world.liulin.id, parts={one: mei_parts()}, at=AT)
    assert actions().count("record.created") == 3


def test_who_sees_a_record_is_logged_and_strangers_see_none(database: Database, world: World, actions, logged):
    with database.transaction() as connection:
        assert records.view(connection, actor_of(world.henan), world.mei_record, at=AT).parts
        with pytest.raises(NotFound):
            records.view(connection, actor_of(world.chenguang), world.mei_record, at=AT)
        assert records.view(connection, actor_of(world.chenguang), world.mei_record, case_id=5, at=AT).parts
        with pytest.raises(NotFound):
            records.view(connection, SYSTEM, 999, at=AT)
    assert actions()[-2:] == ["record.viewed", "record.viewed"]
    assert "梅小雨" not in logged()


def test_a_record_and_its_parts_print_nothing_of_the_child(database: Database, world: World):
    with database.transaction() as connection:
        seen = records.view(connection, SYSTEM, world.mei_record, at=AT)
    assert "梅小雨" not in repr(seen)
