"""Places in classes, and who gets the last one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from engine.db import Database
from engine.errors import NotFound
from engine.registry import classes
from engine.registry.tables import school_class

from .conftest import AT, World


def test_a_place_is_reserved_then_taken(database: Database, world: World):
    with database.transaction() as connection:
        classes.reserve(connection, world.target_class)
        held = classes.get(connection, world.target_class)
        assert (held.reserved, held.enrolled, held.vacancies) == (1, 0, 44)
        classes.enrol_reserved(connection, world.target_class)
        taken = classes.get(connection, world.target_class)
        assert (taken.reserved, taken.enrolled, taken.vacancies) == (0, 1, 44)


def test_a_place_given_back_is_free_again(database: Database, world: World):
    with database.transaction() as connection:
        classes.reserve(connection, world.target_class)
        classes.free(connection, world.target_class)
        assert classes.get(connection, world.target_class).vacancies == 45
        with pytest.raises(classes.NothingReserved):
            classes.free(connection, world.target_class)
        with pytest.raises(classes.NothingReserved):
            classes.enrol_reserved(connection, world.target_class)
        with pytest.raises(classes.NobodyEnrolled):
            classes.leave(connection, world.target_class)


def test_a_class_that_does_not_exist_has_no_places(database: Database, world: World):
    with database.transaction() as connection:
        for operation in (classes.reserve, classes.free, classes.enrol, classes.leave, classes.enrol_reserved):
            with pytest.raises(NotFound):
                operation(connection, 999)


def test_of_many_who_want_the_last_place_exactly_one_gets_it(database: Database, world: World):
    with database.transaction() as connection:
        connection.execute(school_class.update().where(school_class.c.id == world.target_class).values(enrolled=44))

    def reserve(_: int) -> bool:
        try:
            with database.transaction() as connection:
                classes.reserve(connection, world.target_class)
        except classes.NoVacancy:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(reserve, range(24))) == 1
    with database.reading() as connection:
        assert classes.get(connection, world.target_class).vacancies == 0


def test_the_database_itself_refuses_one_too_many(database: Database, world: World):
    too_many = school_class.update().where(school_class.c.id == world.target_class).values(reserved=46)
    with pytest.raises(IntegrityError), database.transaction() as connection:
        connection.execute(too_many)


def test_vacancies_are_shown_by_grade(database: Database, world: World, administrator):
    with database.transaction() as connection:
        for grade, name in (("14", "(2)班"), ("11", "(1)班")):
            classes.add(
                connection,
                administrator,
                school_id=world.chenguang.id,
                grade=grade,
                name=name,
                capacity=2,
                at=AT,
            )
        classes.reserve(connection, world.target_class)
        shown = classes.vacancies(connection, world.chenguang.id)
    assert [(each.grade.name, each.free) for each in shown] == [("小学一年级", 2), ("小学四年级", 46)]
    assert [each.name for each in shown[1].classes] == ["(1)班", "(2)班"]


def test_capacity_never_falls_below_what_is_taken(database: Database, world: World, administrator, actions):
    with database.transaction() as connection:
        classes.reserve(connection, world.target_class)
        classes.set_capacity(connection, administrator, world.target_class, capacity=1, at=AT)
        with pytest.raises(classes.CapacityTooSmall):
            classes.set_capacity(connection, administrator, world.target_class, capacity=0, at=AT)
        with pytest.raises(NotFound):
            classes.set_capacity(connection, administrator, world.origin_class, capacity=60, at=AT)
        with pytest.raises(classes.NoVacancy):
            classes.reserve(connection, world.target_class)
    assert actions()[-1] == "class.capacity_changed"


def test_locking_several_classes_needs_no_order_from_the_caller(database: Database, world: World):
    def change(order: tuple[int, int]) -> None:
        with database.transaction() as connection:
            classes.lock(connection, *order)
            for class_id in order:
                classes.reserve(connection, class_id)

    here, there = world.target_class, world.origin_class
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, [(here, there), (there, here)] * 10))
    with database.reading() as connection:
        reserved = connection.scalars(sa.select(school_class.c.reserved).order_by(school_class.c.id)).all()
    assert reserved == [20, 20]
