"""The hierarchy, and who may change it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.audit import SYSTEM
from engine.db import Database, metadata
from engine.errors import Forbidden, NotFound
from engine.registry import classes, organisations
from engine.registry.tables import organisation, organisation_ancestor

from .conftest import AT, World, actor_of, build


def test_an_authority_governs_what_lies_below_it_and_nothing_else(database: Database, world: World):
    with database.reading() as connection:
        for above in (world.ministry, world.anhui, world.hefei, world.shushan, world.chenguang):
            assert organisations.governs(connection, above.id, world.chenguang.id)
        for aside in (world.henan, world.baohe, world.qingshan):
            assert not organisations.governs(connection, aside.id, world.chenguang.id)


def test_a_school_knows_its_superiors_the_nearest_first(database: Database, world: World):
    with database.reading() as connection:
        above = organisations.superiors(connection, world.chenguang.id)
        assert above == [world.shushan, world.hefei, world.anhui, world.ministry]
        assert organisations.superior(connection, world.chenguang.id) == world.shushan
        assert organisations.superior(connection, world.ministry.id) is None


def test_a_school_may_hang_at_any_authority(database: Database, world: World):
    with database.transaction() as connection:
        school = organisations.add(
            connection,
            SYSTEM,
            level="school",
            name="省直属实验中学",
            parent_id=world.anhui.id,
            division_code="340104",
            code="3134000009",
            at=AT,
        )
        assert organisations.superior(connection, school.id) == world.anhui
        assert school.province_code == "340000"
        assert organisations.get(connection, school.id) == school


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code": None}, organisations.SchoolCodeWrong),
        ({"code": "21340000AB"}, organisations.SchoolCodeWrong),
        ({"code": "9934000009"}, organisations.SchoolCodeWrong),
        ({"code": "2134000001"}, organisations.SchoolCodeTaken),
        ({"division_code": "340199"}, organisations.UnknownDivision),
        ({"division_code": None}, organisations.UnknownDivision),
        ({"level": "village"}, organisations.WrongPlace),
        ({"level": "province", "code": None}, organisations.WrongPlace),
        ({"parent_id": None}, organisations.WrongPlace),
        ({"parent_id": 999}, NotFound),
        ({"level": "ministry"}, organisations.WrongPlace),
    ],
)
def test_an_organisation_that_can_not_be_is_refused(
    database: Database, world: World, changed: dict, error: type[Exception]
):
    values = {"level": "school", "parent_id": world.shushan.id, "division_code": "340104", "code": "2134000009"}
    with database.transaction() as connection, pytest.raises(error):
        organisations.add(connection, SYSTEM, name="新学校", at=AT, **(values | changed))


def test_only_schools_have_a_code_and_schools_have_nothing_below_them(database: Database, world: World):
    with database.transaction() as connection:
        with pytest.raises(organisations.SchoolCodeWrong):
            organisations.add(
                connection,
                SYSTEM,
                level="county",
                name="某县教育局",
                parent_id=world.hefei.id,
                division_code="340121",
                code="2134000009",
                at=AT,
            )
        with pytest.raises(organisations.WrongPlace):
            organisations.move(connection, SYSTEM, world.qingshan.id, parent_id=world.chenguang.id, at=AT)


def test_a_school_moves_to_another_authority(database: Database, world: World, administrator, actions):
    with database.transaction() as connection:
        organisations.move(connection, administrator, world.chenguang.id, parent_id=world.baohe.id, at=AT)
    with database.reading() as connection:
        assert organisations.superior(connection, world.chenguang.id) == world.baohe
        assert not organisations.governs(connection, world.shushan.id, world.chenguang.id)
        assert organisations.governs(connection, world.hefei.id, world.chenguang.id)
        assert organisations.governs(connection, world.chenguang.id, world.chenguang.id)
        assert organisations.is_native(connection, world.anhui.id, world.shushan.id)
        assert not organisations.is_native(connection, world.baohe.id, world.chenguang.id)
        assert not organisations.is_native(connection, world.henan.id, world.chenguang.id)
    assert actions()[-1] == "organisation.moved"


def test_an_authority_moves_with_all_its_schools(database: Database, world: World):
    with database.transaction() as connection:
        organisations.move(connection, SYSTEM, world.shushan.id, parent_id=world.henan.id, at=AT)
        above = organisations.superiors(connection, world.qingshan.id)
        assert above == [organisations.get(connection, world.shushan.id), world.henan, world.ministry]


def test_a_renamed_or_closed_school_keeps_its_place(database: Database, world: World, administrator, actions):
    with database.transaction() as connection:
        organisations.rename(connection, administrator, world.qingshan.id, name="青山实验小学", at=AT)
        organisations.set_active(connection, administrator, world.qingshan.id, active=False, at=AT)
        assert organisations.get(connection, world.qingshan.id).name == "青山实验小学"
        assert organisations.schools_in(connection, "340104") == [world.chenguang]
        organisations.set_active(connection, administrator, world.qingshan.id, active=True, at=AT)
        assert len(organisations.schools_in(connection, "340104")) == 2
    assert actions()[-3:] == ["organisation.renamed", "organisation.closed", "organisation.opened"]


def test_an_administrator_reaches_no_further_than_the_jurisdiction(database: Database, world: World, administrator):
    with database.transaction() as connection:
        with pytest.raises(NotFound):
            organisations.rename(connection, administrator, world.liulin.id, name="别处", at=AT)
        with pytest.raises(NotFound):
            organisations.move(connection, administrator, world.chenguang.id, parent_id=world.jinshui.id, at=AT)
        with pytest.raises(Forbidden):
            organisations.rename(connection, actor_of(world.hefei), world.chenguang.id, name="别处", at=AT)
        with pytest.raises(Forbidden):
            organisations.add(connection, administrator, level="ministry", name="另一个部", at=AT)


def test_schools_are_offered_by_division_and_grade(database: Database, world: World):
    with database.reading() as connection:
        assert organisations.schools_in(connection, "340000") == organisations.schools_in(connection, "340104")
        assert organisations.schools_in(connection, "340111") == []
        assert organisations.schools_in(connection, "340100", grade="14") == [world.chenguang]
        assert organisations.schools_in(connection, "340100", grade="31") == []


def test_organisations_are_searched_in_one_jurisdiction(database: Database, world: World):
    with database.reading() as connection:
        assert organisations.search(connection, below=world.anhui.id, text="小学", level="school") == [
            world.chenguang,
            world.qingshan,
        ]
        assert organisations.search(connection, below=world.anhui.id, text="柳林") == []
        assert organisations.search(connection, below=world.anhui.id, text="2134000002") == [world.qingshan]
        assert organisations.search(connection, below=world.anhui.id, text="%") == []
        assert organisations.count(connection, below=world.anhui.id) == 6
        assert organisations.children(connection, world.hefei.id) == [world.shushan, world.baohe]
        assert len(organisations.search(connection, below=world.ministry.id, limit=4, offset=8)) == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(moves=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=8))
def test_whatever_moves_the_pairs_say_what_the_parents_say(tmp_path_factory, moves: list[tuple[int, int]]):
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('moves')}/xueji.db")
    metadata.create_all(database.engine)
    with database.transaction() as connection:
        build(connection)
        ids = list(connection.scalars(sa.select(organisation.c.id).order_by(organisation.c.id)))
        have_moved = set()
        for moved, parent in moves:
            try:
                organisations.move(connection, SYSTEM, ids[moved], parent_id=ids[parent], at=AT)
            except organisations.WrongPlace:
                continue
            have_moved.add(ids[moved])
        parents = {row.id: row.parent_id for row in connection.execute(sa.select(organisation))}
        pairs = {tuple(row) for row in connection.execute(sa.select(organisation_ancestor))}
    expected = set()
    for each in parents:
        above, depth, moved = each, 0, False
        while above is not None:
            expected.add((each, above, depth, moved))
            moved = moved or above in have_moved
            above, depth = parents[above], depth + 1
    assert pairs == expected
    database.dispose()


def test_classes_are_opened_by_those_who_administer_the_school(database: Database, world: World, administrator):
    new = {"school_id": world.qingshan.id, "grade": "11", "name": "(1)班", "capacity": 40, "at": AT}
    with database.transaction() as connection:
        added = classes.add(connection, administrator, **new)
        assert classes.get(connection, added.id).vacancies == 40
        with pytest.raises(classes.ClassExists):
            classes.add(connection, administrator, **new)
        with pytest.raises(classes.UnknownGrade):
            classes.add(connection, administrator, **(new | {"grade": "99"}))
        with pytest.raises(Forbidden):
            classes.add(connection, actor_of(world.qingshan), **(new | {"name": "(2)班"}))
        with pytest.raises(NotFound):
            classes.add(connection, administrator, **(new | {"school_id": world.liulin.id}))
        with pytest.raises(NotFound):
            classes.add(connection, administrator, **(new | {"school_id": world.shushan.id}))
