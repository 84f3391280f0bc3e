"""Finding a student at the releasing side."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from engine.audit import Actor
from engine.db import Database
from engine.registry import lookups
from engine.registry.lookups import LookUp, StudentNotFound
from engine.registry.tables import enrolment, student_lookup

from .conftest import AT, MEI_ID, World, actor_of

HENAN = "410000"


def look(database: Database, actor: Actor, **changed: object) -> LookUp:
    asked = {"number": f"G{MEI_ID}", "name": "梅小雨", "within": HENAN, "at": AT, "per_hour": 60}
    with database.transaction() as connection:
        return lookups.look_up(connection, actor, **(asked | changed))


@pytest.mark.parametrize(
    "number", [f"G{MEI_ID}", MEI_ID, "L410105201509081234", f"ｇ {MEI_ID[:6]} {MEI_ID[6:].lower()}"]
)
def test_formal_temporary_and_id_number_all_find_the_student(database: Database, operator, world: World, number: str):
    found = look(database, operator, number=number).found()
    assert found.id == world.mei
    assert found.record_number == "G4101052015****"


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "梅小雪"},
        {"number": "L410105201509081235"},
        {"number": ""},
        {"number": "E12345678"},
        {"within": "340000"},
    ],
)
def test_a_miss_is_one_answer_whatever_was_wrong(database: Database, operator, changed: dict):
    with pytest.raises(StudentNotFound) as missed:
        look(database, operator, **changed).found()
    assert (missed.value.code, missed.value.values) == ("2001", {})
    assert missed.value.message == StudentNotFound.message
    assert missed.value.remedy


def test_where_the_school_is_named_the_student_must_be_there(database: Database, operator, world: World):
    assert look(database, operator, within=world.liulin.id).student is not None
    assert look(database, operator, within=world.chenguang.id).student is None


def test_a_student_who_has_left_is_not_found(database: Database, operator, world: World):
    with database.transaction() as connection:
        connection.execute(enrolment.update().values(current=False, until_date=AT.date()))
    assert look(database, operator).student is None


def test_hits_and_misses_are_logged_without_the_number(database: Database, operator, world: World):
    look(database, operator)
    look(database, operator, name="梅小雪")
    with database.reading() as connection:
        hit, miss = connection.execute(sa.select(student_lookup).order_by(student_lookup.c.id)).all()
    assert (hit.person_id, hit.organisation_id, hit.at) == (1, world.chenguang.id, AT)
    assert (hit.student_id, miss.student_id) == (world.mei, None)
    assert hit.number_hash is None
    assert MEI_ID not in miss.number_hash
    assert lookups.is_about(miss.number_hash, f"g{MEI_ID}")
    assert not lookups.is_about(miss.number_hash, MEI_ID)


def test_nobody_looks_up_more_than_the_hour_allows(database: Database, operator, world: World):
    for minute in range(3):
        look(database, operator, at=AT + timedelta(minutes=minute), per_hour=3)
    with pytest.raises(lookups.TooManyLookUps):
        look(database, operator, at=AT + timedelta(minutes=59), per_hour=3)
    colleague = actor_of(world.chenguang, person_id=2)
    assert look(database, colleague, at=AT + timedelta(minutes=59), per_hour=3).student is not None
    assert look(database, operator, at=AT + timedelta(minutes=60), per_hour=3).student is not None
